//! The one place where an admitted request's lease is settled: [`SettleGuard`].

use std::{fmt, sync::Arc};

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    decision::LeaseHandle,
    settle::{End, ResponseHead, SettleRule, Verdict},
    telemetry,
};

/// Settles a lease exactly once: when told how the request ended, or as dropped when it is dropped. Without a lease it
/// does nothing.
pub struct SettleGuard {
    open: Option<Open>,
}

struct Open {
    lease: LeaseHandle,
    rule: Arc<dyn SettleRule>,
    planned: Verdict,
    /// Counts among the layer's open requests.
    open: TaskTrackerToken,
}

impl SettleGuard {
    pub(crate) fn new(lease: LeaseHandle, rule: Arc<dyn SettleRule>, open: TaskTrackerToken) -> Self {
        Self { open: Some(Open { lease, rule, planned: Verdict::Keep, open }) }
    }

    pub(crate) fn nothing() -> Self {
        Self { open: None }
    }

    pub(crate) fn plan(&mut self, response: &ResponseHead<'_>) {
        if let Some(open) = &mut self.open {
            open.planned = open.rule.on_response(response, &open.lease);
        }
    }

    /// The request ended so; only the first call counts. The settlement is queued, never waited for.
    pub fn finish(&mut self, end: End) {
        // Open until it is queued.
        let Some(Open { lease, rule, planned, open: _until_here }) = self.open.take() else { return };
        if lease.is_settled() {
            return telemetry::settled(end, "by_handler");
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
