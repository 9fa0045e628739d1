//! Private connections to the embedded database.
//!
//! The engine's server has no authentication, and its port would be open to every program and every web page on the
//! machine. A Unix socket or a pipe would solve this, but the server only accepts a TCP listener. A listener is
//! therefore bound to a random port only until a connection to it is established, and the connection is kept.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::http::Uri;
use dynoxide::{Database, server::serve_with_shutdown};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_service::Service;

/// Establishes connections to the database's own HTTP server. That server answers any web page, so it only listens
/// while a connection is being established; the connection outlives the port.
#[derive(Clone)]
pub(super) struct Inside(Database);

impl Inside {
    /// Creates a connector to `database`.
    pub(super) fn new(database: Database) -> Self {
        Self(database)
    }
}

impl Service<Uri> for Inside {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let database = self.0.clone();
        Box::pin(async move { connect(database).await.map(TokioIo::new) })
    }
}

/// Listens, connects, and stops listening.
async fn connect(database: Database) -> io::Result<TcpStream> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    // If the future is dropped before the shutdown, the server stops listening but keeps answering its existing
    // connections.
    let served = serve_with_shutdown(listener, database, std::future::pending());
    tokio::select! {
        greeted = greet(address) => greeted,
        _ = served => Err(io::Error::other("the database stopped listening")),
    }
}

/// Connects, and makes sure that the connection was accepted: a pending one would end with the port.
async fn greet(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.split_once("content-length:").and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
    let mut body = vec![0; length.ok_or_else(|| io::Error::other("the database's response has no content length"))?];
    stream.read_exact(&mut body).await?;
    Ok(stream)
}
