//! Prints CloudFormation's steps on the terminal.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use super::super::{
    CliError, Context,
    output::{Meter, Output, Stream, Tone},
};
use crate::stack::{StackEvent, Watch};

/// Prints each step once: the start of a resource, and its outcome.
pub(super) struct ShownEvents<'a> {
    cx: &'a Context,
    out: &'a Output,
    begun: Mutex<HashSet<(String, String)>>,
    meter: Meter,
}

impl<'a> ShownEvents<'a> {
    pub(super) fn new(cx: &'a Context, out: &'a Output) -> Self {
        Self { cx, out, begun: Mutex::default(), meter: Meter::new() }
    }
}

impl Watch for ShownEvents<'_> {
    fn event(&self, event: &StackEvent) {
        // CloudFormation reports the start twice: before and after the service has accepted it.
        let key = (event.logical_id.clone(), event.status.clone());
        if !self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            return;
        }
        let failed = event.status.contains("FAILED") || event.status.contains("ROLLBACK");
        let (symbol, tone) = match event.status.as_str() {
            _ if failed => ("✗", Tone::Bad),
            status if status.ends_with("_COMPLETE") => ("✓", Tone::Good),
            _ => ("·", Tone::Dim),
        };
        let symbol = self.cx.paint(Stream::Stdout, tone, symbol);
        let (status, id, kind) = (&event.status, &event.logical_id, &event.resource_type);
        let kind = self.cx.paint(Stream::Stdout, Tone::Dim, kind);
        let reason = event.reason.as_ref().filter(|_| failed).map(|reason| format!(": {reason}")).unwrap_or_default();
        self.out.progress(&format!("  {symbol} {status:<28} {id} {kind}{reason}"));
    }

    fn step(&self, text: &str) {
        self.out.progress(&format!("{text}..."));
    }

    fn warn(&self, text: &str) {
        self.cx.warn(text);
    }

    fn progress(&self, label: &str, percent: u8) {
        self.meter.tell(label, percent);
    }
}

/// Waits for `work` unless Ctrl-C comes first; `left` says what then goes on by itself.
pub(super) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, CliError>>,
    left: impl FnOnce() -> String,
) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        signal = tokio::signal::ctrl_c() => match signal {
            Ok(()) => Err(CliError::Interrupted(left())),
            Err(error) => Err(CliError::failed("listen for Ctrl-C", error)),
        },
    }
}
