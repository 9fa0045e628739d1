//! The namespaces of a table, by name and by id: registering, finding, deleting and recovering them.
//!
//! A namespace has three states. All its items have its id in the key, so its name can be registered again while the
//! data of its predecessor still exists:
//!
//! ```text
//! register ──► active ── delete ──► deleted ── purge ──► purging ──► gone
//!                 ▲                     │
//!                 └────── recover ──────┘   while nobody else has the name
//! ```
//!
//! The records that these calls change, and the handling of other clients' interrupted changes, are in
//! `namespace_records`.

use std::collections::BTreeMap;

use super::Repository;
use crate::{
    error::RepositoryError,
    model::{
        name::{IntoName, NamespaceId, NamespaceName},
        namespace::NamespaceInfo,
    },
};

impl Repository {
    /// Registers the namespace `name` in this repository's table and returns its id. If it is already registered, its
    /// id is returned and nothing changes.
    ///
    /// A name whose namespace was deleted gets a new id and starts empty; the old namespace can then be purged, and
    /// recovered only after the new one is deleted.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read or written.
    ///
    /// # Cancel safety
    /// If the future is dropped, either everything or nothing has been written.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::NamespaceName;
    /// let tenant = NamespaceName::new("tenant-alpha")?;
    /// let id = repository.register_namespace(&tenant).await?;
    /// assert_eq!(repository.register_namespace(&tenant).await?, id);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn register_namespace(&self, name: impl IntoName<NamespaceName>) -> Result<NamespaceId, RepositoryError> {
        let name = &name.into_name()?;
        self.store().register_namespace(&**self.clock(), name).await
    }

    /// Registers several namespaces, as [`Repository::register_namespace`] does.
    ///
    /// Cancel safe: each name is registered or not.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{NamespaceName, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let tenants = [NamespaceName::new("tenant-a")?, NamespaceName::new("tenant-b")?];
    /// let ids = repository.register_namespaces(&tenants).await?;
    /// assert_ne!(ids[&tenants[0]], ids[&tenants[1]]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See there; names before the failed one are registered.
    pub async fn register_namespaces<'a>(
        &self,
        names: impl IntoIterator<Item = &'a NamespaceName, IntoIter: Send> + Send,
    ) -> Result<BTreeMap<NamespaceName, NamespaceId>, RepositoryError> {
        self.registry().register_namespaces(names).await
    }

    /// Returns the registry's record of the namespace called `name`; `None` if none is in use.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::Repository;
    ///
    /// let repository = Repository::embedded().await?;
    /// let info = repository.namespace_info("default").await?.expect("every table has it");
    /// assert_eq!(info.id, *repository.namespace_id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read, [`RepositoryError::Malformed`] if the record is not a
    /// namespace record.
    pub async fn namespace_info(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let name = &name.into_name()?;
        self.store().namespace_by_name(name).await
    }

    /// Returns all namespaces in use, by name.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::Repository;
    ///
    /// for namespace in Repository::embedded().await?.namespaces().await? {
    ///     println!("{} ({}) is {}", namespace.name, namespace.id, namespace.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store().named_namespaces().await
    }

    /// Takes the namespace `name` out of use and returns its id; `None` if there is none of that name. Its data stays:
    /// [`Repository::recover_namespace`] restores it, [`Repository::purge_namespace`] removes it.
    ///
    /// Processes that have it open keep granting until their limits are read again (60 s at most, see
    /// [`RepositoryBuilder::config_cache_ttl`](crate::RepositoryBuilder::config_cache_ttl)); acquires then fail with
    /// [`RepositoryError::NamespaceState`]. Acquires through this repository fail at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{NamespaceName, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let tenant = NamespaceName::new("tenant-alpha")?;
    /// repository.register_namespace(&tenant).await?;
    /// let id = repository.delete_namespace(&tenant).await?.expect("it was in use");
    /// assert_eq!(repository.recover_namespace(&id).await?, tenant); // its data was still there
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read or written.
    ///
    /// # Cancel safety
    /// If the future is dropped, either everything or nothing has been written.
    pub async fn delete_namespace(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceId>, RepositoryError> {
        let name = &name.into_name()?;
        let deleted = self.store().delete_namespace(&**self.clock(), name).await?;
        self.invalidate_config_cache();
        Ok(deleted)
    }

    /// Takes a deleted namespace into use again, under its previous name, and returns that name. Also completes an
    /// interrupted deletion or recovery, in favour of the data.
    ///
    /// # Errors
    /// [`RepositoryError::NamespaceIdNotFound`] for an unknown id; [`RepositoryError::NamespaceState`] if it is in use,
    /// being purged, or its name belongs to another namespace; [`RepositoryError::Invalid`] if its stored name is the
    /// reserved `_`; [`RepositoryError::Store`] if the table cannot be read or written.
    ///
    /// # Cancel safety
    /// If the future is dropped, either everything or nothing has been written.
    pub async fn recover_namespace(&self, id: impl IntoName<NamespaceId>) -> Result<NamespaceName, RepositoryError> {
        let id = &id.into_name()?;
        let name = self.store().recover_namespace(id).await?;
        self.invalidate_config_cache();
        Ok(name)
    }

    /// Returns all namespaces that are not in use but have data: deleted ones, those whose deletion was interrupted
    /// (shown as deleted, without a time), and those whose purge was interrupted.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{NamespaceName, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let tenant = NamespaceName::new("tenant-a")?;
    /// repository.register_namespace(&tenant).await?;
    /// repository.delete_namespace(&tenant).await?;
    /// for orphan in repository.orphan_namespaces().await? {
    ///     println!("{} ({}) was deleted at {:?}", orphan.name, orphan.id, orphan.deleted_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn orphan_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store().orphan_namespaces().await
    }
}
