//! The chunk of usage that the layer asks for in the client's place.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, ServiceExt, service_fn};
use zae_testkit::{left_of, limiter, recorded::encoded, rpm, tpm};
use zae_tower::{
    ZaeLimit,
    llm::{Accounting, Tariff, estimate},
};

const CAPACITY: i64 = 100_000;
const START: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":70}}\n\n";
const END: &str = "data: [DONE]\n\n";

/// Streams as OpenAI does, in pieces of so many bytes, with a chunk of usage if it is asked for.
async fn openai(
    request: Request<Full<Bytes>>,
    size: usize,
    coding: Option<&'static str>,
) -> Response<axum::body::Body> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked = String::from_utf8_lossy(&body).contains("\"include_usage\":true");
    let text = [START, if asked { USAGE } else { "" }, END].concat();
    let mut response = Response::builder().header("content-type", "text/event-stream");
    let mut body = text.into_bytes();
    if let Some(coding) = coding {
        response = response.header("content-encoding", coding);
        body = encoded(coding, &body);
    }
    let frames: Vec<_> =
        body.chunks(size).map(|piece| Ok::<_, Infallible>(Frame::data(piece.to_vec().into()))).collect();
    response.body(axum::body::Body::new(StreamBody::new(stream::iter(frames)))).unwrap()
}

/// Returns the stream that the client gets, and the tokens that the call is charged.
async fn call(options: &str, size: usize, coding: Option<&'static str>) -> (Bytes, i64) {
    let limiter = limiter([rpm(100), tpm(100_000)]).await;
    let accounting = Accounting::new(Tariff::openai()).estimator(estimate::input_and_max_output(1_000)).include_usage();
    let layer = ZaeLimit::new(&limiter).llm(accounting);
    let body = format!(r#"{{"model":"gpt-5","stream":true,{options}"messages":[]}}"#);
    let request = Request::post("/v1/chat/completions").body(Full::from(body)).unwrap();
    let service =
        layer.layer(service_fn(move |request| async move { Ok::<_, Infallible>(openai(request, size, coding).await) }));
    let response = service.oneshot(request).await.unwrap();
    let stream = response.into_body().collect().await.unwrap().to_bytes();
    layer.shutdown().await;
    (stream, CAPACITY - left_of(&limiter, "anonymous", "default", "tpm").await)
}

#[tokio::test]
async fn a_client_that_did_not_ask_for_usage_gets_none_and_is_charged_by_it() {
    for size in [1, 7, 50, 1_000] {
        let (stream, charged) = call("", size, None).await;
        assert_eq!((stream, charged), ([START, END].concat().into(), 100), "by {size}");
    }
    let asking = r#""stream_options":{"include_usage":true},"#;
    let (stream, charged) = call(asking, 50, None).await;
    assert_eq!((stream, charged), ([START, USAGE, END].concat().into(), 100), "it asked for it");
    let (stream, charged) = call("", 50, Some("gzip")).await;
    assert_eq!((&stream[..], charged), (&encoded("gzip", [START, USAGE, END].concat().as_bytes())[..], 100));
}
