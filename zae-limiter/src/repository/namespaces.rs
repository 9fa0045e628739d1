//! The namespaces of a table: registering, finding, deleting, recovering.
//!
//! Two records tell of a namespace, one by name and one by id. Every change writes both in one transaction whose
//! conditions are the state that was read. The reference writes them one after the other, so what it leaves behind when
//! it is interrupted is recognised and finished here:
//!
//! | by name | by id | what happened | here |
//! |---|---|---|---|
//! | missing | active | deletion interrupted | an orphan: recover or purge it |
//! | present | deleted | recovery interrupted | in use: never purged; recovering it again completes it |

use std::collections::{BTreeMap, BTreeSet};

use super::Repository;
use crate::{
    clock::Clock,
    error::{NamespaceState, RepositoryError, StoreError, StoreErrorKind},
    model::{
        name::{IntoName, NamespaceId, NamespaceName, check_visible},
        namespace::NamespaceInfo,
    },
    store::{Committed, Consistency, Query, Store, TransactPart},
    wire::{
        Item,
        expression::{Expression, Key},
        keys, namespace, time,
        values::{get_s, s},
    },
};

/// Number of tries of a change whose state keeps changing under it.
const ATTEMPTS: usize = 5;

/// The error when others keep changing a namespace.
pub(super) fn contended() -> RepositoryError {
    let source = "others keep changing this namespace; try again";
    StoreError::new("TransactWriteItems", StoreErrorKind::NotApplied, source).into()
}

/// The error of a namespace in the wrong state, with advice for each.
pub(super) fn state_error(info: &NamespaceInfo, state: NamespaceState) -> RepositoryError {
    let advice = match state {
        NamespaceState::Active => "delete it first, by its name",
        NamespaceState::Deleted => "recover it, or purge it",
        NamespaceState::Purging => "its data is being removed; purge it again to finish",
        NamespaceState::Reregistered => "delete the namespace that has its name now, then try again",
    };
    RepositoryError::NamespaceState { id: info.id.clone(), state, advice }
}

/// The condition that a record by name leads to `id`.
fn leads_to(id: &NamespaceId) -> Expression {
    Expression::of(|e| e.expect("namespace_id", Some(s(id.as_str()))))
}

/// The condition that a record by name does not lead to `id`.
pub(super) fn leads_elsewhere(id: &NamespaceId) -> Expression {
    Expression::of(|e| e.absent_or("namespace_id", "<>", s(id.as_str())))
}

/// The condition that a record by id still has the status that was read.
pub(super) fn has_status(status: NamespaceState) -> Expression {
    Expression::of(|e| {
        let name = e.name("status");
        e.expect(&name, Some(s(status.as_str())));
    })
}

/// Changes the status of a record by id from what was read.
pub(super) fn change_status(from: NamespaceState, to: NamespaceState) -> Expression {
    Expression::of(|e| {
        let name = e.name("status");
        e.expect(&name, Some(s(from.as_str())));
        e.set(&name, s(to.as_str()));
        if to == NamespaceState::Active {
            e.remove("deleted_at");
        }
    })
}

impl Store {
    /// The id of the active namespace called `name`.
    pub(crate) async fn find_namespace(&self, name: &NamespaceName) -> Result<Option<NamespaceId>, RepositoryError> {
        let info = self.namespace_by_name(name).await?;
        Ok(info.filter(|info| info.state == NamespaceState::Active).map(|info| info.id))
    }

    /// A namespace that was called `name`, has been deleted and still has its data; the latest, if there are several.
    pub(crate) async fn find_deleted_namespace(
        &self,
        name: &NamespaceName,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let mut found = self.orphan_namespaces().await?;
        found.retain(|info| info.name == *name);
        Ok(found.into_iter().max_by(|a, b| a.deleted_at.cmp(&b.deleted_at)))
    }

    /// Registers `name`, or finds who has it.
    pub(crate) async fn register_namespace(
        &self,
        clock: &dyn Clock,
        name: &NamespaceName,
    ) -> Result<NamespaceId, RepositoryError> {
        for _ in 0..ATTEMPTS {
            if let Some(id) = self.find_namespace(name).await? {
                return Ok(id);
            }
            // Others may have stored any name; a new one shall be fit to be shown.
            check_visible("namespace", name.as_str())?;
            let id = namespace::new_id();
            let created_at = time::timestamp(clock.now_ms());
            let record =
                |key: Key| TransactPart::Put(namespace::encode(&key, name, &id, &created_at), Expression::absent());
            let parts = [record(namespace::by_name(name)), record(namespace::by_id(&id))];
            if self.transact(&parts).await? == Committed::Done {
                return Ok(id);
            }
        }
        Err(contended())
    }

