//! A cache of the resources that have default limits: [`Repository::configured_resources`].
//!
//! A layer that takes the resource's name from the request must not let clients invent names, because each would be a
//! bucket. It accepts those that have default limits, and checks for every request, so the result is a set in memory.

use std::{collections::HashSet, pin::Pin, sync::Arc, time::Duration};

use moka::ops::compute::{CompResult, Op};

use super::{Repository, read_at::ReadAt};
use crate::{
    error::RepositoryError,
    model::name::{NamespaceId, ResourceName},
};

/// Time for which the previous names are used after a failed refresh before the next attempt.
const RETRY: Duration = Duration::from_secs(1);

/// The names as last read.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    /// The names.
    names: Arc<HashSet<ResourceName>>,
    /// When they were read.
    read_at: ReadAt,
    /// Time after which they have to be read again.
    lasts: Duration,
    /// Number of changes made before the read.
    seen: u64,
}

/// The result of a refresh.
type Refreshed = Result<CompResult<NamespaceId, Configured>, RepositoryError>;

impl Repository {
    /// Returns the resources that have default limits, as
    /// [`resources_with_defaults`](Repository::resources_with_defaults) reads them, from memory if they were read
    /// within the configuration cache's time ([`config_cache_ttl`](crate::RepositoryBuilder::config_cache_ttl)). A
    /// change made through this repository and its clones takes effect at once.
    ///
    /// Cancel safe: it only reads.
    ///
    /// Concurrent misses share one read. If the table cannot be read, the previous names are still used.
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
    /// [`RepositoryError::Store`] if the table cannot be read and never was.
    pub async fn configured_resources(&self) -> Result<Arc<HashSet<ResourceName>>, RepositoryError> {
        let known = self.resolutions();
        if let Some(configured) = known.configured.get(self.namespace_id()).await
            && self.still_configured(&configured)
        {
            return Ok(configured.names);
        }
        let entry = known.configured.entry_by_ref(self.namespace_id());
        // Boxed and type-erased: it is rare, and would enlarge the futures of all callers.
        type Refreshing<'a> = Pin<Box<dyn Future<Output = Refreshed> + Send + 'a>>;
        let refreshed: Refreshing<'_> = Box::pin(entry.and_try_compute_with(|entry| async {
            let earlier = entry.map(moka::Entry::into_value);
            if earlier.as_ref().is_some_and(|earlier| self.still_configured(earlier)) {
                return Ok(Op::Nop);
            }
            let (read_at, seen) = (ReadAt::now(&**self.clock()), known.changes().seen());
            match (self.resources_with_defaults().await, earlier) {
                (Ok(names), _) => {
                    let names = Arc::new(names.into_iter().collect());
                    Ok(Op::Put(Configured { names, read_at, lasts: known.ttl, seen }))
                }
                (Err(error), Some(earlier)) => {
                    tracing::warn!(%error, "the configured resources cannot be read; those read earlier stay in force");
                    Ok(Op::Put(Configured { read_at, lasts: RETRY, ..earlier }))
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

    /// Returns true while the names may be used.
    fn still_configured(&self, configured: &Configured) -> bool {
        let young = configured.read_at.is_within(configured.lasts, ReadAt::now(&**self.clock()));
        young && !self.resolutions().changes().of_everything_since(configured.seen)
    }
}
