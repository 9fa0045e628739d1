//! Tokens that were taken and are not yet settled: [`Lease`].
//!
//! A lease consists of one or two holds (child before parent), and the adjustments recorded by its owner. It starts
//! open and is settled once: by [`commit`](Lease::commit), by [`roll_back`](Lease::roll_back), or by being dropped.
//! Each hold then books its difference in the lane that it came from.
//!
//! # Why adjustments are kept and not written
//!
//! A model's response reports its usage several times while it streams. Writing each report would be a write each, so
//! `adjust` only adds them up, and the commit writes the sum. Until then the bucket shows the estimate, which is the
//! safe side if the estimate was high. An upward adjustment is never refused, because the work is done, and the balance
//! may go into debt.
//!
//! # Why dropping refunds
//!
//! The opposite default, which keeps the tokens of a forgotten lease, would turn each early return and each panic into
//! consumption. With this default, forgetting to commit costs the refund's write and is visible in `available`, which
//! tests notice.
//!
//! # Locking
//!
//! All state is protected by one `std` mutex that is never held across an await, so a lease can be shared in an `Arc`
//! and adjusted from a body's poll function. Statuses are computed on first use, because most leases never need them.

mod consume;
mod overdraw;
mod settle;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use crate::{
    bucket::MILLI,
    engine::{
        acquire::resolve::ResolvedTargets,
        lane::hold::{Hold, Holds},
    },
    limiter::RateLimiter,
    model::{
        limit::Limit,
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
    /// Granted without consulting the store, which was unavailable
    /// ([`OnUnavailable::Allow`](crate::OnUnavailable::Allow)).
    Blind,
    /// Granted from this process's own share, because the store was unavailable
    /// ([`OnUnavailable::Local`](crate::OnUnavailable::Local)).
    Local,
}

/// Tokens that were taken from an entity's buckets (and its parent's), and are not yet settled.
///
/// End it with [`commit`](Lease::commit), which keeps the consumption and writes adjustments, or with
/// [`roll_back`](Lease::roll_back), which gives everything back. A lease that is dropped without either is rolled back:
/// failed or cancelled work costs nothing.
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
    /// Keeps the lanes alive, and takes more tokens for [`Lease::consume`].
    limiter: RateLimiter,
    /// The buckets that were charged.
    whose: Whose,
    /// The parts of further resources; empty for an acquire of one.
    also: Box<[Lease]>,
    /// Computed from the holds on first use: most leases never need them.
    statuses: OnceLock<Box<[LimitStatus]>>,
    /// Holds and adjustments; never locked across an await.
    state: Mutex<LeaseState>,
}

/// The entities that were charged, and their buckets.
enum Whose {
    /// Buckets in the table.
    Buckets(Arc<ResolvedTargets>),
    /// None: the store was unavailable.
    Nowhere(Box<Blind>),
}

/// A grant without a bucket.
pub(crate) struct Blind {
    /// The entity that was to be charged.
    pub(crate) entity: EntityId,
    /// The requested resource.
    pub(crate) resource: ResourceName,
    /// The policy that granted it.
    pub(crate) origin: LeaseOrigin,
    /// In whole tokens.
    pub(crate) granted: Vec<(LimitName, i64)>,
}

/// The mutable part of a lease.
struct LeaseState {
    /// Tells if the lease was settled.
    phase: LeasePhase,
    /// Child before parent.
    holds: Holds,
    /// Adjustments made so far, in whole tokens.
    deltas: Vec<(LimitName, i64)>,
}

/// Tells if a lease can still be adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeasePhase {
    /// Tokens are held.
    Open,
    /// Committed or rolled back; further operations fail or do nothing.
    Settled,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Lease");
        fields.field("entity", self.entity()).field("resource", self.resource()).field("origin", &self.origin());
        // The lease may be printed while it is locked.
        if let Ok(state) = self.state.try_lock() {
            fields.field("phase", &state.phase);
        }
        fields.finish_non_exhaustive()
    }
}

impl Lease {
    /// Creates a lease of tokens that were taken from the buckets in `resolved`.
    #[inline]
    pub(crate) fn of(limiter: RateLimiter, resolved: Arc<ResolvedTargets>, holds: Holds) -> Self {
        Self::new(limiter, Whose::Buckets(resolved), holds)
    }

    /// Creates a lease that is not backed by a bucket.
    pub(crate) fn blind(limiter: RateLimiter, blind: Blind) -> Self {
        Self::new(limiter, Whose::Nowhere(Box::new(blind)), Holds::new())
    }

    /// Creates an open lease without adjustments.
    #[inline]
    fn new(limiter: RateLimiter, whose: Whose, holds: Holds) -> Self {
        let state = LeaseState { phase: LeasePhase::Open, holds, deltas: Vec::new() };
        Self { limiter, whose, also: Box::default(), statuses: OnceLock::new(), state: Mutex::new(state) }
    }

