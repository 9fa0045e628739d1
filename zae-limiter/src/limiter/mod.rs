//! The public interface: [`RateLimiter`], its [`RateLimiterBuilder`], and one [`Acquire`].
//!
//! This is the only floor that users see. It turns calls into requests for the engine and the engine's answers into
//! leases and errors, and adds everything that is not specific to a bucket: deadlines, outage policies, metrics, and
//! moving work to the limiter's own runtime. The steps of an acquire:
//!
//! 1. [`RateLimiter::acquire_with`] checks the cost and looks in the front and the reserves. If both know the caller,
//!    this completes the acquire: no call and no await.
//! 2. The breaker decides if the store may be called (`boxed_through_lanes`, `acquire_through_lanes`).
//! 3. Limits and lanes come from the front, or are resolved (`known`), on the home runtime if the caller runs on
//!    another.
//! 4. [`acquire`] asks the lanes of the entity and its parent concurrently.
//! 5. The holds become a [`Lease`]; a refusal becomes an [`AcquireError`]; an outage is handled by the policy
//!    (`outage`).
//!
//! `early` refuses from memory without a future, for layers that decide before they read a body. `queries` and
//! `balances` read the remaining tokens without taking any.
//!
//! # Invariants
//!
//! - Everything that outlives a call is owned by `Inner`, so dropping the last clone ends it (I8).
//! - One deadline covers steps 2 to 5. It is enforced outside of the engine, so no room below can forget it (I7).
//! - A policy is applied in one place and only to [`Denied::Outage`]: no other error can become a grant.
//!
//! # Shape of the futures
//!
//! A grant from a reserve makes no call, so its cost consists of copies and locks. The first step is therefore a plain
//! function that `acquire_with` calls before it builds anything, and everything after it is one boxed future: the
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
mod several;
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
pub use request::{Acquire, MAX_RESOURCES};
pub use settlement::Settlement;

/// Default maximum duration of an acquire.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);
/// Default time that a settlement waits to share a write with others.
pub const DEFAULT_FLUSH_DELAY: Duration = Duration::from_millis(50);

/// Default lifetime of tokens that were debited ahead of use.
pub const DEFAULT_RESERVE_LIFE: Duration = Duration::from_secs(1);
/// Default number of buckets that a limiter remembers: 256 MiB at 8 KiB each.
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
/// Clone it freely: a clone only increments a reference count, and clones share lanes, caches, breaker and runtime. Use
/// one limiter per [`Repository`] and process; two of them on the same table are correct but write each hot bucket
/// twice as often, because lanes are not shared between them.
///
/// End it with [`shutdown`](RateLimiter::shutdown); otherwise adjustments of the last 50 ms may be lost with the
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

