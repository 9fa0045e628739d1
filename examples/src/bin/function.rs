//! A rate-limited function behind a function URL of AWS Lambda: 5 requests per minute and client.
//!
//! The stack's name is in `ZAEL_STACK`, as for every program of zae. The crate `lambda_http` does what `request` and
//! `response` do here, for more kinds of events.

use std::convert::Infallible;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response},
    response::IntoResponse,
    routing::get,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use zae_axum::{
    Limit, RateLimited, RateLimiter, Repository, ResourceName, ZaeLimit, resource,
    zae_tower::{PeerIp, settle},
};

/// No function may answer more.
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // While the function starts: credentials and endpoint are resolved once.
    let limiter = RateLimiter::new(Repository::builder().build().await?);
    let limit = ZaeLimit::new(&limiter)
        .resource(resource::fixed(ResourceName::new("function")?))
        .default_limits(Limit::per_minute("rpm", 5)?);
    let app = Router::new()
        .route("/", get(hello))
        .layer(limit)
        // Outermost: a function is frozen once it has answered.
        .layer(settle::before_response(&limiter));
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| answer(app.clone(), event.payload))).await
}

async fn answer(app: Router, event: Value) -> Result<Value, Error> {
    let Ok(response): Result<_, Infallible> = app.oneshot(request(event)?).await;
    response_event(response).await
}

/// The request that an event of payload format 2.0 describes.
fn request(mut event: Value) -> Result<Request<Body>, Error> {
    let headers = event["headers"].take();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let query = text("/rawQueryString").filter(|query| !query.is_empty());
    let path = text("/rawPath").unwrap_or("/");
    let uri = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut request = Request::builder().method(text("/requestContext/http/method").unwrap_or("GET")).uri(uri);
    for (name, value) in headers.as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    let mut request = request.body(Body::from(text("/body").unwrap_or_default().to_owned()))?;
    // The service in front says who called: no client can choose it.
    if let Some(peer) = text("/requestContext/http/sourceIp").and_then(|ip| ip.parse().ok()) {
        request.extensions_mut().insert(PeerIp(peer));
    }
    Ok(request)
}

async fn response_event(response: Response<Body>) -> Result<Value, Error> {
    let (head, body) = response.into_parts();
    let mut headers = Map::new();
    for name in head.headers.keys() {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        headers.insert(name.to_string(), values.collect::<Vec<_>>().join(", ").into());
    }
    let body = String::from_utf8(to_bytes(body, LARGEST_ANSWER).await?.into())?;
    Ok(json!({ "statusCode": head.status.as_u16(), "headers": headers, "body": body, "isBase64Encoded": false }))
}

async fn hello(limited: RateLimited) -> impl IntoResponse {
    format!("Hello! {} left for now.\n", limited.remaining("rpm").unwrap_or(0))
}
