//! A megabyte of a chat as OpenAI streams it, event by event, and a server on loopback that sends it.

use std::{convert::Infallible, net::SocketAddr, sync::LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Empty, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use zae_tower::llm::{ApiFormat, Reading, Usage, UsageReader};

const SIZE: usize = 1 << 20;

/// The events.
pub(crate) static EVENTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let mut events = Vec::new();
    let mut size = 0;
    while size < SIZE {
        let word = ["Hello", " there", ", \\\"you\\\"", " who", " reads", ".\\n"][events.len() % 6];
        let event = format!(
            "data: {{\"id\":\"chatcmpl-9lMgfRSWPHcw51s6wxKT1YEO2CKpd\",\"object\":\"chat.completion.chunk\",\"created\":1721075653,\
             \"model\":\"gpt-5-mini-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_18cc0f1fa0\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"logprobs\":null,\"finish_reason\":null}}],\
             \"usage\":null,\"obfuscation\":\"x9Qz\"}}\n\n"
        );
        size += event.len();
        events.push(event.into());
    }
    events.push(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":3000}}\n\ndata: [DONE]\n\n".into(),
    );
    events
});

/// All of them in one.
pub(crate) static BODY: LazyLock<Bytes> = LazyLock::new(|| EVENTS.concat().into());

/// What they say.
pub(crate) const READING: Reading = Reading::Final(Usage::new(20, 3_000));

/// A reader for them.
pub(crate) fn reader() -> UsageReader {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    UsageReader::new(ApiFormat::Auto, StatusCode::OK, &headers)
}

/// The server; it ends with the runtime.
#[derive(Debug)]
pub(crate) struct Server(SocketAddr);

impl Server {
    /// Starts it on a port of its own.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                connection.set_nodelay(true).unwrap();
                let service = hyper::service::service_fn(|_: Request<Incoming>| async {
                    let frames = EVENTS.iter().map(|event| Ok::<_, Infallible>(Frame::data(event.clone())));
                    Ok::<_, Infallible>(Response::new(StreamBody::new(futures_util::stream::iter(frames))))
                });
                let serving =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service);
                tokio::spawn(serving);
            }
        });
        Self(address)
    }

    /// The body of a response, on a connection of its own.
    pub(crate) async fn get(&self) -> Incoming {
        let connection = TcpStream::connect(self.0).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(Request::new(Empty::<Bytes>::new())).await.unwrap().into_body()
    }
}
