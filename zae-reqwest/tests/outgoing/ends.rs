//! Charges of calls for each way they can end. The estimate of [`chat`] is its text (3 tokens: `userHi there`) and its
//! maximum output; it uses half of that, and the provider counts 5 tokens of text.

use axum::{http::StatusCode, response::IntoResponse};
use futures_util::StreamExt;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use zae_reqwest::{
    Admission, OutgoingLimit, RateLimiter, ResourceName,
    llm::{Accounting, DEFAULT_OUTPUT, Tariff},
    zae_tower::zae_limiter::Lease,
};

use crate::{
    bench::{chat, left, limiter, llm, streaming},
    provider::{Provider, broken_stream},
};

const ESTIMATE: i64 = 3 + 100;
const USED: i64 = 5 + 50;

fn client(limit: OutgoingLimit) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::builder().no_gzip().build().unwrap()).with(limit).build()
}

/// The ways in which a call reaches the limit.
#[derive(Clone, Copy, Debug)]
enum Seam {
    Middleware,
    Layer,
}

impl Seam {
    const ALL: [Self; 2] = [Self::Middleware, Self::Layer];

    async fn send(self, inner: reqwest::Client, limit: OutgoingLimit, request: reqwest::Request) -> reqwest::Response {
        match self {
            Self::Middleware => ClientBuilder::new(inner).with(limit).build().execute(request).await.unwrap(),
            Self::Layer => limit.layer(inner).oneshot(request).await.unwrap(),
        }
    }

    async fn post(self, limit: OutgoingLimit, url: String, body: &Value) -> reqwest::Response {
        let inner = reqwest::Client::builder().no_gzip().build().unwrap();
        let request = inner.post(url).json(body).build().unwrap();
        self.send(inner, limit, request).await
    }
}

async fn charged(limiter: &RateLimiter) -> (i64, i64) {
    let (requests, tokens) = left(limiter, "gpt-5").await;
    (100 - requests, 10_000 - tokens)
}

#[tokio::test]
async fn read_to_the_end_the_usage_counts() {
    let provider = Provider::boundless().await;
    for (url, body) in [
        (provider.chat_url(), chat(100)),
        (provider.chat_url(), streaming(chat(100))),
        (provider.messages_url(), chat(100)),
        (provider.messages_url(), streaming(chat(100))),
    ] {
        let limiter = limiter(100, 10_000).await;
        let response = client(llm(&limiter)).post(&url).json(&body).send().await.unwrap();
        assert_eq!(response.extensions().get::<Admission>().unwrap().lease().consumed()["tpm"], ESTIMATE);
        let text = response.text().await.unwrap();
        assert!(text.contains("word") || text.contains("usage"), "{text}");
        assert_eq!(charged(&limiter).await, (1, USED), "{url} {body}");
    }
}

#[tokio::test]
async fn hanging_up_early_pays_the_estimate() {
    let provider = Provider::boundless().await;
    for seam in Seam::ALL {
        let limiter = limiter(100, 10_000).await;
        let response = seam.post(llm(&limiter), provider.chat_url(), &streaming(chat(100))).await;
        let mut stream = response.bytes_stream();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        assert_eq!(charged(&limiter).await, (1, ESTIMATE), "{seam:?}");
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_pays_the_estimate() {
    let provider = Provider::boundless().await;
    for seam in Seam::ALL {
        let limiter = limiter(100, 10_000).await;
        drop(seam.post(llm(&limiter), provider.chat_url(), &chat(100)).await);
        assert_eq!(charged(&limiter).await, (1, ESTIMATE), "{seam:?}");
    }
}

fn usage_so_far(input: u64) -> String {
    let message =
        json!({ "type": "message_start", "message": { "usage": { "input_tokens": input, "output_tokens": 1 } } });
    format!("event: message_start\ndata: {message}\n\n")
}

#[tokio::test]
async fn a_provider_that_dies_is_paid_the_estimate_or_what_it_said_if_that_is_more() {
    for (input, tokens) in [(5, ESTIMATE), (400, 401)] {
        let provider = Provider::scripted(move |_| Some(broken_stream(vec![usage_so_far(input)]))).await;
        for seam in Seam::ALL {
            let limiter = limiter(100, 10_000).await;
            let response = seam.post(llm(&limiter), provider.messages_url(), &streaming(chat(100))).await;
            response.bytes().await.unwrap_err();
            assert_eq!(charged(&limiter).await, (1, tokens), "{input} {seam:?}");
        }
    }
}

#[tokio::test]
async fn a_compressed_body_is_read_whether_or_not_the_client_unpacks_it() {
    let provider = Provider::boundless().await;
    for (seam, unpack) in Seam::ALL.into_iter().flat_map(|seam| [(seam, true), (seam, false)]) {
        let limiter = limiter(100, 10_000).await;
        let inner = reqwest::Client::builder().gzip(unpack).build().unwrap();
        let request = inner.post(provider.chat_url()).json(&chat(100));
        let request = if unpack { request } else { request.header("accept-encoding", "gzip") };
        let response = seam.send(inner, llm(&limiter), request.build().unwrap()).await;
        assert_eq!(response.headers().contains_key("content-encoding"), !unpack);
        let bytes = response.bytes().await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&bytes).is_ok(), unpack);
        assert_eq!(charged(&limiter).await, (1, USED), "{seam:?}, unpacked: {unpack}");
    }
}

#[tokio::test]
async fn what_never_reached_the_provider_costs_nothing() {
    let limiter = limiter(100, 10_000).await;
    // No server listens on a port that was just released.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
    client(llm(&limiter)).post(url).json(&chat(100)).send().await.unwrap_err();
    assert_eq!(charged(&limiter).await, (0, 0));
}

