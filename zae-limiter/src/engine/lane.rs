//! A lane: one bucket's queue in this process.
//!
//! At most one write per lane is in flight; acquires that arrive meanwhile go together in the next one. A lone acquire is
//! sent at once. Settlements ride along with the next write, or are flushed after a short delay when there is none.
//!
//! The work is done by a task of its own, not by those who wait: whoever stops waiting loses nothing for the others.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Id,
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    hold::Hold,
    image::Image,
    round::{Freshness, Terms},
    send::BucketKey,
    shared::Shared,
};
use crate::{
    error::{RepositoryError, UnavailableReason},
    model::{name::LimitName, status::LimitStatus},
};

/// How many asks one write serves at most; more would only make its answer slower to compute.
const MAX_BATCH: usize = 1_024;
/// How long an image may say no without the store being asked: what others give back is seen after this time.
const RECHECK: Duration = Duration::from_secs(1);

/// One acquire's wish at one bucket.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) terms: Arc<Terms>,
    /// Aligned with the terms' limits, in mt.
    pub(crate) amounts: Vec<i64>,
    /// Shards the bucket is known to have.
    pub(crate) shards: u32,
    /// Shard 0 as last seen, for creating another one.
    pub(crate) first_shard: Option<Arc<Image>>,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// What a bucket answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The tokens.
    Granted(Hold),
    /// Each limit's status, at least one of them exceeded.
    Refused(Refusal),
    /// It could not be asked.
    Failed(Failure),
}

/// A bucket's no.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) statuses: Vec<LimitStatus>,
    /// Whether some amount is larger than what this bucket (or its shard) can ever hold.
    pub(crate) never: bool,
}

/// Why a bucket could not be asked. Cloneable, because one write answers many.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Unavailable(UnavailableReason, Option<Arc<RepositoryError>>),
    /// An error that no policy may turn into a grant.
    Hard(Arc<RepositoryError>),
}

/// A settlement on its way to a bucket.
#[derive(Debug)]
pub(crate) struct Pending {
    /// In mt: positive for more consumption, negative for refunds.
    pub(crate) amounts: Vec<(LimitName, i64)>,
    /// The creation of the bucket that it belongs to.
    pub(crate) incarnation: Option<Arc<str>>,
    /// Told when it is stored; `None` when nobody asks.
    pub(crate) done: Option<oneshot::Sender<Result<(), Arc<str>>>>,
}

impl Pending {
    pub(crate) fn finish(self, result: Result<(), Arc<str>>) {
        if let Some(done) = self.done {
            let _ = done.send(result);
        }
    }
}

/// One bucket's queue.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) key: BucketKey,
    pub(crate) shared: Arc<Shared>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Ask>,
    pending: Vec<Pending>,
    image: Option<Arc<Image>>,
    /// Until when the image may say no without the store being asked.
    trusted_until: Option<Instant>,
    /// Whether the write in flight books settlements, which the image does not show yet.
    settling: bool,
    terms: Option<Arc<Terms>>,
    worker: Worker,
    flush: Flush,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Worker {
    #[default]
    Idle,
    Running,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flush {
    /// Wait a little for company.
    #[default]
    Later,
    Now,
}

/// What a worker does next.
enum Next {
    Drive(Round),
    Linger(Duration),
    Stop,
}

/// What goes into one write (or a few attempts at it).
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) terms: Arc<Terms>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) pending: Vec<Pending>,
}

/// A bucket as it was a moment ago.
#[derive(Debug)]
pub(crate) struct Recent {
    pub(crate) image: Arc<Image>,
    /// What is booked but not written, summed by limit.
    pub(crate) booked: Vec<(LimitName, i64)>,
}

