//! A megabyte of a chat as OpenAI streams it, event by event, and a gateway on loopback that forwards it.

use std::{
    convert::Infallible,
    error::Error,
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Empty, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use zae_llm::{ApiFormat, End, Reading, Usage, UsageReader};

const SIZE: usize = 1 << 20;

/// The events.
pub(crate) static EVENTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let mut events = Vec::new();
    let mut size = 0;
    while size < SIZE {
        let n = events.len();
        let word = ["Hello", " there", ", \\\"you\\\"", " who", " reads", ".\\n"][n % 6];
        let event = format!(
            "data: {{\"id\":\"chatcmpl-9lMgfRSWPHcw51s6wxKT1YEO2CKpd\",\"object\":\"chat.completion.chunk\",\"created\":1721075653,\
             \"model\":\"gpt-5-mini-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_18cc0f1fa0\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"logprobs\":null,\"finish_reason\":null}}],\
             \"usage\":null,\"obfuscation\":\"x9Qz{n}\"}}\n\n"
        );
        size += event.len();
        events.push(event.into());
    }
    events.push(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":3000}}\n\ndata: [DONE]\n\n".into(),
    );
    events
});

/// All events in one buffer.
pub(crate) static BODY: LazyLock<Bytes> = LazyLock::new(|| EVENTS.concat().into());

/// The expected reading of the events.
pub(crate) const READING: Reading = Reading::Final(Usage::new(20, 3_000));

/// Creates a reader for them.
pub(crate) fn reader() -> UsageReader {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    UsageReader::new(ApiFormat::Auto, StatusCode::OK, &headers)
}

/// The size of the server's writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writes {
    /// One event per write, as models generate them.
    Events,
    /// 16 KiB, as a buffering proxy writes: the least work per byte, and so the hardest to keep up with.
    Blocks,
}

impl Writes {
    fn pieces(self) -> Vec<Bytes> {
        match self {
            Self::Events => EVENTS.clone(),
            Self::Blocks => BODY.chunks(16 * 1024).map(|block| BODY.slice_ref(block)).collect(),
        }
    }
}

/// Selects if the gateway reads the usage of what it forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Plain,
    Read,
}

impl Passing {
    fn path(self) -> &'static str {
        match self {
            Self::Plain => "/plain",
            Self::Read => "/read",
        }
    }
}

/// A provider, and a gateway that forwards its stream. Both end with the runtime.
#[derive(Debug)]
pub(crate) struct Gateway(SocketAddr);

impl Gateway {
    /// Starts them on ports of their own.
    pub(crate) async fn start(writes: Writes) -> Self {
        let pieces: Arc<[Bytes]> = writes.pieces().into();
        let provider = serve(move |_| {
            let pieces = Arc::clone(&pieces);
            let frames = (0..pieces.len()).map(move |at| Ok::<_, Infallible>(Frame::data(pieces[at].clone())));
            std::future::ready(Response::new(StreamBody::new(futures_util::stream::iter(frames))))
        })
        .await;
        let gateway = serve(move |request| async move {
            let body = get(provider, "/").await;
            Response::new(if request.uri().path() == Passing::Read.path() {
                let (mut reader, mut left) = (Some(reader()), BODY.len());
                Either::Left(body.map_frame(move |frame| {
                    let data = frame.data_ref().unwrap();
                    reader.as_mut().unwrap().push(data);
                    left -= data.len();
                    if left == 0 {
                        assert_eq!(reader.take().unwrap().finish(End::Complete), READING);
                    }
                    frame
                }))
            } else {
                Either::Right(body)
            })
        })
        .await;
        Self(gateway)
    }

    /// Receives the stream through the gateway, on a connection of its own.
    pub(crate) async fn receive(&self, passing: Passing) -> usize {
        let mut body = get(self.0, passing.path()).await;
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame.unwrap().into_data().unwrap().len();
        }
        bytes
    }
}

async fn serve<F, B>(respond: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            connection.set_nodelay(true).unwrap();
            let respond = respond.clone();
            let service = hyper::service::service_fn(move |request| {
                let response = respond(request);
                async { Ok::<_, Infallible>(response.await) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service),
            );
        }
    });
    address
}

async fn get(server: SocketAddr, path: &str) -> Incoming {
    let connection = TcpStream::connect(server).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path).body(Empty::<Bytes>::new()).unwrap();
    sender.send_request(request).await.unwrap().into_body()
}
