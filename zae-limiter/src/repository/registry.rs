//! A table's records about itself, independent of any namespace: [`Registry`].
//!
//! A [`Repository`] checks the table and belongs to one namespace. Operations before there is one, or across all of
//! them (registering, purging, upgrading), belong to a registry.

use std::{collections::BTreeMap, sync::Arc};

use super::Repository;
use crate::{
    clock::Clock,
    error::RepositoryError,
    model::{
        name::{IntoName, NamespaceId, NamespaceName, StackName},
        namespace::NamespaceInfo,
        version::{VersionRecord, VersionUpdate},
    },
    store::Store,
};

/// A table's own records: its namespaces and its version. Cheap to clone.
///
/// For tools that set up, maintain or diagnose a table. A [`Repository`] needs a namespace and a compatible table; a
/// registry needs neither, so it also works on a table without `default`, and on one that is too new.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{EmbeddedStore, NamespaceName, Repository};
/// let store = EmbeddedStore::memory()?;
/// let registry = Repository::builder().embedded_store(&store).build_registry().await?;
/// assert!(registry.namespaces().await?.is_empty());
/// registry.register_namespace(&NamespaceName::new("default")?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Registry {
    /// The table.
    pub(super) store: Store,
    /// The clock for the times in records.
    pub(super) clock: Arc<dyn Clock>,
    /// The stack's name, which is also the table's.
    pub(super) stack: StackName,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("stack", &self.stack).finish_non_exhaustive()
    }
}

impl Registry {
    /// Returns the stack's name, which is also the table's.
    pub fn stack(&self) -> &StackName {
        &self.stack
    }

    /// Returns the SDK client.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.store.client
    }

    /// See [`Repository::version_record`].
    ///
    /// # Errors
    /// See there.
    pub async fn version_record(&self) -> Result<Option<VersionRecord>, RepositoryError> {
        self.store.version_record().await
    }

    /// See [`Repository::set_version_record`].
    ///
    /// # Errors
    /// See there.
    pub async fn set_version_record(&self, update: &VersionUpdate) -> Result<VersionRecord, RepositoryError> {
        self.store.write_version(&*self.clock, update).await
    }

    /// See [`Repository::register_namespace`].
    ///
    /// # Errors
    /// See there.
    pub async fn register_namespace(&self, name: impl IntoName<NamespaceName>) -> Result<NamespaceId, RepositoryError> {
        let name = &name.into_name()?;
        self.store.register_namespace(&*self.clock, name).await
    }

    /// See [`Repository::register_namespaces`].
    ///
    /// # Errors
    /// See there.
    pub async fn register_namespaces<'a>(
        &self,
        names: impl IntoIterator<Item = &'a NamespaceName, IntoIter: Send> + Send,
    ) -> Result<BTreeMap<NamespaceName, NamespaceId>, RepositoryError> {
        let mut ids = BTreeMap::new();
        for name in names {
            ids.insert(name.clone(), self.register_namespace(name).await?);
        }
        Ok(ids)
    }

    /// See [`Repository::namespace_info`].
    ///
    /// # Errors
    /// See there.
    pub async fn namespace_info(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let name = &name.into_name()?;
        self.store.namespace_by_name(name).await
    }

    /// Returns the registry's record of the namespace `id`, in use or not; `None` if there is none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::Repository;
    ///
    /// let repository = Repository::embedded().await?;
    /// let info = repository.registry().namespace_info_by_id(repository.namespace_id()).await?.expect("its own");
    /// assert_eq!(info.name.as_str(), "default");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Repository::namespace_info`].
    pub async fn namespace_info_by_id(
        &self,
        id: impl IntoName<NamespaceId>,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let id = &id.into_name()?;
        self.store.namespace_by_id(id).await
    }

    /// See [`Repository::namespaces`].
    ///
    /// # Errors
    /// See there.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store.named_namespaces().await
    }

    /// See [`Repository::delete_namespace`].
    ///
    /// # Errors
    /// See there.
    pub async fn delete_namespace(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceId>, RepositoryError> {
        let name = &name.into_name()?;
        self.store.delete_namespace(&*self.clock, name).await
    }

    /// See [`Repository::recover_namespace`].
    ///
    /// # Errors
    /// See there.
    pub async fn recover_namespace(&self, id: impl IntoName<NamespaceId>) -> Result<NamespaceName, RepositoryError> {
        let id = &id.into_name()?;
        self.store.recover_namespace(id).await
    }

    /// See [`Repository::orphan_namespaces`].
    ///
    /// # Errors
    /// See there.
    pub async fn orphan_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store.orphan_namespaces().await
    }

    /// See [`Repository::purge_namespace`].
    ///
    /// # Errors
    /// See there.
    pub async fn purge_namespace(
        &self,
        id: impl IntoName<NamespaceId>,
        progress: impl FnMut(u64) + Send,
    ) -> Result<u64, RepositoryError> {
        let id = &id.into_name()?;
        self.store.purge_namespace(id, progress).await
    }
}

impl Repository {
    /// Returns the records of this repository's table.
    pub fn registry(&self) -> Registry {
        let Self { inner, .. } = self;
        Registry { store: inner.store.clone(), clock: Arc::clone(&inner.clock), stack: inner.stack.clone() }
    }
}
