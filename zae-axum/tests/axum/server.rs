//! A real server on a loopback port.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header::CONTENT_LENGTH},
    routing::get as on_get,
};
use futures_util::stream;
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, sync::oneshot};
use zae_axum::{Cost, Lease, ZaeLimit};
use zae_testkit::{left_of as left, limiter, rpm, tpm};

async fn stream_of_ten(lease: Lease) -> Body {
    // One token per chunk, known only while the response streams.
    let chunks = stream::iter(0..10).map_ok_with(lease);
    Body::from_stream(chunks)
}

/// A stream of chunks that each add one token.
trait MapOkWith {
    fn map_ok_with(self, lease: Lease) -> impl futures_util::Stream<Item = Result<String, axum::Error>> + Send;
}

impl<S: futures_util::Stream<Item = u32> + Send> MapOkWith for S {
    fn map_ok_with(self, lease: Lease) -> impl futures_util::Stream<Item = Result<String, axum::Error>> + Send {
        use futures_util::StreamExt;
        self.map(move |chunk| {
            lease.adjust("tpm", 1).map_err(axum::Error::new)?;
            Ok(chunk.to_string())
        })
    }
}

#[tokio::test]
async fn peers_are_known_and_streams_settle_at_their_end() {
    let limiter = limiter([rpm(3), tpm(100)]).await;
    let app = Router::new()
        .route("/hello", on_get(|| async { "hello" }))
        .route("/stream", on_get(stream_of_ten))
        .layer(ZaeLimit::new(limiter.clone()).cost(Cost::of("rpm", 1).and("tpm", 1)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let server =
        axum::serve(listener, service).with_graceful_shutdown(async move { stopped.await.unwrap_or_default() });
    let server = tokio::spawn(server.into_future());

    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let ask = async |path: &str| {
        let request = Request::get(format!("http://{address}{path}")).body(Body::empty()).unwrap();
        let response = client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    };
    for expected in [StatusCode::OK, StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let (head, body) = ask("/hello").await;
        assert_eq!(head.status, expected);
        assert_eq!(head.headers[CONTENT_LENGTH], body.len().to_string(), "refusals have a length too");
    }
    let (head, body) = ask("/stream").await;
    assert_eq!((head.status, &body[..]), (StatusCode::OK, &b"0123456789"[..]));

    drop(client);
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert_eq!(left(&limiter, "ip:127.0.0.1", "hello", "rpm").await, 0);
    assert_eq!(left(&limiter, "ip:127.0.0.1", "stream", "tpm").await, 89, "1 estimated, 10 noted");
}
