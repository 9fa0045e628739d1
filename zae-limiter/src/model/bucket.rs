//! The contents of a bucket: [`BucketState`], and the result of folding one: [`FoldedBucket`].
//!
//! Both describe a bucket as a whole, regardless of its number of items: shards are summed up. They are snapshots for
//! operators, read item by item, and never decide about an acquire.

use std::collections::BTreeMap;

use std::time::Duration;

use serde::Serialize;

use crate::model::{
    access::Access,
    name::{EntityId, LimitName, ResourceName},
};

/// One entity's bucket for one resource, all of its shards together.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Cost, EntityId, Limit, RateLimiter, Repository};
///
/// let repository = Repository::embedded().await?;
/// let limiter =
///     RateLimiter::builder(repository.clone()).default_limits(Limit::per_minute("rpm", 100)?).build();
/// limiter.acquire("key-1", "api", Cost::of("rpm", 40)).await?.commit().await?;
///
/// let buckets = repository.buckets(&EntityId::new("key-1")?).await?;
/// let rpm = &buckets[0].limits[0];
/// assert_eq!((rpm.capacity, rpm.consumed), (100, 40));
/// # Ok(())
/// # }
/// ```
///
/// Read by [`Repository::buckets`](crate::Repository::buckets). Balances include refill up to the time of reading, in
/// whole tokens, rounded down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BucketState {
    /// The entity that it belongs to.
    pub entity_id: EntityId,
    /// The resource that it limits.
    pub resource: ResourceName,
    /// Number of shards that share capacity and refill; 1 unless a Python client has sharded the bucket.
    pub shard_count: u32,
    /// Number of shards that have an item. A missing one is created when it is needed.
    pub shards_stored: u32,
    /// Disabled if an operator has disabled any of its shards, which then grants nothing.
    pub access: Access,
    /// The limits, by name. Empty if `unsupported` is set.
    pub limits: Vec<BucketLimit>,
    /// The feature of newer clients because of which this version cannot read it, in words.
    pub unsupported: Option<String>,
}

/// One limit in a bucket.
///
/// See [`BucketState`] for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BucketLimit {
    /// Its name.
    pub name: LimitName,
    /// The ceiling, in tokens, over all shards.
    pub capacity: i64,
    /// Tokens gained per period, over all shards.
    pub refill_amount: i64,
    /// The period, in whole seconds.
    #[serde(rename = "refill_period_seconds", serialize_with = "whole_seconds")]
    pub refill_period: Duration,
    /// Tokens available now, with refill; negative in debt.
    pub available: i64,
    /// Net consumption since the items were created, in tokens.
    pub consumed: i64,
    /// True if the bucket's stamp marks it as soft: it is metered and never refuses.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
    /// When it is restored, in epoch ms, if it is a quota: the next instant of its calendar, or the end of its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at_ms: Option<i64>,
}

/// Serialises a period in whole seconds, as the Python package does.
fn whole_seconds<S: serde::Serializer>(period: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(period.as_secs())
}

/// The buckets to list.
///
/// ```
/// use zae_limiter::{ResourceName, usage::BucketScope};
/// let scope = BucketScope::Resource(ResourceName::new("gpt-4")?);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketScope {
    /// All of the namespace.
    #[default]
    Namespace,
    /// Those of one resource.
    Resource(ResourceName),
}

/// The result of folding a bucket.
///
/// ```
/// use zae_limiter::{EntityId, Repository, RepositoryError, ResourceName};
///
/// async fn fold(repository: &Repository, key: &EntityId, model: &ResourceName) -> Result<(), RepositoryError> {
///     if let Some(folded) = repository.fold_bucket(key, model).await? {
///         println!("{} shards became one bucket", folded.shards_before);
///     }
///     Ok(())
/// }
/// ```
///
/// Returned by [`Repository::fold_bucket`](crate::Repository::fold_bucket), which explains when folding makes sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FoldedBucket {
    /// Number of shards before folding.
    pub shards_before: u32,
    /// Number of items that were removed.
    pub items_removed: u64,
    /// Balances of the one remaining bucket, in tokens by limit.
    pub available: BTreeMap<LimitName, i64>,
}
