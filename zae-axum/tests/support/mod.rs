//! A limiter on a table of its own in memory, at a standstill in time, and a way to ask a router.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses another part")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, Response},
};
use http_body_util::BodyExt;
use tower::ServiceExt;
use zae_axum::{
    Limit, Limits, RateLimiter, Repository,
    zae_limiter::{EntityId, ManualClock, ResourceName},
};

/// 2026-01-01T00:00:00Z in epoch ms.
const START: i64 = 1_767_225_600_000;
/// Long enough that a busy test machine is never mistaken for a dead store.
const DEADLINE: Duration = Duration::from_secs(10);

/// A limiter for which `limits` are the system's defaults.
pub async fn limiter(limits: impl IntoIterator<Item = Limit>) -> RateLimiter {
    let clock = Arc::new(ManualClock::at(START));
    let repository = Repository::builder().embedded().clock(clock).build().await.unwrap();
    repository.set_system_defaults(&Limits::new(limits).unwrap()).await.unwrap();
    RateLimiter::builder(repository).deadline(DEADLINE).build()
}

pub fn rpm(rate: u64) -> Limit {
    Limit::per_minute("rpm", rate).unwrap()
}

pub fn tpm(rate: u64) -> Limit {
    Limit::per_minute("tpm", rate).unwrap()
}

/// Returns the tokens left of `limit` once everything is settled; afterwards the limiter takes no more.
pub async fn left(limiter: &RateLimiter, entity: &str, resource: &str, limit: &str) -> i64 {
    // Boxed: tests that ask often would not fit on a thread's stack.
    Box::pin(limiter.shutdown()).await;
    let (entity, resource) = (EntityId::new(entity).unwrap(), ResourceName::new(resource).unwrap());
    Box::pin(limiter.available(&entity, &resource)).await.unwrap()[limit]
}

/// Asks for `path`, as a client at `peer` where the server knows it.
pub async fn get(app: &Router, path: &str, peer: Option<&str>) -> Response<Body> {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    if let Some(peer) = peer {
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    app.clone().oneshot(request).await.unwrap()
}

pub async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
