//! The asks that reach a bucket, its answers, and the settlements that are booked in it.
//!
//! An ask owns the sending half of a channel, and its caller the receiving half. That is all that ties them together. A
//! caller that goes away closes the channel: an ask that has not been written yet is dropped from the queue
//! ([`Waiting::is_wanted`]), and a grant that finds the channel closed comes back to the sender as a value, is dropped,
//! and so refunds.
//!
//! Failures are cloneable, because one write answers up to 1024 asks with the same error. Settlements are not: each is
//! told once.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use crate::{
    bucket::{
        Amounts,
        image::Image,
        incarnation::Incarnation,
        refund::{Mark, Settled},
    },
    engine::{
        lane::{hold::Hold, queue::Waiting, target::Target},
        telemetry::Refuser,
    },
    error::{RepositoryError, SettleOutlook, UnavailableReason},
    model::{reserve::Exactness, status::LimitStatus},
};

/// One acquire's wish at one bucket.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The bucket with the limits that apply.
    pub(crate) target: Arc<Target>,
    /// Aligned with the target's limits, in mt.
    pub(crate) amounts: Amounts,
    /// Tells if the reserve may answer.
    pub(crate) exactness: Exactness,
    /// Shards the bucket is known to have.
    pub(crate) shards: u32,
    /// Shard 0 as last seen, for creating another one.
    pub(crate) first_shard: Option<Arc<Image>>,
    /// The instant from which nobody waits any more.
    pub(crate) deadline: Instant,
    /// When it joined, for the metric of waiting.
    pub(crate) asked_at: Instant,
    /// The caller's channel.
    pub(crate) reply: oneshot::Sender<AskOutcome>,
}

impl Waiting for Ask {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn goes_with(&self, other: &Self) -> bool {
        let (limit_set, others) = (self.target.limit_set(), other.target.limit_set());
        Arc::ptr_eq(limit_set, others) || limit_set.same(others)
    }
}

/// The answer of a bucket.
#[derive(Debug)]
pub(crate) enum AskOutcome {
    /// The tokens.
    Granted(Hold),
    /// Each limit's status, at least one of them exceeded.
    Refused(Refusal),
    /// Its limits were changed while it was asked, and not to the ones it was asked with.
    Outdated,
    /// It is a further shard of a bucket that has fewer of them now.
    Moved,
    /// It could not be asked.
    Failed(Failure),
}

/// A bucket's no.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// All limits of the bucket, in their order.
    pub(crate) statuses: Vec<LimitStatus>,
    /// True if some amount is larger than this bucket (or its shard) can ever hold.
    pub(crate) never: bool,
    /// The source of the refusal, for a metric.
    pub(crate) by: Refuser,
}

/// Why a bucket could not be asked. Cloneable, because one write answers many.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The store could not be asked, for a reason that says something about its health, and with the error where there
    /// is one.
    Unavailable(UnavailableReason, Option<Arc<RepositoryError>>),
    /// An error that no policy may turn into a grant.
    Hard(Arc<RepositoryError>),
}

/// A settlement on its way to a bucket.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The difference by limit, in mt.
    pub(crate) amounts: Vec<Settled>,
    /// The creation of the bucket that it belongs to.
    pub(crate) incarnation: Option<Incarnation>,
    /// When it was booked: it is given up some minutes later.
    pub(crate) booked_at: Instant,
    /// Told when it is stored; `None` when nobody asks.
    done: Option<oneshot::Sender<SettleOutcome>>,
}

impl Pending {
    /// Describes a settlement that begins to wait now.
    pub(crate) fn new(
        amounts: Vec<Settled>,
        incarnation: Option<Incarnation>,
        done: Option<oneshot::Sender<SettleOutcome>>,
    ) -> Self {
        Self { amounts, incarnation, booked_at: Instant::now(), done }
    }

    /// Tells whoever waits, once.
    pub(crate) fn tell(&mut self, outcome: SettleOutcome) {
        if let Some(done) = self.done.take() {
            let _ = done.send(outcome);
        }
    }

    /// Adds another settlement of the same creation that nobody waits for. Returns it where it is none.
    pub(crate) fn absorb(&mut self, other: Self) -> Option<Self> {
        if self.done.is_some() || other.done.is_some() || self.incarnation != other.incarnation {
            return Some(other);
        }
        self.booked_at = self.booked_at.min(other.booked_at);
        for part in other.amounts {
            let debited = |settled: &Settled| settled.mark.as_ref().map(Mark::was_debited);
            let same = |known: &&mut Settled| known.name == part.name && debited(known) == debited(&part);
            match self.amounts.iter_mut().find(same) {
                // Of refunds and debts apart: a refund is worth what its mark says.
                Some(known) if (known.amount < 0) == (part.amount < 0) => known.absorb(&part),
                _ => self.amounts.push(part),
            }
        }
        None
    }
}

/// The end of a settlement, as far as it is known.
pub(crate) type SettleOutcome = Result<(), SettleFailure>;

/// Why a settlement is not stored.
#[derive(Clone, Debug)]
pub(crate) struct SettleFailure {
    /// The write's error.
    pub(crate) source: Arc<RepositoryError>,
    /// Lost, to be retried, or unknown.
    pub(crate) outlook: SettleOutlook,
}
