//! Limits of entities: for one resource, or as the default for all others.
//!
//! A scope is a resource, or all resources without limits of their own ([`LimitScope::Default`]). Setting limits
//! replaces those of the scope as a whole, writes an audit event in the same transaction, and then updates the entity's
//! buckets: otherwise an idle bucket would be displayed, and used by Python clients, with its old limits until its next
//! write. This crate's own writes contain the parameters that apply.
//!
//! Entities with limits are listed by an index, and scopes by a registry of counts that the same transactions keep.

use super::{
    Repository,
    configs::{Trail, check_scope},
};
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::{
        limit::Limits,
        name::{EntityId, IntoName, LimitScope},
    },
    store::{Consistency, Query},
    wire::{Item, config::ConfigLevel, keys, values::get_s},
};

/// A page of entities that have limits of their own.
///
/// ```
/// use zae_limiter::{EntityId, LimitScope, Repository, RepositoryError};
///
/// /// The first hundred entities with default limits of their own.
/// async fn first(repository: &Repository) -> Result<Vec<EntityId>, RepositoryError> {
///     Ok(repository.entities_with_limits_page(&LimitScope::Default, 100, None).await?.entities)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct EntityPage {
    /// Their ids, in order.
    pub entities: Vec<EntityId>,
    /// The start of the next page; `None` on the last one.
    pub next: Option<String>,
}

