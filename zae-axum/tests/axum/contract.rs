//! Tests of Tower's contract for services, and of dropped requests, which cost nothing.

use std::{convert::Infallible, future::pending, time::Duration};

use axum::{body::Body, extract::Request, http::StatusCode, response::Response};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use zae_axum::{Charge, Cost, limit_route};
use zae_testkit::{left_of as left, limiter, rpm};

async fn hello(_: Request) -> Result<Response, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

/// A clone that was never polled ready would panic in `ConcurrencyLimit`.
#[tokio::test]
async fn the_service_that_was_ready_is_the_one_that_is_called() {
    let limiter = limiter([rpm(100)]).await;
    let layer = limit_route(limiter, || async { Cost::of("rpm", 1) });
    let inner = ConcurrencyLimitLayer::new(1).layer(service_fn(hello));
    let mut service = layer.layer(inner);
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    let (one, two) = (service.clone(), service.clone());
    let both = tokio::join!(one.oneshot(Request::new(Body::empty())), two.oneshot(Request::new(Body::empty())));
    assert_eq!((both.0.unwrap().status(), both.1.unwrap().status()), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_while_the_function_runs_takes_nothing() {
    let limiter = limiter([rpm(10)]).await;
    let layer = limit_route(limiter.clone(), pending::<Charge>);
    let asked = layer.layer(service_fn(hello)).oneshot(Request::new(Body::empty()));
    assert!(tokio::time::timeout(Duration::from_secs(1), asked).await.is_err());
    assert_eq!(left(&limiter, "anonymous", "default", "rpm").await, 10);
}

#[tokio::test]
async fn a_request_dropped_while_the_handler_runs_counts() {
    let limiter = limiter([rpm(10)]).await;
    let layer = limit_route(limiter.clone(), || async { Cost::of("rpm", 4) });
    let never = service_fn(|_: Request| pending::<Result<Response, Infallible>>());
    let asked = layer.layer(never).oneshot(Request::new(Body::empty()));
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    assert_eq!(left(&limiter, "anonymous", "default", "rpm").await, 6);
}
