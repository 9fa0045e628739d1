//! The namespace that a repository is opened on. A name that is not in use is never taken into use silently, least of
//! all one whose namespace was deleted: the same name with empty data would hide it, and keep it from being recovered.
//!
//! | name | [`open`](crate::Repository::open) |
//! |---|---|
//! | in use | opens it |
//! | `default`, in a table that nobody has opened yet | registers it, and writes the version record |
//! | deleted, its data still there | fails, and names how to recover or replace it |
//! | never registered | fails: a typo must not create an empty namespace |
//!
//! A process checks once a minute that its name still leads to the id it has open ([`gone`]). A namespace whose name
//! was taken over by a new one has its old id still, and is not served under it.

use super::{MissingVersion, version::fits};
use crate::{
    clock::Clock,
    error::{NamespaceState, RepositoryError, StoreErrorKind},
    model::{
        name::{NamespaceId, NamespaceName, StackName},
        namespace::NamespaceInfo,
    },
    store::{Consistency, Store},
    wire::{namespace, version},
};

/// The id of a namespace in use, which must exist.
pub(super) async fn require(store: &Store, name: &NamespaceName) -> Result<NamespaceId, RepositoryError> {
    match store.find_namespace(name).await? {
        Some(id) => Ok(id),
        None => Err(deleted(store, name).await?.unwrap_or_else(|| RepositoryError::NamespaceNotFound(name.clone()))),
    }
}

/// The id of a namespace in use, registered if its name is new.
pub(super) async fn require_or_register(
    store: &Store,
    clock: &dyn Clock,
    name: &NamespaceName,
) -> Result<NamespaceId, RepositoryError> {
    if let Some(id) = store.find_namespace(name).await? {
        return Ok(id);
    }
    match deleted(store, name).await? {
        Some(error) => Err(error),
        None => store.register_namespace(clock, name).await,
    }
}

/// The id of a namespace in use. `default` is registered in a table that has neither it nor data of a deleted one: one
/// that CloudFormation has made, and nobody has opened yet.
pub(super) async fn require_or_register_default(
    store: &Store,
    clock: &dyn Clock,
    stack: &StackName,
    name: &NamespaceName,
) -> Result<NamespaceId, RepositoryError> {
    match require(store, name).await {
        Err(RepositoryError::NamespaceNotFound(_)) if name.as_str() == super::DEFAULT_NAMESPACE => {}
        result => return result,
    }
    let register = async {
        let id = store.register_namespace(clock, name).await?;
        store.check_version(clock, MissingVersion::Initialise).await?;
        Ok(id)
    };
    register.await.map_err(|error| match error {
        RepositoryError::Store(source) if source.kind() == StoreErrorKind::AccessDenied => {
            RepositoryError::MayNotRegister { namespace: name.clone(), stack: stack.clone(), source }
        }
        error => error,
    })
}

/// The error for a name whose namespace was deleted and still has its data.
async fn deleted(store: &Store, name: &NamespaceName) -> Result<Option<RepositoryError>, RepositoryError> {
    Ok(store.find_deleted_namespace(name).await?.map(not_in_use))
}

/// The error of a deleted namespace, with advice by its state.
fn not_in_use(info: NamespaceInfo) -> RepositoryError {
    let advice = match info.state {
        NamespaceState::Purging => {
            "finish with `zae-deploy namespace purge`, or register its name again to start empty"
        }
        _ => "recover it with `zae-deploy namespace recover`, or register its name again to start empty",
    };
    RepositoryError::NamespaceState { id: info.id, state: info.state, advice }
}

/// Returns the error for a namespace that is open while its name leads to another one, or for a table that asks for
/// newer clients by now: a process that runs for weeks meets features that are newer than itself. One read of both.
pub(super) async fn gone(
    store: &Store,
    name: &NamespaceName,
    id: &NamespaceId,
) -> Result<Option<RepositoryError>, RepositoryError> {
    let (by_name, by_version) = (namespace::by_name(name), version::key());
    let found = store.batch_get(&[by_name.clone(), by_version.clone()], Consistency::Strong).await?;
    if let Some(record) = found.get(&by_version)
        && let Err(too_old @ RepositoryError::ClientTooOld { .. }) = fits(&version::decode(record))
    {
        return Ok(Some(too_old));
    }
    let info = found.get(&by_name).map(namespace::decode).transpose()?;
    if info.is_some_and(|info| info.state == NamespaceState::Active && info.id == *id) {
        return Ok(None);
    }
    let record = store.namespace_by_id(id).await?;
    Ok(Some(match record {
        // The reference takes its name away first.
        Some(info) if info.state == NamespaceState::Active => {
            not_in_use(NamespaceInfo { state: NamespaceState::Deleted, ..info })
        }
        Some(info) => not_in_use(info),
        None => RepositoryError::NamespaceNotFound(name.clone()),
    }))
}
