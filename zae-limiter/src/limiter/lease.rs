//! Tokens that were taken and are still open: [`Lease`].
//!
//! A lease is one or two holds (child before parent), and the adjustments that its owner has noted. It starts open and
//! is settled once: by [`commit`](Lease::commit), by [`roll_back`](Lease::roll_back), or by being dropped. Then each
//! hold books its difference in the lane that it came from.
//!
//! # Why adjustments are kept and not written
//!
//! A model's response reports its usage several times while it streams. Each report would be a write. So `adjust` only
//! sums up, and the sum is written with the commit. Until then the bucket shows the estimate, which is the safe side if
//! the estimate was high; an adjustment upwards is never refused, because the work is done, and the balance may go into
//! debt.
//!
//! # Why dropping refunds
//!
//! The opposite default, keeping what a forgotten lease took, would turn each early return and each panic into
//! consumption. Here forgetting to commit costs the refund's write and shows in `available`, which tests notice.
//!
//! # Locking
//!
//! All state is under one `std` mutex that is never held across an await, so a lease can be shared in an `Arc` and
//! adjusted from a body's poll function. Statuses are computed when first asked for, because most leases are never
//! asked.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::time::Instant;

use crate::{
    bucket::MILLI,
    engine::{
        acquire::{
            self,
            denied::{Denied, NotTaken},
            resolve::ResolvedTargets,
        },
        lane::{
            Lane,
            hold::{Booked, Hold, Holds},
            target::Target,
        },
        runtime::deadlines::after,
    },
    error::{AcquireError, LeaseError, Unavailable, ValidationError, ValidationReason},
    limiter::{RateLimiter, settlement::Settlement},
    model::{
        cost::Cost,
        limit::{Limit, MAX_TOKENS},
        name::{EntityId, LimitName, ResourceName},
        status::LimitStatus,
    },
};

/// The origin of a lease.
///
/// ```
/// use zae_limiter::{Lease, LeaseOrigin};
///
/// fn is_exact(lease: &Lease) -> bool {
///     lease.origin() == LeaseOrigin::Stored
/// }
/// ```
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
/// repository.set_system_defaults(&limits).await?;
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
pub struct Lease {
    /// Keeps the lanes alive, and takes more for [`Lease::consume`].
    limiter: RateLimiter,
    /// The buckets that were charged.
    whose: Whose,
    /// Read from the holds when first asked for: most leases are never asked.
    statuses: OnceLock<Box<[LimitStatus]>>,
    /// Holds and adjustments; never locked across an await.
    state: Mutex<LeaseState>,
}

/// The entities that were charged, and their buckets.
enum Whose {
    /// Buckets of the table.
    Buckets(Arc<ResolvedTargets>),
    /// None: the store was away.
    Nowhere(Box<Blind>),
}

/// A grant without a bucket.
pub(crate) struct Blind {
    /// The entity that was to be charged.
    pub(crate) entity: EntityId,
    /// The resource that was asked for.
    pub(crate) resource: ResourceName,
    /// The policy that granted it.
    pub(crate) origin: LeaseOrigin,
    /// In whole tokens.
    pub(crate) granted: Vec<(LimitName, i64)>,
}

/// The part of a lease that changes.
struct LeaseState {
    /// Tells if it was settled.
    phase: LeasePhase,
    /// Child before parent.
    holds: Holds,
    /// Adjustments made since, in whole tokens.
    deltas: Vec<(LimitName, i64)>,
}

/// Tells if a lease can still be adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeasePhase {
    /// Tokens are held.
    Open,
    /// Committed or rolled back; whatever is asked of it now is an error or does nothing.
    Settled,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Lease");
        fields.field("entity", self.entity()).field("resource", self.resource()).field("origin", &self.origin());
        // Somebody may print it from where it is locked.
        if let Ok(state) = self.state.try_lock() {
            fields.field("phase", &state.phase);
        }
        fields.finish_non_exhaustive()
    }
}

impl Lease {
    /// One of tokens that were taken from the buckets in `resolved`.
    #[inline]
    pub(crate) fn of(limiter: RateLimiter, resolved: Arc<ResolvedTargets>, holds: Holds) -> Self {
        Self::new(limiter, Whose::Buckets(resolved), holds)
    }