    /// Makes the leases of several resources one, of which the first is the primary part. There is at least one.
    pub(super) fn of_several(mut leases: Vec<Self>) -> Self {
        let others = leases.split_off(1);
        let mut first = leases.remove(0);
        first.also = others.into();
        first
    }

    /// Returns the amounts that were granted without a bucket.
    fn granted_blindly(&self) -> &[(LimitName, i64)] {
        match &self.whose {
            Whose::Buckets(_) => &[],
            Whose::Nowhere(blind) => &blind.granted,
        }
    }

    /// Locks the state; a lease can be settled even after a panic elsewhere.
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

    /// Returns the parent that was also charged, if the entity cascades.
    pub fn parent(&self) -> Option<&EntityId> {
        match &self.whose {
            Whose::Buckets(resolved) if self.lock().holds.len() > 1 => {
                resolved.parent.as_ref().map(|target| target.entity())
            }
            _ => None,
        }
    }

    /// Returns the resource that was charged.
    pub fn resource(&self) -> &ResourceName {
        match &self.whose {
            Whose::Buckets(resolved) => resolved.child.resource(),
            Whose::Nowhere(blind) => &blind.resource,
        }
    }

    /// Returns the resources that were charged: [`resource`](Lease::resource), and those that the acquire took from
    /// [besides](crate::Acquire::also).
    pub fn resources(&self) -> impl Iterator<Item = &ResourceName> {
        std::iter::once(self.resource()).chain(self.also.iter().map(Self::resource))
    }

    /// Returns the part of a resource: the lease itself for its own, `None` for one that was not asked for.
    ///
    /// [`adjust`](Lease::adjust), [`consume`](Lease::consume), [`consumed`](Lease::consumed) and
    /// [`statuses`](Lease::statuses) of a lease are about its own resource; those of a part are about that part's.
    /// [`commit`](Lease::commit) and [`roll_back`](Lease::roll_back) settle the whole lease, and on a part, that part
    /// alone. See [`Acquire::also`](crate::Acquire::also) for an example.
    pub fn part(&self, resource: impl AsRef<str>) -> Option<&Self> {
        let resource = resource.as_ref();
        std::iter::once(self).chain(&self.also).find(|part| part.resource().as_str() == resource)
    }

    /// Returns the origin of the lease, which tells if the table was consulted.
    pub fn origin(&self) -> LeaseOrigin {
        match &self.whose {
            Whose::Buckets(_) => LeaseOrigin::Stored,
            Whose::Nowhere(blind) => blind.origin,
        }
    }

    /// Returns every limit's status right after the grant, the entity's before its parent's; empty for a blind lease.
    ///
    /// [`LimitStatus::available`] is the balance in the write's response, in whole tokens, rounded down. For a grant
    /// from a reserve, it is the bucket's last known balance plus the reserve, so it may be up to a second old.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 10)?).build();
    /// let lease = limiter.acquire("key-1", "api", Cost::of("rpm", 3)).await?;
    /// assert_eq!(lease.statuses()[0].available, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn statuses(&self) -> &[LimitStatus] {
        self.statuses.get_or_init(|| self.lock().holds.iter().flat_map(Hold::statuses).collect())
    }

    /// Returns true if the entity's own bucket was not debited, because an operator lets everything through
    /// ([`Repository::bypass`](crate::Repository::bypass)): settlements of the lease are only counted.
    pub fn is_bypassed(&self) -> bool {
        matches!(&self.whose, Whose::Buckets(resolved) if resolved.child.limit_set().bypassed)
    }

    /// Returns the names of the soft limits that the grant left in debt; it was admitted all the same.
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

    /// Passes each limit to `see` with the whole tokens that were left right after the grant, with the values and in
    /// the order of [`statuses`](Lease::statuses), but without building them: for headers of every response.
    ///
    /// The lease is locked meanwhile: `see` must not use it.
    #[doc(hidden)]
    pub fn left<T>(&self, see: impl for<'a> FnOnce(&mut (dyn Iterator<Item = (&'a Limit, i64)> + 'a)) -> T) -> T {
        if let Some(statuses) = self.statuses.get() {
            return see(&mut statuses.iter().map(|status| (&status.limit, status.available)));
        }
        see(&mut self.lock().holds.iter().flat_map(Hold::left))
    }

    /// Returns the whole tokens per limit that the lease stands for, adjustments included; each level is counted once.
    ///
    /// Sums are never negative: a lease cannot stand for less than nothing.
    pub fn consumed(&self) -> BTreeMap<LimitName, i64> {
        let mut sums: BTreeMap<LimitName, i64> = self.granted_blindly().iter().cloned().collect();
        let state = self.lock();
        for (name, taken) in state.holds.iter().flat_map(Hold::taken) {
            // The same amount was taken at each level that has the limit.
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
}
