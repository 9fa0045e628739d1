//! A wire between a limiter and its store that can fail, and on which calls about pauses are counted.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};

/// The treatment of calls on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// They are answered.
    Up,
    /// They fail at once.
    Cut,
    /// They are never answered.
    Silent,
    /// Those about pauses are never answered.
    SilentOnPauses,
}

#[derive(Clone, Debug)]
pub(crate) struct Wire {
    inner: SharedHttpClient,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    line: Mutex<Line>,
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Wire {
    pub(crate) fn new(inner: SharedHttpClient) -> Self {
        let line = Mutex::new(Line::Up);
        Self { inner, state: Arc::new(State { line, reads: AtomicU64::new(0), writes: AtomicU64::new(0) }) }
    }

    pub(crate) fn set(&self, line: Line) {
        *self.state.line.lock().unwrap() = line;
    }

    /// Returns the number of reads of pauses so far.
    pub(crate) fn reads(&self) -> u64 {
        self.state.reads.load(Ordering::SeqCst)
    }

    /// Returns the number of writes of pauses so far.
    pub(crate) fn writes(&self) -> u64 {
        self.state.writes.load(Ordering::SeqCst)
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(Tap { connector, state: Arc::clone(&self.state) })
    }
}

#[derive(Debug)]
struct Tap {
    connector: SharedHttpConnector,
    state: Arc<State>,
}

impl HttpConnector for Tap {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let on_pauses = body.contains("z_pause#");
        let is_read = request.headers().get("x-amz-target").is_some_and(|target| target.ends_with(".GetItem"));
        if on_pauses {
            let counter = if is_read { &self.state.reads } else { &self.state.writes };
            counter.fetch_add(1, Ordering::SeqCst);
        }
        match *self.state.line.lock().unwrap() {
            Line::Up => self.connector.call(request),
            Line::SilentOnPauses if !on_pauses => self.connector.call(request),
            Line::Cut => HttpConnectorFuture::ready(Err(ConnectorError::io("cut by the test".into()))),
            Line::Silent | Line::SilentOnPauses => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}
