//! The lanes of one limiter, bounded in number.
//!
//! Two lanes for one bucket are possible for a while, after an eviction. They act like two processes: each write's
//! conditions see the other's. So the bound on memory never has to wait for a lane to become idle.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use moka::sync::Cache;

use crate::{
    bucket::{key::BucketKey, limit_set::LimitSet},
    engine::{
        lane::{Lane, hold::Booked},
        runtime::context::Context,
    },
    model::name::{EntityId, ResourceName},
    recent::Interner,
};

/// After this long without an acquire a lane is forgotten; its next acquire costs one more call.
const IDLE: Duration = Duration::from_secs(600);
/// Maximum plausible number of shards; no load leads a client there.
const MOST_SHARDS: u32 = 1_024;

/// The lanes of one limiter. A lane that is pushed out while it has work or leases lives on until they are done; a
/// second lane for its bucket is no error, only less economical, because the conditions of each write decide.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// By bucket.
    lanes: Cache<BucketKey, Arc<Lane>>,
    /// Sets that many entities share.
    limit_set: Interner<Arc<LimitSet>>,
    /// A parent was met that cascades itself.
    third_level: Once,
    /// The state that all of them share.
    pub(crate) shared: Arc<Context>,
}

impl Lanes {
    /// Starts without lanes.
    pub(crate) fn new(shared: Arc<Context>) -> Self {
        let lanes = Cache::builder().max_capacity(shared.options.max_lanes).time_to_idle(IDLE).build();
        Self { lanes, limit_set: Interner::default(), third_level: Once::new(), shared }
    }

    /// Waits until those that were pushed out are gone.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        self.lanes.run_pending_tasks();
    }

    /// The set that others have, if it is equal.
    pub(crate) fn intern(&self, limit_set: LimitSet) -> Arc<LimitSet> {
        self.limit_set.intern(Arc::new(limit_set), |known, limit_set| known.same(limit_set))
    }

    /// Warns, once, of a third level: it is never charged.
    pub(crate) fn warn_of_third_level(&self, entity: &EntityId, parent: &EntityId, grandparent: &str) {
        self.third_level.call_once(|| {
            tracing::warn!(
                %entity,
                %parent,
                grandparent,
                "a parent cascades itself: acquires charge an entity and its parent, the grandparent is not charged"
            );
        });
    }

    /// The lane of the entity's bucket, if it is remembered.
    pub(crate) fn known(&self, entity: &EntityId, resource: &ResourceName) -> Option<Arc<Lane>> {
        self.lanes.get(&BucketKey { entity: entity.clone(), resource: resource.clone(), shard: 0 })
    }

    /// Makes the further shards of the bucket `first` be asked again before anybody is refused, of `shards` in all.
    pub(crate) fn distrust_shards(&self, first: &BucketKey, shards: u32) {
        let known = |shard| self.lanes.get(&BucketKey { shard, ..first.clone() });
        (1..shards.min(MOST_SHARDS)).filter_map(known).for_each(|lane| lane.distrust());
    }

    /// Writes what is booked in any of them without waiting for others to join: the lanes that have something to write,
    /// and their answers.
    pub(crate) fn flush(&self) -> Vec<(Arc<Lane>, Booked)> {
        let lanes = self.lanes.iter().map(|(_, lane)| lane);
        lanes.filter_map(|lane| lane.flush_all().map(|stored| (lane, stored))).collect()
    }

    /// The lane of a bucket.
    pub(crate) fn lane(&self, key: BucketKey) -> Arc<Lane> {
        if let Some(lane) = self.lanes.get(&key) {
            return lane;
        }
        self.lanes.get_with(key.clone(), || Arc::new(Lane::new(key, Arc::clone(&self.shared))))
    }
}
