//! Switching resources and entities off and on.

use super::{Repository, gate::Gated, settings::Setting};
use crate::{
    error::RepositoryError,
    model::{
        access::{Access, ConfigTarget, ResolvedAccess},
        name::{EntityId, IntoName, LimitScope, ResourceName},
    },
    store::{Consistency, Query},
    wire::{
        Item,
        config::{self, ConfigLevel, StoredAccess},
        expression::Key,
        keys,
        values::get_s,
    },
};

impl Repository {
    /// Switches `target` off: every acquire is refused, by every client, whatever is left in the buckets. What leases
    /// hold is settled all the same. Returns the number of buckets that were told.
    ///
    /// Neither the entity nor the resource has to exist. An entity's own setting ([`Repository::enable`]) stays in
    /// force below a resource that is switched off.
    ///
    /// Not cancel safe, but repeatable: a dropped call may have stored the setting without reaching all buckets. Until
    /// it is repeated, processes that remember their limits go on for up to the time of their configuration cache.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{AcquireError, Cost, Limit, RateLimiter, Repository, ResourceName};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_system_defaults(Limit::per_minute("rpm", 10)?).await?;
    /// let limiter = RateLimiter::new(repository.clone());
    /// limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1)).await?.commit().await?;
    ///
    /// assert_eq!(repository.disable(ResourceName::new("gpt-4")?).await?, 1);
    /// let refused = limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1)).await;
    /// assert!(matches!(refused, Err(AcquireError::Disabled(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::FanoutIncomplete`] when the setting is stored and not all buckets could be told.
    pub async fn disable(&self, target: impl Into<ConfigTarget> + Send) -> Result<u64, RepositoryError> {
        self.set_access(target, Some(Access::Disabled)).await
    }

    /// Switches `target` on, also where a level below it is switched off: an entity's own setting comes before the
    /// resource's. Returns the number of buckets that were told.
    ///
    /// Cancel safe in the way of [`Repository::disable`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, Repository, ResourceName, access::Access};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.disable(ResourceName::new("gpt-4")?).await?;
    /// repository.enable(EntityId::new("key-1")?).await?; // the one who may go on
    /// let resolved = repository.resolve_access("key-1", "gpt-4").await?;
    /// assert_eq!(resolved.access, Access::Enabled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Repository::disable`].
    pub async fn enable(&self, target: impl Into<ConfigTarget> + Send) -> Result<u64, RepositoryError> {
        self.set_access(target, Some(Access::Enabled)).await
    }

    /// Lets everything through that asks for `target`: acquires are counted, and neither refused nor debited. Returns
    /// the number of buckets that were told.
    ///
    /// Levels come before each other as for [`Repository::disable`]. Leases that were opened meanwhile are settled in
    /// the counters alone. Clients of other processes notice it with their next write to a bucket.
    ///
    /// Cancel safe in the way of [`Repository::disable`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, EntityId, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_system_defaults(Limit::per_minute("rpm", 1)?).await?;
    /// let limiter = RateLimiter::new(repository.clone());
    /// repository.bypass(EntityId::new("vip")?).await?;
    /// let lease = limiter.acquire("vip", "gpt-4", Cost::of("rpm", 1_000)).await?;
    /// assert!(lease.is_bypassed());
    /// lease.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::FunctionsTooOld`] where functions are deployed that do not know bypasses, and as
    /// [`Repository::disable`].
    pub async fn bypass(&self, target: impl Into<ConfigTarget> + Send) -> Result<u64, RepositoryError> {
        self.set_access(target, Some(Access::Bypassed)).await
    }

