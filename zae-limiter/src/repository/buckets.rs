//! Looking into buckets.
//!
//! Buckets are shown as the engine would see them, refilled to now and summed over shards. A further shard that nobody
//! has written yet counts with its whole share, since its tokens are part of the bucket.
//!
//! Everything here reads and changes nothing. A bucket that uses a feature of newer clients is listed with the reason
//! why it cannot be shown, instead of numbers that may be wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Repository,
    capacity::{self, ShardImages},
};
use crate::{
    bucket::{
        MILLI, clamp,
        image::{Balance, Image},
    },
    error::RepositoryError,
    model::{
        access::Access,
        bucket::{BucketLimit, BucketScope, BucketState},
        name::{EntityId, IntoName, LimitName, ResourceName},
    },
    store::{Consistency, Query},
    wire::{Item, bucket, expression::Key, keys, values::get_s},
};

impl Repository {
    /// The buckets of an entity, by resource. Read from an index, which lags behind by moments, and then item by item.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read, [`RepositoryError::Malformed`] when a bucket's numbers
    /// are none.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// for bucket in repository.buckets(&zae_limiter::EntityId::new("key-1")?).await? {
    ///     for limit in &bucket.limits {
    ///         println!("{} {}: {} of {}", bucket.resource, limit.name, limit.available, limit.capacity);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn buckets(&self, entity: impl IntoName<EntityId>) -> Result<Vec<BucketState>, RepositoryError> {
        let entity = &entity.into_name()?;
        let keys = self.bucket_keys(entity, "BUCKET#".to_owned()).await?;
        let mut by_resource: BTreeMap<ResourceName, BTreeMap<u32, Item>> = BTreeMap::new();
        for (key, item) in self.store().batch_get(&keys, Consistency::Strong).await? {
            let Some(address) = keys::parse_bucket_pk(&key.pk) else { continue };
            let Ok(resource) = ResourceName::new(address.resource) else { continue };
            by_resource.entry(resource).or_default().insert(address.shard, item);
        }
        let now = self.now_ms();
        let state = |(resource, items): (ResourceName, BTreeMap<u32, Item>)| state(entity, resource, &items, now);
        by_resource.into_iter().map(state).filter_map(Result::transpose).collect()
    }

    /// All buckets of the namespace, by entity and resource; with [`BucketScope::Resource`], those of one resource.
    ///
    /// Read from an index, which lags behind by moments: a bucket that was created just now may be missing. Buckets
    /// with a feature of newer clients are among them, without limits and with the reason.
    ///
    /// Reads one unit per 8 KB of buckets for a resource. For a namespace, and for a resource with the lean index of a
    /// deployment, it is half a unit per bucket item and one per 8 KB of their keys.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read, [`RepositoryError::Malformed`] when a bucket's numbers
    /// are none.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::usage::BucketScope;
    /// for bucket in repository.all_buckets(&BucketScope::Namespace).await? {
    ///     println!("{} {}: {} limits", bucket.entity_id, bucket.resource, bucket.limits.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn all_buckets(&self, scope: &BucketScope) -> Result<Vec<BucketState>, RepositoryError> {
        let items = match scope {
            BucketScope::Resource(resource) => self.resource_buckets(resource).await?,
            BucketScope::Namespace => self.namespace_buckets().await?,
        };
        let mut by_bucket: BTreeMap<(EntityId, ResourceName), BTreeMap<u32, Item>> = BTreeMap::new();
        for item in items {
            let Some(address) = get_s(&item, "PK").and_then(keys::parse_bucket_pk) else { continue };
            let (Ok(entity), Ok(resource)) = (EntityId::new(address.entity), ResourceName::new(address.resource))
            else {
                continue;
            };
            let shard = address.shard;
            by_bucket.entry((entity, resource)).or_default().insert(shard, item);
        }
        let now = self.now_ms();
        let state = |((entity, resource), items): ((EntityId, ResourceName), BTreeMap<u32, Item>)| {
            state(&entity, resource, &items, now)
        };
        by_bucket.into_iter().map(state).filter_map(Result::transpose).collect()
    }

    /// The bucket items of the namespace, listed by an index of keys and read one by one.
    async fn namespace_buckets(&self) -> Result<Vec<Item>, RepositoryError> {
        let listed = self.store().query_all(Query::index("GSI4", self.ns()).prefix("BUCKET#")).await?;
        let state = keys::sk_state();
        let keys: Vec<Key> = listed.iter().filter_map(Key::of).filter(|key| key.sk == state).collect();
        Ok(self.store().batch_get(&keys, Consistency::Eventual).await?.into_values().collect())
    }

    /// The keys of an entity's bucket items whose place in the index begins with `prefix`.
    pub(super) async fn bucket_keys(&self, entity: &EntityId, prefix: String) -> Result<Vec<Key>, RepositoryError> {
        let listed = Query::index("GSI3", keys::gsi3_pk_entity(self.ns(), entity.as_str())).prefix(prefix);
        Ok(self.store().query_all(listed).await?.iter().filter_map(Key::of).collect())
    }
}