#[tokio::test]
async fn what_the_provider_refused_costs_the_request_and_no_tokens() {
    let refusal = |_| Some((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "no").into_response());
    let provider = Provider::scripted(refusal).await;
    let limiter = limiter(100, 10_000).await;
    let response = client(llm(&limiter)).post(provider.chat_url()).json(&chat(100)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (429, "no"));
    assert_eq!(charged(&limiter).await, (1, 0));
}

#[tokio::test]
async fn what_the_provider_did_not_run_costs_the_request() {
    for status in [400, 404, 413, 500, 503, 529] {
        let provider = Provider::scripted(move |_| Some(StatusCode::from_u16(status).unwrap().into_response())).await;
        let limiter = limiter(100, 10_000).await;
        let response = client(llm(&limiter)).post(provider.chat_url()).json(&chat(100)).send().await.unwrap();
        response.bytes().await.unwrap();
        assert_eq!(charged(&limiter).await, (1, 0), "{status}");
    }
}

#[tokio::test]
async fn a_call_without_a_body_is_a_request_and_its_answer_is_not_charged() {
    let usage = |_| Some(crate::provider::axum_json(&json!({"usage": {"prompt_tokens": 99, "completion_tokens": 99}})));
    let provider = Provider::scripted(usage).await;
    for seam in Seam::ALL {
        let limiter = limiter(100, 10_000).await;
        let inner = reqwest::Client::new();
        // The route only accepts posts; other clients poll a response by `GET`.
        let request = inner.post(provider.chat_url()).build().unwrap();
        let limit = llm(&limiter).resource(ResourceName::new("gpt-5").unwrap());
        let response = seam.send(inner, limit, request).await;
        assert!(response.text().await.unwrap().contains("99"));
        assert_eq!(charged(&limiter).await, (1, 0), "{seam:?}");
    }
}

#[tokio::test]
async fn gateway_errors_pay_the_estimate_unless_a_rule_refunds_them() {
    let provider = Provider::scripted(|_| Some(StatusCode::BAD_GATEWAY.into_response())).await;
    let first = limiter(100, 10_000).await;
    client(llm(&first)).post(provider.chat_url()).json(&chat(100)).send().await.unwrap();
    assert_eq!(charged(&first).await, (1, ESTIMATE));

    let second = limiter(100, 10_000).await;
    let lenient = llm(&second).settle(zae_reqwest::settle::refund_on(|status| status.is_server_error()));
    client(lenient).post(provider.chat_url()).json(&chat(100)).send().await.unwrap();
    assert_eq!(charged(&second).await, (0, 0));
}

#[tokio::test]
async fn whoever_stops_waiting_for_the_answer_pays_the_estimate() {
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let provider = Provider::scripted(move |_| {
        arrived.send(()).unwrap();
        // Delays the response's head.
        std::thread::sleep(std::time::Duration::from_millis(100));
        None
    })
    .await;
    let limiter = limiter(100, 10_000).await;
    let request = client(llm(&limiter)).post(provider.chat_url()).json(&chat(100));
    let call = tokio::spawn(request.send());
    arrivals.recv().await.unwrap();
    call.abort();
    call.await.unwrap_err();
    assert_eq!(charged(&limiter).await, (1, ESTIMATE));
}

#[tokio::test]
async fn a_body_that_is_too_long_to_parse_is_estimated_by_its_strings() {
    let provider = Provider::scripted(|_| Some(StatusCode::BAD_GATEWAY.into_response())).await;
    let limiter = limiter(100, 10_000).await;
    let limit = OutgoingLimit::new(&limiter)
        .resource(ResourceName::new("gpt-5").unwrap())
        .llm(Accounting::new(Tariff::openai()).body_limit(1_000));
    let mut body = chat(100);
    body["messages"][0]["content"] = "word ".repeat(400).into();
    client(limit).post(provider.chat_url()).json(&body).send().await.unwrap();
    let characters = "gpt-5".len() + "user".len() + 5 * 400;
    assert_eq!(charged(&limiter).await, (1, (characters.div_ceil(4) as u64 + DEFAULT_OUTPUT) as i64));
}

#[tokio::test]
async fn usage_that_cannot_be_is_ignored() {
    let lies = [
        r#"{"usage":{"prompt_tokens":-5,"completion_tokens":1}}"#.to_owned(),
        r#"{"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":1}}"#.to_owned(),
        r#"{"usage":"#.to_owned(),
        "x".repeat(1 << 20),
    ];
    for lie in lies {
        let body = lie.clone();
        let json = [("content-type", "application/json")];
        let provider = Provider::scripted(move |_| Some((json, body.clone()).into_response())).await;
        let limiter = limiter(100, 10_000).await;
        let response = client(llm(&limiter)).post(provider.chat_url()).json(&chat(100)).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), lie);
        assert_eq!(charged(&limiter).await, (1, ESTIMATE));
    }
}

#[tokio::test]
async fn a_caller_may_settle_by_itself() {
    let provider = Provider::boundless().await;
    let limiter = limiter(100, 10_000).await;
    let response = client(llm(&limiter)).post(provider.chat_url()).json(&chat(100)).send().await.unwrap();
    let lease: &Lease = response.extensions().get::<Admission>().unwrap().lease();
    lease.adjust("tpm", 7 - ESTIMATE).unwrap();
    lease.commit().await.unwrap();
    response.bytes().await.unwrap();
    assert_eq!(charged(&limiter).await, (1, 7));
}