    /// Reads the record by name, strongly consistent.
    pub(super) async fn namespace_by_name(
        &self,
        name: &NamespaceName,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let item = self.get(&namespace::by_name(name), Consistency::Strong).await?;
        item.as_ref().map(namespace::decode).transpose()
    }

    /// Reads the record by id, strongly consistent.
    pub(super) async fn namespace_by_id(&self, id: &NamespaceId) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let item = self.get(&namespace::by_id(id), Consistency::Strong).await?;
        item.as_ref().map(namespace::decode).transpose()
    }

    /// The id that the record by name of `info` leads to.
    async fn successor(&self, info: &NamespaceInfo) -> Result<Option<NamespaceId>, RepositoryError> {
        Ok(self.namespace_by_name(&info.name).await?.map(|found| found.id))
    }

    /// Those in use, by name.
    pub(super) async fn named_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.namespaces(keys::NAMESPACE_PREFIX).await
    }

    /// The records whose sort keys begin with `prefix`.
    async fn namespaces(&self, prefix: &str) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        let query = Query::table(keys::pk_system(keys::RESERVED)).prefix(prefix).strong();
        let items = self.query_all(query).await?;
        Ok(items.iter().filter_map(readable).collect())
    }

    /// Records by id that no name leads to. A record may be recovered or registered between the two listings, so those
    /// that look active are looked at once more.
    pub(super) async fn orphan_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        // Ids first: what is registered in between is then not mistaken for an orphan.
        let all = self.namespaces(keys::NSID_PREFIX).await?;
        let named = self.named_namespaces().await?;
        let in_use: BTreeSet<NamespaceId> = named.into_iter().map(|info| info.id).collect();
        let mut orphans = Vec::new();
        for info in all.into_iter().filter(|info| !in_use.contains(&info.id)) {
            if info.state != NamespaceState::Active {
                orphans.push(info);
            // It may have been recovered between the two listings.
            } else if self.successor(&info).await?.as_ref() != Some(&info.id) {
                orphans.push(NamespaceInfo { state: NamespaceState::Deleted, ..info });
            }
        }
        Ok(orphans)
    }

    /// Removes the record by name and marks the one by id, in one transaction.
    pub(super) async fn delete_namespace(
        &self,
        clock: &dyn Clock,
        name: &NamespaceName,
    ) -> Result<Option<NamespaceId>, RepositoryError> {
        for _ in 0..ATTEMPTS {
            let Some(info) = self.namespace_by_name(name).await? else { return Ok(None) };
            let by_id = namespace::by_id(&info.id);
            let delete = TransactPart::Delete(namespace::by_name(name), leads_to(&info.id));
            let purging = self.namespace_by_id(&info.id).await?.is_some_and(|i| i.state == NamespaceState::Purging);
            let mark = if purging {
                // A purge has begun; that it is going on must not be forgotten.
                TransactPart::Check(by_id, has_status(NamespaceState::Purging))
            } else {
                TransactPart::Update(by_id, mark_deleted(&info, &time::timestamp(clock.now_ms())))
            };
            if self.transact(&[delete, mark]).await? == Committed::Done {
                return Ok(Some(info.id));
            }
        }
        Err(contended())
    }

    /// Restores the record by name and marks the one by id as active, in one transaction.
    pub(super) async fn recover_namespace(&self, id: &NamespaceId) -> Result<NamespaceName, RepositoryError> {
        for _ in 0..ATTEMPTS {
            let info = self.namespace_by_id(id).await?;
            let info = info.ok_or_else(|| RepositoryError::NamespaceIdNotFound(id.clone()))?;
            if info.state == NamespaceState::Purging {
                return Err(state_error(&info, NamespaceState::Purging));
            }
            let by_name = namespace::by_name(&info.name);
            let forward = match self.successor(&info).await? {
                Some(other) if other != info.id => return Err(state_error(&info, NamespaceState::Reregistered)),
                Some(_) if info.state == NamespaceState::Active => {
                    let advice = "it is in use; there is nothing to recover";
                    return Err(RepositoryError::NamespaceState { id: info.id, state: NamespaceState::Active, advice });
                }
                Some(_) => TransactPart::Check(by_name, leads_to(&info.id)),
                None => {
                    let created_at = info.created_at.clone().unwrap_or_default();
                    let record = namespace::encode(&by_name, &info.name, &info.id, &created_at);
                    TransactPart::Put(record, Expression::absent())
                }
            };
            let revive = change_status(info.state, NamespaceState::Active);
            let reverse = TransactPart::Update(namespace::by_id(&info.id), revive);
            if self.transact(&[forward, reverse]).await? == Committed::Done {
                return Ok(info.name);
            }
        }
        Err(contended())
    }
}

