//! The ways a response can end, and their charges.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    App, HttpResponse,
    body::{BodySize, MessageBody},
    dev::Service,
    http::header::ACCEPT_ENCODING,
    middleware::Compress,
    test::{TestRequest, init_service},
    web,
};
use bytes::Bytes;
use futures_util::future::poll_fn;
use zae_actix::{
    Cost, Lease, RateLimiter, ZaeLimit,
    settle::{self, End, SettleRule, Verdict},
};

use crate::ask::Ends;
use zae_testkit::{left_of as left, limiter, rpm, tpm};

/// A scripted body.
struct Script {
    chunks: VecDeque<io::Result<Bytes>>,
    size: BodySize,
}

impl MessageBody for Script {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(self.chunks.pop_front())
    }
}

fn data(text: &'static str) -> io::Result<Bytes> {
    Ok(Bytes::from_static(text.as_bytes()))
}

/// Returns the body that a server sees in a response with that script.
async fn respond(ends: &Ends, limiter: &RateLimiter, script: fn() -> Script) -> Pin<Box<impl MessageBody + use<>>> {
    let limit = ZaeLimit::new(limiter).settle(ends.clone());
    let handler = move || async move { HttpResponse::Ok().body(script()) };
    let app = init_service(App::new().wrap(limit).route("/", web::get().to(handler))).await;
    let response = app.call(TestRequest::get().uri("/").to_request()).await.unwrap();
    Box::pin(response.into_body())
}

async fn chunk(body: &mut Pin<Box<impl MessageBody>>) -> Option<Result<Bytes, ()>> {
    poll_fn(|context| body.as_mut().poll_next(context)).await.map(|chunk| chunk.map_err(drop))
}

#[actix_web::test]
async fn a_body_ends_in_four_ways_and_all_settle_once() {
    let limiter = limiter([rpm(10)]).await;
    let ends = Ends::default();

    let two = || Script { chunks: [data("a"), data("b")].into(), size: BodySize::Stream };
    let mut body = respond(&ends, &limiter, two).await;
    chunk(&mut body).await.unwrap().unwrap();
    chunk(&mut body).await.unwrap().unwrap();
    assert_eq!(ends.take(), [], "it does not know that this was the last chunk");
    assert!(chunk(&mut body).await.is_none());
    drop(body);
    assert_eq!(ends.take(), [End::Complete]);

    let failing = || Script { chunks: [data("a"), Err(io::Error::other("broken"))].into(), size: BodySize::Stream };
    let mut body = respond(&ends, &limiter, failing).await;
    chunk(&mut body).await.unwrap().unwrap();
    chunk(&mut body).await.unwrap().unwrap_err();
    drop(body);
    assert_eq!(ends.take(), [End::BodyFailed]);

    let sized = || Script { chunks: [data("a"), data("b")].into(), size: BodySize::Sized(2) };
    let mut body = respond(&ends, &limiter, sized).await;
    chunk(&mut body).await.unwrap().unwrap();
    assert_eq!(ends.take(), []);
    chunk(&mut body).await.unwrap().unwrap();
    assert_eq!(ends.take(), [End::Complete], "a reader that knows the length asks no more");
    drop(body);
    assert_eq!(ends.take(), []);

    let mut body = respond(&ends, &limiter, two).await;
    chunk(&mut body).await.unwrap().unwrap();
    drop(body);
    assert_eq!(ends.take(), [End::Dropped]);

    drop(respond(&ends, &limiter, two).await);
    assert_eq!(ends.take(), [End::Dropped], "never polled");

    let mut settled = 0;
    for empty in [
        || Script { chunks: VecDeque::new(), size: BodySize::None },
        || Script { chunks: VecDeque::new(), size: BodySize::Sized(0) },
    ] {
        drop(respond(&ends, &limiter, empty).await);
        settled += 1;
        assert_eq!(ends.take(), [End::Complete], "nobody polls an empty body");
    }
    assert_eq!(left(&limiter, "anonymous", "root", "rpm").await, 5 - settled, "every one of them counts");
}

