//! Answers that wait until everything is settled.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use zae_limiter::{EntityId, Limit, NewEntity, RateLimiter};
use zae_testkit::{Script, Wire, limiter_on_a_wire, rpm, tpm};
use zae_tower::{Cost, Decision, ZaeLimit, settle};

use crate::support::{Text, from};

/// Charges 100 tokens, of which the call uses `used`.
async fn answered(limiter: &RateLimiter, entity: &str, used: i64) -> StatusCode {
    let handler = move |request: Request<Text>| async move {
        let lease = request.extensions().get::<Decision>().unwrap().lease().unwrap();
        if used != 100 {
            lease.adjust("tpm", used - 100).unwrap();
        }
        Ok::<_, Infallible>(Response::new(Text::from("done")))
    };
    let service = ServiceBuilder::new()
        .layer(settle::before_response(limiter))
        .layer(ZaeLimit::new(limiter).cost(Cost::of("tpm", 100)))
        .service(service_fn(handler));
    // Frozen from here on: nobody reads the body, and no task runs any more.
    service.oneshot(from(entity)).await.unwrap().status()
}

/// Writes since the last time.
fn writes(wire: &Wire) -> u64 {
    wire.take().into_iter().filter(|(operation, _)| operation == "UpdateItem").map(|(_, count)| count).sum()
}

#[tokio::test]
async fn what_a_request_has_cost_is_stored_when_it_is_answered() {
    let (limiter, wire) = limiter_on_a_wire([tpm(1_000)]).await;
    assert_eq!(answered(&limiter, "user-1", 100).await, StatusCode::OK);
    wire.take();
    assert_eq!(answered(&limiter, "user-1", 100).await, StatusCode::OK);
    assert_eq!(writes(&wire), 1, "the cost was right: nothing but the acquire");
    assert_eq!(answered(&limiter, "user-1", 30).await, StatusCode::OK);
    assert_eq!(writes(&wire), 2, "the acquire, and what it did not use");
    // As another process sees it.
    let stranger = RateLimiter::new(limiter.repository().clone());
    assert_eq!(stranger.available("user-1", "default").await.unwrap()["tpm"], 770);
}

#[tokio::test]
async fn what_a_refused_request_had_taken_from_its_own_bucket_is_back_when_it_is_answered() {
    let (limiter, _wire) = limiter_on_a_wire([tpm(1_000)]).await;
    let (child, parent) = (EntityId::new("key-1").unwrap(), EntityId::new("project").unwrap());
    let repository = limiter.repository();
    repository.create_entity(NewEntity::new(child.clone()).parent(parent.clone()).cascading()).await.unwrap();
    repository.set_limits(&parent, "_default_", Limit::per_minute("tpm", 150).unwrap()).await.unwrap();
    assert_eq!(answered(&limiter, "key-1", 100).await, StatusCode::OK);
    assert_eq!(answered(&limiter, "key-1", 100).await, StatusCode::TOO_MANY_REQUESTS);
    let stranger = RateLimiter::new(repository.clone());
    assert_eq!(stranger.available("key-1", "default").await.unwrap()["tpm"], 900, "one request's");
}

#[tokio::test]
async fn a_body_arrives_as_it_was_and_one_that_fails_is_not_announced_as_complete() {
    let (limiter, _wire) = limiter_on_a_wire([rpm(10)]).await;
    let layer = settle::before_response(&limiter);
    let trailers = || Frame::trailers([("x-sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect());
    let whole = move |_: Request<Text>| async move {
        let data = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        let script = Script { frames: [data("he"), data("llo"), Ok(trailers())].into(), announces_end: false };
        Ok::<_, Infallible>(Response::new(script))
    };
    let body = layer.layer(service_fn(whole)).oneshot(from("user-1")).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
    let body = body.collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "7");
    assert_eq!(body.to_bytes(), "hello");

    let broken = |_: Request<Text>| async {
        let frames = [Ok(Frame::data(Bytes::from_static(b"he"))), Err(io::Error::other("broken"))];
        Ok::<_, Infallible>(Response::new(Script { frames: frames.into(), announces_end: false }))
    };
    let mut body = layer.layer(service_fn(broken)).oneshot(from("user-1")).await.unwrap().into_body();
    assert_eq!((body.size_hint().lower(), body.size_hint().exact()), (2, None));
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "he");
    assert!(body.frame().await.unwrap().is_err());
}
