//! A wire between the SDK and the store that counts requests, and can be made to fail.

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
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::{DateTime, body::SdkBody, date_time::Format};
use bytes::Bytes;
use zae_limiter::{Clock, SystemClock};

use crate::tap;

/// The fate of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request arrives and is answered.
    None,
    /// The request never arrives; the connection breaks.
    LostBefore,
    /// The request takes effect, but the response is lost.
    LostAfter,
    /// No connection can be established.
    Refused,
    /// DynamoDB throttles the request.
    Throttled,
    /// DynamoDB throttles the request, because one item is written too often.
    HotItem,
    /// DynamoDB throttles the request after this many ms.
    ThrottledLate(u64),
    /// The request is delivered twice, and the second response arrives.
    Twice,
    /// DynamoDB rejects the request because of a conflicting transaction.
    Conflict,
    /// DynamoDB leaves all of a batch unprocessed.
    Unprocessed,
    /// DynamoDB denies access.
    Denied,
    /// DynamoDB fails with an unknown error.
    Broken,
    /// The request takes effect and the response starts, but its body never arrives.
    Stalled,
    /// The request arrives, and the response takes this many ms.
    Slow(u64),
    /// The round trip takes this many ms, half of them each way.
    Trip(u64),
}

type FaultScript = dyn Fn(&str, u64) -> Fault + Send + Sync;

/// The cost of writes to buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units {
    /// Number of writes sent, including those with a failed condition.
    pub writes: u64,
    /// Write units, indexes included: as reported by the store, plus one for each failed condition, which it does not
    /// report.
    pub units: f64,
}

/// Counts requests by operation and decides their faults.
#[derive(Clone)]
pub struct Wire {
    calls: Arc<Mutex<BTreeMap<String, u64>>>,
    total: Arc<AtomicU64>,
    units: Arc<Mutex<Units>>,
    script: Arc<Mutex<Arc<FaultScript>>>,
    /// A part of the body of requests with another fault, and that fault.
    marked: Arc<Mutex<Option<(String, Fault)>>>,
    /// The store's time, in ms relative to this machine's, if responses contain it.
    dated: Arc<Mutex<Option<i64>>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Creates a client that behaves like `client`, observed by the wire.
    pub fn tap(client: &Client) -> (Self, Client) {
        let script: Arc<FaultScript> = Arc::new(|_: &str, _| Fault::None);
        let wire = Self {
            calls: Arc::default(),
            total: Arc::default(),
            units: Arc::default(),
            script: Arc::new(Mutex::new(script)),
            marked: Arc::default(),
            dated: Arc::default(),
        };
        let carrier = wire.clone();
        (wire, tap(client, move |connector, request| carrier.carry(connector, request)))
    }

    /// Makes responses carry a `Date`, `ahead` ms after this machine's time.
    pub fn date(&self, ahead: i64) {
        *self.dated.lock().unwrap() = Some(ahead);
    }

    /// Applies `fault` to requests with `part` in their body, regardless of the script.
    pub fn fail_marked(&self, part: impl Into<String>, fault: Fault) {
        *self.marked.lock().unwrap() = Some((part.into(), fault));
    }

    /// Lets `script` decide the fate of each request from now on, by its operation and running number.
    pub fn fail(&self, script: impl Fn(&str, u64) -> Fault + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Loses all further requests.
    pub fn cut(&self) {
        self.fail(|_, _| Fault::LostBefore);
    }

    /// Returns the calls since the last time, by operation.
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Returns the cost of writes to buckets since the last call.
    pub fn units(&self) -> Units {
        std::mem::take(&mut *self.units.lock().unwrap())
    }

    /// Resets all counts.
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
            // The engine always requests it; writes by tests themselves do not count.
            None => body["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap_or(0.0),
        };
    }

    /// Returns the number of calls since the last time.
    pub fn count(&self) -> u64 {
        self.take().values().sum()
    }
}

fn broken() -> ConnectorError {
    ConnectorError::io("connection reset by the test".into())
}

fn connection_refused() -> ConnectorError {
    ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into())
}

fn refused(status: u16, code: &str) -> HttpResponse {
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"the test's",
        "CancellationReasons":[{{"Code":"None"}},{{"Code":"TransactionConflict"}}]}}"#
    );
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

fn hot_item() -> HttpResponse {
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message":"the test's","ThrottlingReasons":[{"reason":"TableWriteKeyRangeThroughputExceeded",
        "resource":"arn:aws:dynamodb:us-east-1:123456789012:table/limiter"}]}"#;
    HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::from(body))
}

/// A body that never yields anything.
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

impl Wire {
    fn carry(&self, connector: &SharedHttpConnector, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or("").to_owned();
        let operation = target.rsplit('.').next().unwrap_or("").to_owned();
        *self.calls.lock().unwrap().entry(operation.clone()).or_default() += 1;
        let number = self.total.fetch_add(1, Ordering::SeqCst);
        let script = Arc::clone(&self.script.lock().unwrap());
        let (connector, wire) = (connector.clone(), self.clone());
        let body = request.body().bytes().unwrap_or_default();
        let marked = self.marked.lock().unwrap().clone();
        let marked = marked.filter(|(part, _)| body.windows(part.len()).any(|seen| seen == part.as_bytes()));
        let marked = marked.map(|(_, fault)| fault);
        let is_bucket =
            matches!(operation.as_str(), "UpdateItem" | "PutItem") && body.windows(8).any(|part| part == b"/BUCKET#");
        HttpConnectorFuture::new(async move {
            let fault = marked.unwrap_or_else(|| script(&operation, number));
            match fault {
                Fault::LostBefore => return Err(broken()),
                Fault::Refused => return Err(connection_refused()),
                Fault::ThrottledLate(ms) => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    return Ok(refused(400, "ThrottlingException"));
                }
                Fault::Throttled => return Ok(refused(400, "ThrottlingException")),
                Fault::HotItem => return Ok(hot_item()),
                Fault::Conflict if operation == "TransactWriteItems" => {
                    return Ok(refused(400, "TransactionCanceledException"));
                }
                Fault::Conflict => return Ok(refused(400, "TransactionConflictException")),
                Fault::Unprocessed => return Ok(unprocessed(&request)),
                Fault::Denied => return Ok(refused(400, "AccessDeniedException")),
                Fault::Broken => return Ok(refused(503, "NeverHeardOf")),
                Fault::Twice => drop(connector.call(request.try_clone().expect("a body in memory")).await?),
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
            let mut answer = connector.call(request).await?;
            if let Some(ahead) = *wire.dated.lock().unwrap() {
                let now = DateTime::from_millis(SystemClock.now_ms() + ahead).fmt(Format::HttpDate).unwrap();
                answer.headers_mut().insert("date", now);
            }
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
