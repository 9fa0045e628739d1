//! The records of namespaces, and the transactions that change them.
//!
//! A namespace has two records, one by name and one by id. Every change writes both in one transaction whose conditions
//! are the state that was read. The Python package writes them one after the other, so the state after its interruption
//! is recognised and completed here:
//!
//! | by name | by id | what happened | here |
//! |---|---|---|---|
//! | missing | active | deletion interrupted | an orphan: recover or purge it |
//! | present | deleted | recovery interrupted | in use: never purged; recovering it again completes it |

use std::collections::BTreeSet;

use crate::{
    clock::Clock,
    error::{NamespaceState, RepositoryError, StoreError},
    model::{
        name::{NamespaceId, NamespaceName, check_visible},
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

/// Number of attempts at a change while the state keeps changing.
const ATTEMPTS: usize = 5;

/// Creates the error for a namespace that other processes keep changing.
pub(super) fn contended() -> RepositoryError {
    StoreError::contended("TransactWriteItems", "others keep changing this namespace; try again").into()
}

/// Creates the error of a namespace in the wrong state, with advice for each.
pub(super) fn state_error(info: &NamespaceInfo, state: NamespaceState) -> RepositoryError {
    let advice = match state {
        NamespaceState::Active => "delete it first, by its name",
        NamespaceState::Deleted => "recover it, or purge it",
        NamespaceState::Purging => "its data is being removed; purge it again to finish",
        NamespaceState::Reregistered => "delete the namespace that has its name now, then try again",
    };
    RepositoryError::NamespaceState { id: info.id.clone(), state, advice }
}

/// Returns the condition that a record by name leads to `id`.
fn leads_to(id: &NamespaceId) -> Expression {
    Expression::of(|e| e.expect("namespace_id", Some(s(id.as_str()))))
}

/// Returns the condition that a record by name does not lead to `id`.
pub(super) fn leads_elsewhere(id: &NamespaceId) -> Expression {
    Expression::of(|e| e.absent_or("namespace_id", "<>", s(id.as_str())))
}

/// Returns the condition that a record by id still has the status that was read.
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
    /// Returns the id of the active namespace called `name`.
    pub(crate) async fn find_namespace(&self, name: &NamespaceName) -> Result<Option<NamespaceId>, RepositoryError> {
        let info = self.namespace_by_name(name).await?;
        Ok(info.filter(|info| info.state == NamespaceState::Active).map(|info| info.id))
    }

    /// Finds a namespace that was called `name`, has been deleted and still has its data; the latest, if there are
    /// several.
    pub(crate) async fn find_deleted_namespace(
        &self,
        name: &NamespaceName,
    ) -> Result<Option<NamespaceInfo>, RepositoryError> {
        let mut found = self.orphan_namespaces().await?;
        found.retain(|info| info.name == *name);
        Ok(found.into_iter().max_by(|a, b| a.deleted_at.cmp(&b.deleted_at)))
    }

    /// Registers `name`, or finds its current namespace.
    pub(crate) async fn register_namespace(
        &self,
        clock: &dyn Clock,
        name: &NamespaceName,
    ) -> Result<NamespaceId, RepositoryError> {
        for _ in 0..ATTEMPTS {
            if let Some(id) = self.find_namespace(name).await? {
                return Ok(id);
            }
            // Other clients may have stored any name; a new one must be displayable.
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

    /// Returns the id that the record by name of `info` leads to.
    async fn successor(&self, info: &NamespaceInfo) -> Result<Option<NamespaceId>, RepositoryError> {
        Ok(self.namespace_by_name(&info.name).await?.map(|found| found.id))
    }

    /// Reads the namespaces in use, by name.
    pub(super) async fn named_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        self.namespaces(keys::NAMESPACE_PREFIX).await
    }

    /// Reads the records whose sort keys begin with `prefix`.
    async fn namespaces(&self, prefix: &str) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        let query = Query::table(keys::pk_system(keys::RESERVED)).prefix(prefix).strong();
        let items = self.query_all(query).await?;
        Ok(items.iter().filter_map(readable).collect())
    }

    /// Reads the records by id that no name leads to. A record may be recovered or registered between the two listings,
    /// so those that look active are read again.
    pub(super) async fn orphan_namespaces(&self) -> Result<Vec<NamespaceInfo>, RepositoryError> {
        // Ids first: namespaces registered in between are then not mistaken for orphans.
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
                // A purge has begun; its progress must not be lost.
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

/// Marks the record by id as deleted. If it is missing (only by hand), it is recreated: without it the data could
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

/// Decodes a record for a listing. An unreadable one is omitted, because it must not hide all others.
fn readable(item: &Item) -> Option<NamespaceInfo> {
    namespace::decode(item)
        .inspect_err(|error| tracing::warn!(%error, key = get_s(item, "SK"), "namespace record skipped"))
        .ok()
}
