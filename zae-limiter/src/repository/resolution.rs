//! Limits that apply: entity and resource, else the entity's default, else the resource's, else the system's. One
//! BatchGetItem answers it, and the answer is remembered, also when it is "none".
//!
//! The key of the cache is namespace, entity and resource. Concurrent misses of one key share one read. An entry is
//! believed for `config_cache_ttl`, by the repository's clock and by tokio's ([`ReadAt`]). A change made through this
//! process ends the entries that it concerns at once, even one whose read is under way ([`changes`](super::changes)).
//!
//! The same read brings the entity's record (its parent, and whether it cascades) and its bucket, whose image may grant
//! but never refuse: the read is eventually consistent, and older than a write's answer.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Repository, changes::Changes, configured::Configured, levels::level_keys, read_at::ReadAt, standing::Standings,
    switches::Switches, validity::ResolutionValidity,
};
use crate::{
    bucket::owner::Owner,
    error::{DisabledLevel, RepositoryError, Unsupported},
    lazy::LazyCache,
    model::{
        access::{Access, Cascade},
        limit::Limits,
        name::{EntityId, NamespaceId, ResourceName},
        status::StoredPolicy,
    },
    recent::Interner,
    store::Consistency,
    wire::{
        self, Item,
        config::{StoredAccess, StoredConfig},
        expression::Key,
        keys,
    },
};
use moka::future::Cache;

/// Time that a resolution is cached unless the repository is set otherwise.
pub const DEFAULT_CONFIG_CACHE_TTL: Duration = Duration::from_secs(60);
/// Time that what is switched off is believed to be: whoever switches it on does not want to wait.
const OFF_TTL: Duration = Duration::from_secs(1);
/// Number of resolutions that are remembered, at up to 1 KiB each: two for each bucket that a limiter remembers.
const MAX_RESOLUTIONS: u64 = 65_536;
/// Number of namespaces whose stored policy is remembered, and of entities that are remembered as switched off.
const MAX_NAMESPACES: u64 = 10_000;

/// The level at which limits were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigSource {
    /// The entity's own, for this resource.
    Entity,
    /// The entity's own, for all resources.
    EntityDefault,
    /// The resource's default.
    Resource,
    /// The namespace's default.
    System,
}

/// The stored configuration of one entity and resource.
#[derive(Debug)]
pub(crate) struct Resolution {
    /// The limits of the first level that has any.
    pub(crate) limits: Option<Limits>,
    /// That level.
    pub(crate) source: Option<ConfigSource>,
    /// The namespace's default.
    pub(crate) on_unavailable: Option<StoredPolicy>,
    /// A feature that forbids to grant anything.
    pub(crate) unsupported: Option<Unsupported>,
    /// The level at which an operator has switched it off.
    pub(crate) disabled: Option<DisabledLevel>,
    /// True if an operator lets everything through.
    pub(crate) bypassed: bool,
    /// The facts about the entity, and the parent that is charged by them and by policies.
    pub(crate) owner: Owner,
}

/// A resolution and, when it was just read, the bucket that was read along with it.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// When the limits were read, in epoch ms.
    pub(crate) read_at: i64,
    /// The configuration.
    pub(crate) resolution: Arc<Resolution>,
    /// Shard 0 of the entity's bucket, if this call read it and it exists.
    pub(crate) bucket: Option<Item>,
    /// The time for which the configuration may be kept.
    pub(crate) validity: ResolutionValidity,
}

/// Statistics of the cache of resolved limits.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::Repository;
///
/// let repository = Repository::embedded().await?;
/// assert_eq!(repository.config_cache_stats().entries, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigCacheStats {
    /// Answers from memory. Grants from a reserve ask nothing, and are not among them.
    pub hits: u64,
    /// Answers that had to be read.
    pub misses: u64,
    /// Entries now in memory.
    pub entries: u64,
}

/// A configuration in the cache.
#[derive(Clone, Debug)]
pub(super) struct RememberedLimits {
    /// The configuration.
    resolution: Arc<Resolution>,
    /// When it was read.
    pub(super) read_at: ReadAt,
    /// The changes made before it was read.
    pub(super) seen: u64,
}

/// The key of a configuration.
type ResolutionKey = (NamespaceId, EntityId, ResourceName);

