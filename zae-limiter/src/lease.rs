//! Tokens that were taken and are still open: [`Lease`].

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::time::Instant;

use crate::{
    bucket::MILLI,
    engine::{
        acquire::{self, Denied, Level},
        hold::{Booked, Hold},
        lane::Lane,
    },
    error::{AcquireError, LeaseError, SettleError, Unavailable},
    limiter::RateLimiter,
    model::{
        cost::Cost,
        name::{EntityId, LimitName, ResourceName},
        status::LimitStatus,
    },
};

/// How a lease came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseOrigin {
    /// Tokens were taken from the table.
    Stored,
    /// Granted without asking, because the store was away ([`OnUnavailable::Allow`](crate::OnUnavailable::Allow)).
    Blind,
    /// Granted from this process's own share, because the store was away
    /// ([`OnUnavailable::Local`](crate::OnUnavailable::Local)).
    Local,
}

/// Tokens that were taken from an entity's buckets (and its parent's), and are still open.
///
/// End it with [`commit`](Lease::commit), which keeps what was consumed and writes adjustments, or with
/// [`roll_back`](Lease::roll_back), which gives everything back. A lease that is dropped without either is rolled back:
/// work that failed or was cancelled costs nothing.
///
/// All methods take `&self`, so a lease can be shared in an `Arc`; nothing blocks.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Cost, Limit, Limits, RateLimiter, Repository};
/// let repository = Repository::embedded().await?;
/// let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
/// repository.set_system_defaults(&limits, None, None).await?;
///
/// let limiter = RateLimiter::new(repository);
/// let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1).and("tpm", 500)).await?;
/// let used = 730; // what the model reports
/// lease.adjust("tpm", used - 500)?;
/// lease.commit().await?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[must_use = "a lease that is dropped without `commit` gives its tokens back"]
#[derive(Debug)]
pub struct Lease {
    limiter: RateLimiter,
    entity: EntityId,
    parent: Option<EntityId>,
    resource: ResourceName,
    origin: LeaseOrigin,
    levels: Vec<Level>,
    statuses: Vec<LimitStatus>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open { holds: Vec<Hold>, blind: Vec<(LimitName, i64)>, deltas: Vec<(LimitName, i64)> },
    Settled { consumed: BTreeMap<LimitName, i64> },
}

/// What a lease is made of.
pub(crate) struct Grant {
    pub(crate) limiter: RateLimiter,
    pub(crate) entity: EntityId,
    pub(crate) resource: ResourceName,
    pub(crate) origin: LeaseOrigin,
    /// Child before parent; as many as `holds` when the tokens came from the table.
    pub(crate) levels: Vec<Level>,
    pub(crate) holds: Vec<Hold>,
    /// What was granted without a bucket, in whole tokens.
    pub(crate) blind: Vec<(LimitName, u64)>,
}

