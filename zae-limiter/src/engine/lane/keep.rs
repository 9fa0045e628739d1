//! Settlements that the store was too busy for, or that could not be sent: they stay in their lane, bounded in time and
//! number, and are tried again.
//!
//! A refund that is given up is lost to its bucket until refill replaces it, and a charge that is given up is a call
//! for free. So both are kept for minutes, though nobody waits: the store is usually back by then. What waits is
//! bounded in number by summing up, which only those settlements allow that nobody is to be told of.

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

/// Time for which settlements that DynamoDB was too busy for are tried again ...
const KEEP: Duration = Duration::from_secs(300);
/// ... and at the end of the limiter.
const KEEP_CLOSING: Duration = Duration::from_secs(30);
/// Time after which whoever waits for such a settlement is told that it takes longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Settlements that one bucket keeps one by one; beyond, they are summed up.
const MOST_KEPT: usize = 1_024;

impl Lane {
    /// Takes back asks and settlements that certainly were not written, for a write not before `next`. Settlements that
    /// were kept for too long are given up.
    ///
    /// A settlement that is waited for is told after two seconds that it takes longer, and goes on.
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
    /// Hands over what was not written and is given up.
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

/// Adds a settlement to one of `sums`. Returns it where it goes with none.
fn add_to(sums: &mut [Pending], mut settlement: Pending) -> Option<Pending> {
    for sum in sums {
        settlement = sum.absorb(settlement)?;
    }
    Some(settlement)
}

/// Sums up settlements that nobody waits for, one for each creation of the bucket.
fn summed(pending: Vec<Pending>) -> Vec<Pending> {
    let mut sums: Vec<Pending> = Vec::new();
    for settlement in pending {
        let alone = add_to(&mut sums, settlement);
        sums.extend(alone);
    }
    sums
}
