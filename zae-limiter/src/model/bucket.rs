//! The contents of a bucket: [`BucketState`], and the result of folding one: [`FoldedBucket`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::name::{EntityId, LimitName, ResourceName};

/// One entity's bucket for one resource, all of its shards together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BucketState {
    /// The entity that it belongs to.
    pub entity_id: EntityId,
    /// The resource that it limits.
    pub resource: ResourceName,
    /// Number of shards that share capacity and refill; 1 unless a reference client has sharded the bucket.
    pub shard_count: u32,
    /// Number of shards that have an item. A missing one is created when it is needed.
    pub shards_stored: u32,
    /// By name. Empty when `unsupported` says why.
    pub limits: Vec<BucketLimit>,
    /// The feature of newer clients that keeps it from being read here, in words.
    pub unsupported: Option<String>,
}

/// One limit in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BucketLimit {
    /// Its name.
    pub name: LimitName,
    /// The ceiling, in tokens, over all shards.
    pub capacity: i64,
    /// Tokens gained per period, over all shards.
    pub refill_amount: i64,
    /// The period, in seconds.
    pub refill_period_seconds: i64,
    /// Tokens in it now, refills included; negative in debt.
    pub available: i64,
    /// Net consumption since the items were created, in tokens.
    pub consumed: i64,
}

/// The result of folding a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FoldedBucket {
    /// Number of shards that it had.
    pub shards_before: u32,
    /// Number of items that were removed.
    pub items_removed: u64,
    /// Balances of the one remaining bucket, in tokens by limit.
    pub available: BTreeMap<LimitName, i64>,
}
