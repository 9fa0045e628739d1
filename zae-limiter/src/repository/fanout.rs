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
    bucket::{owner::Owner, stamp::STAMP_MS},
    error::{RepositoryError, Unsupported},
    model::{
        access::{Access, Cascade, ConfigTarget, ResolvedAccess},
        name::LimitScope,
    },
    store::{ConditionalWrite, Consistency, Query},
    wire::{
        self, Item,
        config::{self, StoredAccess},
        expression::{Expression, Key},
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
    /// The record of its entity.
    meta: Key,
    /// The levels whose settings hold for it, the strongest first.
    levels: AccessLevels,
}

/// The copies that are brought in line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Copies {
    /// Of the switch; where one is given, only on buckets for which it holds.
    Access(Option<Access>),
    /// Of the owner's facts, policies included.
    Owner,
}

/// The new copy of one bucket.
#[derive(Clone, Debug, PartialEq)]
enum Copy {
    Access(Access),
    Owner(Owner),
}

impl Copy {
    /// The update of the bucket. A bypass is stamped until `until` (epoch ms).
    fn stamp(&self, until: i64) -> Expression {
        match self {
            Self::Access(access) => switch::stamp(*access, until),
            Self::Owner(owner) => wire::owner::copy(owner),
        }
    }
}

impl Copies {
    /// Returns the copy that `bucket` is to have, given the items that decide about it; `None` to leave it alone.
    fn of(self, bucket: &Bucket, found: &HashMap<Key, Item>) -> Option<Copy> {
        match self {
            // Settings that newer clients know are theirs to stamp.
            Self::Access(_) => effective(&bucket.levels, found).ok().map(|holds| Copy::Access(holds.access)),
            Self::Owner => {
                let mut policies = bucket.levels.iter().filter_map(|(_, key)| config::cascade(found.get(key)?).ok()?);
                let policy = policies.next().map(|cascade| cascade == Cascade::On);
                Some(Copy::Owner(wire::owner::of_entity(found.get(&bucket.meta)?, policy)))
            }
        }
    }

    /// Returns true if a bucket that was not told yet is to be told `copy`.
    fn concern(self, copy: &Copy) -> bool {
        match (self, copy) {
            (Self::Access(Some(only)), Copy::Access(access)) => *access == only,
            _ => true,
        }
    }
}

/// The buckets that were told, and what.
type Told = HashMap<Key, Copy>;

impl Repository {
    /// The configuration items that may switch `entity` off for `resource`. Plain text: what others wrote need not be
    /// a valid name.
    pub(super) fn access_levels(&self, entity: &str, resource: &str) -> AccessLevels {
        let [own, default, of_resource, _] = level_keys(self.ns(), entity, resource);
        [own, default, of_resource]
    }

    /// Brings the copies on the buckets that `target` covers in line, and answers how many that were.
    pub(super) async fn fan_out(&self, target: &ConfigTarget, copies: Copies) -> Result<u64, RepositoryError> {
        let mut told = Told::new();
        for _ in 0..PASSES {
            if let Err(error) = self.tell_all(target, copies, &mut told).await {
                let stamped = u64::try_from(told.len()).unwrap_or(u64::MAX);
                let what = match target {
                    ConfigTarget::Resource(resource) => format!("the setting of resource {resource}"),
                    ConfigTarget::Entity(entity, scope) => format!("the setting of entity {entity} for {scope}"),
                };
                return Err(RepositoryError::FanoutIncomplete { what, stamped, source: Box::new(error) });
            }
        }
        Ok(u64::try_from(told.len()).unwrap_or(u64::MAX))
    }

    async fn tell_all(&self, target: &ConfigTarget, copies: Copies, told: &mut Told) -> Result<(), RepositoryError> {
        let mut query = self.buckets_of(target);
        loop {
            let page = self.store().query_page(&query).await?;
            for listed in page.items.chunks(TOGETHER) {
                let buckets: Vec<Bucket> = listed.iter().filter_map(|item| self.bucket(item)).collect();
                self.tell(buckets, copies, told).await?;
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
        let meta = Key::new(keys::pk_entity(self.ns(), address.entity), keys::sk_meta());
        Some(Bucket { meta, levels, key })
    }

    /// Tells those of `buckets` that have not been told yet what holds for them, in parallel.
    async fn tell(&self, buckets: Vec<Bucket>, copies: Copies, told: &mut Told) -> Result<(), RepositoryError> {
        let mut wanted: Vec<Key> =
            buckets.iter().flat_map(|bucket| &bucket.levels).map(|(_, key)| key.clone()).collect();
        if matches!(copies, Copies::Owner) {
            wanted.extend(buckets.iter().map(|bucket| bucket.meta.clone()));
        }
        let until = self.now_ms().saturating_add(STAMP_MS);
        let found = self.store().batch_get(&wanted, Consistency::Strong).await?;
        let mut stamps = JoinSet::new();
        for bucket in buckets {
            let Some(copy) = copies.of(&bucket, &found) else { continue };
            let due = match told.get(&bucket.key) {
                Some(before) => *before != copy,
                None => copies.concern(&copy),
            };
            if !due {
                continue;
            }
            let (store, key) = (self.store().clone(), bucket.key);
            stamps.spawn(async move {
                let done = store.update(&key, copy.stamp(until)).await?;
                Ok::<_, RepositoryError>((done == ConditionalWrite::Done).then_some((key, copy)))
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
