//! The remaining capacity of a resource, over all entities.
//!
//! The buckets of a resource are found through an index, which lags behind by moments and may not hold whole items:
//! those are then read from the table. Each bucket counts as the engine would see it now, refilled and summed over its
//! shards. An entity that has no bucket yet is not counted, as nobody knows of it.
//!
//! Cost: a query over the index, and batch reads of the items that it does not hold whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Repository;
use crate::{
    bucket::{
        MILLI,
        image::{Balance, Image},
        quota::grant,
    },
    error::{RepositoryError, Unsupported},
    model::{
        capacity::{CapacityScope, EntityCapacity, ResourceCapacity},
        name::{EntityId, IntoName, LimitName, ResourceName},
    },
    store::{Consistency, Query},
    wire::{Item, bucket, expression::Key, keys, values::get_s},
};

/// One entity's shards, by index.
pub(super) type ShardImages = BTreeMap<u32, Image>;

impl Repository {
    /// Returns what all entities with a bucket for `resource` have left of `limit` at this moment, refills included.
    ///
    /// Cancel safe: it only reads.
    ///
    /// Reads the resource's part of an index, so buckets that were created within the last moments may be missing. One
    /// read unit per 8 KB of buckets; with the lean index of a deployment, one more read per bucket.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read, [`RepositoryError::Malformed`] when a bucket's
    /// numbers are none.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::{LimitName, ResourceName, usage::CapacityScope};
    /// let (gpt, tpm) = (ResourceName::new("gpt-4")?, LimitName::new("tpm")?);
    /// let left = repository.resource_capacity(&gpt, &tpm, CapacityScope::ParentsOnly).await?;
    /// println!("{} of {} tokens left", left.total_available, left.total_capacity);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resource_capacity(
        &self,
        resource: impl IntoName<ResourceName>,
        limit: impl IntoName<LimitName>,
        scope: CapacityScope,
    ) -> Result<ResourceCapacity, RepositoryError> {
        let (resource, limit) = (&resource.into_name()?, &limit.into_name()?);
        let mut unsupported = Vec::new();
        let mut shards: BTreeMap<EntityId, ShardImages> = BTreeMap::new();
        for item in self.resource_buckets(resource).await? {
            let Some((entity, shard)) = address(&item) else { continue };
            match bucket::decode_shown(&item) {
                Ok(Some(image)) => {
                    shards.entry(entity).or_default().insert(shard, image);
                }
                Ok(None) => {}
                Err(RepositoryError::Unsupported(feature)) => unsupported.push(feature),
                Err(error) => return Err(error),
            }
        }
        // A sum over some of an entity's shards would say too little.
        for Unsupported { item, .. } in &unsupported {
            if let Some(bucket) = keys::parse_bucket_pk(item) {
                shards.retain(|entity, _| entity.as_str() != bucket.entity);
            }
        }
        if scope == CapacityScope::ParentsOnly {
            let parents = self.without_parent(shards.keys()).await?;
            shards.retain(|entity, _| parents.contains(entity));
        }
        let now = self.now_ms();
        let entities: Vec<EntityCapacity> =
            shards.into_iter().filter_map(|(entity, shards)| left(entity, &shards, limit, now)).collect();
        let sum = |part: fn(&EntityCapacity) -> i64| entities.iter().map(part).fold(0, i64::saturating_add);
        let (total_capacity, total_available) = (sum(|entity| entity.capacity), sum(|entity| entity.available));
        Ok(ResourceCapacity {
            resource: resource.clone(),
            limit_name: limit.clone(),
            total_capacity,
            total_available,
            utilization_pct: utilization(total_capacity, total_available),
            entities,
            unsupported,
        })
    }

    /// The bucket items of a resource.
    pub(super) async fn resource_buckets(&self, resource: &ResourceName) -> Result<Vec<Item>, RepositoryError> {
        let partition = keys::gsi2_pk_resource(self.ns(), resource.as_str());
        let listed = self.store().query_all(Query::index("GSI2", partition).prefix("BUCKET#")).await?;
        self.store().whole(listed, "rf").await
    }

    /// Those of `entities` that are registered and have no parent.
    async fn without_parent<'a>(
        &self,
        entities: impl Iterator<Item = &'a EntityId> + Send,
    ) -> Result<BTreeSet<EntityId>, RepositoryError> {
        let key = |id: &EntityId| Key::new(keys::pk_entity(self.ns(), id.as_str()), keys::sk_meta());
        let by_key: HashMap<Key, &EntityId> = entities.map(|id| (key(id), id)).collect();
        let wanted: Vec<Key> = by_key.keys().cloned().collect();
        let found = self.store().batch_get(&wanted, Consistency::Eventual).await?;
        let parents = found.iter().filter(|(_, meta)| get_s(meta, "parent_id").is_none_or(str::is_empty));
        Ok(parents.filter_map(|(key, _)| by_key.get(key).map(|id| (*id).clone())).collect())
    }
}

/// The entity and the shard in an item's key.
fn address(item: &Item) -> Option<(EntityId, u32)> {
    let bucket = keys::parse_bucket_pk(get_s(item, "PK")?)?;
    Some((EntityId::new(bucket.entity).ok()?, bucket.shard))
}

/// Returns what is left of `limit` in the shards of one entity's bucket; `None` when they do not have that limit.
pub(super) fn left(entity_id: EntityId, shards: &ShardImages, limit: &LimitName, now: i64) -> Option<EntityCapacity> {
    // Shard 0 is the authority on count and parameters; it may be missing when its time is over first.
    let authority = shards.get(&0).or_else(|| shards.values().next())?;
    let count = authority.shards();
    let whole = authority.limit(limit.as_str())?.kind()?;
    let level = |image: &Image| Balance::at(image, image.limit(limit.as_str()), &whole, count, now).tokens;
    let existing: Vec<i64> = shards.range(..count).map(|(_, image)| level(image)).collect();
    // A shard that nobody needed yet starts with its share, unless another one was granted it.
    let siblings = grant::siblings(shards.range(..count).map(|(shard, image)| (*shard, image)), limit, &whole, now);
    let share = whole.share(count).at(now).ceiling();
    let missing = (0..count).filter(|shard| !shards.contains_key(shard));
    let untouched = missing.map(|shard| grant::unclaimed(shard, share, &siblings)).fold(0, i64::saturating_add);
    let tokens = existing.into_iter().fold(untouched, i64::saturating_add);
    let topped_up = shards.range(..count).map(|(_, image)| topped_up(image, limit, now)).fold(0, i64::saturating_add);
    let capacity = whole.at(now).ceiling().saturating_add(topped_up) / MILLI;
    let available = tokens.div_euclid(MILLI);
    Some(EntityCapacity { entity_id, capacity, available, utilization_pct: utilization(capacity, available) })
}

/// Topped up in the running period of a quota, in mt.
fn topped_up(image: &Image, limit: &LimitName, now: i64) -> i64 {
    let stored = image.limit(limit.as_str());
    let running = stored.filter(|stored| stored.is_current(image.last_refill, now));
    running.and_then(|stored| stored.quota.as_ref()?.topped_up).unwrap_or(0).max(0)
}

/// The used part, in per cent.
fn utilization(capacity: i64, available: i64) -> f64 {
    if capacity <= 0 {
        return 0.0;
    }
    (capacity as f64 - available as f64) / capacity as f64 * 100.0
}
