//! A DynamoDB over HTTP, behind a proxy that counts, rejects or loses writes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use dynoxide::Database;
use http_body_util::BodyExt;
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use zae_limiter::{Repository, RepositoryBuilder};

use zae_testkit::{
    raw,
    store::endpoint::{self, Endpoint},
};

use super::{
    TABLE,
    steps::{Steps, When},
};

/// The table's store.
#[derive(Debug)]
pub(crate) struct Store {
    /// The proxy's address.
    pub(crate) endpoint: Endpoint,
    direct: Endpoint,
    door: Door,
}

#[derive(Clone, Debug)]
struct Door {
    steps: Arc<Steps>,
    /// Number of further writes to throttle.
    throttles: Arc<AtomicUsize>,
    /// Update and put calls that arrived.
    writes: Arc<AtomicUsize>,
    inside: String,
    client: legacy::Client<legacy::connect::HttpConnector, Body>,
}

async fn pass(State(door): State<Door>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let writes = ["UpdateItem", "PutItem", "DeleteItem", "TransactWriteItems"].iter().any(|op| target.ends_with(op));
    let mut stop = None;
    if writes {
        door.writes.fetch_add(1, Ordering::SeqCst);
        let left = door.throttles.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            let body = json!({
                "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
                "message": "The level of configured provisioned throughput for the table was exceeded.",
            });
            return (http::StatusCode::BAD_REQUEST, body.to_string()).into_response();
        }
        stop = door.steps.take();
    }
    if stop == Some(When::Before) {
        door.steps.end().await;
    }
    let body = body.collect().await.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    parts.uri = door.inside.parse().unwrap();
    let answer = door.client.request(http::Request::from_parts(parts, Body::from(body))).await;
    if stop == Some(When::After) {
        door.steps.end().await;
    }
    let lost = |error: legacy::Error| (http::StatusCode::BAD_GATEWAY, error.to_string()).into_response();
    answer.map_or_else(lost, IntoResponse::into_response)
}

/// Starts an embedded database, served until the runtime ends.
async fn embedded() -> Endpoint {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
    Endpoint { url, access_key: "test".to_owned(), region: "us-east-1".to_owned() }
}

impl Store {
    pub(crate) async fn start(steps: Arc<Steps>) -> Self {
        let direct = match endpoint::local() {
            Some(local) => local,
            None => embedded().await,
        };
        let door = Door {
            steps,
            throttles: Arc::default(),
            writes: Arc::default(),
            inside: direct.url.clone(),
            client: legacy::Client::builder(TokioExecutor::new()).build_http(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(door.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let store = Self { endpoint: Endpoint { url, ..direct.clone() }, direct, door };
        store.builder().create_table().build().await.unwrap();
        store
    }

    /// Returns a client that bypasses the proxy.
    pub(crate) fn client(&self) -> Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.direct.region.clone()))
            .credentials_provider(Credentials::new(&self.direct.access_key, "test", None, None, "test"))
            .endpoint_url(&self.direct.url)
            .http_client(http);
        Client::from_conf(config.build())
    }

    /// Returns a builder that bypasses the proxy.
    pub(crate) fn builder(&self) -> RepositoryBuilder {
        Repository::builder().client(self.client()).stack(TABLE)
    }

    /// Throttles the next `writes`.
    pub(crate) fn throttle(&self, writes: usize) {
        self.door.throttles.store(writes, Ordering::SeqCst);
    }

    /// Returns the writes at the proxy since the last call.
    pub(crate) fn take_writes(&self) -> usize {
        self.door.writes.swap(0, Ordering::SeqCst)
    }

    /// Returns all items of the table, in DynamoDB's JSON, by key.
    pub(crate) async fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        let mut pages = self.client().scan().table_name(TABLE).consistent_read(true).into_paginator().send();
        while let Some(page) = pages.next().await {
            items.extend(page.unwrap().items().iter().map(raw::json_item));
        }
        items.sort_by_key(|item| format!("{} {}", item["PK"]["S"], item["SK"]["S"]));
        items
    }

    /// Stores an item.
    pub(crate) async fn put(&self, item: &Value) {
        let item = raw::item(item);
        self.client().put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    /// Returns one item, if it exists.
    pub(crate) async fn get(&self, pk: &str) -> Option<Value> {
        self.items().await.into_iter().find(|item| item["PK"]["S"] == pk)
    }
}
