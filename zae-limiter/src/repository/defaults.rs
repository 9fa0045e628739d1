//! Limits that hold for whoever has none of their own: of one resource, and of the whole namespace.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Repository, configs::Trail, trail::Change};
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::{
        limit::Limits,
        name::{Principal, ResourceName},
        status::OnUnavailable,
    },
    store::{Consistency, TransactPart},
    wire::{
        config::{AUDIT_RETENTION_DAYS, ConfigLevel, ON_UNAVAILABLE},
        expression::{Expression, Key},
        keys,
        values::{n, s},
    },
};

impl Repository {
    /// Stores a resource's default limits, in place of all that were there. Buckets are brought in line by the acquires
    /// that next use them, at the latest when the cache time is over.
    ///
    /// `principal` is who the audit trail says did it. Cancel safe: a dropped call has stored all or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when the stored limits use a feature of newer clients, which replacing them
    /// would undo.
    pub async fn set_resource_defaults(
        &self,
        resource: &ResourceName,
        limits: &Limits,
        principal: Option<&Principal>,
    ) -> Result<(), RepositoryError> {
        self.replace_config(ConfigLevel::Resource(resource), Some(limits), None, principal).await.map(drop)
    }

    /// A resource's default limits, in the order of their names; `None` when it has none.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] or [`RepositoryError::Unsupported`] when the stored limits cannot be read.
    pub async fn resource_defaults(&self, resource: &ResourceName) -> Result<Option<Limits>, RepositoryError> {
        match self.config(ConfigLevel::Resource(resource)).await? {
            Some(config) => Ok(config.supported()?.limits),
            None => Ok(None),
        }
    }

    /// Removes a resource's default limits, and answers whether there were any.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when they use a feature of newer clients.
    pub async fn delete_resource_defaults(
        &self,
        resource: &ResourceName,
        principal: Option<&Principal>,
    ) -> Result<bool, RepositoryError> {
        let removed = self.remove_config(ConfigLevel::Resource(resource), Trail::By(principal)).await?;
        Ok(removed.is_some())
    }

    /// The resources that have default limits, in order.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read.
    pub async fn resources_with_defaults(&self) -> Result<Vec<ResourceName>, RepositoryError> {
        let key = Key::new(keys::pk_system(self.ns()), keys::sk_resources());
        let registry = self.store().get(&key, Consistency::Strong).await?.unwrap_or_default();
        let names = registry.get("resources").and_then(|names| names.as_ss().ok());
        let mut names: Vec<_> = names.into_iter().flatten().filter_map(|name| ResourceName::new(name).ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Stores the namespace's default limits and what acquires do while the table cannot be reached, in place of what
    /// was there; no policy removes the stored one.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] for [`OnUnavailable::Local`], which is a choice of one process;
    /// [`RepositoryError::Unsupported`] when the stored limits use a feature of newer clients.
    pub async fn set_system_defaults(
        &self,
        limits: &Limits,
        on_unavailable: Option<OnUnavailable>,
        principal: Option<&Principal>,
    ) -> Result<(), RepositoryError> {
        check_policy(on_unavailable)?;
        self.replace_config(ConfigLevel::System, Some(limits), on_unavailable, principal).await.map(drop)
    }

    /// Stores a namespace's policy without any default limits, in place of what was there.
    ///
    /// # Errors
    /// As [`Repository::set_system_defaults`].
    pub async fn set_system_policy(
        &self,
        on_unavailable: Option<OnUnavailable>,
        principal: Option<&Principal>,
    ) -> Result<(), RepositoryError> {
        check_policy(on_unavailable)?;
        self.replace_config(ConfigLevel::System, None, on_unavailable, principal).await.map(drop)
    }

    /// The namespace's default limits, in the order of their names, and its policy.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] or [`RepositoryError::Unsupported`] when they cannot be read.
    pub async fn system_defaults(&self) -> Result<(Option<Limits>, Option<OnUnavailable>), RepositoryError> {
        match self.config(ConfigLevel::System).await? {
            Some(config) => {
                let config = config.supported()?;
                Ok((config.limits, config.on_unavailable))
            }
            None => Ok((None, None)),
        }
    }

    /// Removes the namespace's default limits and its policy, and answers whether there were any. How long audit events
    /// are kept stays as it is.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when they use a feature of newer clients.
    pub async fn delete_system_defaults(&self, principal: Option<&Principal>) -> Result<bool, RepositoryError> {
        let removed = self.remove_config(ConfigLevel::System, Trail::By(principal)).await?;
        Ok(removed.is_some())
    }

    /// Stores what a builder was told, where it differs from what is stored.
    pub(super) async fn keep_settings(
        &self,
        on_unavailable: Option<OnUnavailable>,
        audit_retention_days: Option<u32>,
    ) -> Result<(), RepositoryError> {
        if on_unavailable.is_none() && audit_retention_days.is_none() {
            return Ok(());
        }
        check_policy(on_unavailable)?;
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
        let mut sets = vec![
            "config_version = if_not_exists(config_version, :version)".to_owned(),
            "GSI4PK = :gsi4pk".to_owned(),
            "GSI4SK = :gsi4sk".to_owned(),
        ];
        let mut update =
            Expression::default().value(":version", n(1)).value(":gsi4pk", s(self.ns())).value(":gsi4sk", s(&system));
        for (index, (name, value)) in changes.into_iter().enumerate() {
            sets.push(format!("{name} = :c{index}"));
            update = update.value(&format!(":c{index}"), value);
        }
        update.update = format!("SET {}", sets.join(", "));
        let mut parts = vec![TransactPart::Update(Key::new(system, keys::sk_config()), update)];
        if policy.is_some() {
            parts.push(self.trail(&Change::SystemSet(stored.limits.as_ref(), policy), Some(&stored), None).await?);
        }
        self.store().transact(&parts).await?;
        self.forget_all_limits();
        Ok(())
    }
}

pub(super) fn check_policy(policy: Option<OnUnavailable>) -> Result<(), ValidationError> {
    if policy == Some(OnUnavailable::Local) {
        let reason = ValidationReason::Other("is a choice of one process and is not stored".to_owned());
        return Err(ValidationError::new("on_unavailable", "local", reason));
    }
    Ok(())
}
