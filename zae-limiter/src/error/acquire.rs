//! Errors of acquires, leases and settlements.
//!
//! [`AcquireError`] is the error that callers of the limiter match on. [`LeaseError`] reports misuse of a lease, never
//! a problem with the store. [`SettleError`] comes from an awaited commit: the call itself was made and counts, so the
//! error is meant for logs and metrics rather than for the caller's control flow.

use std::{fmt, sync::Arc, time::Duration};

use super::{BoxError, Disabled, NeverFits, RateLimitExceeded, RepositoryError, Unsupported, ValidationError};
use crate::model::name::{EntityId, ResourceName};

/// The reason why an acquire was not granted.
///
/// ```
/// use zae_limiter::AcquireError;
///
/// fn explain(error: &AcquireError) -> String {
///     match error {
///         AcquireError::Exceeded(refusal) => format!("not yet; retry in {:?}", refusal.retry_after()),
///         AcquireError::NeverFits(refusal) => format!("never: {refusal}"),
///         AcquireError::Unavailable(outage) => format!("DynamoDB could not be asked: {}", outage.reason),
///         setup => format!("the setup is wrong: {setup}"),
///     }
/// }
/// ```
///
/// [`is_refusal`](AcquireError::is_refusal) and [`retry_after`](AcquireError::retry_after) answer the two questions of
/// most callers. [The module](crate::error) has a table of variants and HTTP statuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// Not yet: at least one limit has too few tokens.
    ///
    /// Nothing was taken; [`RateLimitExceeded::retry_after`] returns the time until the request would fit if no other
    /// call took tokens.
    #[error(transparent)]
    Exceeded(#[from] RateLimitExceeded),
    /// Never: the amount is larger than the capacity.
    ///
    /// Nothing was taken from any bucket. No DynamoDB call was made if this process already knew the limits.
    #[error(transparent)]
    NeverFits(#[from] NeverFits),
    /// Disabled by an operator; waiting does not help.
    #[error(transparent)]
    Disabled(Box<Disabled>),
    /// The store was not available in time.
    ///
    /// Under [`OnUnavailable::Block`](crate::OnUnavailable::Block), under `Local` for limits that were never seen, and
    /// under every policy while the limiter shuts down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The request itself is invalid; nothing was sent.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// More was requested from a lease than it can do.
    ///
    /// Only from [`Lease::consume`](crate::Lease::consume).
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// No limits are stored for this entity and resource, and none were given.
    #[error(
        "no limits apply to {entity}/{resource}: store some (`zae-deploy system set-defaults -l rpm:100`, \
         `Repository::set_system_defaults`, or the same for the resource or entity), or give the limiter defaults"
    )]
    NoLimits {
        /// The entity to limit.
        entity: EntityId,
        /// The requested resource.
        resource: ResourceName,
    },
    /// The bucket or its configuration uses a feature of newer clients that this version would enforce wrongly.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The table's version record, or other stored data, does not permit this client to continue.
    ///
    /// Shared in an `Arc`, because concurrent acquires of one entity share the read that failed.
    #[error(transparent)]
    Repository(Arc<RepositoryError>),
}

impl From<Disabled> for AcquireError {
    fn from(disabled: Disabled) -> Self {
        // Boxed, because it is rare and would enlarge the result of every acquire.
        Self::Disabled(Box::new(disabled))
    }
}

impl AcquireError {
    /// Returns the time to wait before a retry makes sense. `None` if waiting does not help, or is not known to help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Exceeded(exceeded) => Some(exceeded.retry_after()),
            Self::Unavailable(unavailable) => Some(unavailable.retry_after),
            _ => None,
        }
    }

    /// Returns true if the limiter refused (not yet, never, or disabled), as opposed to failing to decide.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Exceeded(_) | Self::NeverFits(_) | Self::Disabled(_))
    }
}

/// The store was not available, or not in time.
///
/// A write with an unknown outcome counts as done, so tokens may have been taken; refill replaces them.
///
/// ```
/// use zae_limiter::{AcquireError, error::UnavailableReason};
///
/// /// Sheds load early: too many acquires wait in this process already.
/// fn is_overload(error: &AcquireError) -> bool {
///     matches!(error, AcquireError::Unavailable(outage) if outage.reason == UnavailableReason::Overloaded)
/// }
/// ```
///
/// Its source is the [`RepositoryError`] of the failed call, if there was one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unavailable {
    /// The reason why the store was not available.
    pub reason: UnavailableReason,
    /// The entity to limit.
    pub entity: EntityId,
    /// The requested resource.
    pub resource: ResourceName,
    /// A sensible time to wait before a retry.
    pub retry_after: Duration,
    /// The failed call.
    pub(crate) source: Option<BoxError>,
}

