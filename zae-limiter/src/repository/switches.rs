//! Correcting the stamp of a bucket that contradicts the configuration.
//!
//! The stamp is what writes look at, and it can be wrong for ever: whoever changed the setting was interrupted, or the
//! bucket was created just then by somebody who had not seen the change. So whoever meets a contradiction asks the
//! configuration, strongly consistent and at most once a second for each bucket, and writes what it says. It is read
//! once more after that: a setting that was changed in between is stamped by its own change, or by us.

use super::{Repository, fanout::effective};
use crate::{
    bucket::stamp::STAMP_MS,
    error::RepositoryError,
    lazy::LazyCache,
    model::{
        access::ResolvedAccess,
        name::{EntityId, NamespaceId, ResourceName},
    },
    store::Consistency,
    wire::{expression::Key, keys, switch},
};

/// Number of buckets of which it is remembered when they were checked.
const MAX_BUCKETS: u64 = 10_000;
/// Time between two checks of one bucket, in ms.
const RECHECK_MS: i64 = 1_000;
/// Number of tries against a setting that keeps changing.
const TRIES: u32 = 3;

/// A bucket, all of its shards.
type Address = (NamespaceId, EntityId, ResourceName);

/// When buckets were last compared with the configuration.
#[derive(Debug)]
pub(super) struct Switches(LazyCache<Address, i64>);

impl Switches {
    /// Starts without having checked any.
    pub(super) fn new() -> Self {
        Self(LazyCache::new(MAX_BUCKETS))
    }

    /// Returns true if the bucket is due to be checked at `now` (epoch ms), and notes that it is.
    fn is_due(&self, address: Address, now: i64) -> bool {
        let checked = self.0.get(&address);
        let due = checked.is_none_or(|checked| !(0..RECHECK_MS).contains(&now.saturating_sub(checked)));
        if due {
            self.0.insert(address, now);
        }
        due
    }
}

impl Repository {
    /// Compares the stamps of a bucket with what the configuration says of `entity` and `resource`, and corrects them.
    /// Returns the setting; `None` where it was read a moment ago, or cannot be.
    pub(crate) async fn check_switch(&self, entity: &EntityId, resource: &ResourceName) -> Option<ResolvedAccess> {
        let address = (self.namespace_id().clone(), entity.clone(), resource.clone());
        if !self.resolutions().switches.is_due(address, self.now_ms()) {
            return None;
        }
        match self.correct_stamps(entity, resource).await {
            Ok(setting) => Some(setting),
            Err(error) => {
                tracing::warn!(%entity, %resource, %error, "a bucket could not be compared with its setting");
                None
            }
        }
    }

    /// Reads the setting, stamps the shards, and reads it again.
    async fn correct_stamps(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
    ) -> Result<ResolvedAccess, RepositoryError> {
        let levels = self.access_levels(entity.as_str(), resource.as_str());
        let wanted: Vec<Key> = levels.iter().map(|(_, key)| key.clone()).collect();
        let read = async || {
            let until = self.now_ms().saturating_add(STAMP_MS);
            let found = self.store().batch_get(&wanted, Consistency::Strong).await?;
            Ok::<_, RepositoryError>((effective(&levels, &found)?, until))
        };
        let (mut setting, mut until) = read().await?;
        let first = Key::new(keys::pk_bucket(self.ns(), entity.as_str(), resource.as_str(), 0), keys::sk_state());
        for _ in 0..TRIES {
            let mut shards = self.bucket_keys(entity, format!("BUCKET#{resource}#")).await?;
            shards.retain(|key| *key != first);
            shards.push(first.clone());
            for key in &shards {
                self.store().update(key, switch::correction(setting.access, until)).await?;
            }
            let after = read().await?;
            if after.0 == setting {
                break;
            }
            (setting, until) = after;
        }
        Ok(setting)
    }
}