/// The instant at which a quota is restored on a shard, in epoch ms.
fn resets_at(image: &Image, name: &LimitName, now: i64) -> Option<i64> {
    let stored = image.limit(name.as_str())?;
    Balance::at(image, Some(stored), &stored.kind()?, image.shards(), now).resets_at(now)
}

/// `None` when no item is a bucket.
fn state(
    entity: &EntityId,
    resource: ResourceName,
    items: &BTreeMap<u32, Item>,
    now: i64,
) -> Result<Option<BucketState>, RepositoryError> {
    let mut shards = ShardImages::new();
    let mut unsupported = None;
    for (shard, item) in items {
        match bucket::decode_shown(item) {
            Ok(Some(image)) => drop(shards.insert(*shard, image)),
            Ok(None) => {}
            Err(RepositoryError::Unsupported(feature)) => unsupported = Some(feature.to_string()),
            Err(error) => return Err(error),
        }
    }
    let Some(authority) = shards.get(&0).or_else(|| shards.values().next()) else {
        let count = items.values().filter(|item| get_s(item, "resource").is_some()).count();
        let shards_stored = u32::try_from(count).unwrap_or(u32::MAX);
        return Ok(unsupported.map(|reason| BucketState {
            entity_id: entity.clone(),
            resource,
            shard_count: shards_stored,
            shards_stored,
            access: Access::Enabled,
            limits: Vec::new(),
            unsupported: Some(reason),
        }));
    };
    let count = authority.shards();
    let bypassed = |image: &Image| image.bypass.is_some_and(|stamp| stamp.lasts(now));
    let access = if shards.values().any(|image| image.disabled) {
        Access::Disabled
    } else if shards.values().any(bypassed) {
        Access::Bypassed
    } else {
        Access::Enabled
    };
    let names: BTreeSet<&LimitName> = authority.limits.iter().map(|limit| &limit.name).collect();
    let limit = |name: &LimitName| {
        let params = authority.limit(name.as_str())?.params;
        let left = capacity::left(entity.clone(), &shards, name, now)?;
        let consumed = shards.values().filter_map(|image| image.limit(name.as_str())?.consumed);
        Some(BucketLimit {
            name: name.clone(),
            capacity: left.capacity,
            refill_amount: params.refill? / MILLI,
            refill_period: Duration::from_secs(u64::try_from(params.period? / 1_000).unwrap_or(0)),
            available: left.available,
            consumed: clamp(consumed.fold(0_i128, i128::saturating_add).div_euclid(MILLI.into())),
            soft: authority.limit(name.as_str())?.soft.is_some(),
            resets_at_ms: resets_at(authority, name, now),
        })
    };
    Ok(Some(BucketState {
        entity_id: entity.clone(),
        resource,
        shard_count: count,
        shards_stored: u32::try_from(shards.range(..count).count()).unwrap_or(u32::MAX),
        access,
        // A sum over some of the shards would say too little.
        limits: if unsupported.is_some() { Vec::new() } else { names.into_iter().filter_map(limit).collect() },
        unsupported,
    }))
}
