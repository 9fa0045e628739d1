//! What all lanes of one limiter have in common.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{breaker::Breaker, deadlines::Deadlines, home::Home, lane::Lane};
use crate::{clock::Clock, model::name::NamespaceId, repository::store::Store};

/// What can be set about the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineOptions {
    /// How long a write with waiters may take.
    pub(crate) write_timeout: Duration,
    /// How long a settlement waits for company.
    pub(crate) flush_delay: Duration,
    /// How long tokens that were debited ahead live, returning them included.
    pub(crate) reserve_life: Duration,
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
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) options: EngineOptions,
    pub(crate) closing: Closing,
    pub(crate) tasks: TaskTracker,
    pub(crate) home: Home,
    /// Lanes with work whose runtime ended where there was no other.
    pub(crate) stranded: Mutex<Vec<Arc<Lane>>>,
}

/// The end of a limiter: settlements stop waiting for company, and nothing is granted any more.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// The same as the token says, for those who only look: it would take a lock.
    has_begun: AtomicBool,
    token: CancellationToken,
}

impl Closing {
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        self.token.cancel();
    }

    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::SeqCst)
    }

    /// Waits for it.
    pub(crate) async fn begun(&self) {
        self.token.cancelled().await;
    }
}

impl Shared {
    /// Goes on with what runtimes that ended have left.
    pub(crate) fn recover(&self) {
        let stranded = mem::take(&mut *self.stranded.lock().unwrap_or_else(PoisonError::into_inner));
        stranded.iter().for_each(Lane::resume);
    }

    pub(crate) fn strand(&self, lane: Arc<Lane>) {
        self.stranded.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
    }
}
