//! A real server with two workers on a loopback port.

use std::{net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::{Server, ServerHandle},
    web,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use zae_actix::{Cost, Lease, ZaeLimit};

use zae_testkit::{left_of as left, limiter, rpm, tpm};

/// One keep-alive connection.
struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    async fn send(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// Reads until `length` returns the length of a complete response.
    async fn read(&mut self, length: impl Fn(&str) -> Option<usize>) -> String {
        loop {
            if let Some(length) = length(std::str::from_utf8(&self.unread).unwrap()) {
                let rest = self.unread.split_off(length);
                return String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap();
            }
            let read = self.stream.read_buf(&mut self.unread).await.unwrap();
            assert!(read > 0, "closed after {}", String::from_utf8_lossy(&self.unread));
        }
    }

    async fn read_to(&mut self, end: &str) -> String {
        self.read(|seen| Some(seen.find(end)? + end.len())).await
    }

    /// Returns the status and the thread that answered.
    async fn ask(&mut self) -> (u16, String) {
        self.send("/who").await;
        let head = self.read_to("\r\n\r\n").await;
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let body = self.read(|seen| (seen.len() >= length).then_some(length)).await;
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }
}

/// Answers with the worker's thread.
async fn who() -> String {
    std::thread::current().name().unwrap_or("?").to_owned()
}

/// A stream that adds one token per chunk and never ends.
async fn endless(lease: Lease) -> HttpResponse {
    let chunks = stream::repeat(()).take(3).chain(stream::pending()).map(move |()| {
        lease.adjust("tpm", 1).map_err(actix_web::error::ErrorInternalServerError)?;
        Ok::<_, actix_web::Error>(Bytes::from_static(b"chunk"))
    });
    HttpResponse::Ok().streaming(chunks)
}

fn serve(limit: &ZaeLimit) -> (SocketAddr, ServerHandle, JoinHandle<std::io::Result<()>>) {
    let limit = limit.clone();
    let app = move || {
        App::new().wrap(limit.clone()).route("/who", web::get().to(who)).route("/endless", web::get().to(endless))
    };
    let server = HttpServer::new(app).workers(2).shutdown_timeout(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server: Server = server.run();
    (address, server.handle(), tokio::spawn(server))
}

#[tokio::test]
async fn workers_share_the_limits_and_connections_stay_open() {
    let limiter = limiter([rpm(4)]).await;
    let (address, handle, server) = serve(&ZaeLimit::new(limiter.clone()));
    let (mut one, mut two) = (Connection::open(address).await, Connection::open(address).await);
    let (mut answers, mut workers) = (Vec::new(), std::collections::BTreeSet::new());
    for _ in 0..3 {
        for connection in [&mut one, &mut two] {
            let (status, body) = connection.ask().await;
            answers.push(status);
            if status == 200 {
                workers.insert(body);
            }
        }
    }
    assert_eq!(answers, [200, 200, 200, 200, 429, 429]);
    assert_eq!(workers.len(), 2, "{workers:?}");
    drop((one, two));
    handle.stop(true).await;
    server.await.unwrap().unwrap();
    assert_eq!(left(&limiter, "ip:127.0.0.1", "who", "rpm").await, 0);
}

/// Stops the server during a stream, and returns the tokens that are left. Leases that a worker had not settled when it
/// ended must be settled, even if it was given no time.
async fn stop_during_a_stream(stop: impl AsyncFnOnce(&ServerHandle, &mut Connection)) -> i64 {
    let limiter = limiter([rpm(10), tpm(100)]).await;
    let limit = ZaeLimit::new(limiter.clone()).cost(Cost::of("rpm", 1).and("tpm", 10));
    let (address, handle, server) = serve(&limit);
    let mut connection = Connection::open(address).await;
    connection.send("/endless").await;
    connection.read_to("5\r\nchunk\r\n5\r\nchunk\r\n5\r\nchunk\r\n").await;
    stop(&handle, &mut connection).await;
    server.await.unwrap().unwrap();
    limit.shutdown().await;
    left(&limiter, "ip:127.0.0.1", "endless", "tpm").await
}

#[tokio::test]
async fn a_stream_that_outlasts_the_shutdown_is_settled() {
    // The worker waits for a second, and then drops the connection with its runtime.
    assert_eq!(stop_during_a_stream(async |handle, _| handle.stop(true).await).await, 87, "10 estimated, 3 noted");
}

#[tokio::test]
async fn a_client_that_hangs_up_as_the_server_stops_is_settled() {
    let left = stop_during_a_stream(async |handle, connection| {
        connection.stream.shutdown().await.unwrap();
        tokio::join!(handle.stop(true), tokio::time::sleep(Duration::ZERO));
    });
    assert_eq!(left.await, 87);
}

/// On a runtime with many threads, as under `#[tokio::main]`, and with workers that end before their settlements are
/// written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_cut_off_settles_what_was_served() {
    let limiter = limiter([rpm(100)]).await;
    let limit = ZaeLimit::new(limiter.clone()).settle(zae_actix::settle::refund_on(|status| status.is_success()));
    let (address, handle, server) = serve(&limit);
    let mut connection = Connection::open(address).await;
    for _ in 0..5 {
        assert_eq!(connection.ask().await.0, 200);
    }
    handle.stop(false).await;
    server.await.unwrap().unwrap();
    limit.shutdown().await;
    assert_eq!(left(&limiter, "ip:127.0.0.1", "who", "rpm").await, 100, "all five were given back");
}