/// The resolutions that the repositories of one table share.
#[derive(Debug)]
pub(crate) struct Resolutions {
    /// Configurations, by namespace, entity and resource.
    cache: Cache<ResolutionKey, RememberedLimits>,
    /// Tells if namespaces are still in use.
    pub(super) standings: Standings,
    /// The time for which an entry is believed.
    pub(super) ttl: Duration,
    /// Answers from memory.
    hits: AtomicU64,
    /// Answers that were read.
    misses: AtomicU64,
    /// The outage policy of each namespace as last read, for when it cannot be.
    policies: LazyCache<NamespaceId, StoredPolicy>,
    /// Entities and resources that were switched off when last read: an outage does not switch them on.
    disabled: LazyCache<ResolutionKey, DisabledLevel>,
    /// Most entities have the limits of a level above them, which are read again for each.
    limits: Interner<Limits>,
    /// Changes made through this process.
    changes: Changes,
    /// By namespace.
    pub(super) configured: LazyLock<Cache<NamespaceId, Configured>>,
    /// When buckets' stamps were last checked.
    pub(super) switches: Switches,
    /// True once the functions were seen to know session quotas.
    pub(super) knows_sessions: AtomicBool,
}

impl Resolutions {
    /// Starts with empty caches.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            cache: Cache::new(MAX_RESOLUTIONS),
            standings: Standings::new(),
            ttl,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            policies: LazyCache::new(MAX_NAMESPACES),
            disabled: LazyCache::new(MAX_NAMESPACES),
            limits: Interner::default(),
            changes: Changes::new(),
            configured: LazyLock::new(|| Cache::new(MAX_NAMESPACES)),
            switches: Switches::new(),
            knows_sessions: AtomicBool::new(false),
        }
    }

    /// Changes made through this process.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Returns true if an entry is young, and no change since concerns it.
    fn is_fresh(&self, key: &ResolutionKey, remembered: &RememberedLimits, now: ReadAt) -> bool {
        let ttl = if remembered.resolution.disabled.is_some() { self.ttl.min(OFF_TTL) } else { self.ttl };
        remembered.read_at.is_within(ttl, now) && !self.changes.since(remembered.seen, &key.0, &key.1)
    }
}

/// The level of a switch; the system has none.
pub(super) fn disabled_level(source: ConfigSource) -> Option<DisabledLevel> {
    match source {
        ConfigSource::Entity => Some(DisabledLevel::Entity),
        ConfigSource::EntityDefault => Some(DisabledLevel::EntityDefault),
        ConfigSource::Resource => Some(DisabledLevel::Resource),
        ConfigSource::System => None,
    }
}

impl Repository {
    /// Returns the stored limits of `entity` for `resource`, and the parent that is charged too; an error where the
    /// namespace is not in use any more.
    ///
    /// Concurrent misses read once.
    pub(crate) async fn resolve(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
    ) -> Result<Resolved, Arc<RepositoryError>> {
        let (standing, read) = tokio::join!(self.standing(), self.read_or_remember(entity, resource));
        if let Some(gone) = standing.gone {
            return Err(gone);
        }
        let (remembered, bucket) = read?;
        let validity = self.resolutions().validity(&remembered, standing.read_at, &**self.clock());
        Ok(Resolved { read_at: remembered.read_at.wall, resolution: remembered.resolution, bucket, validity })
    }

    /// Answers from memory, or reads once for all who ask meanwhile.
    ///
    /// A read that was begun before a change must not answer a call that came after it, so an entry is compared with
    /// the changes known when the call was made, and read again if it is older.
    async fn read_or_remember(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
    ) -> Result<(RememberedLimits, Option<Item>), Arc<RepositoryError>> {
        let known = self.resolutions();
        let key = (self.namespace_id().clone(), entity.clone(), resource.clone());
        let now = ReadAt::now(&**self.clock());
        if let Some(remembered) = known.cache.get(&key).await {
            if known.is_fresh(&key, &remembered, now) {
                self.hit();
                return Ok((remembered, None));
            }
            known.cache.invalidate(&key).await;
        }
        let called = known.changes.seen();
        loop {
            let mut bucket = None;
            let read = async {
                known.misses.fetch_add(1, Ordering::Relaxed);
                let seen = known.changes.seen();
                let (resolution, item) =
                    self.read_resolution(entity, resource, known.changes.consistency(now.wall)).await?;
                bucket = item;
                match resolution.on_unavailable {
                    Some(policy) => known.policies.insert(self.namespace_id().clone(), policy),
                    None => known.policies.remove(self.namespace_id()),
                }
                match resolution.disabled {
                    Some(level) => known.disabled.insert(key.clone(), level),
                    None => known.disabled.remove(&key),
                }
                Ok(RememberedLimits { resolution: Arc::new(resolution), read_at: now, seen })
            };
            let read = known.cache.try_get_with(key.clone(), read).await;
            let remembered = read.map_err(|error: Arc<RepositoryError>| error)?;
            // Somebody else's read may have begun before a change that was made before this call.
            if remembered.seen >= called || !known.changes.since(remembered.seen, &key.0, &key.1) {
                return Ok((remembered, bucket));
            }
            known.cache.invalidate(&key).await;
        }
    }

