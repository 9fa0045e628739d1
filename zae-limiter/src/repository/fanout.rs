//! Telling all buckets of a setting: the copies that they carry are stamped one by one.
//!
//! The setting of a bucket is resolved for it from the table itself, with strongly consistent reads, right before it is
//! stamped. The index that lists the buckets lags behind, so the list is gone through twice: the second time catches
//! buckets that were created meanwhile, and those whose setting somebody else has changed.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::{
    Repository,
    levels::level_keys,
    resolution::{ConfigSource, disabled_level},
};
use crate::{
    error::{RepositoryError, Unsupported},
    model::{
        access::{Access, ConfigTarget, ResolvedAccess},
        name::LimitScope,
    },
    store::{ConditionalWrite, Consistency, Query},
    wire::{
        Item,
        config::{self, StoredAccess},
        expression::Key,
        keys, switch,
    },
};

/// Number of passes over the list of buckets.
const PASSES: u32 = 2;
/// Buckets that are looked at together: their settings are one BatchGetItem, and they are stamped side by side.
const TOGETHER: usize = 32;

/// The levels that may have a setting, the nearest first.
pub(super) type AccessLevels = [(ConfigSource, Key); 3];

/// One bucket item and the keys that decide about it.
struct Bucket {
    /// The key of one item of a bucket.
    key: Key,
    /// The levels whose settings hold for it, the strongest first.
    levels: AccessLevels,
}

/// The buckets that were told, and what.
type StampedBuckets = HashMap<Key, Access>;

impl Repository {
    /// The configuration items that may switch `entity` off for `resource`. Plain text: what others wrote need not be
    /// a valid name.
    pub(super) fn access_levels(&self, entity: &str, resource: &str) -> AccessLevels {
        let [own, default, of_resource, _] = level_keys(self.ns(), entity, resource);
        [own, default, of_resource]
    }

    /// Stamps the buckets that `target` covers, and answers how many. For a resource these are the buckets of entities
    /// for which the setting just stored holds; others have one of their own.
    pub(super) async fn fan_out_access(
        &self,
        target: &ConfigTarget,
        access: Option<Access>,
    ) -> Result<u64, RepositoryError> {
        let only = match target {
            ConfigTarget::Resource(_) => Some(access.unwrap_or(Access::Enabled)),
            ConfigTarget::Entity(..) => None,
        };
        let mut told = StampedBuckets::new();
        for _ in 0..PASSES {
            if let Err(error) = self.tell_all(target, only, &mut told).await {
                let stamped = u64::try_from(told.len()).unwrap_or(u64::MAX);
                let what = match target {
                    ConfigTarget::Resource(resource) => format!("the switch of resource {resource}"),
                    ConfigTarget::Entity(entity, scope) => format!("the switch of entity {entity} for {scope}"),
                };
                return Err(RepositoryError::FanoutIncomplete { what, stamped, source: Box::new(error) });
            }
        }
        Ok(u64::try_from(told.len()).unwrap_or(u64::MAX))
    }

    /// Goes through the list of buckets once, page by page.
    async fn tell_all(
        &self,
        target: &ConfigTarget,
        only: Option<Access>,
        told: &mut StampedBuckets,
    ) -> Result<(), RepositoryError> {
        let mut query = self.buckets_of(target);
        loop {
            let page = self.store().query_page(&query).await?;
            for listed in page.items.chunks(TOGETHER) {
                let buckets: Vec<Bucket> = listed.iter().filter_map(|item| self.bucket(item)).collect();
                self.tell(buckets, only, told).await?;
            }
            match page.next {
                Some(next) => query = query.starting(next),
                None => return Ok(()),
            }
        }
    }

    /// The list of the buckets of `target`.
    fn buckets_of(&self, target: &ConfigTarget) -> Query {
        match target {
            ConfigTarget::Resource(resource) => {
                Query::index("GSI2", keys::gsi2_pk_resource(self.ns(), resource.as_str())).prefix("BUCKET#")
            }
            ConfigTarget::Entity(entity, scope) => {
                let prefix = match scope {
                    LimitScope::Default => "BUCKET#".to_owned(),
                    LimitScope::Resource(resource) => format!("BUCKET#{resource}#"),
                };
                Query::index("GSI3", keys::gsi3_pk_entity(self.ns(), entity.as_str())).prefix(prefix)
            }
        }
    }

    /// The keys that decide about a listed bucket.
    fn bucket(&self, item: &Item) -> Option<Bucket> {
        let key = Key::of(item)?;
        let address = keys::parse_bucket_pk(&key.pk)?;
        let levels = self.access_levels(address.entity, address.resource);
        Some(Bucket { key, levels })
    }

    /// Stamps those of `buckets` that have not been told yet what holds for them, in parallel.
    async fn tell(
        &self,
        buckets: Vec<Bucket>,
        only: Option<Access>,
        told: &mut StampedBuckets,
    ) -> Result<(), RepositoryError> {
        let wanted: Vec<Key> = buckets.iter().flat_map(|bucket| &bucket.levels).map(|(_, key)| key.clone()).collect();
        let found = self.store().batch_get(&wanted, Consistency::Strong).await?;
        let mut stamps = JoinSet::new();
        for Bucket { key, levels } in buckets {
            // Settings of newer clients are left for those to stamp.
            let Ok(ResolvedAccess { access, .. }) = effective(&levels, &found) else { continue };
            let due = match told.get(&key) {
                Some(before) => *before != access,
                None => only.is_none_or(|only| only == access),
            };
            if !due {
                continue;
            }
            let store = self.store().clone();
            stamps.spawn(async move {
                let done = store.update(&key, switch::stamp(access)).await?;
                Ok::<_, RepositoryError>((done == ConditionalWrite::Done).then_some((key, access)))
            });
        }
        let mut failed = None;
        while let Some(stamped) = stamps.join_next().await {
            match stamped {
                Ok(Ok(stamped)) => told.extend(stamped),
                Ok(Err(error)) => failed = Some(error),
                // Nothing here panics, and nothing is aborted.
                Err(_) => {}
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Finds the setting that holds, given the items of `levels`.
pub(super) fn effective(levels: &AccessLevels, found: &HashMap<Key, Item>) -> Result<ResolvedAccess, Unsupported> {
    for (source, key) in levels {
        match found.get(key).map(config::access).unwrap_or_default() {
            StoredAccess::Inherit => {}
            StoredAccess::Set(access) => return Ok(ResolvedAccess { access, level: disabled_level(*source) }),
            StoredAccess::Other(unsupported) => return Err(unsupported),
        }
    }
    Ok(ResolvedAccess::UNSET)
}
