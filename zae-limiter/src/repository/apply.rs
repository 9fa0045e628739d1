//! Bringing existing buckets in line with changed limits.
//!
//! Acquires do the same when they find a bucket that differs; doing it at once also reaches buckets that only the
//! reference's clients use, and settles what was gained under the old parameters at the moment they end.
//!
//! For each bucket in scope the limits that now hold are read from the table itself, and one conditional write (a plan
//! that takes nothing) brings it in line. A bucket in use is retried [`TRIES`] times; after that, the next acquire does
//! it. Buckets whose limits are gone entirely stay as they are until their time is over.
//!
//! In numbers: 100 tokens a minute become 1000. A bucket that was empty 30 s ago has gained 50 by then. Applied at
//! once, it holds 50 and gains 1000 a minute from now on. If the acquire applied it a minute later, it would still
//! credit that minute at the old rate, as the stored parameters are what counts until a write changes them.

use std::collections::BTreeSet;

use super::Repository;
use crate::{
    bucket::{
        self,
        image::Image,
        kind::AppliedLimit,
        lifetime::Lifetime,
        plan::{Goal, plan},
        stamp::STAMP_MS,
    },
    error::RepositoryError,
    model::{
        limit::Limits,
        name::{EntityId, LimitName, LimitScope, ResourceName},
    },
    store::{ConditionalWrite, Consistency, Query},
    wire::{
        self, Item,
        config::{ConfigLevel, StoredAccess, dropped},
        expression::Key,
        keys,
        values::get_s,
    },
};

/// Number of tries against a bucket in use.
const TRIES: u32 = 10;

/// The limits that hold for one entity and resource.
pub(super) struct Effective {
    /// The limits.
    limits: Limits,
    /// The lifetime of a bucket under them.
    lifetime: Lifetime,
    /// When they were read, in epoch ms.
    read_at: i64,
    /// Position of the level that has limits: entity, its default, resource, system.
    place: usize,
}

impl Effective {
    /// Returns true if they are those of `level`.
    pub(super) fn is_decided_by(&self, level: ConfigLevel<'_>) -> bool {
        match level {
            ConfigLevel::Entity(..) => self.place < 2,
            ConfigLevel::Resource(_) => self.place == 2,
            ConfigLevel::System => self.place == 3,
        }
    }
}

impl Repository {
    /// Brings the buckets of `entity` that `scope` covers in line with what holds for them now. `before` are the limits
    /// that held in that scope until now; those that no longer do are taken off the buckets.
    ///
    /// Not atomic over buckets, and it need not be: each bucket is in line with one set of limits at any time, and its
    /// next acquire brings it in line with the newest.
    ///
    /// # Errors
    /// [`RepositoryError::FanoutIncomplete`] when not all of them could be brought in line: the limits are stored.
    pub(super) async fn apply_limits(
        &self,
        entity: &EntityId,
        scope: &LimitScope,
        before: Option<&Limits>,
    ) -> Result<(), RepositoryError> {
        let mut stamped = 0;
        let applied = self.apply_everywhere(entity, scope, before, &mut stamped).await;
        applied.map_err(|error| RepositoryError::FanoutIncomplete {
            what: format!("the change of entity {entity}'s limits for {scope}"),
            stamped,
            source: Box::new(error),
        })
    }

    /// Counts the buckets that it has been to in `stamped`.
    async fn apply_everywhere(
        &self,
        entity: &EntityId,
        scope: &LimitScope,
        before: Option<&Limits>,
        stamped: &mut u64,
    ) -> Result<(), RepositoryError> {
        let resources = match scope {
            LimitScope::Resource(resource) => BTreeSet::from([resource.clone()]),
            LimitScope::Default => self.resources_with_buckets(entity).await?,
        };
        for resource in resources {
            // Without any limits, a bucket stays as it is until its time is over.
            let Some(effective) = self.effective(entity, &resource).await? else { continue };
            let stale = before.map(|before| dropped(before, Some(&effective.limits))).unwrap_or_default();
            self.apply_to_bucket(entity, &resource, &effective, &stale, stamped).await?;
        }
        Ok(())
    }