impl Repository {
    /// Stores an entity's limits for a scope, replacing existing ones.
    ///
    /// All shards of existing buckets are updated at once: refill until now counts under the old limits. A dropped call
    /// has stored everything or nothing, but may not have reached the buckets; the next acquires do.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] if the stored limits use a feature of newer clients, which replacing them would
    /// undo; [`RepositoryError::FanoutIncomplete`] when they are stored and not all buckets could be updated.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, Limit, LimitScope, Limits, Repository};
    /// let repository = Repository::embedded().await?;
    /// let (key, limits) = (EntityId::new("key-1")?, Limits::from(Limit::per_minute("rpm", 100)?));
    /// repository.set_limits(&key, &LimitScope::Default, &limits).await?;
    /// assert_eq!(repository.limits(&key, &LimitScope::Default).await?, Some(limits));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_limits(
        &self,
        entity: impl IntoName<EntityId>,
        scope: impl IntoName<LimitScope>,
        limits: impl Into<Limits> + Send,
    ) -> Result<(), RepositoryError> {
        let (entity, scope) = (&entity.into_name()?, &scope.into_name()?);
        let limits = &limits.into();
        check_scope(scope)?;
        let before = self.replace_config(ConfigLevel::Entity(entity, scope), Some(limits), None).await?;
        let before = before.and_then(|config| config.limits);
        self.apply_limits(entity, scope, before.as_ref()).await
    }

    /// Returns an entity's own limits for a scope, in the order of their names; `None` if it has none. For the limits
    /// that then apply, see [`RateLimiter::limits_for`](crate::RateLimiter::limits_for).
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, LimitScope, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// assert_eq!(repository.limits("key-1", LimitScope::Default).await?, None); // the resource's defaults hold
    /// repository.set_limits("key-1", LimitScope::Default, Limit::per_minute("rpm", 500)?).await?;
    /// assert!(repository.limits("key-1", LimitScope::Default).await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] or [`RepositoryError::Unsupported`] if the stored limits cannot be read.
    pub async fn limits(
        &self,
        entity: impl IntoName<EntityId>,
        scope: impl IntoName<LimitScope>,
    ) -> Result<Option<Limits>, RepositoryError> {
        let (entity, scope) = (&entity.into_name()?, &scope.into_name()?);
        match self.config(ConfigLevel::Entity(entity, scope)).await? {
            Some(config) => Ok(config.supported()?.limits),
            None => Ok(None),
        }
    }

    /// Removes an entity's own limits for a scope, and returns if there were any. Buckets are updated to the limits
    /// that then apply; if there are none, they are unchanged until they expire.
    ///
    /// As cancel safe as [`Repository::set_limits`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, Limit, LimitScope, Repository, ResourceName};
    ///
    /// let repository = Repository::embedded().await?;
    /// let (key, scope) = (EntityId::new("key-1")?, LimitScope::Resource(ResourceName::new("gpt-4")?));
    /// repository.set_limits(&key, &scope, &Limit::per_minute("rpm", 100)?.into()).await?;
    /// assert!(repository.delete_limits(&key, &scope).await?); // from now on, the defaults hold
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] if they use a feature of newer clients; [`RepositoryError::FanoutIncomplete`]
    /// when they are deleted and not all buckets could be updated.
    pub async fn delete_limits(
        &self,
        entity: impl IntoName<EntityId>,
        scope: impl IntoName<LimitScope>,
    ) -> Result<bool, RepositoryError> {
        let (entity, scope) = (&entity.into_name()?, &scope.into_name()?);
        let removed = self.remove_config(ConfigLevel::Entity(entity, scope), Trail::Own).await?;
        let Some(before) = removed else { return Ok(false) };
        self.apply_limits(entity, scope, before.limits.as_ref()).await?;
        Ok(true)
    }

    /// Returns a page of entities with limits of their own for a scope, by id: at most `limit` of them, after the page
    /// with the `next` that is given as `cursor`. Read from an index, which lags slightly.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, LimitScope, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// for key in ["key-1", "key-2", "key-3"] {
    ///     repository.set_limits(key, LimitScope::Default, Limit::per_minute("rpm", 500)?).await?;
    /// }
    /// let (mut cursor, mut seen) = (None, 0);
    /// loop {
    ///     let page = repository.entities_with_limits_page(LimitScope::Default, 2, cursor.as_deref()).await?;
    ///     seen += page.entities.len();
    ///     cursor = page.next;
    ///     if cursor.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(seen, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if `limit` is 0 or `cursor` is not from this call.
    pub async fn entities_with_limits_page(
        &self,
        scope: impl IntoName<LimitScope>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<EntityPage, RepositoryError> {
        let scope = &scope.into_name()?;
        if limit == 0 {
            return Err(ValidationError::new("limit", "0", ValidationReason::NotPositive).into());
        }
        let mut query = self.entities(scope).limit(limit);
        if let Some(cursor) = cursor {
            query = query.after(cursor)?;
        }
        let page = self.store().query_page(&query).await?;
        Ok(EntityPage {
            entities: page.items.iter().filter_map(entity).collect(),
            next: page.next.as_ref().and_then(|key| query.cursor(key)),
        })
    }

    /// Returns all entities with limits of their own for a scope, by id.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, Limit, LimitScope, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let key = EntityId::new("key-1")?;
    /// repository.set_limits(&key, &LimitScope::Default, &Limit::per_minute("rpm", 100)?.into()).await?;
    /// assert_eq!(repository.entities_with_limits(&LimitScope::Default).await?, [key]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn entities_with_limits(
        &self,
        scope: impl IntoName<LimitScope>,
    ) -> Result<Vec<EntityId>, RepositoryError> {
        let scope = &scope.into_name()?;
        Ok(self.store().query_all(self.entities(scope)).await?.iter().filter_map(entity).collect())
    }

    /// Returns the scopes for which any entity has limits of its own, in order.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, LimitScope, Repository, ResourceName};
    ///
    /// let repository = Repository::embedded().await?;
    /// let scope = LimitScope::Resource(ResourceName::new("gpt-4")?);
    /// repository.set_limits("key-1", &scope, Limit::per_minute("rpm", 500)?).await?;
    /// assert_eq!(repository.resources_with_entity_limits().await?, [scope]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn resources_with_entity_limits(&self) -> Result<Vec<LimitScope>, RepositoryError> {
        let registry = self.store().get(&self.entity_registry(), Consistency::Strong).await?.unwrap_or_default();
        let counted = registry.iter().filter(|(_, value)| {
            value.as_n().ok().and_then(|count| count.parse::<i64>().ok()).is_some_and(|count| count > 0)
        });
        let mut scopes: Vec<_> = counted.filter_map(|(name, _)| LimitScope::try_from(name.as_str()).ok()).collect();
        scopes.sort_unstable();
        Ok(scopes)
    }

    /// Selects the entities with limits of their own for a scope.
    fn entities(&self, scope: &LimitScope) -> Query {
        Query::index("GSI3", keys::gsi3_pk_entity_config(self.ns(), scope.as_str()))
    }
}

/// Returns the entity of an item in that list.
fn entity(item: &Item) -> Option<EntityId> {
    EntityId::new(get_s(item, "GSI3SK")?).ok()
}