impl Unavailable {
    /// Describes an outage. The suggested wait is one second, because an open circuit breaker tries again after one.
    pub(crate) fn new(reason: UnavailableReason, entity: EntityId, resource: ResourceName) -> Self {
        Self { reason, entity, resource, retry_after: Duration::from_secs(1), source: None }
    }

    /// Adds the failed call.
    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rate limiter unavailable: {} [entity={}, resource={}]", self.reason, self.entity, self.resource)
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The reason why the store was not available.
///
/// See [`Unavailable`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnavailableReason {
    /// No response within the deadline.
    ///
    /// A write may be under way; if it succeeds after all, the tokens it took are given back.
    DeadlineExceeded,
    /// No usable response: no connection, a broken connection, or a response that is not DynamoDB's.
    Unreachable,
    /// DynamoDB returned an error that is unrelated to this request.
    StoreFailed,
    /// DynamoDB currently throttles writes of this bucket or of the table.
    ///
    /// One DynamoDB item takes about 1000 write units a second. Only this bucket is affected.
    Throttled,
    /// The circuit breaker is open, because the store failed or did not respond too often.
    CircuitOpen,
    /// Too many acquires are already waiting.
    ///
    /// See [`RateLimiterBuilder::max_waiting`](crate::RateLimiterBuilder::max_waiting).
    Overloaded,
    /// The limiter is shutting down.
    ///
    /// [`RateLimiter::shutdown`](crate::RateLimiter::shutdown) was called, or the runtime ended.
    ShuttingDown,
}

impl fmt::Display for UnavailableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadlineExceeded => "no answer from DynamoDB within the deadline",
            Self::Unreachable => "DynamoDB could not be reached, or its answer could not be read",
            Self::StoreFailed => "DynamoDB answered with an error",
            Self::Throttled => {
                "DynamoDB throttles writes; raise the table's capacity, or spread the load over more keys"
            }
            Self::CircuitOpen => "DynamoDB keeps failing, and the circuit breaker is open",
            Self::Overloaded => "too many acquires are waiting",
            Self::ShuttingDown => "the limiter is shutting down",
        })
    }
}

/// An operation on a lease failed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Cost, LeaseError, Limit, RateLimiter, Repository};
///
/// let repository = Repository::embedded().await?;
/// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 10)?).build();
/// let lease = limiter.acquire("key-1", "api", Cost::of("rpm", 1)).await?;
/// assert!(matches!(lease.adjust("tpm", 5), Err(LeaseError::UnknownLimit { .. })));
/// lease.commit().await?;
/// assert_eq!(lease.adjust("rpm", 1), Err(LeaseError::Settled));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// It was already committed or rolled back.
    #[error("the lease is settled; adjust before committing or rolling back")]
    Settled,
    /// It holds no tokens of that limit.
    #[error("the lease has no limit called {name}; it has {known}")]
    UnknownLimit {
        /// The requested name.
        name: String,
        /// The names of its limits, separated by commas.
        known: String,
    },
    /// An amount is larger than the maximum.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
}

/// An adjustment or a refund of a lease was not stored, or is not stored yet.
///
/// ```
/// use zae_limiter::{Lease, SettleOutlook};
///
/// async fn finish(lease: Lease) {
///     if let Err(error) = lease.commit().await {
///         // The call was made and counts; a difference may be missing from the bucket.
///         if error.outlook == SettleOutlook::Lost {
///             eprintln!("{error} [entity={}]", error.entity);
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SettleError {
    /// The entity that the bucket belongs to.
    pub entity: EntityId,
    /// The resource of the bucket.
    pub resource: ResourceName,
    /// The outlook: lost, retried, or unknown.
    pub outlook: SettleOutlook,
    /// The failed write; a single write may settle many leases.
    pub(crate) source: Arc<RepositoryError>,
}

impl fmt::Display for SettleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entity, resource, outlook, source } = self;
        write!(f, "settling a lease on {entity}/{resource} failed {outlook}: {source}")
    }
}

impl std::error::Error for SettleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// The outlook of a settlement that could not be stored immediately.
///
/// An example is at [`SettleError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SettleOutlook {
    /// It certainly had no effect, and is retried for up to five minutes, or up to 30 s after the limiter's
    /// [`shutdown`](crate::RateLimiter::shutdown).
    Retried,
    /// Its outcome is unknown. A late response is awaited for 5 s; the write is not repeated, because a refund applied
    /// twice would create tokens.
    Unknown,
    /// It was abandoned, and counted in `zae_settlements_lost_total`.
    Lost,
}

impl fmt::Display for SettleOutlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retried => "and will be retried",
            Self::Unknown => "but may have been stored",
            Self::Lost => "and is lost",
        })
    }
}
