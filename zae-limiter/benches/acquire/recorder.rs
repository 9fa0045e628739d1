//! A wire that records traffic, and can replay responses from memory: a store without latency and memory.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use zae_testkit::tap;

/// Records the last update of every item, and the last response of every operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    memory: Arc<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    replaying: AtomicBool,
    /// By partition key.
    updates: Mutex<HashMap<String, Value>>,
    /// By operation.
    answers: Mutex<HashMap<String, Vec<u8>>>,
}

impl Recorder {
    /// Creates a client that behaves like `client`, with its wire.
    pub(crate) fn tap(client: &Client) -> (Self, Client) {
        let recorder = Self::default();
        let memory = Arc::clone(&recorder.memory);
        (recorder, tap(client, move |connector, request| Memory::pass(&memory, connector, request)))
    }

    /// Replays the last response of every operation in the next turn of the runtime.
    pub(crate) fn replay(&self) {
        self.memory.replaying.store(true, Ordering::Relaxed);
    }

    /// Returns the last updates of all items whose partition key contains `part`.
    pub(crate) fn updates(&self, part: &str) -> Vec<Value> {
        let updates = self.memory.updates.lock().unwrap();
        updates.iter().filter(|(key, _)| key.contains(part)).map(|(_, update)| update.clone()).collect()
    }
}

impl Memory {
    fn pass(memory: &Arc<Self>, connector: &SharedHttpConnector, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        if memory.replaying.load(Ordering::Relaxed) {
            let answers = memory.answers.lock().unwrap();
            let answer = answers.get(operation).unwrap_or_else(|| panic!("{operation} was never answered")).clone();
            let ok = StatusCode::try_from(200).expect("a status");
            return HttpConnectorFuture::new(async move {
                // A network never responds within the same turn.
                tokio::task::yield_now().await;
                Ok(HttpResponse::new(ok, SdkBody::from(answer)))
            });
        }
        if operation == "UpdateItem" {
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).expect("JSON");
            let key = body["Key"]["PK"]["S"].as_str().unwrap_or_default().to_owned();
            memory.updates.lock().unwrap().insert(key, body);
        }
        let (memory, connector, operation) = (Arc::clone(memory), connector.clone(), operation.to_owned());
        HttpConnectorFuture::new(async move {
            let answer = connector.call(request).await?;
            if let (200, Some(body)) = (answer.status().as_u16(), answer.body().bytes()) {
                memory.answers.lock().unwrap().insert(operation, body.to_vec());
            }
            Ok(answer)
        })
    }
}
