//! The state that all lanes of one limiter share: [`Context`].
//!
//! A lane knows nothing of its limiter. It holds this, so a limiter can be dropped while lanes still write what was
//! booked, and lanes can be tested without one. What ends is announced by [`Closing`]; what has no runtime waits in
//! [`Stranded`].

use std::{
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    engine::{
        lane::Lane,
        runtime::{breaker::Breaker, deadlines::Deadlines, home::HomeRuntime, moment::Moment},
    },
    model::{name::NamespaceId, shards::Shards, unsettled::Unsettled},
    random::Random,
    store::Store,
};

/// Settings of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineOptions {
    /// Time limit for a write with waiters.
    pub(crate) write_timeout: Duration,
    /// Delay for which a settlement waits for others to be written with it.
    pub(crate) flush_delay: Duration,
    /// Lifetime of tokens that were debited ahead, the time to return them included.
    pub(crate) reserve_life: Duration,
    /// The longest that it may become where many processes share a bucket.
    pub(crate) longest_reserve_life: Duration,
    /// Bounds the number of acquires that wait at one bucket.
    pub(crate) max_waiting: usize,
    /// Bounds the number of lanes that are kept.
    pub(crate) max_lanes: u64,
    /// Tells if a bucket that is written too often is split.
    pub(crate) shards: Shards,
}

/// Whoever is handed what could not be booked.
#[derive(Clone, Default)]
pub(crate) struct HandOver(pub(crate) Option<Arc<dyn Fn(Unsettled) + Send + Sync>>);

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "HandOver" } else { "Nobody" })
    }
}

/// The state that all lanes of one limiter share.
#[derive(Debug)]
pub(crate) struct Context {
    /// The table.
    pub(crate) store: Store,
    /// The first part of every key.
    pub(crate) namespace: NamespaceId,
    /// The wall clock that refills go by, held to the store's.
    pub(crate) clock: Arc<dyn Clock>,
    /// The machine's own wall clock.
    pub(crate) wall: Arc<dyn Clock>,
    /// Tells if the store may be asked.
    pub(crate) breaker: Breaker,
    /// The one timer.
    pub(crate) deadlines: Arc<Deadlines>,
    /// Settings.
    pub(crate) options: EngineOptions,
    /// The end of the limiter, once it has begun.
    pub(crate) closing: Closing,
    /// Everything that shutdown waits for: workers of lanes, and late answers.
    pub(crate) tasks: TaskTracker,
    /// The runtime that tasks are started on.
    pub(crate) home: HomeRuntime,
    /// Jitter, shards and stamps.
    pub(crate) random: Random,
    pub(crate) hand_over: HandOver,
    /// Decides which shard of a bucket is asked first; drawn when it is needed.
    pub(crate) seat: OnceLock<u32>,
    /// Lanes with work whose runtime ended where there was no other.
    pub(crate) stranded: Stranded,
}

/// Lanes with work that wait for a runtime. They hold what they have in common, and so themselves: once there is no
/// limiter any more, none is kept.
#[derive(Debug)]
pub(crate) struct Stranded(Mutex<Option<Vec<Arc<Lane>>>>);

impl Default for Stranded {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl Stranded {
    /// Locks the lanes that wait.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Arc<Lane>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out all that wait.
    fn take(&self) -> Vec<Arc<Lane>> {
        self.lock().as_mut().map(mem::take).unwrap_or_default()
    }

    /// Keeps `lane`, or gives it back where there is nobody left to go on with it.
    fn keep(&self, lane: Arc<Lane>) -> Option<Arc<Lane>> {
        match &mut *self.lock() {
            Some(lanes) => {
                lanes.push(lane);
                None
            }
            None => Some(lane),
        }
    }
}

/// The end of a limiter: settlements stop waiting for others to join them, and nothing is granted any more.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// The same as the token says, for those who only look: it would take a lock.
    has_begun: AtomicBool,
    /// Wakes those who wait for the end.
    token: CancellationToken,
    /// When it was announced.
    since: OnceLock<Instant>,
}

impl Closing {
    /// Announces the end, once.
    pub(crate) fn begin(&self) {
        self.since.get_or_init(Instant::now);
        self.has_begun.store(true, Ordering::SeqCst);
        self.token.cancel();
    }

    /// Returns true once the end was announced: one atomic load.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::SeqCst)
    }

    /// When it began; `None` before.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since.get().copied()
    }

    /// Waits for it.
    pub(crate) async fn begun(&self) {
        self.token.cancelled().await;
    }
}

impl Context {
    /// The current instant by both clocks.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        Moment::now(&*self.wall)
    }

    /// The number that decides which shard of a bucket is asked first.
    pub(crate) fn seat(&self) -> u32 {
        *self.seat.get_or_init(|| u32::try_from(self.random.bits() >> 33).unwrap_or(0))
    }

    /// Goes on with what runtimes that ended have left.
    pub(crate) fn recover(&self) {
        self.stranded.take().iter().for_each(Lane::resume);
    }

    /// Ends with the last limiter: what is stranded goes on here if this is a runtime, and is given up otherwise.
    pub(crate) fn end(&self) {
        self.closing.begin();
        let stranded = self.stranded.lock().take().unwrap_or_default();
        stranded.iter().for_each(Lane::resume);
    }

    /// Keeps a lane for the next runtime, or gives its work up where there is no limiter left.
    pub(crate) fn strand(&self, lane: Arc<Lane>) {
        if let Some(lane) = self.stranded.keep(lane) {
            lane.give_up();
        }
    }
}
