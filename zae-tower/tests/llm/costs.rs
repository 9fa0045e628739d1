//! The cost of a call in its response.

use std::{convert::Infallible, io, net::SocketAddr};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use zae_testkit::{Script, limiter, rpm, tpm};
use zae_tower::{
    Limit, RateLimiter, ZaeLimit,
    llm::{
        Accounting, COST_FIELD, Tariff, estimate,
        prices::{Price, PriceBook, PriceKind, Prices, UnknownModel},
    },
    settle,
};

const ANSWER: &str = r#"{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":100}}"#;
/// 1 000 × 1.25 + 100 × 10 micro-dollars.
const COST: &str = "2250";

async fn new_limiter() -> RateLimiter {
    limiter([rpm(100), tpm(1_000_000), Limit::per_minute("microdollars", 1_000_000).unwrap()]).await
}

fn accounting() -> Accounting {
    let price = Price::new("gpt-5", "test").with(PriceKind::Input, 1.25).with(PriceKind::Output, 10.0);
    let prices = Prices::new(PriceBook::new([price])).unknown(UnknownModel::TokensOnly);
    Accounting::new(Tariff::priced(&prices)).estimator(estimate::input_and_max_output(1_000))
}

/// The end of the provider's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Silently,
    Announced,
    InTrailers,
    Broken,
}

fn answer(ends: Ends) -> Response<Script> {
    let mut frames = vec![Ok(Frame::data(Bytes::from(ANSWER)))];
    match ends {
        Ends::Silently | Ends::Announced => {}
        Ends::InTrailers => {
            let fields = [("x-theirs".parse().unwrap(), "1".parse().unwrap())];
            frames.push(Ok(Frame::trailers(HeaderMap::from_iter(fields))));
        }
        Ends::Broken => frames.insert(0, Err(io::Error::other("connection reset"))),
    }
    Response::new(Script { frames: frames.into(), announces_end: ends == Ends::Announced })
}

async fn respond<S, B>(service: S, model: &str) -> Response<B>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible, Future: Send> + Send,
    B: Send,
{
    let request = Request::new(Full::from(format!(r#"{{"model":"{model}","max_tokens":500,"messages":[]}}"#)));
    service.oneshot(request).await.unwrap()
}

#[derive(Clone, Copy)]
struct Answering(Ends);

impl Service<Request<Full<Bytes>>> for Answering {
    type Response = Response<Script>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Script>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        std::future::ready(Ok(answer(self.0)))
    }
}

/// Reads a body as servers do, which stop when it says that it has ended. Returns the bytes and the trailers.
async fn read<B: Body<Data = Bytes> + Unpin>(mut body: B) -> (Bytes, Vec<HeaderMap>) {
    let (mut bytes, mut trailers) = (Vec::new(), Vec::new());
    while !body.is_end_stream()
        && let Some(Ok(frame)) = body.frame().await
    {
        match frame.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers()),
        }
    }
    (bytes.into(), trailers)
}

#[tokio::test]
async fn a_response_tells_its_cost_in_a_trailer_however_it_ends() {
    let limiter = new_limiter().await;
    let layer = ZaeLimit::new(&limiter).llm(accounting().tell_cost());
    for ends in [Ends::Silently, Ends::Announced, Ends::InTrailers] {
        let response = respond(layer.layer(Answering(ends)), "gpt-5").await;
        assert_eq!(response.headers()["trailer"], COST_FIELD);
        let (bytes, trailers) = read(response.into_body()).await;
        assert_eq!((bytes, trailers.len()), (ANSWER.into(), 1), "{ends:?}");
        assert_eq!(trailers[0][COST_FIELD], COST, "{ends:?}");
        assert_eq!(trailers[0].contains_key("x-theirs"), ends == Ends::InTrailers);
    }
    let (_, trailers) = read(respond(layer.layer(Answering(Ends::Broken)), "gpt-5").await.into_body()).await;
    assert!(trailers.is_empty(), "a broken body has no trailers");
    let (_, trailers) = read(respond(layer.layer(Answering(Ends::Silently)), "unknown").await.into_body()).await;
    assert!(trailers.is_empty(), "it costs no money");
}

#[tokio::test]
async fn nothing_is_added_unless_it_is_asked_for() {
    let limiter = new_limiter().await;
    let told = Accounting::new(Tariff::openai()).tell_cost();
    for accounting in [accounting(), told] {
        let layer = ZaeLimit::new(&limiter).llm(accounting);
        let response = respond(layer.layer(Answering(Ends::Announced)), "gpt-5").await;
        assert!(!response.headers().contains_key("trailer"));
        assert!(read(response.into_body()).await.1.is_empty());
    }
}

#[tokio::test]
async fn a_response_that_is_held_back_has_it_in_a_header() {
    let limiter = new_limiter().await;
    let layers = tower::ServiceBuilder::new()
        .layer(settle::before_response(&limiter))
        .layer(ZaeLimit::new(&limiter).llm(accounting().tell_cost()));
    let service = layers.service(service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(ANSWER)))
    }));
    let request = Request::new(Full::from(r#"{"model":"gpt-5","max_tokens":500,"messages":[]}"#));
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.headers()[COST_FIELD], COST);
}

/// Sends a request over HTTP/1.1. Returns the response as it comes.
async fn over_http1(address: SocketAddr, fields: &str) -> String {
    let body = r#"{"model":"gpt-5","max_tokens":500,"messages":[]}"#;
    let head =
        format!("POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}content-length: {}", body.len());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn a_server_sends_the_trailer_to_clients_that_take_it() {
    let limiter = new_limiter().await;
    let layer = ZaeLimit::new(&limiter).llm(accounting().tell_cost());
    let app = Router::new().route("/", post(|| async { ANSWER })).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let asked = over_http1(address, "te: trailers\r\n").await;
    assert!(asked.contains(ANSWER) && asked.contains("\r\ntrailer: x-cost-microdollars\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n0\r\nx-cost-microdollars: 2250\r\n\r\n"), "{asked}");
    let unasked = over_http1(address, "").await;
    assert!(unasked.contains(ANSWER) && !unasked.contains("2250"), "{unasked}");
}