#[actix_web::test]
async fn compression_outside_takes_whole_bodies_and_streams() {
    let limiter = limiter([rpm(10)]).await;
    let ends = Ends::default();
    let text = "compressible ".repeat(1_000);
    let length = text.len();
    let stream = move || {
        let chunks = ["a".repeat(2_000), "b".repeat(2_000)].map(|chunk| Ok::<_, io::Error>(Bytes::from(chunk)));
        async move { HttpResponse::Ok().streaming(futures_util::stream::iter(chunks)) }
    };
    let app = App::new()
        .wrap(ZaeLimit::new(limiter.clone()).settle(ends.clone()))
        .wrap(Compress::default())
        .route("/whole", web::get().to(move || std::future::ready(text.clone())))
        .route("/stream", web::get().to(stream));
    let app = init_service(app).await;
    for (path, size) in [("/whole", length), ("/stream", 4_000)] {
        let request = TestRequest::get().uri(path).insert_header((ACCEPT_ENCODING, "gzip"));
        let response = app.call(request.to_request()).await.unwrap();
        assert_eq!(response.headers().get("content-encoding").unwrap(), "gzip", "{path}");
        let body = actix_web::body::to_bytes(response.into_body()).await.map_err(drop).unwrap();
        assert!(body.len() < size / 2, "{path}: {}", body.len());
        assert_eq!(ends.take(), [End::Complete], "{path}");
    }
    assert_eq!(left(&limiter, "anonymous", "stream", "rpm").await, 9);
}

/// Sends one request for 1 of `rpm` and 100 of `tpm` whose handler runs `handle` and answers `status`.
async fn spent(rule: impl SettleRule, status: u16, handle: fn(&Lease), wait: bool) -> (i64, i64) {
    let limiter = limiter([rpm(10), tpm(1_000)]).await;
    let limit = ZaeLimit::new(limiter.clone()).cost(Cost::of("rpm", 1).and("tpm", 100)).settle(rule);
    let handler = move |lease: Lease| async move {
        handle(&lease);
        let mut response = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap());
        response.insert_header(("x-cache", "hit")).body("x")
    };
    let app = init_service(App::new().wrap(limit).route("/", web::get().to(handler))).await;
    let response = app.call(TestRequest::get().uri("/").to_request()).await.unwrap();
    if wait {
        actix_web::body::to_bytes(response.into_body()).await.map_err(drop).unwrap();
    } else {
        drop(response);
    }
    let left = async |limit| left(&limiter, "anonymous", "root", limit).await;
    (10 - left("rpm").await, 1_000 - left("tpm").await)
}

#[actix_web::test]
async fn rules_decide_what_stays_and_the_handler_comes_first() {
    let nothing: fn(&Lease) = |_| {};
    let server_errors = || settle::refund_on(|status| status.is_server_error());
    let cached = settle::by_response(|response| match response.headers.get("x-cache") {
        Some(_) => Verdict::Refund,
        None => Verdict::Keep,
    });
    assert_eq!(spent(settle::Standard, 500, nothing, true).await, (1, 100), "a 5xx refunds only by choice");
    assert_eq!(spent(settle::Standard, 200, nothing, false).await, (1, 100), "hanging up is no way round the limit");
    assert_eq!(spent(server_errors(), 503, nothing, true).await, (0, 0));
    assert_eq!(spent(server_errors(), 404, nothing, true).await, (1, 100));
    assert_eq!(spent(cached, 200, nothing, true).await, (0, 0));
    assert_eq!(spent(settle::by_handler(), 200, nothing, true).await, (0, 0));
    assert_eq!(spent(settle::by_handler(), 200, nothing, false).await, (1, 100));

    let more: fn(&Lease) = |lease| lease.adjust("tpm", 50).unwrap();
    let commits: fn(&Lease) = |lease| {
        lease.release("tpm", 60).unwrap();
        drop(lease.handle().unwrap().commit());
    };
    assert_eq!(spent(settle::Standard, 200, more, false).await, (1, 150));
    assert_eq!(spent(settle::by_handler(), 200, commits, true).await, (1, 40));
}

#[actix_web::test]
async fn a_dropped_request_counts_from_the_decision_on() {
    let limiter = limiter([rpm(10)]).await;
    let limit = ZaeLimit::new(limiter.clone());
    let (reached, started) = tokio::sync::mpsc::unbounded_channel();
    let handler = move || {
        reached.send(()).unwrap();
        std::future::pending::<&'static str>()
    };
    let mut started: tokio::sync::mpsc::UnboundedReceiver<()> = started;
    let app = init_service(App::new().wrap(limit).route("/", web::get().to(handler))).await;
    drop(app.call(TestRequest::get().uri("/").to_request()));
    let call = app.call(TestRequest::get().uri("/").to_request());
    tokio::select! {
        _ = call => unreachable!("the handler never answers"),
        _ = started.recv() => {}
    }
    assert_eq!(left(&limiter, "anonymous", "root", "rpm").await, 9);
}
