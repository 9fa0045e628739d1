//! The four levels at which limits are stored: their items, and reading them without any cache.

use super::{Repository, resolution::ConfigSource};
use crate::{
    bucket::{self, lifetime::Lifetime},
    error::RepositoryError,
    model::{
        limit::Limits,
        name::{EntityId, LimitScope, ResourceName},
    },
    store::Consistency,
    wire::{config::StoredConfig, expression::Key, keys},
};

/// Returns the items of the levels, in order of precedence.
pub(super) fn level_keys(ns: &str, entity: &str, resource: &str) -> [(ConfigSource, Key); 4] {
    let own = |scope: &str| Key::new(keys::pk_entity(ns, entity), keys::sk_entity_config(scope));
    [
        (ConfigSource::Entity, own(resource)),
        (ConfigSource::EntityDefault, own(LimitScope::DEFAULT)),
        (ConfigSource::Resource, Key::new(keys::pk_resource(ns, resource), keys::sk_config())),
        (ConfigSource::System, Key::new(keys::pk_system(ns), keys::sk_config())),
    ]
}

impl Repository {
    /// The lifetime of a bucket under `limits`, which were found at `source`; `None` if they are not stored.
    pub(crate) fn lifetime(&self, source: Option<ConfigSource>, limits: &Limits) -> Lifetime {
        let multiplier = self.bucket_ttl_multiplier();
        match (source, bucket::ttl_seconds(limits, multiplier)) {
            (Some(ConfigSource::Entity), _) => Lifetime::Unlimited,
            (_, None) => Lifetime::AsIs,
            // A bucket that fills in no time is not worth removing (and the reference reads 0 as "keep").
            (_, Some(0)) => Lifetime::Unlimited,
            (_, Some(seconds)) => Lifetime::Idle { seconds, multiplier },
        }
    }

    /// Reads everything that is stored at the levels for an entity and a resource, in order of precedence.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] for a malformed item.
    pub(crate) async fn levels(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
    ) -> Result<Vec<(ConfigSource, StoredConfig)>, RepositoryError> {
        let levels = level_keys(self.ns(), entity.as_str(), resource.as_str());
        let wanted: Vec<Key> = levels.iter().map(|(_, key)| key.clone()).collect();
        let found = self.store().batch_get(&wanted, Consistency::Strong).await?;
        let stored = levels.into_iter().filter_map(|(level, key)| Some((level, found.get(&key)?)));
        stored.map(|(level, item)| Ok((level, StoredConfig::decode(item)?))).collect()
    }
}
