//! Every recorded response through the middleware, in every variation: the charge is its usage, kind by kind.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Extensions;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, RequestBuilder};
use tokio::{net::TcpListener, task::JoinHandle};
use zae_reqwest::{
    Admission, OutgoingLimit, Pauses,
    llm::{Accounting, Tariff, Weights, estimate},
};
use zae_testkit::recorded::{KINDS, Recorded, Truth, encoded};

use crate::bench::Bench;

/// Its estimate is its text and its maximum output.
const REQUEST: &str = r#"{"max_tokens":20,"prompt":"0123456789012345678901234567890123456789"}"#;
const ESTIMATE: [i64; 5] = [10, 0, 0, 20, 0];

/// Answers in place of the network, with the response in the call's extensions.
enum Answers {
    ByEvent,
    ByByte,
}

#[async_trait::async_trait]
impl Middleware for Answers {
    async fn handle(
        &self,
        _: Request,
        extensions: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let recorded = Arc::clone(extensions.get::<Arc<Recorded>>().unwrap());
        let chunk = |bytes: &[u8]| Ok::<_, io::Error>(bytes.to_vec());
        let events: Vec<_> = match self {
            Self::ByEvent => recorded.events().map(chunk).collect(),
            Self::ByByte => recorded.body.chunks(1).map(chunk).collect(),
        };
        let mut response = http::Response::new(Body::wrap_stream(stream::iter(events)));
        *response.status_mut() = recorded.status;
        *response.headers_mut() = recorded.headers.clone();
        Ok(response.into())
    }
}

async fn limit() -> OutgoingLimit {
    let none = Weights::none();
    let answer = none.output(1.0).reasoning(0.0);
    let weights = [none.uncached(1.0), none.cache_read(1.0), none.cache_write(1.0), answer, none.reasoning(1.0)];
    let tariff =
        KINDS.into_iter().zip(weights).fold(Tariff::builder(), |tariff, (name, weights)| tariff.charge(name, weights));
    let accounting = Accounting::new(tariff.build().unwrap()).estimator(estimate::input_and_max_output(1_000));
    let limits = KINDS.map(|name| zae_reqwest::Limit::per_minute(name, 1_000_000_000).unwrap());
    let limiter = Bench::at_a_standstill().limiter(limits).await;
    OutgoingLimit::new(&limiter).llm(accounting).pauses(Pauses::Ignored)
}

async fn client(answers: Answers) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new()).with(limit().await).with(answers).build()
}

/// Serves the recorded responses over HTTP/2, each by its position as the path, event by event.
async fn serve(all: Vec<Arc<Recorded>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |request: http::Request<Incoming>| {
        let position: usize = request.uri().path()[1..].parse().unwrap();
        let recorded = Arc::clone(&all[position]);
        async move {
            assert_eq!(request.version(), http::Version::HTTP_2);
            request.into_body().collect().await.unwrap();
            let events: Vec<_> =
                recorded.events().map(|event| Ok::<_, io::Error>(Frame::data(Bytes::copy_from_slice(event)))).collect();
            let mut response = http::Response::new(StreamBody::new(stream::iter(events)));
            *response.status_mut() = recorded.status;
            *response.headers_mut() = recorded.headers.clone();
            Ok::<_, io::Error>(response)
        }
    };
    let server = tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let served = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(served.serve_connection(TokioIo::new(connection), service_fn(answer.clone())));
        }
    });
    (url, server)
}

/// Returns the charge: a call that a provider did not run costs no tokens, one that it may have run its estimate.
fn expected(recorded: &Recorded) -> [i64; 5] {
    match (recorded.truth(), recorded.status.as_u16()) {
        (Truth::Final(usage), _) => usage,
        (Truth::SoFar(usage), _) => std::array::from_fn(|kind| usage[kind].max(ESTIMATE[kind])),
        (Truth::Unknown, 400..=407 | 409..=498 | 500 | 501 | 503 | 529) => [0; 5],
        (Truth::Unknown, _) => ESTIMATE,
    }
}

/// Sends `request`, and checks what it is charged for the recorded response.
async fn check(request: RequestBuilder, recorded: &Recorded) {
    let response = request.send().await.unwrap();
    let admission = response.extensions().get::<Admission>().unwrap().clone();
    let body = response.bytes().await.unwrap();
    assert_eq!(body, recorded.body, "{}", recorded.name);
    let charge = admission.lease().consumed();
    let charge = KINDS.map(|kind| charge.get(kind).copied().unwrap_or(0));
    assert_eq!(charge, expected(recorded), "{}", recorded.name);
}

async fn check_all(client: &ClientWithMiddleware, all: &[Arc<Recorded>]) {
    let calls = all.iter().map(|recorded| {
        let request = client.post("http://provider.test/v1/chat/completions").body(REQUEST);
        check(request.with_extension(Arc::clone(recorded)), recorded)
    });
    stream::iter(calls).buffer_unordered(128).count().await;
}

#[tokio::test]
async fn every_recorded_response_is_charged_right_on_its_way_out() {
    let all: Vec<Arc<Recorded>> = Recorded::all().iter().flat_map(Recorded::variations).map(Arc::new).collect();
    assert!(all.len() >= 2_000, "{}", all.len());
    check_all(&client(Answers::ByEvent).await, &all).await;
}

#[tokio::test]
async fn a_chunk_per_byte_is_charged_right_on_its_way_out() {
    let all: Vec<Arc<Recorded>> = Recorded::all().into_iter().map(Arc::new).collect();
    check_all(&client(Answers::ByByte).await, &all).await;
}

#[tokio::test]
async fn every_recorded_response_over_http2_is_charged_right_on_its_way_out() {
    let all: Vec<Arc<Recorded>> = Recorded::all().into_iter().map(Arc::new).collect();
    let (url, server) = serve(all.clone()).await;
    let http = reqwest::Client::builder().http2_prior_knowledge().no_gzip().build().unwrap();
    let client = ClientBuilder::new(http).with(limit().await).build();
    let calls = all
        .iter()
        .enumerate()
        .map(|(position, recorded)| check(client.post(format!("{url}/{position}")).body(REQUEST), recorded));
    assert!(stream::iter(calls).buffer_unordered(64).count().await >= 400);
    server.abort();
}

#[tokio::test]
async fn a_compressed_request_is_estimated_by_its_text() {
    let client = client(Answers::ByEvent).await;
    // It has no usage, so that the estimate stands.
    let recorded = Arc::new(Recorded::load("openai_chat.stream_without_usage"));
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let request = client.post("http://provider.test/v1/chat/completions").header("content-encoding", coding);
        let request = request.body(encoded(coding, REQUEST.as_bytes())).with_extension(Arc::clone(&recorded));
        check(request, &recorded).await;
    }
}
