//! The limiter's face: [`RateLimiter`], its [`RateLimiterBuilder`], and one [`Acquire`].
//!
//! This is the only floor that users see. It turns calls into requests for the engine and the engine's answers into
//! leases and errors, and adds what belongs to no bucket: deadlines, outage policies, metrics, and moving work to the
//! limiter's own runtime. The way of an acquire:
//!
//! 1. [`RateLimiter::acquire_with`] checks the cost and looks in the front and the reserves. If both know the caller,
//!    that is all: no call and no await.
//! 2. The breaker decides whether the store may be asked (`boxed_through_lanes`, `acquire_through_lanes`).
//! 3. Limits and lanes come from the front, or are resolved (`known`), on the home runtime if the caller runs on
//!    another.
//! 4. [`acquire`] asks the lanes of the entity and its parent at once.
//! 5. The holds become a [`Lease`]; a refusal becomes an [`AcquireError`]; an outage goes to the policy (`outage`).
//!
//! `early` refuses without a future what memory already knows, for layers that decide before they read a body.
//! `queries` and `balances` read what is left without taking anything.
//!
//! # Invariants
//!
//! - Everything that outlives a call is owned by `Inner`, so the last clone that is dropped ends it (I8).
//! - One deadline covers all of 2 to 5. It is kept outside of the engine, so no room below can forget it (I7).
//! - A policy is applied in one place and only to [`Denied::Outage`]: no other error can become a grant.
//!
//! # Shape of the futures
//!
//! A grant from a reserve takes no call, so what it costs is what is copied and locked. Hence the first step is a plain
//! function that `acquire_with` calls before it builds anything, and everything behind it is one boxed future: the
//! caller's own future stays small, and a grant from memory does not pay for the branches that it did not take.

mod acquire;
pub(crate) mod balances;
mod builder;
mod early;
mod explain;
mod known;
mod lease;
mod outage;
mod queries;
mod request;
mod settlement;
mod switched;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    engine::{
        acquire::{front::Front, local::LocalShares},
        lane::lanes::Lanes,
    },
    error::AcquireError,
    model::{
        cost::Cost,
        limit::Limits,
        name::{EntityId, IntoName, ResourceName},
        reserve::Reserve,
        status::OnUnavailable,
    },
    repository::Repository,
};
pub use builder::RateLimiterBuilder;
pub use lease::{Lease, LeaseOrigin};
pub use request::Acquire;
pub use settlement::Settlement;

/// Maximum duration of an acquire unless it is set otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);
/// Time that a settlement waits to share a write with others unless the limiter is set otherwise.
pub const DEFAULT_FLUSH_DELAY: Duration = Duration::from_millis(50);

/// Lifetime of tokens that were debited ahead of use unless the limiter is set otherwise.
pub const DEFAULT_RESERVE_LIFE: Duration = Duration::from_secs(1);
/// Number of buckets that a limiter remembers unless it is told otherwise: 256 MiB at 8 KiB each.
///
/// See [`RateLimiterBuilder::max_lanes`] for the cost of one.
pub const DEFAULT_MAX_LANES: u64 = 256 * 1024 / 8;

/// Takes tokens from the buckets of one namespace. Cheap to clone: all clones share lanes and caches.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{AcquireError, Cost, Limit, RateLimiter, Repository};
/// let repository = Repository::embedded().await?;
/// repository.set_system_defaults(Limit::per_minute("rpm", 1)?).await?;
/// let limiter = RateLimiter::new(repository);
///
/// limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await?.commit().await?;
/// match limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await {
///     Err(AcquireError::Exceeded(exceeded)) => assert!(exceeded.retry_after().as_secs() <= 60),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
///
/// Clone it freely: a clone is a count of references, and clones share lanes, caches, breaker and runtime. One limiter
/// for each [`Repository`] and process is the rule; two of them on the same table are correct but write each hot bucket
/// twice as often, because lanes are not shared between them.
///
/// End it with [`shutdown`](RateLimiter::shutdown), or what was adjusted in the last 50 ms may be lost with the
/// process.
#[derive(Clone)]
pub struct RateLimiter {
    /// Shared by clones.
    inner: Arc<Inner>,
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { repository, reserve, deadline, .. } = &*self.inner;
        f.debug_struct("RateLimiter")
            .field("repository", repository)
            .field("reserve", reserve)
            .field("deadline", deadline)
            .finish_non_exhaustive()
    }
}

/// Everything that clones of a limiter share. Dropped with the last of them, it ends what waits for others.
struct Inner {
    /// The namespace that it works on.
    repository: Repository,
    /// One queue for each bucket that was used lately.
    lanes: Lanes,
    /// Limits and lanes of the busiest callers.
    front: Front,
    /// The last known limits, for outages under [`OnUnavailable::Local`].
    local: LocalShares,
    /// The setting for acquires that say nothing about it.
    reserve: Reserve,
    /// The longest that an acquire may take unless it says otherwise.
    deadline: Duration,
    /// The policy that overrides the stored one; `None` leaves it to the stored one.
    on_unavailable: Option<OnUnavailable>,
    /// The lowest level of limits: they hold where nothing is stored.
    default_limits: Option<Limits>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let shared = &self.lanes.shared;
        let lanes = shared.tasks.len();
        if lanes > 0 && !shared.closing.has_begun() {
            tracing::info!(
                lanes,
                "the last handle of a limiter was dropped without `shutdown`; what is booked is written as long as \
                 the runtime lives"
            );
        }
        // Settlements stop waiting to share a write; they are written as long as the runtime lives.
        shared.end();
    }
}