impl Lease {
    pub(crate) fn new(grant: Grant) -> Self {
        let Grant { limiter, entity, resource, origin, levels, holds, blind } = grant;
        let statuses = holds.iter().flat_map(|hold| hold.statuses().iter().cloned()).collect();
        let blind = blind.into_iter().map(|(name, tokens)| (name, i64::try_from(tokens).unwrap_or(i64::MAX)));
        let state = State::Open { holds, blind: blind.collect(), deltas: Vec::new() };
        let parent = levels.get(1).map(|level| level.entity().clone());
        Self { limiter, entity, parent, resource, origin, levels, statuses, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who was charged.
    pub fn entity(&self) -> &EntityId {
        &self.entity
    }

    /// Who was charged too, when the entity cascades.
    pub fn parent(&self) -> Option<&EntityId> {
        self.parent.as_ref()
    }

    /// What it was charged for.
    pub fn resource(&self) -> &ResourceName {
        &self.resource
    }

    /// Whether the table was asked.
    pub fn origin(&self) -> LeaseOrigin {
        self.origin
    }

    /// Every limit's status right after the grant, the entity's before its parent's; empty for a blind lease.
    pub fn statuses(&self) -> &[LimitStatus] {
        &self.statuses
    }

    /// Whole tokens per limit that the lease stands for, adjustments included; each level is counted once.
    pub fn consumed(&self) -> BTreeMap<LimitName, i64> {
        match &*self.lock() {
            State::Open { holds, blind, deltas } => consumed(holds, blind, deltas),
            State::Settled { consumed } => consumed.clone(),
        }
    }

    /// Takes more, under the same conditions as the acquire: from the entity and its parent, or from none.
    ///
    /// Units: whole tokens. Cancel-safe: dropped before it is done, it takes nothing.
    ///
    /// # Errors
    /// As [`RateLimiter::acquire_with`]; the lease is unchanged then. [`AcquireError::Invalid`] on a settled lease.
    pub async fn consume(&self, cost: Cost) -> Result<(), AcquireError> {
        let Some(first) = self.levels.first() else {
            cost.check()?;
            return Ok(());
        };
        let cost = cost.resolve(first.limits())?;
        let lanes: Option<Vec<Arc<Lane>>> = match &*self.lock() {
            State::Open { holds, .. } => Some(holds.iter().map(|hold| Arc::clone(hold.lane())).collect()),
            State::Settled { .. } => None,
        };
        let lanes = lanes.ok_or_else(settled)?;
        let asks = self.levels.iter().zip(lanes).map(|(level, lane)| (lane, level.terms(), level.amounts(&cost)));
        let asks = asks.filter(|(_, _, amounts)| amounts.iter().any(|amount| *amount > 0)).collect();
        let deadline = self.limiter.deadline();
        let taken =
            tokio::time::timeout_at(Instant::now() + deadline, acquire::take_more(asks, Instant::now() + deadline));
        let more = match taken.await {
            Ok(Ok(more)) => more,
            Ok(Err(Denied::Error(error))) => return Err(error),
            Ok(Err(Denied::Outage(reason, source))) => return Err(self.unavailable(reason, source)),
            Err(_) => return Err(self.unavailable(crate::UnavailableReason::DeadlineExceeded, None)),
        };
        match &mut *self.lock() {
            State::Open { holds, .. } => {
                for hold in more {
                    if let Some(held) = holds.iter_mut().find(|held| Arc::ptr_eq(held.lane(), hold.lane())) {
                        held.absorb(hold);
                    }
                }
                Ok(())
            }
            // Settled while we asked: the new holds are dropped, and so give back what they took.
            State::Settled { .. } => Err(settled()),
        }
    }

    fn unavailable(
        &self,
        reason: crate::UnavailableReason,
        source: Option<Arc<crate::RepositoryError>>,
    ) -> AcquireError {
        let error = Unavailable::new(reason, self.entity.clone(), self.resource.clone());
        match source {
            Some(source) => error.with_source(source).into(),
            None => error.into(),
        }
    }

    /// Notes that `delta` whole tokens more (or, negative, fewer) were consumed from `limit` than was taken. Never refused
    /// for capacity: the work is done, and a balance may go into debt. Written by [`commit`](Lease::commit); a lease never
    /// gives back more than it took.
    ///
    /// # Errors
    /// [`LeaseError::Settled`] after commit or roll back, [`LeaseError::UnknownLimit`] for a name that does not apply.
    pub fn adjust(&self, limit: impl AsRef<str>, delta: i64) -> Result<(), LeaseError> {
        let State::Open { holds, blind, deltas } = &mut *self.lock() else { return Err(LeaseError::Settled) };
        let limit = limit.as_ref();
        let known = || holds.iter().flat_map(Hold::taken).chain(blind.iter()).map(|(name, _)| name);
        let Some(name) = known().find(|name| name.as_str() == limit).cloned() else {
            let mut names: Vec<&str> = known().map(LimitName::as_str).collect();
            names.dedup();
            return Err(LeaseError::UnknownLimit { name: limit.chars().take(64).collect(), known: names.join(", ") });
        };
        match deltas.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(delta),
            None => deltas.push((name, delta)),
        }
        Ok(())
    }

    /// Notes that `tokens` whole tokens fewer were consumed from `limit` than was taken: `adjust` by the negative.
    ///
    /// # Errors
    /// As [`adjust`](Lease::adjust).
    pub fn release(&self, limit: impl AsRef<str>, tokens: u64) -> Result<(), LeaseError> {
        self.adjust(limit, i64::try_from(tokens).map_or(i64::MIN + 1, |tokens| -tokens))
    }

    /// Keeps what was consumed and writes the adjustments, if there are any. Queued at the call: awaiting only waits until
    /// it is stored, and dropping the [`Settlement`] lets it go on by itself. Further calls do nothing.
    pub fn commit(&self) -> Settlement {
        self.settle(Hold::keep)
    }

    /// Gives everything back, adjustments forgotten. Queued at the call, as [`commit`](Lease::commit) is. Does nothing on
    /// a settled lease.
    pub fn roll_back(&self) -> Settlement {
        self.settle(|hold, _| hold.give_back())
    }

    fn settle(&self, end: impl Fn(Hold, &[(LimitName, i64)]) -> Option<Booked>) -> Settlement {
        let mut state = self.lock();
        let State::Open { holds, blind, deltas } = &mut *state else { return Settlement::nothing() };
        let consumed = consumed(holds, blind, deltas);
        let (holds, deltas) = (std::mem::take(holds), std::mem::take(deltas));
        *state = State::Settled { consumed };
        drop(state);
        let booked = holds.into_iter().filter_map(|hold| {
            let lane = Arc::clone(hold.lane());
            end(hold, &deltas).map(|booked| (lane, booked))
        });
        Settlement { booked: booked.collect(), asked: false, failed: None }
    }

    /// Whether it was committed or rolled back.
    pub fn is_settled(&self) -> bool {
        matches!(&*self.lock(), State::Settled { .. })
    }
}

fn settled() -> AcquireError {
    crate::ValidationError::new("lease", "", crate::ValidationReason::Other("is settled; take a new one".to_owned()))
        .into()
}

fn consumed(holds: &[Hold], blind: &[(LimitName, i64)], deltas: &[(LimitName, i64)]) -> BTreeMap<LimitName, i64> {
    let mut sums: BTreeMap<LimitName, i64> = blind.iter().cloned().collect();
    for (name, taken) in holds.iter().flat_map(Hold::taken) {
        // The same amount was taken at each level that knows the limit.
        let entry = sums.entry(name.clone()).or_default();
        *entry = (*entry).max(taken / MILLI);
    }
    for (name, delta) in deltas {
        let entry = sums.entry(name.clone()).or_default();
        *entry = entry.saturating_add(*delta).max(0);
    }
    sums.retain(|_, tokens| *tokens != 0);
    sums
}

/// A settlement on its way: resolves when it is stored. Dropping it changes nothing but that nobody is told.
#[derive(Debug)]
pub struct Settlement {
    booked: Vec<(Arc<Lane>, Booked)>,
    asked: bool,
    failed: Option<SettleError>,
}

impl Settlement {
    fn nothing() -> Self {
        Self { booked: Vec::new(), asked: false, failed: None }
    }
}

impl Future for Settlement {
    type Output = Result<(), SettleError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !this.asked {
            this.asked = true;
            // Somebody waits: no use in waiting for company.
            this.booked.iter().for_each(|(lane, _)| lane.flush());
        }
        while let Some((lane, booked)) = this.booked.last_mut() {
            let result = match Pin::new(booked).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(result)) => result,
                Poll::Ready(Err(_)) => Err("the runtime shut down before it was stored".into()),
            };
            if let Err(message) = result {
                this.failed.get_or_insert(SettleError {
                    entity: lane.key.entity.clone(),
                    resource: lane.key.resource.clone(),
                    message: message.to_string(),
                });
            }
            this.booked.pop();
        }
        Poll::Ready(this.failed.take().map_or(Ok(()), Err))
    }
}
