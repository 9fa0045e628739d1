//! Real servers, with the layer and nothing else.

use std::{convert::Infallible, net::SocketAddr};

use crate::support::Text;
use axum::{Router, routing::get};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use zae_testkit::{limiter, rpm};
use zae_tower::ZaeLimit;

/// One request on a connection of its own; the whole response as text.
async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

async fn expect_two_then_a_refusal(address: SocketAddr) {
    for _ in 0..2 {
        let response = ask(address).await;
        assert!(response.starts_with("HTTP/1.1 200 OK") && response.ends_with("hello"), "{response}");
    }
    let refused = ask(address).await;
    assert!(refused.starts_with("HTTP/1.1 429 Too Many Requests"), "{refused}");
    assert!(refused.contains("retry-after: 30\r\n"), "{refused}");
    assert!(refused.contains("content-type: application/problem+json\r\n"), "{refused}");
    assert!(refused.contains("\"violated-policies\":[\"rpm\"]"), "{refused}");
}

#[tokio::test]
async fn hyper_serves_it() {
    let layer = ZaeLimit::new(limiter([rpm(2)]).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = |_: Request<Incoming>| async { Ok::<_, Infallible>(Response::new(Text::from("hello"))) };
    let service = layer.layer(service_fn(handler));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    expect_two_then_a_refusal(address).await;
}

#[tokio::test]
async fn axum_serves_it_over_all_connections_and_routes() {
    let layer = ZaeLimit::new(limiter([rpm(2)]).await);
    let app = Router::new().route("/", get(|| async { "hello" })).route("/other", get(|| async {})).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = app.clone();
    tokio::spawn(async move { axum::serve(listener, server).await });
    expect_two_then_a_refusal(address).await;
    let other = Request::get("/other").body(axum::body::Body::empty()).unwrap();
    assert_eq!(app.oneshot(other).await.unwrap().status(), 429);
}

#[tokio::test]
async fn axum_limits_single_routes_and_method_routers() {
    let (strict, lax) = (ZaeLimit::new(limiter([rpm(1)]).await), ZaeLimit::new(limiter([rpm(100)]).await));
    let app = Router::new()
        .route("/strict", get(|| async { "hello" }).layer(strict))
        .route("/lax", get(|| async { "hello" }))
        .route_layer(lax);
    for (path, statuses) in [("/strict", [200, 429, 429]), ("/lax", [200, 200, 200])] {
        for status in statuses {
            let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
            assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status, "{path}");
        }
    }
}

/// A gRPC service without messages: every call succeeds.
#[derive(Clone, Debug)]
struct Agreeable;

impl tonic::server::NamedService for Agreeable {
    const NAME: &'static str = "test.Agreeable";
}

impl Service<Request<tonic::body::Body>> for Agreeable {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<tonic::body::Body>) -> Self::Future {
        std::future::ready(Ok(tonic::Status::ok("").into_http()))
    }
}

#[tokio::test]
async fn tonic_serves_it() {
    let layer = ZaeLimit::new(limiter([rpm(2)]).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::transport::Server::builder().layer(layer).add_service(Agreeable);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(router.serve_with_incoming(incoming));

    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut channel = endpoint.connect().await.unwrap();
    for code in [tonic::Code::Ok, tonic::Code::Ok, tonic::Code::ResourceExhausted] {
        let request = Request::post(format!("http://{address}/test.Agreeable/Agree"))
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::empty())
            .unwrap();
        let response = channel.ready().await.unwrap().call(request).await.unwrap();
        let status = tonic::Status::from_header_map(response.headers()).unwrap();
        assert_eq!((response.status().as_u16(), status.code()), (200, code), "{status:?}");
        if code == tonic::Code::ResourceExhausted {
            assert_eq!(response.headers()["grpc-retry-pushback-ms"], "30000");
        }
    }
}
