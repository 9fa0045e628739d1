//! Tests of the parts of requests that the layer reads, and of those that it forwards.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, ServiceExt, service_fn};
use zae_tower::{
    RateLimiter, ZaeLimit,
    extract::Peeked,
    llm::{
        Accounting, Tariff,
        estimate::{self, Estimator},
    },
    resource,
};

use zae_testkit::{left_of, limiter, recorded::encoded, rpm, tpm};

const CAPACITY: i64 = 100_000;

async fn new_limiter() -> RateLimiter {
    limiter([rpm(100), tpm(100_000)]).await
}

fn accounting() -> Accounting {
    Accounting::new(Tariff::openai()).estimator(estimate::input_and_max_output(1_000))
}

/// A body of unknown length that may fail; axum's, because it can be created from bytes and from streams.
fn chunked(chunks: &[&'static str], fails: Option<std::io::Error>) -> axum::body::Body {
    let frames: Vec<_> =
        chunks.iter().map(|chunk| Ok(http_body::Frame::data(Bytes::from_static(chunk.as_bytes())))).collect();
    let frames = frames.into_iter().chain(fails.map(Err));
    axum::body::Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Sends `request` through a layer with `accounting`, and returns the status and the request that the service received.
async fn send(
    limiter: &RateLimiter,
    accounting: Accounting,
    request: Request<axum::body::Body>,
) -> (StatusCode, Vec<(HeaderMap, Bytes)>) {
    let model = resource::json_field("model").among(["gpt-5"]).missing_as("default");
    let layer = ZaeLimit::new(limiter).resource(model).llm(accounting);
    let seen = Seen::default();
    let service = service_fn(|request: Request<axum::body::Body>| async {
        let (head, body) = request.into_parts();
        assert!(head.extensions.get::<Peeked>().is_none(), "later layers may change the body");
        let body = body.collect().await.unwrap().to_bytes();
        seen.lock().unwrap().push((head.headers, body));
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let status = layer.layer(service).oneshot(request).await.unwrap().status();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (status, seen)
}

#[tokio::test]
async fn the_body_is_read_once_and_handed_on_unchanged() {
    let limiter = new_limiter().await;
    let text =
        " { \"model\" : \"gpt-5\", \"max_tokens\": 1e2, \"max_completion_tokens\":500 ,\"prompt\":\"12345678\" }\n";
    let chunks = [
        " { \"model\" : \"gpt-5\", \"max_tok",
        "ens\": 1e2, \"max_completion_tokens\":500 ,",
        "\"prompt\":\"12345678\" }\n",
    ];
    for body in [axum::body::Body::from(text), chunked(&chunks, None)] {
        let (status, seen) = send(&limiter, accounting(), Request::new(body)).await;
        assert_eq!((status, seen.len()), (StatusCode::OK, 1));
        assert_eq!(seen[0].1, text);
    }
    assert_eq!(left_of(&limiter, "anonymous", "gpt-5", "tpm").await, CAPACITY - 2 * 502, "by the model's own bucket");
}

#[tokio::test]
async fn requests_without_a_body_are_no_calls() {
    let limiter = new_limiter().await;
    let (status, _) = send(&limiter, accounting(), Request::new(axum::body::Body::empty())).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(left_of(&limiter, "anonymous", "default", "tpm").await, CAPACITY);
}

#[tokio::test]
async fn requests_that_are_no_json_are_estimated_by_their_text() {
    let limiter = new_limiter().await;
    let (status, seen) = send(&limiter, accounting(), Request::new(axum::body::Body::from("hello"))).await;
    assert_eq!((status, &*seen[0].1), (StatusCode::OK, &b"hello"[..]), "to refuse it is the service's to do");
    assert_eq!(left_of(&limiter, "anonymous", "default", "tpm").await, CAPACITY - 1_002);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_and_costs_nothing() {
    let limiter = new_limiter().await;
    for body in [axum::body::Body::from("x".repeat(101)), chunked(&["x"; 101], None)] {
        let (status, seen) = send(&limiter, accounting().body_limit(100), Request::new(body)).await;
        assert_eq!((status, seen.len()), (StatusCode::PAYLOAD_TOO_LARGE, 0));
    }
    let (status, _) =
        send(&limiter, accounting(), Request::new(chunked(&["{"], Some(std::io::Error::other("gone"))))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "it broke off");
    assert_eq!(left_of(&limiter, "anonymous", "default", "rpm").await, 100);
}

fn coded(coding: &'static str, body: Vec<u8>) -> Request<axum::body::Body> {
    let request = Request::post("/v1/chat/completions").header("content-encoding", coding);
    request.body(axum::body::Body::from(body)).unwrap()
}

#[tokio::test]
async fn a_compressed_body_is_estimated_by_its_text_and_handed_on_as_it_came() {
    let text = format!(r#"{{"model":"gpt-5","stream":true,"max_tokens":500,"prompt":"{}"}}"#, "word ".repeat(4_000));
    let limiter = new_limiter().await;
    send(&limiter, accounting(), Request::new(axum::body::Body::from(text.clone()))).await;
    let plain = CAPACITY - left_of(&limiter, "anonymous", "gpt-5", "tpm").await;
    assert!(plain > 4_500, "{plain}");
    for (coding, header) in [
        ("gzip", "gzip"),
        ("gzip", "X-Gzip"),
        ("deflate", "deflate"),
        ("bare deflate", "deflate"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, br", "gzip, br"),
    ] {
        let limiter = new_limiter().await;
        let body = encoded(coding, text.as_bytes());
        let asking = accounting().include_usage();
        let (status, seen) = send(&limiter, asking, coded(header, body.clone())).await;
        assert_eq!(status, StatusCode::OK, "{coding}");
        assert_eq!((&seen[0].1[..], &seen[0].0["content-encoding"]), (&body[..], &header.parse().unwrap()));
        let taken = CAPACITY - left_of(&limiter, "anonymous", "gpt-5", "tpm").await;
        assert_eq!(taken, plain, "{coding}: the model and the text were seen");
    }
}

#[tokio::test]
async fn what_a_coding_hides_is_refused() {
    let limiter = new_limiter().await;
    let text = br#"{"model":"gpt-5","prompt":"x"}"#;
    let bomb = encoded("gzip", &encoded("gzip", &vec![b' '; 50_000_000]));
    assert!(bomb.len() < 1_000, "{}", bomb.len());
    let twice = [encoded("zstd", b" "), encoded("zstd", text)].concat();
    for (coding, body, expected) in [
        ("compress", text.to_vec(), StatusCode::BAD_REQUEST),
        ("gzip", b"\x1f\x8b and no more".to_vec(), StatusCode::BAD_REQUEST),
        ("br", text.to_vec(), StatusCode::BAD_REQUEST),
        ("gzip, gzip, gzip, gzip", encoded("gzip", text), StatusCode::BAD_REQUEST),
        ("gzip, gzip", bomb, StatusCode::PAYLOAD_TOO_LARGE),
        ("gzip", encoded("gzip", br#"{"model":"gpt-5","model":"gpt-4"}"#), StatusCode::BAD_REQUEST),
        ("zstd", twice, StatusCode::OK),
        ("identity", text.to_vec(), StatusCode::OK),
    ] {
        let (status, _) = send(&limiter, accounting().body_limit(1_000_000), coded(coding, body)).await;
        assert_eq!(status, expected, "{coding}");
    }
    assert_eq!(left_of(&limiter, "anonymous", "gpt-5", "rpm").await, 98);
    assert_eq!(left_of(&limiter, "anonymous", "default", "rpm").await, 100);
}

#[tokio::test]
async fn a_shadow_passes_what_it_cannot_read_as_long_as_it_is_whole() {
    let limiter = new_limiter().await;
    let layer = ZaeLimit::new(&limiter).llm(accounting().body_limit(100)).shadow();
    let service = service_fn(|request: Request<axum::body::Body>| async {
        Ok::<_, Infallible>(Response::new(Full::from(request.into_body().collect().await.unwrap().to_bytes())))
    });
    let service = layer.layer(service);
    let response = service.clone().oneshot(Request::new(axum::body::Body::from("x".repeat(101)))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 101);
    let response = service.oneshot(Request::new(chunked(&["x"; 101], None))).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "half of it is read, and cannot be given back");
}

#[tokio::test]
async fn usage_is_asked_for_where_that_is_wanted() {
    let limiter = new_limiter().await;
    let text = r#"{"messages":[],"stream":true}"#;
    let asking = r#"{"stream_options":{"include_usage":true},"messages":[],"stream":true}"#;
    let to = |path: &str| {
        let request = Request::post(path).header("content-length", text.len());
        request.body(axum::body::Body::from(text)).unwrap()
    };
    let request = || to("/v1/chat/completions?api-version=1");
    let length =
        |seen: &[(HeaderMap, Bytes)]| -> usize { seen[0].0["content-length"].to_str().unwrap().parse().unwrap() };
    let (_, seen) = send(&limiter, accounting(), request()).await;
    assert_eq!((&*seen[0].1, length(&seen)), (text.as_bytes(), text.len()));
    let (_, seen) = send(&limiter, accounting().include_usage(), request()).await;
    assert_eq!((&*seen[0].1, length(&seen)), (asking.as_bytes(), asking.len()));
    for path in ["/v1/messages", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", "/v1/completions/x"] {
        let (_, seen) = send(&limiter, accounting().include_usage(), to(path)).await;
        assert_eq!((&*seen[0].1, length(&seen)), (text.as_bytes(), text.len()), "{path}");
    }
    let mut chunked = Request::new(chunked(&[text], None));
    *chunked.uri_mut() = "/v1/completions".parse().unwrap();
    chunked.headers_mut().insert("transfer-encoding", "chunked".parse().unwrap());
    let (_, seen) = send(&limiter, accounting().include_usage(), chunked).await;
    assert_eq!((&*seen[0].1, seen[0].0.get("content-length")), (asking.as_bytes(), None));
}

#[tokio::test]
async fn an_estimate_that_can_never_fit_is_refused_without_a_wait() {
    let limiter = new_limiter().await;
    let request = || Request::new(axum::body::Body::from(r#"{"model":"gpt-5","max_tokens":200000,"prompt":"x"}"#));
    let (status, _) = send(&limiter, accounting(), request()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let capped = estimate::input_and_max_output(1_000).at_most(50_000, 4_000);
    let (status, _) = send(&limiter, accounting().estimator(capped), request()).await;
    assert_eq!(status, StatusCode::OK);
    for absurd in ["18446744073709551615", "1e300", "-5", "null", "\"many\""] {
        let body = format!(r#"{{"max_tokens":{absurd},"prompt":"x"}}"#);
        let (status, _) = send(&limiter, accounting(), Request::new(axum::body::Body::from(body))).await;
        assert!(status == StatusCode::OK || status == StatusCode::TOO_MANY_REQUESTS, "{absurd}: {status}");
    }
}
