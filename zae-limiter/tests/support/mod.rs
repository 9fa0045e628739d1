//! A wire between the SDK and the store that counts what passes, and can be made to fail.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses another part")]

pub mod driven;
pub mod front;
pub mod ideal;
pub mod log;
pub mod measures;
pub mod raw;
pub mod store;
pub mod table;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use store::TestStore;
use zae_limiter::{Limit, Limits, ManualClock, RateLimiter, Repository};

/// 2026-01-01T00:00:00Z in epoch ms.
pub const START: i64 = 1_767_225_600_000;

/// Long enough that a busy test machine is never mistaken for a dead store.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The fate of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It arrives and is answered.
    None,
    /// It never arrives; the connection breaks.
    LostBefore,
    /// It takes effect, but the answer is lost.
    LostAfter,
    /// DynamoDB refuses it as too much.
    Throttled,
    /// DynamoDB refuses it because a transaction is in its way.
    Conflict,
    /// DynamoDB leaves all of a batch for later.
    Unprocessed,
    /// DynamoDB does not allow it.
    Denied,
    /// DynamoDB fails in a way that no client knows.
    Broken,
    /// It takes effect and the answer begins, but its body never comes.
    Stalled,
    /// It arrives, and the answer takes this many ms.
    Slow(u64),
    /// There and back again takes this many ms, half of them each way.
    Trip(u64),
}

type Script = dyn Fn(&str, u64) -> Fault + Send + Sync;

/// The cost of writes to buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units {
    /// Writes sent, those whose condition did not hold included.
    pub writes: u64,
    /// Write units, indexes included: as the store reports them, and one for each lost condition, which it does not
    /// report.
    pub units: f64,
}

/// Counts requests by operation and decides which of them fail.
#[derive(Clone)]
pub struct Wire {
    inner: SharedHttpClient,
    calls: Arc<Mutex<BTreeMap<String, u64>>>,
    total: Arc<AtomicU64>,
    units: Arc<Mutex<Units>>,
    script: Arc<Mutex<Arc<Script>>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// A client that behaves like `client`, observed by the wire.
    pub fn tap(client: &Client) -> (Self, Client) {
        let inner = client.config().http_client().expect("an HTTP client");
        let script: Arc<Script> = Arc::new(|_: &str, _| Fault::None);
        let wire = Self {
            inner,
            calls: Arc::default(),
            total: Arc::default(),
            units: Arc::default(),
            script: Arc::new(Mutex::new(script)),
        };
        let config = client.config().to_builder().http_client(wire.clone()).build();
        (wire, Client::from_conf(config))
    }

    /// From now on requests fare as `script` says of their operation and running number.
    pub fn fail(&self, script: impl Fn(&str, u64) -> Fault + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// The calls since the last time, by operation.
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Returns the cost of writes to buckets since the last call.
    pub fn units(&self) -> Units {
        std::mem::take(&mut *self.units.lock().unwrap())
    }

    /// Counts from here.
    pub fn reset(&self) {
        self.take();
        self.units();
    }

    fn weigh(&self, response: &HttpResponse) {
        let body: serde_json::Value = serde_json::from_slice(response.body().bytes().unwrap_or_default()).unwrap();
        let mut units = self.units.lock().unwrap();
        units.writes += 1;
        units.units += match body["__type"].as_str() {
            Some(kind) if kind.ends_with("ConditionalCheckFailedException") => 1.0,
            Some(_) => 0.0,
            // The engine always asks; what tests write by themselves does not count.
            None => body["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap_or(0.0),
        };
    }

    /// The number of calls since the last time.
    pub fn count(&self) -> u64 {
        self.take().values().sum()
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(Tap { wire: self.clone(), connector })
    }
}

#[derive(Debug)]
struct Tap {
    wire: Wire,
    connector: SharedHttpConnector,
}

fn broken() -> ConnectorError {
    ConnectorError::io("connection reset by the test".into())
}

fn refused(status: u16, code: &str) -> HttpResponse {
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"the test's",
        "CancellationReasons":[{{"Code":"None"}},{{"Code":"TransactionConflict"}}]}}"#
    );
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