/// The state that all clones of a limiter share. Dropping it releases those who wait for other work.
struct Inner {
    /// The namespace that the limiter works on.
    repository: Repository,
    /// One queue for each recently used bucket.
    lanes: Lanes,
    /// Limits and lanes of the busiest callers.
    front: Front,
    /// The last known limits, for outages under [`OnUnavailable::Local`].
    local: LocalShares,
    /// The default setting for acquires.
    reserve: Reserve,
    /// The default maximum duration of an acquire.
    deadline: Duration,
    /// The policy that overrides the stored one; `None` for the stored one.
    on_unavailable: Option<OnUnavailable>,
    /// The lowest level of limits: they apply if nothing is stored.
    default_limits: Option<Limits>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let shared = &self.lanes.shared;
        let lanes = shared.tasks.len();
        if lanes > 0 && !shared.closing.has_begun() {
            tracing::info!(
                lanes,
                "the last handle of a limiter was dropped without `shutdown`; queued settlements are written while \
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
    /// Creates a limiter with the default settings: a deadline of 250 ms, no reserve, the stored outage policy or
    /// otherwise block. Sends nothing yet; see [`RateLimiterBuilder::build`] for the runtime on which it runs.
    pub fn new(repository: Repository) -> Self {
        Self::builder(repository).build()
    }

    /// Returns a builder for a limiter with settings of your own.
    pub fn builder(repository: Repository) -> RateLimiterBuilder {
        RateLimiterBuilder::new(repository)
    }

    /// Returns the limiter's repository, with which limits and entities are changed. Changes made through it and its
    /// clones take effect on this limiter's next acquire, others' within a minute.
    pub fn repository(&self) -> &Repository {
        &self.inner.repository
    }

    /// Returns the default maximum duration of an acquire.
    pub(crate) fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// Takes `cost` from the buckets of `entity` for `resource`, and from its parent's if it cascades.
    ///
    /// Amounts are whole tokens. The result is a [`Lease`]: keep it until the call is done, then commit it. The
    /// arguments accept typed names or text; text is validated first.
    ///
    /// Cancel-safe, as [`acquire_with`](RateLimiter::acquire_with) is. See [`RateLimiter`] for an example.
    ///
    /// # Errors
    /// See [`acquire_with`](RateLimiter::acquire_with).
    pub async fn acquire(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        cost: Cost,
    ) -> Result<Lease, AcquireError> {
        let (entity, resource) = (entity.into_name()?, resource.into_name()?);
        self.acquire_with(Acquire::of(entity, resource, cost)).await
    }

    /// Takes the tokens of `request` from every limit of all targets, or from none.
    ///
    /// DynamoDB calls: none from a reserve or if memory already refuses, one write for a known bucket, and one
    /// additional batch read on an entity's first acquire in this process. Acquires that wait for the same bucket share
    /// their write.
    ///
    /// Always returns within the request's deadline, or the limiter's by default. With [`OnUnavailable::Allow`] or
    /// [`OnUnavailable::Local`], an outage results in a grant, which [`Lease::origin`] distinguishes.
    ///
    /// Cancel-safe: dropping the future at any point leaves nothing taken, once the refund of a write under way has
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
    /// [`AcquireError::Exceeded`] if it would fit later, [`AcquireError::NeverFits`] if it never will,
    /// [`AcquireError::Unavailable`] if the store was unavailable and the policy is to block, [`AcquireError::Invalid`]
    /// and [`AcquireError::NoLimits`] if the request or the configuration is wrong.
    #[expect(clippy::manual_async_fn, reason = "an async fn would move the request once more, for every grant")]
    pub fn acquire_with(&self, request: Acquire) -> impl Future<Output = Result<Lease, AcquireError>> + Send {
        async move {
            request.check()?;
            if !request.also.is_empty() {
                return self.boxed_several(request).await;
            }
            match self.acquire_from_stock(&request) {
                Some(lease) => Ok(lease),
                None => self.boxed_through_lanes(request).await,
            }
        }
    }

    /// Takes the tokens of `request` from those debited ahead ([`Reserve`]), if that takes neither a call nor waiting.
    /// `None` only means that [`acquire_with`](RateLimiter::acquire_with) has to decide: nothing was taken.
    /// `acquire_with` itself tries this first; call it separately if there is a cheaper alternative to creating a
    /// future.
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
        request.check().ok()?;
        if request.also.is_empty() { self.acquire_from_stock(request) } else { None }
    }

    /// Returns true if no lane has any work.
    #[cfg(feature = "sim")]
    pub(crate) fn is_idle(&self) -> bool {
        self.inner.lanes.shared.tasks.is_empty()
    }

    /// Writes everything that is booked so far and not stored yet, without waiting for others to share the writes. The
    /// limiter goes on.
    ///
    /// For a process that may stand still at any time, such as a function that is frozen once it has answered: what was
    /// booked before the answer should be stored by then. Where nothing is to be written, nothing is sent. What a
    /// [reserve](RateLimiterBuilder::reserve) holds stays there; a function that is frozen for longer than its life
    /// forfeits it.
    ///
    /// Resolves to the first failure. What the store is too busy for is told after two seconds and tried again in the
    /// background. Cancel-safe: dropped early, the writing goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("tpm", 1_000)?).build();
    /// let lease = limiter.acquire("key-1", "api", Cost::of("tpm", 100)).await?;
    /// lease.adjust("tpm", -40)?;
    /// drop(lease.commit());
    /// limiter.flush().await?; // the adjustment is stored
    /// # Ok(())
    /// # }
    /// ```
    pub fn flush(&self) -> Settlement {
        self.inner.lanes.shared.recover();
        Settlement::of(self.inner.lanes.flush())
    }

    /// Writes all pending settlements and waits until they are stored; afterwards every acquire fails as shutting down.
    /// Call it before the process ends: adjustments that are not written are lost with it.
    ///
    /// Cancel-safe: if it is dropped early, the writing continues.
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