impl Lane {
    pub(crate) fn new(key: BucketKey, shared: Arc<Shared>) -> Self {
        Self { key, shared, state: Mutex::default(), wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the queue. The answer comes through the ask's `reply`.
    pub(crate) fn submit(self: &Arc<Self>, ask: Ask) {
        let mut state = self.lock();
        if state.queue.len() >= self.shared.options.max_waiting {
            drop(state);
            let _ = ask.reply.send(Answer::Failed(Failure::Unavailable(UnavailableReason::Overloaded, None)));
            return;
        }
        state.terms = Some(Arc::clone(&ask.terms));
        state.queue.push_back(ask);
        drop(state);
        self.resume();
        self.wake.notify_one();
    }

    /// Books a settlement.
    pub(crate) fn book(self: &Arc<Self>, pending: Pending) {
        self.lock().pending.push(pending);
        self.resume();
    }

    /// Writes what is booked without waiting for company: somebody waits for it.
    pub(crate) fn flush(&self) {
        let mut state = self.lock();
        if !state.pending.is_empty() {
            state.flush = Flush::Now;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// The bucket as last seen.
    pub(crate) fn image(&self) -> Option<Arc<Image>> {
        self.lock().image.clone()
    }

    /// Remembers the bucket as a write returned it (`None`: there is none).
    pub(crate) fn remember(&self, image: Option<Arc<Image>>) {
        let mut state = self.lock();
        state.image = image;
        // Not all processes should ask again at the same moment.
        state.trusted_until = Some(Instant::now() + RECHECK.mul_f64(rand::random_range(0.75..=1.0)));
    }

    /// Whether the image is new enough to say no.
    pub(crate) fn freshness(&self) -> Freshness {
        let trusted = self.lock().trusted_until.is_some_and(|until| Instant::now() < until);
        if trusted { Freshness::Fresh } else { Freshness::Stale }
    }

    /// The bucket as last seen and what is booked on top, if that is all there is to know.
    pub(crate) fn recent(&self) -> Option<Recent> {
        let state = self.lock();
        let trusted = state.trusted_until.is_some_and(|until| Instant::now() < until);
        if !trusted || state.settling {
            return None;
        }
        Some(Recent { image: state.image.clone()?, booked: super::refuse::booked(&state.pending) })
    }

    /// Takes an image that came along with another read, unless a write has shown a better one.
    pub(crate) fn offer(&self, image: Image) {
        self.lock().image.get_or_insert_with(|| Arc::new(image));
    }

    /// Makes sure that somebody does what there is to do.
    pub(crate) fn resume(self: &Arc<Self>) {
        if mem::replace(&mut self.lock().worker, Worker::Running) == Worker::Running {
            return;
        }
        // Not under the lock: a runtime that has ended drops the worker at once.
        match self.shared.home.handle() {
            Some(home) => {
                let shift = Shift { lane: Arc::clone(self), runtime: home.id(), ended: false };
                drop(self.shared.tasks.spawn_on(shift.work(), &home));
            }
            None => self.wait_for_a_runtime(),
        }
    }

    fn wait_for_a_runtime(self: &Arc<Self>) {
        let mut state = self.lock();
        state.worker = Worker::Idle;
        state.settling = false;
        if !state.queue.is_empty() || !state.pending.is_empty() {
            drop(state);
            tracing::debug!(bucket = %self.key, "its runtime has ended; the next one goes on");
            self.shared.strand(Arc::clone(self));
        }
    }

    fn next(&self, lingered: bool) -> Next {
        let mut state = self.lock();
        state.settling = false;
        // Whoever stopped waiting needs no write.
        state.queue.retain(|ask| !ask.reply.is_closed());
        if let Some(terms) = state.queue.front().map(|ask| Arc::clone(&ask.terms)) {
            let same = state.queue.iter().take(MAX_BATCH).take_while(|ask| ask.terms.same(&terms)).count();
            let asks = state.queue.drain(..same).collect();
            let pending = mem::take(&mut state.pending);
            state.flush = Flush::Later;
            state.settling = !pending.is_empty();
            return Next::Drive(Round { terms, asks, pending });
        }
        if state.pending.is_empty() {
            state.worker = Worker::Idle;
            return Next::Stop;
        }
        if !lingered && state.flush == Flush::Later && !self.shared.closing.is_cancelled() {
            return Next::Linger(self.shared.options.flush_delay);
        }
        state.flush = Flush::Later;
        let pending = mem::take(&mut state.pending);
        state.settling = true;
        // A settlement comes from a lease, and a lease from an ask: there always are terms.
        match state.terms.clone() {
            Some(terms) => Next::Drive(Round { terms, asks: Vec::new(), pending }),
            None => Next::Stop,
        }
    }
}

/// One worker's time at a lane.
struct Shift {
    lane: Arc<Lane>,
    runtime: Id,
    ended: bool,
}

impl Shift {
    async fn work(mut self) {
        let lane = &self.lane;
        let mut lingered = false;
        loop {
            match lane.next(lingered) {
                Next::Drive(round) => {
                    lingered = false;
                    super::drive::drive(lane, round).await;
                }
                Next::Linger(delay) => {
                    tokio::select! {
                        () = tokio::time::sleep(delay) => lingered = true,
                        () = lane.wake.notified() => {}
                        () = lane.shared.closing.cancelled() => lingered = true,
                    }
                }
                Next::Stop => break,
            }
        }
        self.ended = true;
    }
}

impl Drop for Shift {
    /// Before its end, the runtime has ended: what the write under way was about is lost, the rest waits for another.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if !std::thread::panicking() {
            self.lane.shared.home.lost(self.runtime);
        }
        self.lane.wait_for_a_runtime();
    }
}
