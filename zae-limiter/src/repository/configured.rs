//! The resources that have default limits, from memory: [`Repository::configured_resources`].
//!
//! A layer that takes the resource's name from the request must not let clients make up names: each would be a bucket.
//! It accepts those that have default limits, and asks here for every request, so the answer is a set in memory.

use std::{collections::HashSet, pin::Pin, sync::Arc};

use moka::ops::compute::{CompResult, Op};

use super::Repository;
use crate::{
    error::RepositoryError,
    model::name::{NamespaceId, ResourceName},
};

/// After a failed refresh, the names read earlier are believed for so long before the next try, in ms.
const RETRY_MS: i64 = 1_000;

/// The names as they were last read.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    /// The names.
    names: Arc<HashSet<ResourceName>>,
    /// Epoch ms from which on they are to be read again.
    due: i64,
    /// When they were read, epoch ms: a clock that was set back makes them old.
    read_at: i64,
    /// The changes made before they were read.
    seen: u64,
}

/// The end of a refresh.
type Refreshed = Result<CompResult<NamespaceId, Configured>, RepositoryError>;

impl Repository {
    /// The resources that have default limits, as [`resources_with_defaults`](Repository::resources_with_defaults)
    /// reads them, from memory where they were read within the time of the configuration cache
    /// ([`config_cache_ttl`](crate::RepositoryBuilder::config_cache_ttl)). A change made through this repository and
    /// its clones is seen at once.
    ///
    /// Cancel safe: it only reads.
    ///
    /// Concurrent misses read once. Where the table cannot be read, names read earlier are still believed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// assert!(repository.configured_resources().await?.is_empty());
    /// repository.set_resource_defaults("gpt-4", Limit::per_minute("rpm", 100)?).await?;
    /// assert!(repository.configured_resources().await?.contains("gpt-4"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read and never was.
    pub async fn configured_resources(&self) -> Result<Arc<HashSet<ResourceName>>, RepositoryError> {
        let known = self.resolutions();
        if let Some(configured) = known.configured.get(self.namespace_id()).await
            && self.still_configured(&configured)
        {
            return Ok(configured.names);
        }
        let entry = known.configured.entry_by_ref(self.namespace_id());
        // Boxed and without its type: it is rare, and would make the futures of all who ask large.
        type Refreshing<'a> = Pin<Box<dyn Future<Output = Refreshed> + Send + 'a>>;
        let refreshed: Refreshing<'_> = Box::pin(entry.and_try_compute_with(|entry| async {
            let earlier = entry.map(moka::Entry::into_value);
            if earlier.as_ref().is_some_and(|earlier| self.still_configured(earlier)) {
                return Ok(Op::Nop);
            }
            let (now, seen) = (self.now_ms(), known.changes().seen());
            match (self.resources_with_defaults().await, earlier) {
                (Ok(names), _) => {
                    let names = Arc::new(names.into_iter().collect());
                    Ok(Op::Put(Configured { names, due: now.saturating_add(known.ttl_ms()), read_at: now, seen }))
                }
                (Err(error), Some(earlier)) => {
                    tracing::warn!(%error, "the configured resources cannot be read; those read earlier stay in force");
                    Ok(Op::Put(Configured { due: now.saturating_add(RETRY_MS), read_at: now, ..earlier }))
                }
                (Err(error), None) => Err(error),
            }
        }));
        match refreshed.await? {
            CompResult::Inserted(entry)
            | CompResult::ReplacedWith(entry)
            | CompResult::Unchanged(entry)
            | CompResult::Removed(entry) => Ok(entry.into_value().names),
            CompResult::StillNone(_) => Ok(Arc::default()),
        }
    }

    /// Returns true while the names may be believed.
    fn still_configured(&self, configured: &Configured) -> bool {
        // A clock that was set back makes them old, not eternal.
        let young = (configured.read_at..configured.due).contains(&self.now_ms());
        young && !self.resolutions().changes().of_everything_since(configured.seen)
    }
}
