//! Data sent to an X-Ray daemon, which is a socket on loopback here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::support::{
    World, event,
    function::SAMPLED,
    records::{Bucket, NEW_YEAR},
};

/// A daemon that only receives.
struct Daemon {
    socket: UdpSocket,
    address: String,
}

impl Daemon {
    async fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        Self { socket, address }
    }

    /// Returns the documents received so far, without the header of the daemon's protocol.
    async fn received(&self) -> Vec<Value> {
        let mut documents = Vec::new();
        let mut buffer = [0; 65_536];
        // Sent before the function answered, on an interface without delay.
        while let Some(read) = self.wait(&mut buffer).await {
            let text = std::str::from_utf8(&buffer[..read]).unwrap();
            let (header, document) = text.split_once('\n').unwrap();
            let header: Value = serde_json::from_str(header).unwrap();
            assert_eq!(header, json!({"format": "json", "version": 1}));
            documents.push(serde_json::from_str(document).unwrap());
        }
        documents
    }

    async fn wait(&self, buffer: &mut [u8]) -> Option<usize> {
        let received = tokio::time::timeout(Duration::from_millis(200), self.socket.recv(buffer)).await;
        Some(received.ok()?.unwrap())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Checks and removes the parts of a document that differ between calls.
fn constant(document: &Value, from: f64, ids: &mut Vec<String>) -> Value {
    let mut document = document.clone();
    let fields = document.as_object_mut().unwrap();
    let id = fields.remove("id").unwrap().as_str().unwrap().to_owned();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{id}");
    assert!(!ids.contains(&id), "{id} twice");
    ids.push(id);
    let mut at = |name: &str| fields.remove(name).unwrap().as_f64().unwrap();
    let (start, end) = (at("start_time"), at("end_time"));
    assert!(from <= start && start <= end && end <= now(), "{from} {start} {end}");
    document
}

fn subsegment(operation: &str) -> Value {
    json!({
        "trace_id": "1-5759e988-bd862e3fe1be46a994272793",
        "parent_id": "53995c3f42cd8ad8",
        "type": "subsegment",
        "namespace": "aws",
        "name": "DynamoDB",
        "aws": {"operation": operation, "table_name": "limiter"},
    })
}

#[tokio::test]
async fn each_call_is_a_subsegment_of_its_invocation() {
    let (world, daemon) = (World::new().await, Daemon::start().await);
    let aggregator = world.traced_aggregator(&daemon.address).await;
    let (from, mut ids) = (now(), Vec::new());
    let mut bucket = Bucket::new("key-1", "gpt-4");
    aggregator.invoke_traced(&event(&[bucket.taking(&[("rpm", 1)], 1, NEW_YEAR)]), Some(SAMPLED)).await;
    let documents = daemon.received().await;
    let documents: Vec<Value> = documents.iter().map(|document| constant(document, from, &mut ids)).collect();
    assert_eq!(documents, [subsegment("UpdateItem")], "a snapshot is one write");

    // The trace contains the failure of a call: throttled on every attempt of the SDK, and successful on the next call.
    world.store.throttle(5);
    let second = event(&[bucket.taking(&[("rpm", 1)], 2, NEW_YEAR)]);
    aggregator.invoke_traced(&second, Some(SAMPLED)).await;
    let mut refused = subsegment("UpdateItem");
    refused["error"] = true.into();
    let mut throttled = refused.clone();
    throttled["throttle"] = true.into();
    let documents = daemon.received().await;
    let documents: Vec<Value> = documents.iter().map(|document| constant(document, from, &mut ids)).collect();
    assert_eq!(documents, [throttled, subsegment("UpdateItem")]);

    world.store.client().delete_table().table_name("limiter").send().await.unwrap();
    aggregator.invoke_traced(&second, Some(SAMPLED)).await;
    let documents = daemon.received().await;
    let documents: Vec<Value> = documents.iter().map(|document| constant(document, from, &mut ids)).collect();
    assert_eq!(documents, [refused]);
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent() {
    let (world, daemon) = (World::new().await, Daemon::start().await);
    let aggregator = world.traced_aggregator(&daemon.address).await;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let unsampled = SAMPLED.replace("Sampled=1", "Sampled=0");
    for (n, trace) in [(1, Some(&*unsampled)), (2, None), (3, Some("Root=1-5759e988"))] {
        aggregator.invoke_traced(&event(&[bucket.taking(&[("rpm", 1)], n, NEW_YEAR)]), trace).await;
        assert_eq!(daemon.received().await, Vec::<Value>::new());
    }
    assert_eq!(world.usage().await["key-1 gpt-4 hourly 2026-01-01T00:00:00Z"]["rpm"], 3);
    // The same function sends once tracing is on.
    aggregator.invoke_traced(&event(&[bucket.taking(&[("rpm", 1)], 4, NEW_YEAR)]), Some(SAMPLED)).await;
    assert_eq!(daemon.received().await.len(), 1);
}
