//! The tokens that are there for a request, without taking them: [`Availability`].

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::model::{
    name::{EntityId, ResourceName},
    status::LimitStatus,
};

/// The balances of an entity's bucket beside a request, read without taking anything.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
///
/// let repository = Repository::embedded().await?;
/// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 10)?).build();
/// let availability = limiter.check_availability("key-1", "api", &Cost::of("rpm", 7)).await?;
/// assert!(availability.is_allowed());
/// assert_eq!(availability.status("rpm").map(|status| status.available), Some(10));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Availability {
    /// The entity that the bucket belongs to.
    pub entity_id: EntityId,
    /// The resource that it limits.
    pub resource: ResourceName,
    /// The time of the reading.
    #[serde(rename = "checked_at_ms", serialize_with = "epoch_ms")]
    pub checked_at: SystemTime,
    /// Every limit's status. [`LimitStatus::available`] is the sum of all shards of the bucket; one acquire takes from
    /// a single shard, and [`LimitStatus::exceeded`] is about that.
    pub statuses: Vec<LimitStatus>,
    /// True if an operator lets everything through.
    #[serde(rename = "bypassed")]
    pub is_bypassed: bool,
    /// True if an amount is larger than a limit ever holds: waiting does not help.
    pub never_fits: bool,
}

/// Serialises an instant as ms since 1970.
fn epoch_ms<S: serde::Serializer>(instant: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Availability {
    /// Returns the status of a limit; `None` if no such limit applies.
    pub fn status(&self, limit: impl AsRef<str>) -> Option<&LimitStatus> {
        let limit = limit.as_ref();
        self.statuses.iter().find(|status| status.limit.name().as_str() == limit)
    }

    /// Returns true if the request would pass now.
    pub fn is_allowed(&self) -> bool {
        self.exceeded().next().is_none()
    }

    /// Returns the limits that would refuse.
    pub fn exceeded(&self) -> impl Iterator<Item = &LimitStatus> {
        self.statuses.iter().filter(|status| status.exceeded)
    }

    /// Returns the time until the request would fit if no other call took tokens: zero if it fits now, `None` if it
    /// never will.
    pub fn retry_after(&self) -> Option<Duration> {
        let longest = || self.exceeded().map(|status| status.retry_after).max().unwrap_or(Duration::ZERO);
        (!self.never_fits).then(longest)
    }
}
