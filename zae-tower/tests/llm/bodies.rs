//! Tests of the cost of reading a body, and of cases in which it is not read. They count bytes and measure no time.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use zae_tower::{Cost, ZaeLimit, entity, extract::BodyBudget, llm::Tariff, resource};

use zae_testkit::{limiter, rpm, tpm};

const KB: usize = 1024;

/// Creates a JSON body of `chunks` kilobytes of zeros that counts its polls.
fn zeros(chunks: usize, asked: &Arc<AtomicUsize>) -> Body {
    let asked = Arc::clone(asked);
    let chunk = Bytes::from("0,".repeat(KB / 2));
    let middle = stream::iter(0..chunks).map(move |_| {
        asked.fetch_add(1, SeqCst);
        chunk.clone()
    });
    let start = stream::iter([Bytes::from_static(br#"{"model":"gpt-5","input":["#)]);
    let whole = start.chain(middle).chain(stream::iter([Bytes::from_static(b"0]}")]));
    Body::from_stream(whole.map(Ok::<_, Infallible>))
}

/// Creates a body that starts and then stalls.
fn stalled(kilobytes: usize) -> Body {
    let start = stream::iter([Bytes::from(vec![b'['; kilobytes * KB])]).chain(stream::pending());
    Body::from_stream(start.map(Ok::<_, Infallible>))
}

fn post(body: Body) -> Request<Body> {
    Request::post("/v1/chat/completions").body(body).unwrap()
}

#[tokio::test]
async fn a_body_holds_its_own_bytes_and_gives_them_back() {
    let limiter = limiter([rpm(100), tpm(1_000_000_000)]).await;
    let budget = BodyBudget::new(64 * KB * KB);
    let in_handler = budget.clone();
    let layer = ZaeLimit::new(&limiter)
        .resource(resource::json_field("model").among(["gpt-5"]))
        .llm(Tariff::openai())
        .body_budget(budget.clone());
    let service = layer.layer(service_fn(move |request: Request<Body>| {
        let budget = in_handler.clone();
        async move {
            let held = budget.used();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!((held, budget.used()), (body.len(), body.len()), "what is held is the body, once");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    }));
    let response = service.oneshot(post(zeros(2_000, &Arc::default()))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn uploads_that_stall_are_bounded_in_bytes_and_in_time() {
    let limiter = limiter([rpm(1_000)]).await;
    let budget = BodyBudget::new(100 * KB);
    let layer = ZaeLimit::new(&limiter)
        .resource(resource::json_field("model").among(["gpt-5"]))
        .body_budget(budget.clone())
        .body_timeout(Duration::from_secs(5));
    let service = layer
        .layer(service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }));
    let mut uploads: Vec<_> = (0..20).map(|_| Box::pin(service.clone().oneshot(post(stalled(10))))).collect();
    let mut statuses = Vec::new();
    let started = tokio::time::Instant::now();
    let mut most = 0;
    for upload in &mut uploads {
        if let Ok(response) = tokio::time::timeout(Duration::ZERO, upload).await {
            statuses.push(response.unwrap().status().as_u16());
        }
        most = most.max(budget.used());
    }
    assert_eq!(statuses, [503; 10], "those for whom there is no room are told so at once");
    assert_eq!(most, budget.size());
    for upload in uploads.into_iter().take(10) {
        assert_eq!(upload.await.unwrap().status(), 408);
    }
    assert_eq!((started.elapsed().as_secs(), budget.used()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_gives_an_inner_permit_back_in_time() {
    let limiter = limiter([rpm(1_000)]).await;
    let layer = ZaeLimit::new(&limiter).resource(resource::json_field("model").among(["gpt-5"]));
    let service = ServiceBuilder::new()
        .layer(layer)
        .concurrency_limit(1)
        .service(service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }));
    let slow = service.clone().oneshot(post(stalled(1)));
    let started = tokio::time::Instant::now();
    let next = async {
        tokio::task::yield_now().await;
        let response = service.clone().oneshot(post(Body::from(r#"{"model":"gpt-5"}"#))).await.unwrap();
        (response.status(), started.elapsed().as_secs())
    };
    let (slow, (status, waited)) = tokio::join!(slow, next);
    assert_eq!(slow.unwrap().status(), 408);
    assert_eq!((status.as_u16(), waited), (200, zae_tower::extract::DEFAULT_BODY_TIMEOUT.as_secs()));
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_known_before_the_body_is_read() {
    let limiter = limiter([rpm(1), tpm(1_000_000_000)]).await;
    let service = |layer: ZaeLimit<_, _, _>| {
        layer.layer(service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }))
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let strangers =
        service(ZaeLimit::new(&limiter).entity(entity::header("x-user")).require_entity().llm(Tariff::openai()));
    let response = strangers.oneshot(post(zeros(100, &asked))).await.unwrap();
    assert_eq!((response.status().as_u16(), asked.load(SeqCst)), (401, 0));

    let exhausted = service(ZaeLimit::new(&limiter).entity(entity::header("x-user")).llm(Tariff::openai()));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let mut request = post(zeros(100, &asked));
        request.headers_mut().insert("x-user", "alice".parse().unwrap());
        statuses.push((exhausted.clone().oneshot(request).await.unwrap().status().as_u16(), asked.load(SeqCst)));
    }
    assert_eq!(statuses, [(200, 100), (429, 100), (429, 100)], "what is known to be used up is not read for");
}

#[tokio::test]
async fn a_declared_length_is_believed_as_far_as_it_saves() {
    let limiter = limiter([rpm(100)]).await;
    let budget = BodyBudget::new(10 * KB);
    let layer = ZaeLimit::new(&limiter)
        .cost(Cost::requests(1))
        .resource(resource::json_field("model").among(["gpt-5"]).body_limit(100 * KB))
        .body_budget(budget.clone());
    let service = layer
        .layer(service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }));
    let full = format!(r#"{{"model":"gpt-5","x":"{}"}}"#, "x".repeat(9 * KB));
    assert_eq!(service.clone().oneshot(post(Body::from(full))).await.unwrap().status(), 200);
    let large = format!(r#"{{"model":"gpt-5","x":"{}"}}"#, "x".repeat(11 * KB));
    assert_eq!(service.oneshot(post(Body::from(large))).await.unwrap().status(), 503);
    assert_eq!(budget.used(), 0);
}