/// Marks the record by id as deleted. Where it is missing (only by hand), it is made whole: without it the data could
/// neither be recovered nor purged.
fn mark_deleted(info: &NamespaceInfo, now: &str) -> Expression {
    Expression::of(|e| {
        let status = e.name("status");
        e.absent_or(&status, "<>", s(NamespaceState::Purging.as_str()));
        e.set(&status, s(NamespaceState::Deleted.as_str()));
        e.set("deleted_at", s(now));
        e.set("namespace_id", s(info.id.as_str()));
        e.set("namespace_name", s(info.name.as_str()));
        e.set_once("created_at", s(info.created_at.as_deref().unwrap_or(now)));
        e.list_in_namespace(keys::RESERVED, &keys::pk_system(keys::RESERVED));
    })
}

/// A record for a listing. One that cannot be read is left out, because it must not hide all others.
fn readable(item: &Item) -> Option<NamespaceInfo> {
    namespace::decode(item)
        .inspect_err(|error| tracing::warn!(%error, key = get_s(item, "SK"), "namespace record skipped"))
        .ok()
}

impl Repository {
    /// Registers the namespace `name` in this repository's table and returns its id. If it is registered already, its
    /// id is returned and nothing changes.
    ///
    /// A name whose namespace was deleted gets a new id and starts empty; the old one can then be purged, and
    /// recovered only after the new one is deleted.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read or written.
    ///
    /// # Cancel safety
    /// Either all or nothing has been written when the future is dropped.
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

    /// Registers several namespaces, each as [`Repository::register_namespace`] does.
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
    /// As there; names before the one that failed are registered.
    pub async fn register_namespaces<'a>(
        &self,
        names: impl IntoIterator<Item = &'a NamespaceName, IntoIter: Send> + Send,
    ) -> Result<BTreeMap<NamespaceName, NamespaceId>, RepositoryError> {
        self.registry().register_namespaces(names).await
    }

    /// Returns the registry's record of the namespace called `name`; `None` when none is in use.
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
    /// [`RepositoryError::Store`] when the table cannot be read, [`RepositoryError::Malformed`] when the record is no
    /// namespace record.
    pub async fn namespace_info(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let name = &name.into_name()?;
        self.store().namespace_by_name(name).await
    }

    /// All namespaces in use, by name.
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
    /// [`RepositoryError::Store`] when the table cannot be read.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store().named_namespaces().await
    }

    /// Takes the namespace `name` out of use and returns its id; `None` when there is none of that name. Its data
    /// stays: [`Repository::recover_namespace`] brings it back, [`Repository::purge_namespace`] removes it.
    ///
    /// Acquires of processes that have it open are granted until their limits are read again (60 s at most, see
    /// [`RepositoryBuilder::config_cache_ttl`](crate::RepositoryBuilder::config_cache_ttl)), and are then answered with
    /// [`RepositoryError::NamespaceState`]; those through this repository at once.
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
    /// [`RepositoryError::Store`] when the table cannot be read or written.
    ///
    /// # Cancel safety
    /// Either all or nothing has been written when the future is dropped.
    pub async fn delete_namespace(
        &self,
        name: impl IntoName<NamespaceName>,
    ) -> Result<Option<NamespaceId>, RepositoryError> {
        let name = &name.into_name()?;
        let deleted = self.store().delete_namespace(&**self.clock(), name).await?;
        self.invalidate_config_cache();
        Ok(deleted)
    }

    /// Takes a deleted namespace into use again, under the name it had, and returns that name. Also completes a
    /// deletion or recovery that was interrupted half-way, in favour of the data.
    ///
    /// # Errors
    /// [`RepositoryError::NamespaceIdNotFound`] for an unknown id; [`RepositoryError::NamespaceState`] when it is in
    /// use, being purged, or its name belongs to another namespace now; [`RepositoryError::Invalid`] when its stored
    /// name is the reserved `_`; [`RepositoryError::Store`] when the table cannot be read or written.
    ///
    /// # Cancel safety
    /// Either all or nothing has been written when the future is dropped.
    pub async fn recover_namespace(&self, id: impl IntoName<NamespaceId>) -> Result<NamespaceName, RepositoryError> {
        let id = &id.into_name()?;
        let name = self.store().recover_namespace(id).await?;
        self.invalidate_config_cache();
        Ok(name)
    }

    /// All namespaces that are not in use but have data: deleted ones, those whose deletion was interrupted (shown as
    /// deleted, without a time), and those whose purge was interrupted.
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
    /// [`RepositoryError::Store`] when the table cannot be read.
    pub async fn orphan_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.store().orphan_namespaces().await
    }
}
