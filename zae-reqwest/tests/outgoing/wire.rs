//! A wire between a limiter and its store that can fail, and that counts calls about pauses.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use zae_testkit::tap;

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
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    line: Mutex<Line>,
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Wire {
    /// A client that behaves like `client`, and its wire.
    pub(crate) fn tap(client: &Client) -> (Self, Client) {
        let line = Mutex::new(Line::Up);
        let wire = Self { state: Arc::new(State { line, reads: AtomicU64::new(0), writes: AtomicU64::new(0) }) };
        let state = Arc::clone(&wire.state);
        (wire, tap(client, move |connector, request| state.carry(connector, request)))
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

impl State {
    fn carry(&self, connector: &SharedHttpConnector, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let on_pauses = body.contains("z_pause#");
        let is_read = request.headers().get("x-amz-target").is_some_and(|target| target.ends_with(".GetItem"));
        if on_pauses {
            let counter = if is_read { &self.reads } else { &self.writes };
            counter.fetch_add(1, Ordering::SeqCst);
        }
        match *self.line.lock().unwrap() {
            Line::Up => connector.call(request),
            Line::SilentOnPauses if !on_pauses => connector.call(request),
            Line::Cut => HttpConnectorFuture::ready(Err(ConnectorError::io("cut by the test".into()))),
            Line::Silent | Line::SilentOnPauses => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}
