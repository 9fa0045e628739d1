//! Refilling buckets in use before those who use them have to.
//!
//! An acquire that finds too few tokens refills on the way, at the cost of a credited plan, which excludes other
//! writers. If an aggregator has credited the bucket a moment before, acquires are plain and run side by side. It
//! refills only where the tokens left would not last for another batch like the one it has just seen; more often would
//! be a write for nothing.
//!
//! It is the same plan that an acquire makes, with nothing taken, so it can neither lose nor invent a token (see
//! [`bucket::plan`](crate::bucket::plan)).

use std::collections::BTreeMap;

use super::{BucketChange, StreamChange, StreamRecord, StreamTable};
use crate::{
    bucket::{image::Image, plan::refill},
    error::RepositoryError,
    store::{ConditionalUpdate, Consistency},
    wire::{bucket, expression::Key, keys, sequence::SequenceNumber},
};

/// Number of attempts at a refill against the users of the bucket; users that are so busy refill it on the way.
const TRIES: u32 = 2;
/// Of the reserved limit, what is left when it is time to fill it: a half, in which a batch of writes has room.
const WCU_DUE: i64 = 2;

/// The activity of one bucket that a batch showed.
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
    /// The bucket as that record left it.
    image: Image,
    /// Net consumption by limit in the batch, in mt.
    demand: BTreeMap<String, i64>,
}

/// The outcome of a refill.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refill {
    /// Every limit was credited for the time since the last refill.
    Done,
    /// There is enough for another batch like this one, or nothing was gained.
    NotNeeded,
    /// Somebody else was faster, which is as good.
    Overtaken,
}

impl BucketActivity {
    /// Collects the activity that the records of a batch show, bucket by bucket: the newest image, and the total taken.
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

    /// Whose bucket it is.
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// For which resource.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns true if the tokens in the bucket would not last for another such batch.
    fn is_due(&self, image: &Image) -> bool {
        // A quota gains nothing before its next period, which its users begin.
        let short = |(name, demand): (&String, &i64)| {
            let tokens = image.limit(name).filter(|limit| limit.quota.is_none()).and_then(|limit| limit.tokens);
            tokens.is_some_and(|tokens| tokens < (*demand).max(0))
        };
        self.demand.iter().any(short) || image.wcu.is_some_and(|wcu| wcu.tokens < wcu.capacity() / WCU_DUE)
    }
}

impl StreamTable {
    /// Refills a bucket if what it holds would not last for another batch like the one that was seen.
    ///
    /// Cancel safe: it is one write.
    ///
    /// All its limits are credited for the same time, by the arithmetic and under the conditions of an acquire, so that
    /// nothing is lost and nothing is credited twice. May be repeated.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read or written.
    pub async fn refill(&self, activity: &BucketActivity) -> Result<Refill, RepositoryError> {
        let BucketActivity { namespace, entity, resource, shard, .. } = activity;
        let key = |shard| Key::new(keys::pk_bucket(namespace, entity, resource, shard), keys::sk_state());
        if !activity.is_due(&activity.image) {
            return Ok(Refill::NotNeeded);
        }
        let mut shards = 1;
        if *shard > 0 {
            // The first shard is the authority on how many there are, and a share is credited according to it.
            let first = self.store.get(&key(0), Consistency::Strong).await?;
            let first = first.as_ref().map(bucket::decode_plain).transpose()?.flatten();
            shards = first.map_or(1, |image| image.shards());
        }
        let mut image = activity.image.clone();
        for _ in 0..TRIES {
            if !activity.is_due(&image) {
                return Ok(Refill::NotNeeded);
            }
            let Some(write) = refill(&image, shards, self.clock.now_ms()) else { return Ok(Refill::NotNeeded) };
            let seen = match self.store.update_or_see(&key(*shard), bucket::encode_update(&write)).await? {
                ConditionalUpdate::Done => return Ok(Refill::Done),
                ConditionalUpdate::Refused(seen) => seen,
            };
            match seen.as_ref().map(bucket::decode_plain) {
                Some(Ok(Some(current))) => image = current,
                // It is gone, or its owner uses what we leave alone.
                None | Some(Ok(None) | Err(RepositoryError::Unsupported(_))) => return Ok(Refill::Overtaken),
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(Refill::Overtaken)
    }
}
