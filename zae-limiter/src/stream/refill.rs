//! Refills busy buckets before their users have to.
//!
//! An acquire that finds too few tokens refills as part of its write, at the cost of a credited plan, which excludes
//! other writers. If an aggregator has just credited the bucket, acquires are plain and run side by side. The
//! aggregator refills only if the remaining tokens would not last for another batch like the one it has just seen; more
//! often would waste writes.
//!
//! It also cuts a balance that lies above a lowered ceiling, and applies a period of a quota that has begun, on each
//! shard that a record shows: until then Python clients take two calls for each acquire of that shard.
//!
//! It uses the same plan as an acquire, with nothing taken, so it can neither lose nor create tokens (see
//! [`bucket::plan`](crate::bucket::plan)).

use std::collections::BTreeMap;

use super::{BucketChange, StreamChange, StreamRecord, StreamTable};
use crate::{
    bucket::{
        image::Image,
        plan::{is_overdue, refill},
    },
    error::RepositoryError,
    store::{ConditionalUpdate, Consistency},
    wire::{bucket, expression::Key, keys, sequence::SequenceNumber},
};

/// Number of attempts at a refill against the bucket's users; users that busy refill it themselves.
const TRIES: u32 = 2;
/// Remaining tokens of the reserved limit at which it is refilled: half of it, which leaves room for a batch of writes.
const WCU_DUE: i64 = 2;

/// The activity of one bucket in a batch.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Debug)]
pub struct BucketActivity {
    /// The newest record of the bucket in the batch.
    newest: SequenceNumber,
    /// The namespace's id.
    namespace: String,
    /// The entity's id.
    entity: String,
    /// The resource's name.
    resource: String,
    /// The shard's index.
    shard: u32,
    /// The bucket's state in that record.
    pub(super) image: Image,
    /// Net consumption by limit in the batch, in mt.
    demand: BTreeMap<String, i64>,
}

/// The outcome of a refill.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refill {
    /// Every limit was brought up to date: credited, cut, or restored where its period has begun.
    Done,
    /// There is enough for another batch like this one, or nothing was gained.
    NotNeeded,
    /// Another writer was faster, which is equally good.
    Overtaken,
}

impl BucketActivity {
    /// Collects the activity in the records of a batch, bucket by bucket: the newest image, and the total consumption.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a StreamRecord>) -> Vec<Self> {
        let mut found: BTreeMap<(&str, &str, &str, u32), Self> = BTreeMap::new();
        for record in records {
            let StreamChange::Bucket(change) = &record.change else { continue };
            let BucketChange { namespace, entity, resource, shard, image: Some(image), .. } = &**change else {
                continue;
            };
            let activity = found.entry((namespace, entity, resource, *shard)).or_insert_with(|| Self {
                newest: record.sequence.clone(),
                namespace: namespace.clone(),
                entity: entity.clone(),
                resource: resource.clone(),
                shard: *shard,
                image: image.clone(),
                demand: BTreeMap::new(),
            });
            if record.sequence > activity.newest {
                activity.newest = record.sequence.clone();
                activity.image = image.clone();
            }
            for (limit, mt) in &change.consumed {
                let demand = activity.demand.entry(limit.clone()).or_default();
                *demand = demand.saturating_add(*mt);
            }
        }
        found.into_values().collect()
    }

    /// Returns the bucket's entity.
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// Returns the bucket's resource.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns true if the tokens in the bucket would not last for another such batch, or if a limit is cut or restored
    /// at `now` (epoch ms).
    pub(super) fn is_due(&self, image: &Image, shards: u32, now: i64) -> bool {
        // A quota gains nothing within its period.
        let short = |(name, demand): (&String, &i64)| {
            let tokens = image.limit(name).filter(|limit| limit.quota.is_none()).and_then(|limit| limit.tokens);
            tokens.is_some_and(|tokens| tokens < (*demand).max(0))
        };
        self.demand.iter().any(short)
            || image.wcu.is_some_and(|wcu| wcu.tokens < wcu.capacity() / WCU_DUE)
            || is_overdue(image, shards, now)
    }
}

impl StreamTable {
    /// Refills a bucket if its tokens would not last for another batch like the observed one, or if one of its limits
    /// holds more than it may or belongs into a new period.
    ///
    /// Cancel safe: it is one write.
    ///
    /// All its limits are credited for the same time, with the arithmetic and under the conditions of an acquire, so
    /// that nothing is lost or credited twice. May be repeated.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read or written.
    pub async fn refill(&self, activity: &BucketActivity) -> Result<Refill, RepositoryError> {
        let BucketActivity { namespace, entity, resource, shard, .. } = activity;
        let key = |shard| Key::new(keys::pk_bucket(namespace, entity, resource, shard), keys::sk_state());
        let mut shards = activity.image.shards();
        if !activity.is_due(&activity.image, shards, self.clock.now_ms()) {
            return Ok(Refill::NotNeeded);
        }
        if *shard > 0 {
            // The first shard defines the number of shards, and a share is credited according to it.
            let first = self.store.get(&key(0), Consistency::Strong).await?;
            let first = first.as_ref().map(bucket::decode_plain).transpose()?.flatten();
            shards = first.map_or(1, |image| image.shards());
        }
        let mut image = activity.image.clone();
        for _ in 0..TRIES {
            let now = self.clock.now_ms();
            if !activity.is_due(&image, shards, now) {
                return Ok(Refill::NotNeeded);
            }
            let Some(write) = refill(&image, shards, now) else { return Ok(Refill::NotNeeded) };
            let seen = match self.store.update_or_see(&key(*shard), bucket::encode_update(&write)).await? {
                ConditionalUpdate::Done => return Ok(Refill::Done),
                ConditionalUpdate::Refused(seen) => seen,
            };
            match seen.as_ref().map(bucket::decode_plain) {
                Some(Ok(Some(current))) => image = current,
                // It is gone, or its owner uses a feature that this version leaves alone.
                None | Some(Ok(None) | Err(RepositoryError::Unsupported(_))) => return Ok(Refill::Overtaken),
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(Refill::Overtaken)
    }
}
