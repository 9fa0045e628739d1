//! The ways a response can end, and their charges.

use std::{convert::Infallible, io};

use crate::support::{self, Ends, Text, from, get};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use zae_limiter::RateLimiter;
use zae_testkit::{Script, left, limiter, read, rpm, tpm};
use zae_tower::{
    Cost, Decision, LeaseHandle, ResponseBody, ZaeLimit,
    settle::{self, End, SettleRule, Verdict},
};

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

async fn respond(ends: &Ends, limiter: &RateLimiter, script: fn() -> Script) -> ResponseBody<Script> {
    let layer = ZaeLimit::new(limiter).settle(ends.clone());
    let handler = move |_: Request<Text>| async move { Ok::<_, Infallible>(Response::new(script())) };
    layer.layer(service_fn(handler)).oneshot(get()).await.unwrap().into_body()
}

#[tokio::test]
async fn a_body_ends_in_four_ways_and_all_settle_once() {
    let limiter = limiter([rpm(10)]).await;
    let ends = Ends::default();

    let mut body =
        respond(&ends, &limiter, || Script { frames: [data("a"), data("b")].into(), announces_end: false }).await;
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(ends.take(), [], "it does not know that this was the last frame");
    assert!(body.frame().await.is_none());
    drop(body);
    assert_eq!(ends.take(), [End::Complete]);

    let failing = || Script { frames: [data("a"), Err(io::Error::other("broken"))].into(), announces_end: false };
    let mut body = respond(&ends, &limiter, failing).await;
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap_err();
    drop(body);
    assert_eq!(ends.take(), [End::BodyFailed]);

    let mut body = respond(&ends, &limiter, || Script { frames: [data("a")].into(), announces_end: true }).await;
    body.frame().await.unwrap().unwrap();
    assert_eq!(ends.take(), [End::Complete], "a reader that knows the length asks no more");
    drop(body);
    assert_eq!(ends.take(), []);

    let mut body =
        respond(&ends, &limiter, || Script { frames: [data("a"), data("b")].into(), announces_end: true }).await;
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(ends.take(), [End::Dropped]);

    drop(respond(&ends, &limiter, || Script { announces_end: true, ..Script::default() }).await);
    assert_eq!(ends.take(), [End::Complete], "nobody polls an empty body");

    let trailers = || Script { frames: [data("a"), Ok(Frame::trailers(HeaderMap::new()))].into(), announces_end: true };
    let mut body = respond(&ends, &limiter, trailers).await;
    body.frame().await.unwrap().unwrap();
    assert_eq!(ends.take(), []);
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(ends.take(), [End::Complete]);

    assert_eq!(left(&limiter, "anonymous", "rpm").await, 4, "every one of the six counts");
}

#[tokio::test]
async fn bodies_say_what_they_are_through_the_wrapper() {
    use http_body::Body;
    let limiter = limiter([rpm(1)]).await;
    let layer = ZaeLimit::new(&limiter);
    let service = layer.layer(service_fn(support::hello));
    let admitted = service.clone().oneshot(get()).await.unwrap().into_body();
    assert_eq!((admitted.size_hint().exact(), admitted.is_end_stream()), (Some(5), false));
    let refused = service.oneshot(get()).await.unwrap().into_body();
    let length = refused.size_hint().exact().unwrap();
    assert_eq!(read(refused).await.len() as u64, length);
}

/// Sends one request for 1 of `rpm` and 100 of `tpm` whose handler runs `handle` and answers `status`.
async fn spent(rule: impl SettleRule, status: u16, handle: fn(&LeaseHandle), wait: bool) -> (i64, i64) {
    let limiter = limiter([rpm(10), tpm(1_000)]).await;
    let layer = ZaeLimit::new(&limiter).cost(Cost::of("rpm", 1).and("tpm", 100)).settle(rule);
    let handler = move |request: Request<Text>| async move {
        handle(request.extensions().get::<Decision>().and_then(Decision::lease).unwrap());
        let mut response = Response::new(Text::from("x"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert("x-cache", http::HeaderValue::from_static("hit"));
        Ok::<_, Infallible>(response)
    };
    let response = layer.layer(service_fn(handler)).oneshot(from("user-1")).await.unwrap();
    if wait {
        read(response.into_body()).await;
    } else {
        drop(response);
    }
    (10 - left(&limiter, "user-1", "rpm").await, 1_000 - left(&limiter, "user-1", "tpm").await)
}

#[tokio::test]
async fn rules_decide_what_stays() {
    let nothing: fn(&LeaseHandle) = |_| {};
    let server_errors = || settle::refund_on(|status| status.is_server_error());
    let cached = || {
        settle::by_response(|response| match response.headers.get("x-cache") {
            Some(_) => Verdict::Refund,
            None => Verdict::Keep,
        })
    };
    assert_eq!(spent(settle::Standard, 200, nothing, true).await, (1, 100));
    assert_eq!(spent(settle::Standard, 500, nothing, true).await, (1, 100), "a 5xx refunds only by choice");
    assert_eq!(spent(settle::Standard, 200, nothing, false).await, (1, 100), "hanging up is no way round the limit");
    assert_eq!(spent(server_errors(), 503, nothing, true).await, (0, 0));
    assert_eq!(spent(server_errors(), 404, nothing, true).await, (1, 100));
    assert_eq!(spent(cached(), 200, nothing, true).await, (0, 0));
    assert_eq!(spent(settle::by_handler(), 200, nothing, true).await, (0, 0));
    assert_eq!(spent(settle::by_handler(), 200, nothing, false).await, (1, 100));
}

#[tokio::test]
async fn the_handler_comes_first() {
    let more: fn(&LeaseHandle) = |lease| lease.adjust("tpm", 50).unwrap();
    let commits: fn(&LeaseHandle) = |lease| {
        lease.release("tpm", 60).unwrap();
        drop(lease.commit());
    };
    let gives_back: fn(&LeaseHandle) = |lease| drop(lease.roll_back());
    assert_eq!(spent(settle::Standard, 200, more, true).await, (1, 150));
    assert_eq!(spent(settle::Standard, 200, more, false).await, (1, 150));
    assert_eq!(spent(settle::refund_on(|_| true), 200, commits, true).await, (1, 40));
    assert_eq!(spent(settle::by_handler(), 200, commits, true).await, (1, 40));
    assert_eq!(spent(settle::Standard, 200, gives_back, true).await, (0, 0));
}
