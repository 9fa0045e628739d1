//! Settlements that the store was too busy for, or that could not be sent: they stay in their lane, bounded in time and
//! number, and are retried.
//!
//! An abandoned refund is lost to its bucket until refill replaces it, and an abandoned charge makes a call free. Both
//! are therefore kept for minutes, even if nobody awaits them: the store usually recovers within that time. Their
//! number is bounded by summing up those that nobody awaits.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Lane,
    ask::{Ask, Pending, SettleFailure},
    drive, lock,
};
use crate::{
    bucket::{MILLI, refund},
    error::{RepositoryError, SettleOutlook},
    model::unsettled::Unsettled,
};

/// Time for which settlements that DynamoDB was too busy for are retried ...
const KEEP: Duration = Duration::from_secs(300);
/// ... and after the limiter's shutdown.
const KEEP_CLOSING: Duration = Duration::from_secs(30);
/// Time after which the waiter of such a settlement is notified that it is delayed.
const PATIENCE: Duration = Duration::from_secs(2);
/// Maximum number of settlements that one bucket keeps individually; further ones are summed up.
const MOST_KEPT: usize = 1_024;

impl Lane {
    /// Takes back asks and settlements that certainly were not written, for a write not before `next`. Settlements that
    /// were kept for too long are abandoned.
    ///
    /// The waiter of a settlement is notified after two seconds that it is delayed; the settlement stays queued.
    pub(super) fn put_back(&self, asks: Vec<Ask>, pending: Vec<Pending>, next: Instant, why: &Arc<RepositoryError>) {
        let now = Instant::now();
        let closing = self.shared.closing.since().map(|since| since + KEEP_CLOSING);
        let (mut kept, mut given_up) = (Vec::new(), Vec::new());
        for mut settlement in pending {
            if now >= closing.unwrap_or(settlement.booked_at + KEEP) {
                given_up.push(settlement);
                continue;
            }
            if now >= settlement.booked_at + PATIENCE {
                let outlook = SettleOutlook::Retried;
                settlement.tell(Err(SettleFailure { source: Arc::clone(why), outlook }));
            }
            kept.push(settlement);
        }
        self.hand_over(&given_up);
        drive::lose(given_up, why);
        let mut state = lock(&self.state);
        state.queue.put_back(asks, kept, next);
        let pending = state.queue.pending_mut();
        if pending.len() > MOST_KEPT {
            *pending = summed(std::mem::take(pending));
        }
    }
}

impl Lane {
    /// Hands over settlements that were not written and are abandoned.
    pub(super) fn hand_over(&self, given_up: &[Pending]) {
        let Some(take) = &self.shared.hand_over.0 else { return };
        let sums = refund::sums(given_up.iter().flat_map(|settlement| &settlement.amounts));
        let tokens: Vec<_> = sums.into_iter().map(|(name, amount)| (name, amount / MILLI)).collect();
        if !tokens.is_empty() {
            let (entity, resource) = (self.key.entity.clone(), self.key.resource.clone());
            take(Unsettled { entity, resource, tokens });
        }
    }
}

/// Adds a settlement to one of `sums`. Returns it if it matches none.
fn add_to(sums: &mut [Pending], mut settlement: Pending) -> Option<Pending> {
    for sum in sums {
        settlement = sum.absorb(settlement)?;
    }
    Some(settlement)
}

/// Sums up settlements that nobody awaits, one sum per creation of the bucket.
fn summed(pending: Vec<Pending>) -> Vec<Pending> {
    let mut sums: Vec<Pending> = Vec::new();
    for settlement in pending {
        let alone = add_to(&mut sums, settlement);
        sums.extend(alone);
    }
    sums
}