    /// One that no bucket knows of.
    pub(crate) fn blind(limiter: RateLimiter, blind: Blind) -> Self {
        Self::new(limiter, Whose::Nowhere(Box::new(blind)), Holds::new())
    }

    /// Starts open and without adjustments.
    #[inline]
    fn new(limiter: RateLimiter, whose: Whose, holds: Holds) -> Self {
        let state = LeaseState { phase: LeasePhase::Open, holds, deltas: Vec::new() };
        Self { limiter, whose, statuses: OnceLock::new(), state: Mutex::new(state) }
    }

    /// Returns the amounts that were granted without a bucket.
    fn granted_blindly(&self) -> &[(LimitName, i64)] {
        match &self.whose {
            Whose::Buckets(_) => &[],
            Whose::Nowhere(blind) => &blind.granted,
        }
    }

    /// Locks the state; a panic elsewhere does not keep a lease from being settled.
    fn lock(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the entity that was charged.
    pub fn entity(&self) -> &EntityId {
        match &self.whose {
            Whose::Buckets(resolved) => resolved.child.entity(),
            Whose::Nowhere(blind) => &blind.entity,
        }
    }

    /// Returns the parent that was charged too, when the entity cascades.
    pub fn parent(&self) -> Option<&EntityId> {
        match &self.whose {
            Whose::Buckets(resolved) if self.lock().holds.len() > 1 => {
                resolved.parent.as_ref().map(|target| target.entity())
            }
            _ => None,
        }
    }

    /// Returns the resource that it was charged for.
    pub fn resource(&self) -> &ResourceName {
        match &self.whose {
            Whose::Buckets(resolved) => resolved.child.resource(),
            Whose::Nowhere(blind) => &blind.resource,
        }
    }

    /// Returns the origin of the lease, which tells whether the table was asked.
    pub fn origin(&self) -> LeaseOrigin {
        match &self.whose {
            Whose::Buckets(_) => LeaseOrigin::Stored,
            Whose::Nowhere(blind) => blind.origin,
        }
    }

    /// Every limit's status right after the grant, the entity's before its parent's; empty for a blind lease.
    ///
    /// [`LimitStatus::available`] is what the write's answer showed, in whole tokens, rounded down. From a reserve it
    /// is what the bucket held when it was last seen, plus what the reserve holds, so it may be up to a second old.
    pub fn statuses(&self) -> &[LimitStatus] {
        self.statuses.get_or_init(|| self.lock().holds.iter().flat_map(Hold::statuses).collect())
    }

    /// The soft limits that the grant left in debt, by name: it was let through all the same.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_day("tokens", 100)?.soft()).build();
    /// let lease = limiter.acquire("key-1", "gpt-4", Cost::of("tokens", 130)).await?;
    /// assert_eq!(lease.overdrawn().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn overdrawn(&self) -> Vec<LimitName> {
        let overdrawn = self.statuses().iter().filter(|status| status.is_overdrawn());
        let mut names: Vec<LimitName> = overdrawn.map(|status| status.limit.name().clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Shows each limit with the whole tokens that were left right after the grant, as [`statuses`](Lease::statuses)
    /// have them and in their order, without putting them together: for what is said in every response.
    ///
    /// The lease is locked meanwhile: `see` must not ask it for anything.
    #[doc(hidden)]
    pub fn left<T>(&self, see: impl for<'a> FnOnce(&mut (dyn Iterator<Item = (&'a Limit, i64)> + 'a)) -> T) -> T {
        if let Some(statuses) = self.statuses.get() {
            return see(&mut statuses.iter().map(|status| (&status.limit, status.available)));
        }
        see(&mut self.lock().holds.iter().flat_map(Hold::left))
    }

    /// Whole tokens per limit that the lease stands for, adjustments included; each level is counted once.
    ///
    /// Negative sums cannot be: a lease never stands for less than nothing.
    pub fn consumed(&self) -> BTreeMap<LimitName, i64> {
        let mut sums: BTreeMap<LimitName, i64> = self.granted_blindly().iter().cloned().collect();
        let state = self.lock();
        for (name, taken) in state.holds.iter().flat_map(Hold::taken) {
            // The same amount was taken at each level that knows the limit.
            let entry = sums.entry(name.clone()).or_default();
            *entry = (*entry).max(taken / MILLI);
        }
        for (name, delta) in &state.deltas {
            let entry = sums.entry(name.clone()).or_default();
            *entry = entry.saturating_add(*delta).max(0);
        }
        sums.retain(|_, tokens| *tokens != 0);
        sums
    }

    /// Takes more, under the same conditions as the acquire: from the entity and its parent, or from none. Always
    /// decided by the table.
    ///
    /// Units: whole tokens. Cancel-safe: dropped before it is done, it takes nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("tpm", 1_000)?).build();
    /// let lease = limiter.acquire("key-1", "gpt-4", Cost::of("tpm", 100)).await?;
    /// lease.consume(Cost::of("tpm", 50)).await?; // another round of the same conversation
    /// assert_eq!(lease.consumed()["tpm"], 150);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`RateLimiter::acquire_with`]; the lease is unchanged then. [`AcquireError::Lease`] with
    /// [`LeaseError::Settled`] after commit or roll back.
    pub async fn consume(&self, cost: Cost) -> Result<(), AcquireError> {
        let Whose::Buckets(resolved) = &self.whose else {
            cost.check()?;
            return if self.is_settled() { Err(LeaseError::Settled.into()) } else { Ok(()) };
        };
        // As they were before this took more.
        self.statuses();
        let deadline = after(Instant::now(), self.limiter.deadline());
        let more = match tokio::time::timeout_at(deadline, self.take_more(resolved, cost, deadline)).await {
            Ok(Ok(more)) => more,
            Ok(Err(Denied::Error(error))) => return Err(error),
            Ok(Err(Denied::Outage(reason, source))) => return Err(self.unavailable(reason, source)),
            Err(_) => return Err(self.unavailable(crate::error::UnavailableReason::DeadlineExceeded, None)),
        };
        let mut state = self.lock();
        if state.phase == LeasePhase::Settled {
            // Settled while we asked: the new holds are dropped, and so give back what they took.
            return Err(LeaseError::Settled.into());
        }
        for hold in more {
            if let Some(held) = state.holds.iter_mut().find(|held| Arc::ptr_eq(held.lane(), hold.lane())) {
                held.absorb(hold);
            }
        }
        Ok(())
    }

    /// From the shards that the lease holds tokens of; under other limits, where they were changed since.
    async fn take_more(&self, resolved: &Arc<ResolvedTargets>, cost: Cost, deadline: Instant) -> Result<Holds, Denied> {
        let lanes: Option<Vec<Arc<Lane>>> = {
            let state = self.lock();
            (state.phase == LeasePhase::Open).then(|| state.holds.iter().map(|hold| Arc::clone(hold.lane())).collect())
        };
        let lanes = lanes.ok_or_else(|| AcquireError::from(LeaseError::Settled))?;
        let mut now = Arc::clone(resolved);
        loop {
            let mut asked = cost.resolve(now.child.limits())?;
            // Of a limit that was added since, the lease holds nothing that it could give back.
            asked.retain(|(name, _)| resolved.child.limits().iter().any(|limit| limit.name() == name));
            let asks = lanes.iter().filter_map(|lane| {
                let mut targets = std::iter::once(&now.child).chain(&now.parent);
                let target = targets.find(|target| *target.entity() == lane.key.entity)?;
                Some((Arc::new(Target::new(Arc::clone(target.limit_set()), Arc::clone(lane))), target.amounts(&asked)))
            });
            let asks = asks.filter(|(_, amounts)| amounts.iter().any(|amount| *amount > 0)).collect();
            match acquire::take_more(asks, deadline).await {
                Ok(more) => return Ok(more),
                Err(NotTaken::Denied(denied)) => return Err(denied),
                Err(NotTaken::Outdated) => self.limiter.forget(&now),
            }
            now = self.limiter.resolve(&now.wish(cost.clone(), deadline)).await?;
        }
    }

    /// Builds the error of a store that could not be asked for more.
    fn unavailable(
        &self,
        reason: crate::error::UnavailableReason,
        source: Option<Arc<crate::error::RepositoryError>>,
    ) -> AcquireError {
        let error = Unavailable::new(reason, self.entity().clone(), self.resource().clone());
        match source {
            Some(source) => error.with_source(source).into(),
            None => error.into(),
        }
    }

    /// Notes that `delta` whole tokens more (or, negative, fewer) were consumed from `limit` than was taken. Never
    /// refused for capacity: the work is done, and a balance may go into debt. Written by [`commit`](Lease::commit); a
    /// lease never gives back more than it took.
    ///
    /// `delta` is in whole tokens, between −[`MAX_TOKENS`] and [`MAX_TOKENS`] in sum. Adjustments of one limit add up.
    /// They are local until the commit: no call, no await.
    ///
    /// # Errors
    /// [`LeaseError::Settled`] after commit or roll back, [`LeaseError::UnknownLimit`] for a name that does not apply,
    /// [`LeaseError::Invalid`] for adjustments that add up to more than [`MAX_TOKENS`].
    pub fn adjust(&self, limit: impl AsRef<str>, delta: i64) -> Result<(), LeaseError> {
        let mut state = self.lock();
        let LeaseState { phase: LeasePhase::Open, holds, deltas } = &mut *state else {
            return Err(LeaseError::Settled);
        };
        let limit = limit.as_ref();
        let taken = || holds.iter().flat_map(Hold::taken).map(|(name, _)| name);
        let known = || taken().chain(self.granted_blindly().iter().map(|(name, _)| name));
        let Some(name) = known().find(|name| name.as_str() == limit).cloned() else {
            let mut names: Vec<&str> = known().map(LimitName::as_str).collect();
            names.dedup();
            return Err(LeaseError::UnknownLimit { name: limit.chars().take(64).collect(), known: names.join(", ") });
        };
        let known = deltas.iter_mut().find(|(known, _)| *known == name);
        let sum = known.as_ref().map_or(0, |(_, sum)| *sum).saturating_add(delta);
        if sum.unsigned_abs() > MAX_TOKENS {
            let reason = ValidationReason::TooLarge { max: MAX_TOKENS };
            return Err(ValidationError::new("adjustment", delta.to_string(), reason).into());
        }
        match known {
            Some((_, known)) => *known = sum,
            None => deltas.push((name, sum)),
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

    /// Keeps what was consumed and writes the adjustments, if there are any. Queued at the call: awaiting only waits
    /// until it is stored, and dropping the [`Settlement`] lets it go on by itself. Further calls do nothing.
    ///
    /// The write rides along with the bucket's next one, or goes out by itself after the limiter's
    /// [`flush_delay`](crate::RateLimiterBuilder::flush_delay); at once if the [`Settlement`] is awaited. Without
    /// adjustments there is nothing to write, and it resolves at once.
    pub fn commit(&self) -> Settlement {
        self.settle(Hold::keep)
    }

    /// Gives everything back, adjustments forgotten. Queued at the call, as [`commit`](Lease::commit) is. Does nothing
    /// on a settled lease.
    ///
    /// A refund is worth what the bucket had room for since the tokens were taken: where it has refilled meanwhile,
    /// less than was taken (see [`guide::engine`](crate::guide::engine)).
    pub fn roll_back(&self) -> Settlement {
        self.settle(|hold, _| hold.give_back())
    }

    /// Ends the lease with `end` for each hold, once.
    fn settle(&self, end: impl Fn(&mut Hold, &[(LimitName, i64)]) -> Option<Booked>) -> Settlement {
        let mut state = self.lock();
        let LeaseState { phase, holds, deltas, .. } = &mut *state;
        if std::mem::replace(phase, LeasePhase::Settled) == LeasePhase::Settled {
            return Settlement::of(Vec::new());
        }
        let booked = holds.iter_mut().filter_map(|hold| {
            let booked = end(hold, deltas)?;
            Some((Arc::clone(hold.lane()), booked))
        });
        Settlement::of(booked.collect())
    }

    /// Returns true once the lease is committed or rolled back.
    pub fn is_settled(&self) -> bool {
        self.lock().phase == LeasePhase::Settled
    }
}
