//! The asks that reach a bucket, its answers, and the settlements that are booked in it.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use crate::{
    bucket::{Amounts, image::Image, incarnation::Incarnation, refund::Settled},
    engine::{
        lane::{hold::Hold, queue::Waiting, target::Target},
        telemetry::Refuser,
    },
    error::{RepositoryError, UnavailableReason},
    model::{reserve::Exactness, status::LimitStatus},
};

/// One acquire's wish at one bucket.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) level: Arc<Target>,
    /// Aligned with the level's limits, in mt.
    pub(crate) amounts: Amounts,
    pub(crate) exactness: Exactness,
    /// Shards the bucket is known to have.
    pub(crate) shards: u32,
    /// Shard 0 as last seen, for creating another one.
    pub(crate) first_shard: Option<Arc<Image>>,
    pub(crate) deadline: Instant,
    pub(crate) asked_at: Instant,
    pub(crate) reply: oneshot::Sender<AskOutcome>,
}

impl Waiting for Ask {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn goes_with(&self, other: &Self) -> bool {
        let (terms, others) = (self.level.terms(), other.level.terms());
        Arc::ptr_eq(terms, others) || terms.same(others)
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
    /// It could not be asked.
    Failed(Failure),
}

/// A bucket's no.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) statuses: Vec<LimitStatus>,
    /// True if some amount is larger than this bucket (or its shard) can ever hold.
    pub(crate) never: bool,
    pub(crate) by: Refuser,
}

/// Why a bucket could not be asked. Cloneable, because one write answers many.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Unavailable(UnavailableReason, Option<Arc<RepositoryError>>),
    /// An error that no policy may turn into a grant.
    Hard(Arc<RepositoryError>),
}

/// A settlement on its way to a bucket.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) amounts: Vec<Settled>,
    /// The creation of the bucket that it belongs to.
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) booked_at: Instant,
    /// Told when it is stored; `None` when nobody asks.
    done: Option<oneshot::Sender<Result<(), Arc<RepositoryError>>>>,
}

impl Pending {
    pub(crate) fn new(
        amounts: Vec<Settled>,
        incarnation: Option<Incarnation>,
        done: Option<oneshot::Sender<Result<(), Arc<RepositoryError>>>>,
    ) -> Self {
        Self { amounts, incarnation, booked_at: Instant::now(), done }
    }

    pub(crate) fn finish(self, result: Result<(), Arc<RepositoryError>>) {
        if let Some(done) = self.done {
            let _ = done.send(result);
        }
    }
}
