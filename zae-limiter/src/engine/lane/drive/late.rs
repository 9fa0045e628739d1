//! Answers that come after their deadline: whoever asked was told that there was none, so what the write took goes
//! back, and what it certainly did not do is done again.
//!
//! A deadline ends the waiting, not the write. Dropping the call would make its outcome unknown for good, and "counts
//! as done" would cost the tokens. So the call goes on in a task, for five seconds, and most answers come within that
//! time: a slow store is more frequent than a dead one.
//!
//! | the late answer | tokens of the asks | settlements of the write |
//! |---|---|---|
//! | done | given back by dropping holds | are stored |
//! | lost, not applied, never sent | were not taken | booked again |
//! | failed otherwise, or no answer | count as taken; counted as under-admission | counted as lost |
//!
//! The image that comes late is remembered only if the lane has seen none since, or an old one would replace a newer.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    outcome,
    request::{Sending, WriteDraft},
};
use crate::{
    bucket::{
        Amounts,
        kind::AppliedLimit,
        limit_set::LimitSet,
        refund::{Baseline, Settled},
    },
    engine::{
        lane::{
            Lane,
            ask::Pending,
            drive::{outcome::deduplicated, round::balances},
            hold::{Hold, Tokens},
            target::Target,
        },
        runtime::deadlines::after,
        telemetry::{self, LateAnswer},
    },
    error::{RepositoryError, StoreError},
    store::bucket::{WriteOutcome, WriteReport},
};

/// Time for which a late answer is awaited, from its deadline on.
const LATE: Duration = Duration::from_secs(5);
/// The same, from the end of the limiter on.
const LATE_CLOSING: Duration = Duration::from_secs(1);

/// A write whose answer did not come in time.
pub(super) struct LateWrite {
    /// The call.
    pub(super) write: Sending,
    /// Everything that the answer is read with.
    pub(super) draft: WriteDraft,
    /// The limits that amounts are aligned with.
    pub(super) limit_set: Arc<LimitSet>,
    /// Those that it was to serve, and what each asked for.
    pub(super) served: Vec<(Arc<Target>, Amounts)>,
    /// The settlements that it carries. Nobody waits for them any more.
    pub(super) pending: Vec<Pending>,
}

/// Waits for the answer in a task of its own: the lane goes on meanwhile.
pub(super) fn follow(lane: &Arc<Lane>, late: LateWrite) {
    match lane.shared.home.handle() {
        Some(home) => drop(lane.shared.tasks.spawn_on(late.answered(Arc::clone(lane)), &home)),
        None => late.never(),
    }
}

impl LateWrite {
    /// Waits for the answer, and puts right what it says.
    async fn answered(mut self, lane: Arc<Lane>) {
        let until = after(Instant::now(), LATE);
        let closing = async {
            lane.shared.closing.begun().await;
            tokio::time::sleep(LATE_CLOSING).await;
        };
        let answer = tokio::select! {
            biased;
            answer = lane.shared.deadlines.until(until, self.write.as_mut()) => answer.ok(),
            () = closing => None,
        };
        let Some(WriteReport { outcome, .. }) = answer else { return self.never() };
        match deduplicated(outcome, self.draft.refund) {
            WriteOutcome::Done(image) => {
                telemetry::late(LateAnswer::Done);
                self.give_back(&lane, Arc::new(image));
            }
            WriteOutcome::Lost(_) | WriteOutcome::Moved | WriteOutcome::NotApplied(_) => {
                telemetry::late(LateAnswer::NotDone);
                self.pending.into_iter().for_each(|settlement| lane.book(settlement));
            }
            WriteOutcome::Failed(error) if error.was_never_sent() => {
                telemetry::late(LateAnswer::NotDone);
                self.pending.into_iter().for_each(|settlement| lane.book(settlement));
            }
            WriteOutcome::Failed(_) => self.never(),
        }
    }

    /// It was done after all, for nobody.
    fn give_back(self, lane: &Arc<Lane>, image: Arc<crate::bucket::image::Image>) {
        let Self { draft, limit_set, served, .. } = self;
        let balances = balances(&limit_set, &image, draft.now);
        let baseline = lane.observe(&limit_set, &image, &balances, draft.now);
        lane.refunded(&limit_set, &draft.adjust);
        let available: Amounts = balances.iter().map(|balance| balance.tokens).collect();
        for (target, taken) in served {
            let (available, baseline) = (available.clone(), Arc::clone(&baseline));
            // Dropped without a lease, it gives back what it holds.
            drop(Hold::new(target, Tokens { taken, available, baseline, expiry: None }));
        }
        let ahead = returned(&draft, &limit_set, &baseline);
        if !ahead.is_empty() {
            lane.book(Pending::new(ahead, image.incarnation.clone(), None));
        }
        lane.remember_instead_of(draft.before.as_ref(), image);
    }

    /// Nobody will know.
    fn never(self) {
        telemetry::late(LateAnswer::Never);
        outcome::unknown(&self.limit_set, &self.draft, |index| {
            let served = self.draft.served.iter().position(|known| *known == index)?;
            self.served.get(served).map(|(_, amounts)| amounts)
        });
        let error = StoreError::timed_out("UpdateItem", self.draft.sent_at.monotonic.elapsed());
        outcome::lose(self.pending, &Arc::new(RepositoryError::from(error)));
    }
}

/// The refunds of what was debited ahead.
fn returned(draft: &WriteDraft, limit_set: &LimitSet, baseline: &Baseline) -> Vec<Settled> {
    let ahead = limit_set.applied.iter().zip(&draft.ahead).enumerate().filter(|(_, (_, amount))| **amount > 0);
    let refund = |(index, (limit, amount)): (usize, (&AppliedLimit, &i64))| Settled {
        name: limit.name.clone(),
        amount: -amount,
        mark: baseline.mark(index, &limit.kind),
    };
    ahead.map(refund).collect()
}
