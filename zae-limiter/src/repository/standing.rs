//! Checks that an open namespace is still in use, and that its table still takes this client. Both are read as often as
//! limits are, so that a process stops serving a namespace that was deleted or purged, and one that others have stored
//! something in which is newer than itself.
//!
//! A call of its own, beside the read of limits and no more than one for each namespace and refresh: policies that are
//! bound to a namespace allow its own partition and the registry's, but not both in one call.

use std::sync::Arc;

use moka::future::Cache;

use super::{Repository, open, read_at::ReadAt};
use crate::{error::RepositoryError, model::name::NamespaceId};

/// Of how many namespaces it is remembered.
const MAX_NAMESPACES: u64 = 10_000;

/// The state last read of a namespace.
#[derive(Clone, Debug)]
pub(super) struct NamespaceStanding {
    /// When it was read.
    pub(super) read_at: ReadAt,
    /// The reason why it is not served, where it is not in use any more.
    pub(super) gone: Option<Arc<RepositoryError>>,
}

/// The states last read of the namespaces of one table.
#[derive(Debug)]
pub(super) struct Standings(Cache<NamespaceId, NamespaceStanding>);

impl Standings {
    /// Starts without knowing any.
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_NAMESPACES))
    }

    /// Notes that the namespace was found in use.
    pub(super) async fn found(&self, namespace: &NamespaceId, now: ReadAt) {
        self.0.insert(namespace.clone(), NamespaceStanding { read_at: now, gone: None }).await;
    }

    /// Makes the next acquires ask again.
    pub(super) fn forget(&self) {
        self.0.invalidate_all();
    }
}

impl Repository {
    /// Returns the standing of the namespace: in use or not, as far as is remembered or can be read. Where it cannot be
    /// read, what was known before holds on: an outage is found by the calls that need the table.
    pub(super) async fn standing(&self) -> NamespaceStanding {
        let (known, namespace, now) = (self.resolutions(), self.namespace_id(), ReadAt::now(&**self.clock()));
        let before = known.standings.0.get(namespace).await;
        if let Some(standing) = &before {
            if standing.read_at.is_within(known.ttl, now) {
                return standing.clone();
            }
            known.standings.0.invalidate(namespace).await;
        }
        let read = async {
            let gone = open::gone(self.store(), self.namespace_name(), namespace).await?;
            Ok(NamespaceStanding { read_at: now, gone: gone.map(Arc::new) })
        };
        match known.standings.0.try_get_with(namespace.clone(), read).await {
            Ok(standing) => standing,
            Err(error) => {
                let error: Arc<RepositoryError> = error;
                tracing::debug!(%namespace, %error, "whether the namespace is in use could not be read");
                NamespaceStanding { read_at: now, gone: before.and_then(|before| before.gone) }
            }
        }
    }
}
