//! Permanently removes a namespace.
//!
//! A purge may stop anywhere and be run again: the record by id has the state `purging` from the first step to the
//! last, and the items that lead to others (the system partition with its registries and the provisioner's state) are
//! removed last.
//!
//! Items are removed in batches of 25, in three passes: the partitions that the system's registries name, everything
//! that the index over the namespace still lists, and the system partition itself. The index is read until it is empty,
//! a few times at most, because processes that have the namespace open may keep writing for a minute.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Repository,
    namespace_records::{change_status, contended, has_status, leads_elsewhere, state_error},
};
use crate::{
    error::{NamespaceState, RepositoryError},
    model::{
        name::{IntoName, NamespaceId},
        namespace::NamespaceInfo,
    },
    store::{Committed, Query, Store, TransactPart},
    wire::{Item, expression::Key, keys, namespace, provisioner, values::get_s},
};

/// Number of times that the index is read again for items that were written, or became visible, after the last read.
const PASSES: usize = 5;

impl Repository {
    /// Permanently removes all data of a deleted namespace, and returns the number of items. An unknown id (already
    /// purged) is a no-op. Run it again after an interruption.
    ///
    /// `progress` is called with the number of items removed so far.
    ///
    /// Processes that still have the namespace open can write to it while it is purged; stop them first. Balances
    /// without index keys, which an adjustment of the Python package leaves after their bucket was deleted, are in no
    /// index and stay.
    ///
    /// # Errors
    /// [`RepositoryError::NamespaceState`] if the namespace is in use, was recovered while being purged (removed items
    /// are lost), or is still being written to; [`RepositoryError::Store`] if the table cannot be read or written.
    ///
    /// # Cancel safety
    /// If the future is dropped, the namespace stays in state `purging` and is among [`Repository::orphan_namespaces`]
    /// until it is purged again.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// for orphan in repository.orphan_namespaces().await? {
    ///     repository.purge_namespace(&orphan.id, |removed| println!("{}: {removed} items", orphan.name)).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn purge_namespace(
        &self,
        id: impl IntoName<NamespaceId>,
        progress: impl FnMut(u64) + Send,
    ) -> Result<u64, RepositoryError> {
        let id = &id.into_name()?;
        self.store().purge_namespace(id, progress).await
    }
}

impl Store {
    /// Purges in a repeatable order: named partitions, the index, the system's partition, the record.
    pub(super) async fn purge_namespace(
        &self,
        id: &NamespaceId,
        progress: impl FnMut(u64) + Send,
    ) -> Result<u64, RepositoryError> {
        let Some(info) = self.begin_purge(id).await? else { return Ok(0) };
        let mut purge = Purge { store: self, info, removed: 0, progress };
        let system = purge.store.query_all(Query::table(keys::pk_system(id.as_str())).strong()).await?;
        for partition in named_partitions(id.as_str(), &system) {
            purge.remove_all(Query::table(partition).strong()).await?;
        }
        purge.remove_indexed().await?;
        // Read again: an item may have been added to the partition meanwhile.
        purge.remove_all(Query::table(keys::pk_system(id.as_str())).strong()).await?;
        purge.finish().await
    }

    /// Marks the namespace as being purged, unless it is in use. `None` if there is no such namespace.
    async fn begin_purge(&self, id: &NamespaceId) -> Result<Option<NamespaceInfo>, RepositoryError> {
        loop {
            let Some(info) = self.namespace_by_id(id).await? else { return Ok(None) };
            if info.state == NamespaceState::Purging {
                return Ok(Some(info));
            }
            // Whatever the record by id contains, a namespace to which its name leads is in use.
            let unnamed = TransactPart::Check(namespace::by_name(&info.name), leads_elsewhere(id));
            let mark = change_status(info.state, NamespaceState::Purging);
            let mark = TransactPart::Update(namespace::by_id(id), mark);
            match self.transact(&[unnamed, mark]).await? {
                Committed::Done => return Ok(Some(info)),
                Committed::Refused(parts) if parts.contains(&0) => {
                    return Err(state_error(&info, NamespaceState::Active));
                }
                Committed::Refused(_) => {}
            }
        }
    }

    /// Stops if the namespace was recovered: the Python package recovers without checking for a purge.
    async fn still_purging(&self, id: &NamespaceId) -> Result<(), RepositoryError> {
        match self.namespace_by_id(id).await? {
            Some(info) if info.state != NamespaceState::Purging => Err(state_error(&info, info.state)),
            _ => Ok(()),
        }
    }
}

