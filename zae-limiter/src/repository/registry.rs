//! A table's records about itself, independent of any namespace: [`Registry`].
//!
//! A [`Repository`] checks the table and belongs to one namespace. What is done before there is one, or across all of
//! them (registering, purging, upgrading), is done by a registry.

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
/// For tools that set a table up, look after it, or say what is wrong with it. A [`Repository`] needs a namespace and a
/// table that it may use; this needs neither, so it also works on a table without `default`, and on one that is too
/// new.
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
    /// The time that records get.
    pub(super) clock: Arc<dyn Clock>,
    /// The stack's name, and so the table's.
    pub(super) stack: StackName,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("stack", &self.stack).finish_non_exhaustive()
    }
}

impl Registry {
    /// The stack's name, which is the table's too.
    pub fn stack(&self) -> &StackName {
        &self.stack
    }

    /// The SDK client it works with.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.store.client
    }

    /// As [`Repository::version_record`].
    ///
    /// # Errors
    /// As there.
    pub async fn version_record(&self) -> Result<Option<VersionRecord>, RepositoryError> {
        self.store.version_record().await
    }

    /// As [`Repository::set_version_record`].
    ///
    /// # Errors
    /// As there.
    pub async fn set_version_record(&self, update: &VersionUpdate) -> Result<VersionRecord, RepositoryError> {
        self.store.write_version(&*self.clock, update).await
    }

    /// As [`Repository::register_namespace`].
    ///
    /// # Errors
    /// As there.
    pub async fn register_namespace(&self, name: impl IntoName<NamespaceName>) -> Result<NamespaceId, RepositoryError> {
        let name = &name.into_name()?;
        self.store.register_namespace(&*self.clock, name).await
    }

    /// As [`Repository::register_namespaces`].
    ///
    /// # Errors
    /// As there.
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

    /// As [`Repository::namespace_info`].
    ///
    /// # Errors
    /// As there.
    pub async fn namespace_info(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let name = &name.into_name()?;
        self.store.namespace_by_name(name).await
    }

    /// Returns the registry's record of the namespace `id`, in use or not; `None` when there is none.
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
    /// As [`Repository::namespace_info`].
    pub async fn namespace_info_by_id(
        &self,
        id: impl IntoName<NamespaceId>,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let id = &id.into_name()?;
        self.store.namespace_by_id(id).await
    }

    /// As [`Repository::namespaces`].
    ///
    /// # Errors
    /// As there.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store.named_namespaces().await
    }

    /// As [`Repository::delete_namespace`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete_namespace(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceId>, RepositoryError> {
        let name = &name.into_name()?;
        self.store.delete_namespace(&*self.clock, name).await
    }

    /// As [`Repository::recover_namespace`].
    ///
    /// # Errors
    /// As there.
    pub async fn recover_namespace(&self, id: impl IntoName<NamespaceId>) -> Result<NamespaceName, RepositoryError> {
        let id = &id.into_name()?;
        self.store.recover_namespace(id).await
    }

    /// As [`Repository::orphan_namespaces`].
    ///
    /// # Errors
    /// As there.
    pub async fn orphan_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store.orphan_namespaces().await
    }

    /// As [`Repository::purge_namespace`].
    ///
    /// # Errors
    /// As there.
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
    /// The records of the table that this repository is a namespace of.
    pub fn registry(&self) -> Registry {
        let Self { inner, .. } = self;
        Registry { store: inner.store.clone(), clock: Arc::clone(&inner.clock), stack: inner.stack.clone() }
    }
}
