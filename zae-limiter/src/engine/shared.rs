//! What all lanes of one limiter have in common.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::breaker::Breaker;
use crate::{clock::Clock, model::name::NamespaceId, repository::store::Store};

/// What can be set about the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineOptions {
    /// How long a write with waiters may take.
    pub(crate) write_timeout: Duration,
    /// How long a settlement waits for company.
    pub(crate) flush_delay: Duration,
    /// How many acquires may wait at one bucket.
    pub(crate) max_waiting: usize,
    /// How many lanes are kept.
    pub(crate) max_lanes: u64,
}

/// What all lanes of one limiter have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) namespace: NamespaceId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) breaker: Breaker,
    pub(crate) options: EngineOptions,
    /// Cancelled at shutdown: settlements stop waiting for company.
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// The runtime of the first acquire: a lease may be dropped where there is none.
    pub(crate) runtime: OnceLock<Handle>,
}

impl Shared {
    /// Runs `work` on the runtime of the limiter, or not at all when there never was one (then nothing was taken).
    pub(crate) fn spawn<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handle = Handle::try_current().ok().or_else(|| self.runtime.get().cloned());
        match handle {
            Some(handle) => drop(self.tasks.spawn_on(work, &handle)),
            None => tracing::warn!("no runtime to settle a lease on; its tokens come back with refill"),
        }
    }
}
