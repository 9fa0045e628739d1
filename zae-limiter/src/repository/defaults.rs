//! Default limits: of one resource, and of the whole namespace.
//!
//! Unlike an entity's limits, defaults are not applied to buckets at once, because they may concern every bucket of the
//! namespace. Acquires update each bucket when they next use it.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Repository, configs::Trail, trail::AuditChange};
use crate::{
    error::RepositoryError,
    model::{
        defaults::SystemDefaults,
        limit::Limits,
        name::{IntoName, ResourceName},
        status::StoredPolicy,
    },
    store::{Consistency, TransactPart},
    wire::{
        config::{AUDIT_RETENTION_DAYS, ConfigLevel, ON_UNAVAILABLE, StoredConfig},
        expression::{Expression, Key},
        keys,
        values::{n, s},
    },
};

impl Repository {
    /// Stores a resource's default limits, replacing existing ones. Acquires update each bucket when they next use it,
    /// at the latest after the cache time.
    ///
    /// Cancel safe: a dropped call has stored everything or nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository, ResourceName};
    ///
    /// let repository = Repository::embedded().await?;
    /// let model = ResourceName::new("gpt-4")?;
    /// repository.set_resource_defaults(&model, &Limit::per_minute("rpm", 100)?.into()).await?;
    /// assert!(repository.resource_defaults(&model).await?.is_some());
    /// assert!(repository.delete_resource_defaults(&model).await?);
    /// assert!(!repository.delete_resource_defaults(&model).await?); // there were none any more
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] if the stored limits use a feature of newer clients, which replacing them would
    /// undo.
    pub async fn set_resource_defaults(
        &self,
        resource: impl IntoName<ResourceName>,
        limits: impl Into<Limits> + Send,
    ) -> Result<(), RepositoryError> {
        let resource = &resource.into_name()?;
        let limits = &limits.into();
        self.replace_config(ConfigLevel::Resource(resource), Some(limits), None).await.map(drop)
    }

    /// Returns a resource's default limits, in the order of their names; `None` if it has none.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_resource_defaults("gpt-4", Limit::per_minute("rpm", 100)?).await?;
    /// let limits = repository.resource_defaults("gpt-4").await?.expect("defaults");
    /// assert_eq!(limits.get("rpm").map(Limit::capacity), Some(100));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] or [`RepositoryError::Unsupported`] if the stored limits cannot be read.
    pub async fn resource_defaults(
        &self,
        resource: impl IntoName<ResourceName>,
    ) -> Result<Option<Limits>, RepositoryError> {
        let resource = &resource.into_name()?;
        match self.config(ConfigLevel::Resource(resource)).await? {
            Some(config) => Ok(config.supported()?.limits),
            None => Ok(None),
        }
    }

    /// Removes a resource's default limits, and returns if there were any.
    ///
    /// Cancel safe: a dropped call has written everything or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] if they use a feature of newer clients.
    pub async fn delete_resource_defaults(
        &self,
        resource: impl IntoName<ResourceName>,
    ) -> Result<bool, RepositoryError> {
        let resource = &resource.into_name()?;
        let removed = self.remove_config(ConfigLevel::Resource(resource), Trail::Own).await?;
        Ok(removed.is_some())
    }

    /// Returns the resources that have default limits, in order.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// for model in ["gpt-4", "claude-sonnet-4-5"] {
    ///     repository.set_resource_defaults(model, Limit::per_minute("rpm", 100)?).await?;
    /// }
    /// let models: Vec<String> = repository.resources_with_defaults().await?.iter().map(ToString::to_string).collect();
    /// assert_eq!(models, ["claude-sonnet-4-5", "gpt-4"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn resources_with_defaults(&self) -> Result<Vec<ResourceName>, RepositoryError> {
        let key = Key::new(keys::pk_system(self.ns()), keys::sk_resources());
        let registry = self.store().get(&key, Consistency::Strong).await?.unwrap_or_default();
        let names = registry.get("resources").and_then(|names| names.as_ss().ok());
        let mut names: Vec<_> = names.into_iter().flatten().filter_map(|name| ResourceName::new(name).ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Stores the namespace's default limits and its policy for acquires while the table is unreachable, replacing
    /// existing ones: a part that is `None` is removed. Limits alone can be passed directly.
    ///
    /// Cancel safe: a dropped call has written everything or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] if the stored limits use a feature of newer clients.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository, StoredPolicy, SystemDefaults};
    /// let repository = Repository::embedded().await?;
    /// repository.set_system_defaults(Limit::per_minute("rpm", 100)?).await?;
    ///
    /// let defaults = SystemDefaults::new(Limit::per_minute("rpm", 200)?).on_unavailable(StoredPolicy::Allow);
    /// repository.set_system_defaults(defaults.clone()).await?;
    /// assert_eq!(repository.system_defaults().await?, defaults);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_system_defaults(&self, defaults: impl Into<SystemDefaults> + Send) -> Result<(), RepositoryError> {
        let SystemDefaults { limits, on_unavailable } = defaults.into();
        self.replace_config(ConfigLevel::System, limits.as_ref(), on_unavailable).await.map(drop)
    }

    /// Returns the namespace's default limits, in the order of their names, and its policy; neither if nothing is
    /// stored.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository, StoredPolicy, SystemDefaults};
    ///
    /// let repository = Repository::embedded().await?;
    /// let defaults = SystemDefaults::new(Limit::per_minute("rpm", 100)?).on_unavailable(StoredPolicy::Allow);
    /// repository.set_system_defaults(defaults.clone()).await?;
    /// assert_eq!(repository.system_defaults().await?, defaults);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] or [`RepositoryError::Unsupported`] if they cannot be read.
    pub async fn system_defaults(&self) -> Result<SystemDefaults, RepositoryError> {
        let Some(config) = self.config(ConfigLevel::System).await? else { return Ok(SystemDefaults::default()) };
        let StoredConfig { limits, on_unavailable, .. } = config.supported()?;
        Ok(SystemDefaults { limits, on_unavailable })
    }

    /// Removes the namespace's default limits and its policy, and returns if there were any. The retention of audit
    /// events is unchanged.
    ///
    /// Cancel safe: a dropped call has written everything or nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_system_defaults(Limit::per_minute("rpm", 100)?).await?;
    /// assert!(repository.delete_system_defaults().await?);
    /// assert_eq!(repository.system_defaults().await?.limits, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] if they use a feature of newer clients.
    pub async fn delete_system_defaults(&self) -> Result<bool, RepositoryError> {
        let removed = self.remove_config(ConfigLevel::System, Trail::Own).await?;
        Ok(removed.is_some())
    }

    /// Stores the builder's settings that differ from the stored ones.
    pub(super) async fn keep_settings(
        &self,
        on_unavailable: Option<StoredPolicy>,
        audit_retention_days: Option<u32>,
    ) -> Result<(), RepositoryError> {
        if on_unavailable.is_none() && audit_retention_days.is_none() {
            return Ok(());
        }
        let stored = self.config(ConfigLevel::System).await?.unwrap_or_default();
        let mut changes: Vec<(&str, AttributeValue)> = Vec::new();
        let policy = on_unavailable.filter(|_| stored.on_unavailable != on_unavailable);
        changes.extend(policy.map(|policy| (ON_UNAVAILABLE, s(policy.as_str()))));
        let days = audit_retention_days.filter(|_| stored.audit_retention_days != audit_retention_days);
        changes.extend(days.map(|days| (AUDIT_RETENTION_DAYS, n(days))));
        if changes.is_empty() {
            return Ok(());
        }
        let system = keys::pk_system(self.ns());
        let update = Expression::of(|e| {
            e.set_once("config_version", 1);
            e.list_in_namespace(self.ns(), &system);
            for (name, value) in changes {
                e.set(name, value);
            }
        });
        let mut parts = vec![TransactPart::Update(Key::new(system, keys::sk_config()), update)];
        if policy.is_some() {
            parts.push(self.trail(&AuditChange::SystemSet(stored.limits.as_ref(), policy), Some(&stored)).await?);
        }
        self.store().transact(&parts).await?;
        self.forget_all_limits();
        Ok(())
    }
}
