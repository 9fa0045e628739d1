//! The one place where an admitted request's lease is settled: [`SettleGuard`].
//!
//! Handlers, bodies and adapters all hold a lease at some time, and each of them can vanish. The guard is the last
//! owner: it asks the [`SettleRule`] once, commits or rolls back, and counts the end. Settling never blocks and never
//! fails the request; a failed write is in the limiter's log and metrics.

use std::{fmt, sync::Arc};

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    decision::LeaseHandle,
    llm::{Accounting, Meter},
    settle::{End, ResponseHead, SettleRule, Verdict},
    telemetry,
};

/// Settles a lease exactly once: when told how the request ended, or as dropped when it is dropped. Without a lease it
/// does nothing.
///
/// See [`ZaeLimit::pass`](crate::ZaeLimit::pass) for an example.
pub struct SettleGuard {
    open: Option<Open>,
}

struct Open {
    lease: LeaseHandle,
    rule: Arc<dyn SettleRule>,
    planned: Verdict,
    /// Counts among the layer's open requests.
    open: TaskTrackerToken,
    meter: Option<Box<Meter>>,
}

impl SettleGuard {
    pub(crate) fn new(lease: LeaseHandle, rule: Arc<dyn SettleRule>, open: TaskTrackerToken) -> Self {
        Self { open: Some(Open { lease, rule, planned: Verdict::Keep, open, meter: None }) }
    }

    pub(crate) fn metered(mut self, accounting: Option<&Accounting>) -> Self {
        if let (Some(open), Some(accounting)) = (&mut self.open, accounting) {
            open.meter = Some(Box::new(accounting.meter()));
        }
        self
    }

    pub(crate) fn nothing() -> Self {
        Self { open: None }
    }

    /// Returns the lease to settle.
    pub(crate) fn lease(&self) -> Option<&LeaseHandle> {
        self.open.as_ref().map(|open| &open.lease)
    }

    pub(crate) fn plan(&mut self, response: &ResponseHead<'_>) {
        if let Some(open) = &mut self.open {
            open.planned = open.rule.on_response(response, &open.lease);
            if let Some(meter) = &mut open.meter {
                meter.start(response.status, response.headers);
            }
        }
    }

    /// The next bytes of the response's body, for [usage](crate::llm) in them.
    pub fn see(&mut self, bytes: &[u8]) {
        if let Some(Open { meter: Some(meter), .. }) = &mut self.open {
            meter.push(bytes);
        }
    }

    /// The request ended so; only the first call counts. The settlement is queued, never waited for.
    pub fn finish(&mut self, end: End) {
        // Open until it is queued.
        let Some(Open { lease, rule, planned, open: _until_here, meter }) = self.open.take() else { return };
        if lease.is_settled() {
            return telemetry::settled(end, "by_handler");
        }
        if let Some(meter) = meter
            && end != End::ServiceFailed
        {
            meter.settle(&lease, end);
        }
        let verdict = rule.on_end(end, planned, &lease);
        // Queued by the call; nobody waits for it here.
        drop(match verdict {
            Verdict::Keep => lease.commit(),
            Verdict::Refund => lease.roll_back(),
        });
        telemetry::settled(end, verdict.as_str());
    }
}

impl Drop for SettleGuard {
    fn drop(&mut self) {
        self.finish(End::Dropped);
    }
}

impl fmt::Debug for SettleGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettleGuard").field("open", &self.open.is_some()).finish()
    }
}
