//! Five routers that differ only in their layer, and the request sent to them.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request},
    routing::get,
};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};
use zae_axum::{Limit, Repository, Reserve, ZaeLimit};

/// Large enough that no request is ever refused.
const ENDLESS: u64 = 1_000_000_000;

/// The bare handler.
pub(crate) fn plain() -> Router {
    ready(Router::new().route("/users/{id}", get(|| async { "hello" })))
}

/// `tower_governor`: in this process's memory, shared with no other process and lost at exit.
pub(crate) fn governed() -> Router {
    let config = GovernorConfigBuilder::default().per_nanosecond(1).burst_size(u32::MAX).finish();
    ready(plain().layer(GovernorLayer::new(Arc::new(config.expect("neither is zero")))))
}

/// The same, with the remaining tokens in every response, as ours sends them.
pub(crate) fn governed_telling() -> Router {
    let mut builder = GovernorConfigBuilder::default();
    let config = builder.per_nanosecond(1).burst_size(u32::MAX).use_headers().finish();
    ready(plain().layer(GovernorLayer::new(Arc::new(config.expect("neither is zero")))))
}

/// [`ZaeLimit`] on the embedded store with its defaults; the caller shuts the layer down.
pub(crate) async fn limited() -> (Router, ZaeLimit) {
    through(ZaeLimit::new(endless().await))
}

/// The same with tokens debited ahead of use: most requests cause no write.
pub(crate) async fn reserving() -> (Router, ZaeLimit) {
    through(ZaeLimit::new(endless().await).reserve(Reserve::All))
}

fn through(layer: ZaeLimit) -> (Router, ZaeLimit) {
    (ready(plain().layer(layer.clone())), layer)
}

/// Wraps the router as a server does: layers are applied to handlers once, not for every request.
fn ready(router: Router) -> Router {
    router.with_state(())
}

async fn endless() -> Repository {
    let repository = Repository::embedded().await.expect("a table in memory");
    let limits = Limit::per_minute("rpm", ENDLESS).expect("a valid limit").into();
    repository.set_system_defaults(&limits).await.expect("a table that takes limits");
    repository
}

/// Creates a request as the server passes it on.
pub(crate) fn request() -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static("/users/1");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 7], 4711))));
    request
}

/// Sends a request, and reads the response to the end of its body.
///
/// # Panics
/// If the status is not 200.
pub(crate) async fn ask(app: Router, request: Request<Body>) -> (HeaderMap, Bytes) {
    let response = match app.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    assert_eq!(response.status(), 200);
    let (head, body) = response.into_parts();
    (head.headers, body.collect().await.expect("a body in memory").to_bytes())
}
