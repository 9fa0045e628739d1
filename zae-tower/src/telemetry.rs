//! Events and metrics; the crate's documentation has the table.
//!
//! Everything that a client can cause at will is logged at `DEBUG` or at most once a minute, so that an attack does not
//! flood the log. Entities appear in events and never in metrics, where each would be a series of its own.
//!
//! | metric | labels | counts |
//! |---|---|---|
//! | `zae_http_decisions_total` | `outcome`, `reason` | every decision |
//! | `zae_http_decision_seconds` | | the time of those that had to be waited for |
//! | `zae_http_settlements_total` | `end`, `verdict` | every lease that was settled |
//!
//! The common case of each metric has literal labels: with values from variables, the recorder's key would be built for
//! every request.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use zae_limiter::LeaseOrigin;

use crate::{
    decision::{Decision, Outcome},
    guard::Settled,
    refusal::{Refusal, RefusalKind},
    settle::End,
};

/// Minimum time between repetitions of a message that every request could trigger.
const REPEAT: Duration = Duration::from_secs(60);

/// Messages that every request could trigger, logged at most once a minute.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// True once the shared entity was logged.
    anonymous: Mutex<bool>,
    /// Time at which a configuration error was last logged.
    misconfigured: Mutex<Option<Instant>>,
    /// Time at which an outage was last logged.
    unavailable: Mutex<Option<Instant>>,
}

/// Returns true once a minute.
fn due(last: &Mutex<Option<Instant>>) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| last.elapsed() >= REPEAT);
    if due {
        *last = Some(Instant::now());
    }
    due
}

impl Notices {
    /// Logs the use of the shared entity, once per layer.
    pub(crate) fn anonymous(&self) {
        let mut told = self.anonymous.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(
                "requests without identity share one entity, `anonymous`: let the server provide the peer's address \
                 (`PeerIp`), choose an extractor with `.entity(..)`, or refuse such requests with `.require_entity()`"
            );
        }
    }

    /// Logs refusals that concern the operator.
    fn refused(&self, refusal: &Refusal) {
        match refusal.answer() {
            RefusalKind::Misconfigured if due(&self.misconfigured) => {
                tracing::error!(error = %refusal, "the limiter cannot decide; requests are answered with 500");
            }
            RefusalKind::Unavailable if due(&self.unavailable) => {
                tracing::warn!(error = %refusal, "the limiter's store is away; requests are answered with 503");
            }
            _ => {}
        }
    }

    /// Records a decision; `took` is the time that it was awaited, if it was.
    pub(crate) fn decided(&self, decision: &Decision, took: Option<Duration>) {
        let (outcome, refusal) = match decision.outcome() {
            Outcome::Admitted(LeaseOrigin::Blind) => ("blind", None),
            Outcome::Admitted(LeaseOrigin::Local) => ("local", None),
            Outcome::Admitted(_) => ("admitted", None),
            Outcome::Skipped => ("skipped", None),
            Outcome::Refused(refusal) => ("refused", Some(refusal)),
            Outcome::WouldRefuse(refusal) => ("would_refuse", Some(refusal)),
        };
        let reason = refusal.map_or("none", |refusal| refusal.answer().as_str());
        match outcome {
            // The most frequent case: literals, so that no key is built.
            "admitted" => {
                metrics::counter!("zae_http_decisions_total", "outcome" => "admitted", "reason" => "none").increment(1);
            }
            _ => {
                metrics::counter!("zae_http_decisions_total", "outcome" => outcome, "reason" => reason).increment(1);
            }
        }
        if let Some(took) = took {
            metrics::histogram!("zae_http_decision_seconds").record(took.as_secs_f64());
        }
        let entity = decision.entity().map(tracing::field::display);
        let resource = decision.resource().map(tracing::field::display);
        match refusal {
            None if matches!(outcome, "blind" | "local") && due(&self.unavailable) => {
                tracing::warn!(outcome, "the limiter's store is away; requests are granted without it");
            }
            None => tracing::trace!(outcome, entity, resource, "request decided"),
            Some(refusal) => {
                self.refused(refusal);
                tracing::debug!(outcome, reason, entity, resource, error = %refusal, "request decided");
            }
        }
    }
}

/// Records a settlement.
pub(crate) fn settled(end: End, settled: Settled) {
    let verdict = match settled {
        Settled::Kept => "keep",
        Settled::Refunded => "refund",
        Settled::Refused => "refused",
        Settled::Already => "by_handler",
    };
    match (end, settled) {
        // See above.
        (End::Complete, Settled::Kept) => {
            metrics::counter!("zae_http_settlements_total", "end" => "complete", "verdict" => "keep").increment(1);
        }
        _ => {
            metrics::counter!("zae_http_settlements_total", "end" => end.as_str(), "verdict" => verdict).increment(1);
        }
    }
    tracing::trace!(end = end.as_str(), verdict, "request settled");
}