    /// Removes the setting of `target`, so that the next level decides. Returns the number of buckets that were told.
    ///
    /// Cancel safe in the way of [`Repository::disable`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{LimitScope, Repository, access::{Access, ConfigTarget}};
    ///
    /// let repository = Repository::embedded().await?;
    /// let key = ConfigTarget::entity("key-1", LimitScope::Default)?;
    /// repository.disable(&key).await?;
    /// repository.clear_access(&key).await?;
    /// assert_eq!(repository.access(&key).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Repository::disable`].
    pub async fn clear_access(&self, target: impl Into<ConfigTarget> + Send) -> Result<u64, RepositoryError> {
        self.set_access(target, None).await
    }

    /// Stores `access` for `target`, or removes the setting, as [`Repository::disable`], [`Repository::enable`],
    /// [`Repository::bypass`] and [`Repository::clear_access`] do.
    ///
    /// # Errors
    /// As [`Repository::bypass`].
    pub async fn set_access(
        &self,
        target: impl Into<ConfigTarget> + Send,
        access: Option<Access>,
    ) -> Result<u64, RepositoryError> {
        if access == Some(Access::Bypassed) {
            self.pass_gate(Gated::Bypasses).await?;
        }
        self.set(&target.into(), Setting::Access(access)).await
    }

    /// Tells all buckets of `target` once more what is stored: whoever stored it may have been interrupted. Returns the
    /// number of buckets that were told.
    ///
    /// # Errors
    /// As [`Repository::disable`].
    pub async fn restamp_access(&self, target: impl Into<ConfigTarget> + Send) -> Result<u64, RepositoryError> {
        let target = &target.into();
        let access = self.access(target).await?;
        self.fan_out(target, Setting::Access(access).copies(target)).await
    }

    /// The setting of `target` itself; `None` where the next level decides.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when it is one that only newer clients know.
    pub async fn access(&self, target: impl Into<ConfigTarget> + Send) -> Result<Option<Access>, RepositoryError> {
        let target = target.into();
        let key = ConfigLevel::from(&target).key(self.ns());
        let item = self.store().get(&key, Consistency::Strong).await?;
        match item.as_ref().map(config::access).unwrap_or_default() {
            StoredAccess::Inherit => Ok(None),
            StoredAccess::Set(access) => Ok(Some(access)),
            StoredAccess::Other(unsupported) => Err(unsupported.into()),
        }
    }

    /// The settings of an entity's own, by scope.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, LimitScope, Repository, access::{Access, ConfigTarget}};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.disable(EntityId::new("key-1")?).await?;
    /// repository.enable(ConfigTarget::entity("key-1", "gpt-4")?).await?;
    /// let settings = repository.entity_access("key-1").await?;
    /// assert_eq!(settings[0], (LimitScope::Default, Access::Disabled));
    /// assert_eq!(settings[1].1, Access::Enabled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read.
    pub async fn entity_access(
        &self,
        entity: impl IntoName<EntityId>,
    ) -> Result<Vec<(LimitScope, Access)>, RepositoryError> {
        let partition = keys::pk_entity(self.ns(), entity.into_name()?.as_str());
        let configs = Query::table(partition).prefix(keys::CONFIG_PREFIX).strong();
        let setting = |item: &Item| {
            let scope = get_s(item, "SK")?.strip_prefix(keys::CONFIG_PREFIX)?;
            Some((LimitScope::try_from(scope).ok()?, config::access(item).set()?))
        };
        let mut settings: Vec<_> = self.store().query_all(configs).await?.iter().filter_map(setting).collect();
        settings.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Ok(settings)
    }

    /// The setting that holds for `entity` and `resource`, read from the table itself.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when it is one that only newer clients know.
    pub async fn resolve_access(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
    ) -> Result<ResolvedAccess, RepositoryError> {
        let (entity, resource) = (entity.into_name()?, resource.into_name()?);
        let levels = self.access_levels(entity.as_str(), resource.as_str());
        let wanted: Vec<Key> = levels.iter().map(|(_, key)| key.clone()).collect();
        let found = self.store().batch_get(&wanted, Consistency::Strong).await?;
        Ok(super::fanout::effective(&levels, &found)?)
    }
}
