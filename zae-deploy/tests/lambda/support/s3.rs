//! A fake S3 that stores objects.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::put,
};
use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::net::TcpListener;

use super::steps::{Steps, When};

/// The archive's bucket, and any other.
#[derive(Clone, Debug)]
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    inside: Inside,
}

#[derive(Clone, Debug)]
struct Inside {
    steps: Arc<Steps>,
    objects: Arc<Mutex<BTreeMap<String, (HeaderMap, Bytes)>>>,
    /// Number of further puts to refuse.
    refusals: Arc<AtomicUsize>,
}

async fn keep(
    State(inside): State<Inside>,
    Path((bucket, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let left = inside.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if left.is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let stop = inside.steps.take();
    if stop == Some(When::Before) {
        inside.steps.end().await;
    }
    inside.objects.lock().unwrap().insert(format!("{bucket}/{key}"), (headers, body));
    if stop == Some(When::After) {
        inside.steps.end().await;
    }
    StatusCode::OK
}

impl S3 {
    pub(crate) async fn start(steps: Arc<Steps>) -> Self {
        let inside = Inside { steps, objects: Arc::default(), refusals: Arc::default() };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/{bucket}/{*key}", put(keep)).with_state(inside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, inside }
    }

    /// Refuses the next `puts`.
    pub(crate) fn refuse(&self, puts: usize) {
        self.inside.refusals.store(puts, Ordering::SeqCst);
    }

    /// Returns the keys with the headers and the lines of each object.
    pub(crate) fn objects(&self) -> Vec<(String, HeaderMap, Vec<Value>)> {
        let objects = self.inside.objects.lock().unwrap();
        objects
            .iter()
            .map(|(key, (headers, body))| {
                let mut text = String::new();
                GzDecoder::new(unchunked(headers, body).as_slice()).read_to_string(&mut text).unwrap();
                let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                (key.clone(), headers.clone(), lines)
            })
            .collect()
    }
}

/// The SDK may send a body in signed chunks, followed by a checksum.
fn unchunked(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let chunked = headers.get("x-amz-content-sha256").is_some_and(|value| value.as_bytes().starts_with(b"STREAMING"));
    if !chunked {
        return body.to_vec();
    }
    let (mut rest, mut content) = (body, Vec::new());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap().split(';').next().unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        content.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    content
}