    /// Reads the six items, and takes from the levels what the first of them says.
    async fn read_resolution(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
        consistency: Consistency,
    ) -> Result<(Resolution, Option<Item>), RepositoryError> {
        let (ns, id, res) = (self.ns(), entity.as_str(), resource.as_str());
        let meta = Key::new(keys::pk_entity(ns, id), keys::sk_meta());
        let bucket = Key::new(keys::pk_bucket(ns, id, res, 0), keys::sk_state());
        let levels = level_keys(ns, id, res);
        let mut wanted = vec![meta.clone(), bucket.clone()];
        wanted.extend(levels.iter().map(|(_, key)| key.clone()));
        let mut found = self.store().batch_get(&wanted, consistency).await?;

        let mut resolution = Resolution {
            limits: None,
            source: None,
            on_unavailable: None,
            unsupported: None,
            disabled: None,
            bypassed: false,
            owner: Owner::default(),
        };
        let mut policy = None;
        let mut access = StoredAccess::Inherit;
        for (level, key) in &levels {
            let Some(item) = found.get(key) else { continue };
            let config = StoredConfig::decode(item)?;
            // The system has no say in this.
            if access == StoredAccess::Inherit
                && let Some(level) = disabled_level(*level)
            {
                resolution.disabled = (config.access == StoredAccess::Set(Access::Disabled)).then_some(level);
                access = config.access;
            }
            if disabled_level(*level).is_some() {
                policy = policy.or(config.cascade.map(|cascade| cascade == Cascade::On));
            }
            if resolution.unsupported.is_none() {
                resolution.unsupported = config.unsupported;
            }
            if *level == ConfigSource::System {
                resolution.on_unavailable = config.on_unavailable;
            }
            if let (None, Some(limits)) = (&resolution.limits, config.limits) {
                resolution.limits = Some(self.resolutions().limits.intern(limits, Limits::same));
                resolution.source = Some(*level);
            }
        }
        resolution.bypassed = access == StoredAccess::Set(Access::Bypassed);
        if let StoredAccess::Other(unsupported) = access {
            resolution.unsupported.get_or_insert(unsupported);
        }
        if let Some(item) = found.get(&meta) {
            resolution.owner = wire::owner::of_entity(item, policy);
            // A parent that is no valid id cannot have a bucket.
            if resolution.owner.parent.as_deref().is_some_and(|parent| EntityId::new(parent).is_err()) {
                resolution.owner = Owner { cascade: false, parent: None, ..resolution.owner };
            }
        }
        Ok((resolution, found.remove(&bucket)))
    }

    /// Returns the level at which `entity` was last known to be switched off for `resource`.
    pub(crate) fn last_disabled(&self, entity: &EntityId, resource: &ResourceName) -> Option<DisabledLevel> {
        self.resolutions().disabled.get(&(self.namespace_id().clone(), entity.clone(), resource.clone()))
    }

    /// One bucket item, as it is.
    pub(crate) async fn bucket_item(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
        shard: u32,
    ) -> Result<Option<Item>, RepositoryError> {
        let pk = keys::pk_bucket(self.ns(), entity.as_str(), resource.as_str(), shard);
        self.store().get(&Key::new(pk, keys::sk_state()), Consistency::Eventual).await
    }

    /// The stored policy as it was last read; `None` when none is stored or none was read yet.
    pub(crate) fn last_on_unavailable(&self) -> Option<StoredPolicy> {
        self.resolutions().policies.get(self.namespace_id())
    }

    /// Forgets all resolved limits: the next acquires read them again. Changes made through this repository and its
    /// clones do this by themselves; changes by others are seen after the cache's time.
    pub fn invalidate_config_cache(&self) {
        self.forget_all_limits();
        self.resolutions().standings.forget();
    }

    /// The same, where nothing but limits has changed.
    pub(super) fn forget_all_limits(&self) {
        self.resolutions().changes.of_everything(self.now_ms());
        self.resolutions().cache.invalidate_all();
    }

    /// The same for one entity: others' limits are still what they were.
    pub(crate) fn forget_limits_of(&self, entity: &EntityId) {
        self.resolutions().changes.of_entity(self.namespace_id(), entity, self.now_ms());
    }

    /// Counts an answer from memory.
    pub(crate) fn hit(&self) {
        self.resolutions().hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the hits, misses and entries of the cache of resolved limits.
    pub fn config_cache_stats(&self) -> ConfigCacheStats {
        let known = self.resolutions();
        ConfigCacheStats {
            hits: known.hits.load(Ordering::Relaxed),
            misses: known.misses.load(Ordering::Relaxed),
            entries: known.cache.entry_count(),
        }
    }
}
