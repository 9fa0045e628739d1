//! A limiter on a table of its own in memory, at a standstill in time, and services to put behind it.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses another part")]

use std::{
    cell::RefCell,
    collections::VecDeque,
    convert::Infallible,
    io::Write,
    pin::Pin,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tracing_subscriber::{Layer, filter::dynamic_filter_fn, fmt, layer::SubscriberExt};
use zae_limiter::{EmbeddedStore, EntityId, Limit, Limits, ManualClock, RateLimiter, Repository, ResourceName};
use zae_tower::settle::{End, SettleRule, Verdict};

/// 2026-01-01T00:00:00Z in epoch ms.
pub const START: i64 = 1_767_225_600_000;
/// Long enough that a busy test machine is never mistaken for a dead store.
const DEADLINE: Duration = Duration::from_secs(10);

pub async fn repository() -> Repository {
    let store = EmbeddedStore::memory().unwrap();
    let builder = Repository::builder().client(store.client()).clock(Arc::new(ManualClock::at(START))).create_table();
    builder.build().await.unwrap()
}

/// A way to cut a limiter off from its store.
#[derive(Clone, Debug)]
pub struct Wire {
    inner: SharedHttpClient,
    cut: Arc<AtomicBool>,
}

impl Wire {
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(Tap { connector, cut: Arc::clone(&self.cut) })
    }
}

#[derive(Debug)]
struct Tap {
    connector: SharedHttpConnector,
    cut: Arc<AtomicBool>,
}

impl HttpConnector for Tap {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.cut.load(Ordering::SeqCst) {
            return HttpConnectorFuture::ready(Err(ConnectorError::io("cut by the test".into())));
        }
        self.connector.call(request)
    }
}

/// As [`limiter`], and the wire to its store.
pub async fn limiter_on_a_wire(limits: impl IntoIterator<Item = Limit>) -> (RateLimiter, Wire) {
    let client = EmbeddedStore::memory().unwrap().client();
    let wire = Wire { inner: client.config().http_client().unwrap(), cut: Arc::default() };
    let client = Client::from_conf(client.config().to_builder().http_client(wire.clone()).build());
    let builder = Repository::builder().client(client).clock(Arc::new(ManualClock::at(START))).create_table();
    let repository = builder.build().await.unwrap();
    repository.set_system_defaults(&Limits::new(limits).unwrap()).await.unwrap();
    (RateLimiter::builder(repository).deadline(DEADLINE).build(), wire)
}

/// A limiter for which `limits` are the system's defaults.
pub async fn limiter(limits: impl IntoIterator<Item = Limit>) -> RateLimiter {
    let repository = repository().await;
    repository.set_system_defaults(&Limits::new(limits).unwrap()).await.unwrap();
    RateLimiter::builder(repository).deadline(DEADLINE).build()
}

pub fn rpm(rate: u64) -> Limit {
    Limit::per_minute("rpm", rate).unwrap()
}

pub fn tpm(rate: u64) -> Limit {
    Limit::per_minute("tpm", rate).unwrap()
}

/// Returns the tokens left of `limit` once everything is settled; afterwards the limiter takes no more.
pub async fn left(limiter: &RateLimiter, entity: &str, limit: &str) -> i64 {
    left_of(limiter, entity, "default", limit).await
}

pub async fn left_of(limiter: &RateLimiter, entity: &str, resource: &str, limit: &str) -> i64 {
    limiter.shutdown().await;
    let (entity, resource) = (EntityId::new(entity).unwrap(), ResourceName::new(resource).unwrap());
    limiter.available(&entity, &resource).await.unwrap()[limit]
}

pub type Text = Full<Bytes>;

pub fn get() -> Request<Text> {
    Request::new(Text::default())
}

/// A request from whom an earlier layer knows.
pub fn from(entity: &str) -> Request<Text> {
    let mut request = get();
    request.extensions_mut().insert(EntityId::new(entity).unwrap());
    request
}

pub async fn hello(_: Request<Text>) -> Result<Response<Text>, Infallible> {
    Ok(Response::new(Text::from("hello")))
}

pub async fn read<B: Body>(body: B) -> Bytes
where
    B::Error: std::fmt::Debug,
{
    body.collect().await.unwrap().to_bytes()
}

/// A body of prepared frames that knows its end in advance, or not.
#[derive(Debug, Default)]
pub struct Script {
    pub frames: VecDeque<Result<Frame<Bytes>, std::io::Error>>,
    pub announces_end: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.announces_end && self.frames.is_empty()
    }
}

/// The standard rule, written down.
#[derive(Clone, Debug, Default)]
pub struct Ends(Arc<Mutex<Vec<End>>>);

impl Ends {
    pub fn take(&self) -> Vec<End> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl SettleRule for Ends {
    fn on_end(&self, end: End, planned: Verdict, lease: &zae_tower::Lease) -> Verdict {
        self.0.lock().unwrap().push(end);
        zae_tower::settle::Standard.on_end(end, planned, lease)
    }
}

/// Captures the log of this thread while the guard lives.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static CURRENT: RefCell<Option<Log>> = const { RefCell::new(None) };
}

#[derive(Debug)]
pub struct LogGuard;

impl Drop for LogGuard {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl Log {
    pub fn start() -> (Self, LogGuard) {
        // One subscriber for all threads: those of single threads miss what another thread came across first.
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let writer = || CURRENT.with_borrow(|log| log.clone().unwrap_or_default());
            let is_captured = dynamic_filter_fn(|_, _| CURRENT.with_borrow(Option::is_some));
            let lines = fmt::layer().with_ansi(false).with_writer(writer).with_filter(is_captured);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines)).unwrap();
        });
        let log = Self::default();
        CURRENT.set(Some(log.clone()));
        (log, LogGuard)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
