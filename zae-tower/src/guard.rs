//! The one place where the lease of a request or a call is settled: [`SettleGuard`].
//!
//! Handlers, bodies and adapters all hold a lease at some time, and each of them can vanish. The guard is the last
//! owner: it consults the [`SettleRule`] once, commits or rolls back, and records the outcome. Settling never blocks
//! and never fails the request; a failed write is reported in the limiter's log and metrics.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio_util::task::task_tracker::TaskTrackerToken;
use zae_limiter::REQUEST_LIMIT_NAMES;

use crate::{
    decision::LeaseHandle,
    llm::Meter,
    settle::{End, ResponseHead, SettleRule, Verdict},
};

/// Settles a lease exactly once: when it learns of the request's end, or as dropped when it is dropped itself. Without
/// a lease it does nothing.
///
/// ```
/// use std::sync::Arc;
/// use zae_tower::{Lease, adapter::SettleGuard, settle::{End, ResponseHead, Standard}};
///
/// fn serve(lease: Lease, response: &http::Response<()>, body: &[u8]) {
///     let report = |end: End, settled| println!("{}: {settled:?}", end.as_str());
///     let mut guard = SettleGuard::new(lease.into(), Arc::new(Standard), report);
///     guard.plan(&ResponseHead::from(response)); // the rule looks at the head
///     guard.see(body); // and a meter, if there is one, at the body
///     guard.finish(End::Complete);
/// }
/// ```
pub struct SettleGuard {
    open: Option<Open>,
}

struct Open {
    lease: LeaseHandle,
    rule: Arc<dyn SettleRule>,
    report: fn(End, Settled),
    planned: Verdict,
    /// Keeps the request among the layer's open requests.
    open: Option<TaskTrackerToken>,
    meter: Option<Box<Meter>>,
    use_of_tokens: TokenUse,
}

/// The tokens that a call used, as far as the response's head tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenUse {
    /// To be read from the body; otherwise the estimate stands.
    Some,
    /// None: the provider did not run the call.
    None,
}

/// The way in which a lease was settled, for metrics and logs. See [`SettleGuard`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Settled {
    /// The charge stays, adjustments included.
    Kept,
    /// All of it was given back.
    Refunded,
    /// It was charged as a request that used nothing, since the provider refused it.
    Refused,
    /// A handler or caller had already settled it.
    Already,
}

impl SettleGuard {
    /// Settles `lease` by `rule`, and passes the result to `report`.
    pub fn new(lease: LeaseHandle, rule: Arc<dyn SettleRule>, report: fn(End, Settled)) -> Self {
        Self {
            open: Some(Open {
                lease,
                rule,
                report,
                planned: Verdict::Keep,
                open: None,
                meter: None,
                use_of_tokens: TokenUse::Some,
            }),
        }
    }

    /// Holds `token` until the settlement is queued.
    #[must_use]
    pub(crate) fn counted(mut self, token: TaskTrackerToken) -> Self {
        if let Some(open) = &mut self.open {
            open.open = Some(token);
        }
        self
    }

    /// Reads usage from the response by `meter`, and charges it.
    #[must_use]
    pub fn metered(mut self, meter: Option<Meter>) -> Self {
        if let Some(open) = &mut self.open {
            open.meter = meter.map(Box::new);
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

    /// Passes the response's head to the rule, which plans the settlement.
    pub fn plan(&mut self, response: &ResponseHead<'_>) {
        if let Some(open) = &mut self.open {
            open.planned = open.rule.on_response(response, &open.lease);
            if let Some(meter) = &mut open.meter {
                meter.start(response.status, response.headers);
            }
        }
    }

    /// Inspects the next bytes of the response's body for [usage](crate::llm).
    pub fn see(&mut self, bytes: &[u8]) {
        if let Some(Open { meter: Some(meter), .. }) = &mut self.open {
            meter.push(bytes);
        }
    }

    /// Inspects the next bytes as [`see`](Self::see) does, and returns those to pass on: all of them, but for a chunk
    /// of usage that the client did not ask for.
    pub fn pass(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.open {
            Some(Open { meter: Some(meter), .. }) => meter.pass(bytes),
            _ => bytes,
        }
    }

    /// Returns the bytes that [`pass`](Self::pass) has held back, at the end of the body.
    pub fn rest(&mut self) -> Bytes {
        match &mut self.open {
            Some(Open { meter: Some(meter), .. }) => meter.rest(),
            _ => Bytes::new(),
        }
    }

    /// Returns true if [`pass`](Self::pass) may return other bytes than it was given.
    pub fn is_filter(&self) -> bool {
        self.open.as_ref().and_then(|open| open.meter.as_ref()).is_some_and(|meter| meter.is_filter())
    }

    /// Returns true if the end of the body is to tell what the call costs.
    pub(crate) fn tells_cost(&self) -> bool {
        self.open.as_ref().and_then(|open| open.meter.as_ref()).is_some_and(|meter| meter.tells_cost())
    }

    /// Records that the request has ended; only the first call counts. The settlement is queued, never awaited.
    pub fn finish(&mut self, end: End) {
        self.finish_priced(end);
    }

    /// As [`finish`](Self::finish). Returns the cost of the call in micro-dollars, if it is known and kept.
    pub(crate) fn finish_priced(&mut self, end: End) -> Option<u64> {
        // The request counts as open until the settlement is queued.
        let open = self.open.take()?;
        let Open { lease, rule, report, planned, open: _until_here, meter, use_of_tokens } = open;
        if lease.is_settled() {
            report(end, Settled::Already);
            return None;
        }
        let mut cost = None;
        // Without a response there is no usage to read.
        if use_of_tokens == TokenUse::None {
            return_tokens(&lease);
        } else if let Some(meter) = meter
            && end != End::ServiceFailed
        {
            cost = meter.settle_priced(&lease, end).1;
        }
        let verdict = rule.on_end(end, planned, &lease);
        // Queued by the call; the result is not awaited here.
        drop(match verdict {
            Verdict::Keep => lease.commit(),
            Verdict::Refund => lease.roll_back(),
        });
        report(end, if verdict == Verdict::Refund { Settled::Refunded } else { Settled::Kept });
        cost.filter(|_| verdict == Verdict::Keep)
    }

    /// Records that the provider did not run the call, which therefore used no tokens. The rule decides about the rest
    /// at the end.
    pub fn unused(&mut self) {
        if let Some(open) = &mut self.open {
            open.use_of_tokens = TokenUse::None;
        }
    }

    /// Records that the provider refused the call: it counts as a request and used no tokens, whatever the rule
    /// decides.
    pub fn refuse(&mut self) {
        let Some(Open { lease, report, open: _until_here, .. }) = self.open.take() else { return };
        return_tokens(&lease);
        drop(lease.commit());
        report(End::Complete, Settled::Refused);
    }
}

/// Reduces `lease` to a request that used no tokens.
fn return_tokens(lease: &LeaseHandle) {
    for (name, taken) in lease.consumed() {
        if !REQUEST_LIMIT_NAMES.contains(&name.as_str()) {
            // Fails only if the caller has already settled the lease.
            let _ = lease.adjust(&name, -taken);
        }
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
