//! Calls of applications with the published Python package, recorded on the wire between it and the store.

use std::sync::{Arc, Mutex};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;

use super::{
    calls::calls,
    runs::{Calls, Table},
};
use crate::{
    run::{Ran, clean},
    venv,
};

/// Opens the table, and acquires twice for a child with a parent and for an entity without a record.
const APPLICATION: &str = "
import asyncio, os
from zae_limiter import RateLimiter, Repository

async def main():
    repository = await Repository.connect('default', stack='limiter', endpoint_url=os.environ['ENDPOINT'])
    limiter = RateLimiter(repository=repository)
    for entity in ['key-1', 'user-2', 'key-1', 'user-2']:
        async with limiter.acquire(entity, 'gpt-4', {'rpm': 1, 'tpm': 100}) as lease:
            await lease.adjust(tpm=50)

asyncio.run(main())
";

struct Proxy {
    base: String,
    client: Client<HttpConnector, Body>,
    calls: Mutex<Calls>,
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let target = parts.headers["x-amz-target"].to_str().unwrap().to_owned();
    let asked = calls(target.rsplit('.').next().unwrap(), &serde_json::from_slice(&body).unwrap());
    proxy.calls.lock().unwrap().extend(asked);
    parts.uri = proxy.base.parse().unwrap();
    let answer = proxy.client.request(http::Request::from_parts(parts, Body::from(body))).await.unwrap();
    answer.map(Body::new)
}

/// Returns the calls of the application, if Python and the package are available.
pub(super) async fn acquire(table: &Table) -> Option<Calls> {
    let interpreter = venv::interpreter()?;
    let store = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", store.local_addr().unwrap());
    let served = table.store.clone();
    let server = tokio::spawn(async move { served.serve(store, std::future::pending()).await });
    let client = Client::builder(TokioExecutor::new()).build_http();
    let proxy = Arc::new(Proxy { base, client, calls: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(pass).with_state(Arc::clone(&proxy));
    let recorder = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut command = tokio::process::Command::new(interpreter);
    clean(&mut command).args(["-W", "ignore", "-c", APPLICATION]).env("ENDPOINT", endpoint);
    Ran::from_output(command.output().await.unwrap()).ok();
    recorder.abort();
    server.abort();
    let calls = std::mem::take(&mut *proxy.calls.lock().unwrap());
    Some(calls)
}
