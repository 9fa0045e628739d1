//! Propagates a bucket's number of shards to its other shards.
//!
//! A limiter of this crate raises it in all shards at once. Python clients raise it on the first shard alone, and the
//! others learn it here: existing ones get the number, missing ones are created with their part of what the first holds
//! beyond its own share, so that all together never hold more than the single bucket did.
//!
//! For example, a bucket of capacity 100 holds 80 tokens when its number of shards is raised to 4. Shard 0 keeps its
//! own share of 25. The other 55 are divided among the three others: each starts with 18.333 tokens, rounded down to
//! the millitoken. Created full, the four would have held 100.

use super::{BucketChange, StreamTable};
use crate::{
    bucket::{image::LimitImage, opening::further_shard, quota::grant::inferred_count},
    error::{RepositoryError, ValidationError},
    model::name::{EntityId, NamespaceId, ResourceName},
    store::{ConditionalWrite, Consistency},
    wire::{
        bucket::{self, NewBucket, encode_new},
        expression::{Expression, Key},
        keys,
    },
};

/// Maximum plausible number of shards; no load leads a client there.
const MOST_SHARDS: u32 = 1_024;

/// The changes made by a propagation.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Propagated {
    /// Number of shards that were updated.
    pub updated: u32,
    /// Number of shards that were created.
    pub created: u32,
}

impl BucketChange {
    /// Returns the number of shards, if this change of the first shard raised it.
    pub fn raised_shards(&self) -> Option<u32> {
        let now = self.image.as_ref()?.shards();
        let before = self.shards_before?;
        (self.shard == 0 && now > before && now <= MOST_SHARDS).then_some(now)
    }
}

impl StreamTable {
    /// Propagates an increased number of shards to the other shards. Does nothing for a change that did not raise it.
    /// May be repeated.
    ///
    /// Cancel safe for the same reason: the next call completes what a dropped one left.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn propagate_shards(&self, change: &BucketChange) -> Result<Propagated, RepositoryError> {
        let mut done = Propagated::default();
        let (Some(shards), Some(image), Some(before)) = (change.raised_shards(), &change.image, change.shards_before)
        else {
            return Ok(done);
        };
        let owner = owner(change)?;
        for shard in 1..before {
            let pk = keys::pk_bucket(&change.namespace, &change.entity, &change.resource, shard);
            let key = Key::new(pk, keys::sk_state());
            let counts = if image.any_quota().is_some() { self.unnoted_grants(&key).await? } else { Vec::new() };
            let raise = Expression::of(|e| {
                e.expect_some("rf");
                e.absent_or("shard_count", "<", i64::from(shards));
                e.set("shard_count", i64::from(shards));
                for (attribute, count) in &counts {
                    let name = e.name(attribute.clone());
                    e.set_once(&name, i64::from(*count));
                }
            });
            if self.store.update(&key, raise).await? == ConditionalWrite::Done {
                done.updated += 1;
            }
        }
        // A further shard of a quota would be granted its share anew: whoever needs one asks the others first. A
        // disabled bucket needs none.
        if image.disabled || image.valid_until.is_some() || image.is_timed() {
            return Ok(done);
        }
        let opening = further_shard(image, shards, self.clock.now_ms());
        for shard in before..shards {
            let (namespace, entity, resource) = &owner;
            let item = encode_new(&NewBucket { namespace, entity, resource, shard, image: &opening });
            if self.store.put(item, Expression::of(|e| e.expect("rf", None::<i64>))).await? == ConditionalWrite::Done {
                done.created += 1;
            }
        }
        Ok(done)
    }
}

impl StreamTable {
    /// The grants of a shard's quotas that nobody has noted, as they follow from what is held: the number of shards is
    /// what they are told by, and it is about to change.
    async fn unnoted_grants(&self, key: &Key) -> Result<Vec<(String, u32)>, RepositoryError> {
        let item = self.store.get(key, Consistency::Strong).await?;
        let image = match item.as_ref().map(bucket::decode_plain).transpose() {
            Ok(image) => image.flatten(),
            // Its owner uses what we leave alone, and notes its grants itself.
            Err(RepositoryError::Unsupported(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(image) = image else { return Ok(Vec::new()) };
        let unnoted = |limit: &LimitImage| {
            limit.quota.as_ref().filter(|quota| quota.grant_count.is_none())?;
            let count = inferred_count(limit.tokens?, limit.params.capacity?, image.shards());
            Some((keys::bucket_attr(limit.name.as_str(), "gc"), count))
        };
        Ok(image.limits.iter().filter_map(unnoted).collect())
    }
}

/// Validates the names in a record, which are plain text so far.
pub(super) fn owner(change: &BucketChange) -> Result<(NamespaceId, EntityId, ResourceName), ValidationError> {
    Ok((NamespaceId::new(&change.namespace)?, EntityId::new(&change.entity)?, ResourceName::new(&change.resource)?))
}