/// A body of which nothing ever comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

fn unprocessed(request: &HttpRequest) -> HttpResponse {
    let asked: serde_json::Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
    let left = &asked["RequestItems"];
    let body = serde_json::json!({ "Responses": {}, "UnprocessedKeys": left, "UnprocessedItems": left });
    HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::from(body.to_string()))
}

impl HttpConnector for Tap {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or("").to_owned();
        let operation = target.rsplit('.').next().unwrap_or("").to_owned();
        *self.wire.calls.lock().unwrap().entry(operation.clone()).or_default() += 1;
        let number = self.wire.total.fetch_add(1, Ordering::SeqCst);
        let script = Arc::clone(&self.wire.script.lock().unwrap());
        let (connector, wire) = (self.connector.clone(), self.wire.clone());
        let body = request.body().bytes().unwrap_or_default();
        let is_bucket =
            matches!(operation.as_str(), "UpdateItem" | "PutItem") && body.windows(8).any(|part| part == b"/BUCKET#");
        HttpConnectorFuture::new(async move {
            let fault = script(&operation, number);
            match fault {
                Fault::LostBefore => return Err(broken()),
                Fault::Throttled => return Ok(refused(400, "ThrottlingException")),
                Fault::Conflict if operation == "TransactWriteItems" => {
                    return Ok(refused(400, "TransactionCanceledException"));
                }
                Fault::Conflict => return Ok(refused(400, "TransactionConflictException")),
                Fault::Unprocessed => return Ok(unprocessed(&request)),
                Fault::Denied => return Ok(refused(400, "AccessDeniedException")),
                Fault::Broken => return Ok(refused(503, "NeverHeardOf")),
                Fault::None | Fault::LostAfter | Fault::Stalled | Fault::Slow(_) | Fault::Trip(_) => {}
            }
            let (there, back) = match fault {
                Fault::Slow(ms) => (0, ms * 1_000),
                Fault::Trip(ms) => (ms * 500, ms * 500),
                _ => (0, 0),
            };
            if there > 0 {
                tokio::time::sleep(Duration::from_micros(there)).await;
            }
            let answer = connector.call(request).await?;
            if is_bucket {
                wire.weigh(&answer);
            }
            if back > 0 {
                tokio::time::sleep(Duration::from_micros(back)).await;
            }
            match fault {
                Fault::LostAfter => Err(broken()),
                Fault::Stalled => Ok(answer.map(|_| SdkBody::from_body_1_x(Never))),
                _ => Ok(answer),
            }
        })
    }
}

/// A table of its own, at a standstill in time.
pub struct Bench {
    pub store: TestStore,
    pub clock: Arc<ManualClock>,
}

impl Bench {
    pub fn new() -> Self {
        Self { store: TestStore::new(), clock: Arc::new(ManualClock::at(START)) }
    }

    /// Builds what another process would have: its own client and caches on the same table.
    pub async fn process(&self) -> (Wire, Repository) {
        let (wire, client) = Wire::tap(&self.store.client());
        let builder = Repository::builder().client(client).clock(self.clock.clone()).create_table();
        let repository = builder.build().await.unwrap();
        wire.take();
        (wire, repository)
    }

    /// Another process with a limiter; `limits` are the system's defaults.
    pub async fn limiter(&self, limits: &Limits) -> (Wire, RateLimiter) {
        let (wire, repository) = self.process().await;
        repository.set_system_defaults(limits).await.unwrap();
        wire.take();
        (wire, RateLimiter::builder(repository).deadline(DEADLINE).build())
    }

    pub fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

pub fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

pub fn rpm(rate: u64) -> Limit {
    Limit::per_minute("rpm", rate).unwrap()
}

pub fn tpm(rate: u64) -> Limit {
    Limit::per_minute("tpm", rate).unwrap()
}
