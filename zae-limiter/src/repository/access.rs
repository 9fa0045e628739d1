//! Switching resources and entities off and on.
//!
//! The setting is an attribute of a configuration item. Buckets carry a copy of it, because writes that take tokens
//! read no configuration: so each change is also stamped onto every bucket that it concerns before the call returns
//! ([`fanout`](super::fanout)).

use serde_json::json;

use super::{
    Repository,
    configs::{Fate, TRIES, busy, check_scope, expect_unchanged},
    trail::AuditChange,
};
use crate::{
    error::RepositoryError,
    model::{
        access::{Access, ConfigTarget, ResolvedAccess},
        name::{EntityId, IntoName, LimitScope, ResourceName},
    },
    store::{Committed, Consistency, Query, TransactPart},
    wire::{
        Item,
        config::{self, ConfigLevel, DISABLED, StoredAccess},
        expression::{Expression, Key},
        keys,
        values::{get_s, to_attribute},
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

    /// Stores `access` for `target`, or removes the setting, as [`Repository::disable`], [`Repository::enable`] and
    /// [`Repository::clear_access`] do.
    ///
    /// # Errors
    /// As [`Repository::disable`].
    pub async fn set_access(
        &self,
        target: impl Into<ConfigTarget> + Send,
        access: Option<Access>,
    ) -> Result<u64, RepositoryError> {
        let target = &target.into();
        if let ConfigTarget::Entity(_, scope) = target {
            check_scope(scope)?;
        }
        let event = self.store_access(target, access).await?;
        let stamped = self.fan_out_access(target, access).await?;
        if let Some(event) = event {
            // The event is there already; this only completes it.
            let complete = Expression::of(|e| {
                e.expect_item();
                let (details, stamped_here) = (e.name("details"), e.name("buckets_stamped"));
                e.set(&format!("{details}.{stamped_here}"), to_attribute(&json!(stamped)));
            });
            if let Err(error) = self.store().update(&event, complete).await {
                tracing::debug!(%error, "an audit event lacks the number of buckets");
            }
        }
        Ok(stamped)
    }

    /// Tells all buckets of `target` once more what is stored: whoever stored it may have been interrupted. Returns the
    /// number of buckets that were told.
    ///
    /// # Errors
    /// As [`Repository::disable`].
    pub async fn restamp_access(&self, target: impl Into<ConfigTarget> + Send) -> Result<u64, RepositoryError> {
        let target = &target.into();
        let access = self.access(target).await?;
        self.fan_out_access(target, access).await
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

    /// Stores the setting with its audit event. Returns the event's key.
    async fn store_access(
        &self,
        target: &ConfigTarget,
        access: Option<Access>,
    ) -> Result<Option<Key>, RepositoryError> {
        let level = ConfigLevel::from(target);
        let key = level.key(self.ns());
        for _ in 0..TRIES {
            let before = self.store().get(&key, Consistency::Strong).await?;
            let mut parts = Vec::new();
            if access.is_some() || before.is_some() {
                parts.push(TransactPart::Update(key.clone(), self.change_of(level, access, before.as_ref())));
            }
            if access.is_some() {
                parts.extend(self.registered(level, Fate::Stored, before.as_ref()));
            }
            let event = self.trail(&AuditChange::AccessSet(target, access), None).await?;
            let event_key = match &event {
                TransactPart::Put(item, _) => Key::of(item),
                _ => None,
            };
            parts.push(event);
            if self.store().transact(&parts).await? == Committed::Done {
                self.forget_limits_at(level);
                return Ok(event_key);
            }
        }
        Err(busy(&key))
    }

    /// The update of the configuration item. Attributes that it has beside the setting are not touched.
    fn change_of(&self, level: ConfigLevel<'_>, access: Option<Access>, before: Option<&Item>) -> Expression {
        Expression::of(|e| {
            expect_unchanged(e, before);
            let disabled = e.name(DISABLED);
            let Some(access) = access else { return e.remove(&disabled) };
            e.set(&disabled, config::encode_access(access));
            // An item without limits has no version of them.
            let own = |name: &str| !matches!(name, "PK" | "SK" | "config_version");
            for (name, value) in level.blank(self.ns()).into_iter().filter(|(name, _)| own(name)) {
                let attribute = e.name(name);
                e.set_once(&attribute, value);
            }
        })
    }
}
