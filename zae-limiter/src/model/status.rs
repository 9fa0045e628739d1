//! The status of a limit after a request, [`LimitStatus`], and the policies for outages, [`OnUnavailable`].
//!
//! A status contains the whole limit instead of only a number, so that headers, problem documents and logs need no
//! second lookup. Numbers are whole tokens; `available` is rounded down, `retry_after` up, so a client that waits that
//! long is not refused because of rounding.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::model::{
    limit::Limit,
    name::{EntityId, ResourceName},
};

/// One limit's status after one request.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
///
/// let repository = Repository::embedded().await?;
/// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 100)?).build();
/// let lease = limiter.acquire("key-1", "api", Cost::of("rpm", 1)).await?;
/// let status = &lease.statuses()[0];
/// assert_eq!((status.requested, status.available, status.deficit()), (1, 99, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LimitStatus {
    /// The entity that the bucket belongs to.
    pub entity_id: EntityId,
    /// The resource that it limits.
    pub resource: ResourceName,
    /// The limit's parameters, undivided even if the bucket is sharded.
    pub limit: Limit,
    /// Whole tokens in the bucket: after the call if it was granted, before it if it was refused. Negative in debt.
    pub available: i64,
    /// Whole tokens requested.
    pub requested: u64,
    /// True if this limit refused.
    pub exceeded: bool,
    /// Time until the request would fit; zero when it was not refused.
    #[serde(rename = "retry_after_seconds", serialize_with = "seconds")]
    pub retry_after: Duration,
    /// When the limit is restored, if it is a quota: the next instant of its calendar, or the end of its running
    /// window. `None` for a rate, and for a session that has not begun.
    #[serde(rename = "resets_at_ms", serialize_with = "epoch_ms", skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<SystemTime>,
}

/// Serialises an instant as ms since 1970.
fn epoch_ms<S: serde::Serializer>(instant: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let since = instant.and_then(|instant| instant.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).serialize(serializer)
}

/// An instant in epoch ms.
pub(crate) fn instant(epoch_ms: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(epoch_ms).ok()?))
}

/// Serialises a wait as seconds with three decimals.
fn seconds<S: serde::Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wait.as_millis() as f64 / 1000.0)
}

impl LimitStatus {
    /// Returns true if it is a soft limit in debt.
    pub fn is_overdrawn(&self) -> bool {
        self.limit.is_soft() && self.available < 0
    }

    /// Returns the missing tokens; 0 if there are enough.
    pub fn deficit(&self) -> u64 {
        let missing = i128::from(self.requested) - i128::from(self.available);
        u64::try_from(missing.max(0)).unwrap_or(u64::MAX)
    }
}

/// The policy for a request while the store is unavailable.
///
/// ```
/// use zae_limiter::OnUnavailable;
/// assert_eq!(OnUnavailable::Local.as_str(), "local");
/// ```
///
/// [`guide::operations`](crate::guide::operations#when-dynamodb-is-away) compares the three.
///
/// It applies to outages only: no response in time, no connection, server errors, throttling, an open circuit breaker,
/// overload. Invalid requests, missing tables and permissions are errors under every policy, as is an entity that was
/// disabled when it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnUnavailable {
    /// Grant without consulting the store; the lease is marked as blind.
    Allow,
    /// Refuse with [`AcquireError::Unavailable`](crate::AcquireError::Unavailable).
    Block,
    /// Grant from this process's share of the last known limits (never stored, only chosen by a caller). An acquire of
    /// more than the whole share is [`AcquireError::Unavailable`](crate::AcquireError::Unavailable).
    Local,
}

impl OnUnavailable {
    /// Returns the policy as text: `allow`, `block` or `local`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Local => "local",
        }
    }
}

/// The policies that a namespace can store for all its clients. A single process has more choices: [`OnUnavailable`].
///
/// ```
/// use zae_limiter::{OnUnavailable, StoredPolicy};
/// assert_eq!(OnUnavailable::from(StoredPolicy::Allow), OnUnavailable::Allow);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StoredPolicy {
    /// Grant without consulting the store; the lease is marked as blind.
    Allow,
    /// Refuse with [`AcquireError::Unavailable`](crate::AcquireError::Unavailable).
    Block,
}

impl StoredPolicy {
    /// Returns the stored text: `allow` or `block`.
    pub fn as_str(self) -> &'static str {
        OnUnavailable::from(self).as_str()
    }
}

impl From<StoredPolicy> for OnUnavailable {
    fn from(policy: StoredPolicy) -> Self {
        match policy {
            StoredPolicy::Allow => Self::Allow,
            StoredPolicy::Block => Self::Block,
        }
    }
}