impl From<Repository> for RateLimiter {
    fn from(repository: Repository) -> Self {
        Self::new(repository)
    }
}

impl From<&RateLimiter> for RateLimiter {
    fn from(limiter: &RateLimiter) -> Self {
        limiter.clone()
    }
}

impl RateLimiter {
    /// Returns a limiter with the default settings: a deadline of 250 ms, no reserve, the stored outage policy, else
    /// block. Sends nothing yet; see [`RateLimiterBuilder::build`] for the runtime that it works on.
    pub fn new(repository: Repository) -> Self {
        Self::builder(repository).build()
    }

    /// Returns a builder for a limiter with settings of your own.
    pub fn builder(repository: Repository) -> RateLimiterBuilder {
        RateLimiterBuilder::new(repository)
    }

    /// Returns the repository that it works on, with which limits and entities are changed. Changes made through it and
    /// its clones take effect on this limiter's next acquire, others' within a minute.
    pub fn repository(&self) -> &Repository {
        &self.inner.repository
    }

    /// Returns the longest that an acquire may take unless it says otherwise.
    pub(crate) fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// Takes `cost` from the buckets of `entity` for `resource`, and from its parent's when it cascades.
    ///
    /// Amounts are whole tokens. The result is a [`Lease`]: keep it until the call is done, then commit it. The
    /// arguments take names or text; text is validated first.
    ///
    /// Cancel-safe, as [`acquire_with`](RateLimiter::acquire_with) is. See [`RateLimiter`] for an example.
    ///
    /// # Errors
    /// As [`acquire_with`](RateLimiter::acquire_with).
    pub async fn acquire(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        cost: Cost,
    ) -> Result<Lease, AcquireError> {
        self.acquire_with(Acquire::new(entity, resource, cost)?).await
    }

    /// Takes what `request` asks for: from every limit of both targets, or from none.
    ///
    /// Cost, in DynamoDB calls: none from a reserve or if memory already refuses, one write from a known bucket, and
    /// one batch read more on an entity's first acquire in this process. Acquires that wait for the same bucket share
    /// their write.
    ///
    /// Always answers within the request's deadline, else the limiter's. With [`OnUnavailable::Allow`] or
    /// [`OnUnavailable::Local`] an outage ends in a grant, which [`Lease::origin`] tells apart.
    ///
    /// Cancel-safe: dropping the future at any point leaves nothing taken, once the refund of what was under way has
    /// settled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use zae_limiter::{Acquire, Cost, EntityId, Limit, RateLimiter, Repository, ResourceName};
    ///
    /// let limiter = RateLimiter::new(Repository::embedded().await?);
    /// let request = Acquire::new(EntityId::new("key-1")?, ResourceName::new("api")?, Cost::of("rpm", 1))?
    ///     .limits(Limit::per_minute("rpm", 10)?)
    ///     .deadline(Duration::from_secs(1));
    /// limiter.acquire_with(request).await?.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AcquireError::Exceeded`] when it would fit later, [`AcquireError::NeverFits`] when it never will,
    /// [`AcquireError::Unavailable`] when the store could not be asked in time and the policy is to block,
    /// [`AcquireError::Invalid`] and [`AcquireError::NoLimits`] when the request or the configuration is wrong.
    #[expect(clippy::manual_async_fn, reason = "an async fn would move the request once more, for every grant")]
    pub fn acquire_with(&self, request: Acquire) -> impl Future<Output = Result<Lease, AcquireError>> + Send {
        async move {
            request.cost.check()?;
            match self.acquire_from_stock(&request) {
                Some(lease) => Ok(lease),
                None => self.boxed_through_lanes(request).await,
            }
        }
    }

    /// Takes what `request` asks for from tokens debited ahead ([`Reserve`]), where that needs neither a call nor
    /// waiting. `None` says nothing but that [`acquire_with`](RateLimiter::acquire_with) is to be asked: nothing was
    /// taken. It asks here first itself; this is for code that has something cheaper to do than to make a future.
    ///
    /// ```
    /// # use zae_limiter::{Acquire, AcquireError, Lease, RateLimiter};
    /// async fn acquire(limiter: &RateLimiter, request: Acquire) -> Result<Lease, AcquireError> {
    ///     match limiter.try_acquire(&request) {
    ///         Some(lease) => Ok(lease),
    ///         None => Box::pin(limiter.acquire_with(request)).await,
    ///     }
    /// }
    /// ```
    pub fn try_acquire(&self, request: &Acquire) -> Option<Lease> {
        request.cost.check().ok()?;
        self.acquire_from_stock(request)
    }

    /// Returns true if no lane has anything to do.
    #[cfg(feature = "sim")]
    pub(crate) fn is_idle(&self) -> bool {
        self.inner.lanes.shared.tasks.is_empty()
    }

    /// Writes everything that is still to be settled and waits until it is stored; afterwards every acquire is answered
    /// as shutting down. Call it before the process ends: what was adjusted but not written is lost with it.
    ///
    /// Cancel-safe: dropped early, the writing goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 10)?).build();
    /// drop(limiter.acquire("key-1", "api", Cost::of("rpm", 1)).await?.commit()); // written some time later
    /// limiter.shutdown().await; // now it is
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self) {
        let shared = &self.inner.lanes.shared;
        shared.closing.begin();
        shared.recover();
        shared.tasks.close();
        shared.tasks.wait().await;
    }
}