/// A purge under way.
struct Purge<'a, F> {
    /// The table.
    store: &'a Store,
    /// The namespace, in state `purging`.
    info: NamespaceInfo,
    /// Items removed so far.
    removed: u64,
    /// Receives the number of removed items.
    progress: F,
}

impl<F: FnMut(u64) + Send> Purge<'_, F> {
    /// Removes everything in a partition of the table.
    async fn remove_all(&mut self, query: Query) -> Result<(), RepositoryError> {
        let mut query = query;
        loop {
            let page = self.store.query_page(&query).await?;
            let keys: Vec<Key> = page.items.iter().filter_map(Key::of).collect();
            self.remove(&keys).await?;
            match page.next {
                Some(next) => query = query.start(Some(next)),
                None => return Ok(()),
            }
        }
    }

    /// Removes everything that the index of namespaces lists, except for the system partition.
    async fn remove_indexed(&mut self) -> Result<(), RepositoryError> {
        let id = self.info.id.clone();
        let system = keys::pk_system(id.as_str());
        // An item in the index under this id but in another namespace's partition is not ours to remove.
        let ours =
            |key: &Key| keys::parse_namespace(&key.pk).is_some_and(|(ns, _)| ns == id.as_str()) && key.pk != system;
        for _ in 0..PASSES {
            let mut query = Query::index("GSI4", id.as_str());
            let mut found = false;
            loop {
                let page = self.store.query_page(&query).await?;
                let keys: Vec<Key> = page.items.iter().filter_map(Key::of).filter(ours).collect();
                found |= !keys.is_empty();
                self.remove(&keys).await?;
                match page.next {
                    Some(next) => query = query.start(Some(next)),
                    None => break,
                }
            }
            if !found {
                return Ok(());
            }
        }
        let advice = "it is still being written to: stop the processes that have it open, then purge it again";
        Err(RepositoryError::NamespaceState { id, state: NamespaceState::Purging, advice })
    }

    /// Removes items, unless the namespace was recovered meanwhile.
    async fn remove(&mut self, keys: &[Key]) -> Result<(), RepositoryError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.store.still_purging(&self.info.id).await?;
        self.store.batch_delete(keys).await?;
        self.removed += keys.len() as u64;
        (self.progress)(self.removed);
        Ok(())
    }

    /// Removes the record by id, the last trace of the namespace.
    async fn finish(self) -> Result<u64, RepositoryError> {
        let by_id = namespace::by_id(&self.info.id);
        let unnamed = TransactPart::Check(namespace::by_name(&self.info.name), leads_elsewhere(&self.info.id));
        let purged = has_status(NamespaceState::Purging);
        match self.store.transact(&[unnamed, TransactPart::Delete(by_id, purged)]).await? {
            Committed::Done => Ok(self.removed),
            Committed::Refused(_) => match self.store.namespace_by_id(&self.info.id).await? {
                // Another purge came first.
                None => Ok(self.removed),
                Some(info) if info.state == NamespaceState::Purging => Err(contended()),
                Some(info) => Err(state_error(&info, info.state)),
            },
        }
    }
}

/// Returns the partitions that may hold items outside the index of namespaces: the Python package's provisioner writes
/// configurations without the keys of that index. They are found through its state and the registries.
fn named_partitions(ns: &str, system: &[Item]) -> BTreeSet<String> {
    let mut partitions = BTreeSet::new();
    for item in system {
        match get_s(item, "SK") {
            Some(sk) if sk == keys::sk_resources() => {
                if let Some(AttributeValue::Ss(resources)) = item.get("resources") {
                    partitions.extend(resources.iter().map(|resource| keys::pk_resource(ns, resource)));
                }
            }
            Some(sk) if sk == keys::sk_entity_config_resources() => {
                let counters = item.iter().filter(|(_, value)| value.is_n());
                partitions.extend(counters.map(|(resource, _)| keys::pk_resource(ns, resource)));
            }
            Some(sk) if sk == keys::sk_provisioner() => {
                let state = provisioner::decode(item);
                let resources = state.managed_resources.iter().chain(state.managed_entities.values().flatten());
                partitions.extend(resources.map(|resource| keys::pk_resource(ns, resource)));
                partitions.extend(state.managed_entities.keys().map(|entity| keys::pk_entity(ns, entity)));
            }
            _ => {}
        }
    }
    partitions
}