    /// The resources that the entity has a bucket for.
    async fn resources_with_buckets(&self, entity: &EntityId) -> Result<BTreeSet<ResourceName>, RepositoryError> {
        let keys = Query::index("GSI3", keys::gsi3_pk_entity(self.ns(), entity.as_str()));
        let buckets = self.store().query_all(keys).await?;
        let resource = |item: &Item| ResourceName::new(keys::parse_bucket_pk(get_s(item, "PK")?)?.resource).ok();
        Ok(buckets.iter().filter_map(resource).collect())
    }

    /// Reads what holds from the table itself: caches may lag behind the change that is being applied.
    pub(super) async fn effective(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
    ) -> Result<Option<Effective>, RepositoryError> {
        let (own, read_at) = (LimitScope::Resource(resource.clone()), self.now_ms());
        let levels = [
            ConfigLevel::Entity(entity, &own),
            ConfigLevel::Entity(entity, &LimitScope::Default),
            ConfigLevel::Resource(resource),
            ConfigLevel::System,
        ];
        for (index, level) in levels.into_iter().enumerate() {
            let Some(config) = self.config(level).await? else { continue };
            if config.unsupported.is_some() || matches!(config.access, StoredAccess::Other(_)) {
                // Newer clients know what holds here; we leave the bucket to them.
                return Ok(None);
            }
            let Some(limits) = config.limits else { continue };
            let multiplier = self.bucket_ttl_multiplier();
            let lifetime = match bucket::ttl_seconds(&limits, multiplier) {
                // A bucket that fills in no time is not worth removing; an expiry of now would only stop neighbours.
                Some(seconds) if index > 0 && seconds > 0 => Lifetime::Idle { seconds, multiplier },
                Some(_) | None => Lifetime::Unlimited,
            };
            return Ok(Some(Effective { limits, lifetime, read_at, place: index }));
        }
        Ok(None)
    }

    /// Applies the limits to all shards, which it counts in `stamped`; shard 0 says how many there are.
    pub(super) async fn apply_to_bucket(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
        effective: &Effective,
        stale: &[&LimitName],
        stamped: &mut u64,
    ) -> Result<(), RepositoryError> {
        let (mut shard, mut shards) = (0, 1);
        while shard < shards {
            let pk = keys::pk_bucket(self.ns(), entity.as_str(), resource.as_str(), shard);
            let found = self.apply_to_shard(&Key::new(pk, keys::sk_state()), shards, effective, stale).await?;
            *stamped += u64::from(found.is_some());
            if shard == 0 {
                shards = found.unwrap_or(1);
            }
            shard += 1;
        }
        Ok(())
    }

    /// Answers how many shards the item speaks of; `None` without an item.
    async fn apply_to_shard(
        &self,
        key: &Key,
        shards: u32,
        effective: &Effective,
        stale: &[&LimitName],
    ) -> Result<Option<u32>, RepositoryError> {
        let wanted = AppliedLimit::all(&effective.limits);
        let nothing = vec![0; wanted.len()];
        let mut found = None;
        for _ in 0..TRIES {
            let Some(item) = self.store().get(key, Consistency::Strong).await? else { return Ok(found) };
            let image = match wire::bucket::decode(&item) {
                Ok(Some(image)) => image,
                Ok(None) => return Ok(found),
                Err(RepositoryError::Unsupported(unsupported)) => {
                    tracing::warn!(%unsupported, "the bucket keeps its old limits");
                    return Ok(found);
                }
                Err(error) => return Err(error),
            };
            found = Some(image.shards());
            let goal = Goal {
                limits: &wanted,
                take: &nothing,
                adjust: &[],
                shards,
                ttl: effective.lifetime,
                owner: None,
                soft_until: Some(effective.read_at.saturating_add(STAMP_MS)),
                now: self.now_ms(),
            };
            let change = wire::bucket::encode_update(&plan(&image, &goal));
            if !change.update.is_empty() && self.store().update(key, change).await? == ConditionalWrite::Refused {
                continue;
            }
            self.drop_stale(key, &image, stale).await?;
            return Ok(found);
        }
        // A bucket as busy as that is brought in line by the acquires that keep it busy.
        Ok(found)
    }

    /// Takes limits that no longer hold off a bucket, each only while nobody uses it.
    async fn drop_stale(&self, key: &Key, image: &Image, stale: &[&LimitName]) -> Result<(), RepositoryError> {
        for name in stale {
            let Some(limit) = image.limit(name.as_str()) else { continue };
            self.store().update(key, wire::bucket::encode_removal(limit)).await?;
        }
        Ok(())
    }
}
