//! The asks that wait at a bucket, and the next step of its one worker: pure bookkeeping without a clock, a lock or I/O
//! of its own.
//!
//! The lane keeps it under a lock. Every entry point that gives the worker something to do says whether a worker has to
//! be started; the worker stops only in the same step that finds nothing left to do. So nothing is forgotten between a
//! worker that stops and an ask that arrives (`tests/acquire/coalescer.rs` plays the interleavings).
//!
//! ```text
//!             submit, book, fetch: Start::Worker                  Next::Stop: nothing left
//!    idle ──────────────────────────────────────► running ──────────────────────────────► idle
//!                                                    │ submit, book, fetch: Start::Nothing, and the worker is woken
//! ```
//!
//! # One by one, or together
//!
//! An ask at an idle lane can be sent at once by its caller, or start a task that sends it. The first is faster for it,
//! and worse if nine others ask in the same turn of the scheduler: they would miss the write. The queue guesses by its
//! last work: if the last worker met two asks or more, the next one starts as a task, and those that arrive together
//! share its first write. A guess that is wrong costs one change of tasks, or one write more.
//!
//! # When settlements are written
//!
//! With the next write that goes out for an ask; else when the first of them has waited for its delay; else when
//! somebody awaits one of them (`flush`) or the limiter ends. They never start a write of their own before that,
//! because most buckets that have just been taken from are taken from again.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Bounds the number of asks that one write serves; more would only make its answer slower to compute.
const MAX_BATCH: usize = 1_024;

/// An ask as the queue sees it.
pub(crate) trait Waiting {
    /// Returns true while somebody still waits for the answer.
    fn is_wanted(&self) -> bool;
    /// Returns true if both can go into the same write.
    fn goes_with(&self, other: &Self) -> bool;
}

/// A bucket's queue of asks `A` and settlements `P`.
#[derive(Debug)]
pub(crate) struct Queue<A, P> {
    /// In order of arrival.
    asks: VecDeque<A>,
    /// Settlements that no write has taken up.
    pending: Vec<P>,
    /// When the settlements are to be written though nobody else writes.
    flush_at: Option<Instant>,
    /// Tells if tokens are to be fetched ahead of use.
    fetch: Fetch,
    /// Tells if a worker runs.
    worker: WorkerState,
    /// Number of asks that the worker has met; `asks_before` is the number of the last time when there were any.
    asks_met: usize,
    /// The same, of the last time when there were any.
    asks_before: usize,
}

/// Tells if a worker has to be started for what was just queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Start {
    /// None runs: the caller starts one.
    Worker,
    /// The one that runs will see to it when it is woken.
    Nothing,
}

/// The state of the one worker that a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WorkerState {
    /// None runs.
    #[default]
    Idle,
    /// One runs, or is about to.
    Running,
}

/// Tells if tokens are to be debited that nobody waits for yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// Only along with asks.
    #[default]
    No,
    /// Even if there is nothing else to write.
    Yes,
}

/// The next step of the worker.
#[derive(Debug)]
pub(crate) enum Next<A, P> {
    /// Serves these and writes those.
    Drive {
        /// Asks that go together, in order of arrival.
        asks: Vec<A>,
        /// All settlements.
        pending: Vec<P>,
        /// Tells if tokens are wanted ahead of use.
        fetch: Fetch,
    },
    /// Waits until then, or until it is woken.
    Wait(Instant),
    /// Ends; the queue counts as without a worker from here on.
    Stop,
}

/// Everything beside the queue itself that decides the worker's next step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// The current instant.
    pub(crate) now: Instant,
    /// When the worker wants to be back for another reason.
    pub(crate) wake_at: Option<Instant>,
    /// Nothing is written before.
    pub(crate) not_before: Option<Instant>,
    /// Tells if settlements wait for others.
    pub(crate) settlements: Settlements,
}

/// When settlements are written if nobody else writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlements {
    /// When the first of them is due: others may join.
    WhenDue,
    /// Now: the limiter ends.
    AtOnce,
}

impl<A, P> Default for Queue<A, P> {
    fn default() -> Self {
        Self {
            asks: VecDeque::new(),
            pending: Vec::new(),
            flush_at: None,
            fetch: Fetch::No,
            worker: WorkerState::Idle,
            asks_met: 0,
            asks_before: 0,
        }
    }
}

impl<A: Waiting, P> Queue<A, P> {
    /// Joins the queue, or comes back when `max` wait already.
    pub(crate) fn submit(&mut self, ask: A, max: usize) -> Result<Start, A> {
        if self.asks.len() >= max {
            // Those who gave up waiting make room.
            self.asks.retain(Waiting::is_wanted);
            if self.asks.len() >= max {
                return Err(ask);
            }
        }
        self.asks.push_back(ask);
        self.asks_met += 1;
        Ok(self.start())
    }

    /// Starts the worker for an ask that need not join: nobody else is here, and asks seem to come one by one. Returns
    /// true if it did.
    pub(crate) fn begin_alone(&mut self) -> bool {
        let alone = self.worker == WorkerState::Idle && self.has_nothing_to_do() && self.is_quiet();
        if alone {
            self.worker = WorkerState::Running;
            self.asks_met += 1;
        }
        alone
    }

    /// Takes back what could not be written: asks go before those that came meanwhile, in their order.
    pub(crate) fn put_back(&mut self, asks: Vec<A>, pending: Vec<P>, flush_at: Instant) {
        asks.into_iter().rev().for_each(|ask| self.asks.push_front(ask));
        if !pending.is_empty() {
            self.pending.extend(pending);
            self.flush_at = Some(self.flush_at.map_or(flush_at, |earlier| earlier.min(flush_at)));
        }
    }

    /// The settlements that no write has taken up yet, to be summed up.
    pub(crate) fn pending_mut(&mut self) -> &mut Vec<P> {
        &mut self.pending
    }

    /// An ask that was to begin alone joins after all: the worker that counts as running is started by the caller.
    pub(crate) fn rejoin(&mut self, ask: A) {
        self.asks.push_back(ask);
    }

    /// Books a settlement; it is written at the latest `delay` after the first that waits.
    pub(crate) fn book(&mut self, pending: P, now: Instant, delay: Duration) -> Start {
        self.pending.push(pending);
        let at = now + delay;
        self.flush_at = Some(self.flush_at.map_or(at, |earlier| earlier.min(at)));
        self.start()
    }

    /// Settlements wait no longer; whether there are any.
    pub(crate) fn flush(&mut self, now: Instant) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        self.flush_at = Some(now);
        true
    }

    /// Tokens are wanted ahead of use.
    pub(crate) fn fetch(&mut self) -> Start {
        self.fetch = Fetch::Yes;
        self.start()
    }

    /// Makes sure that a worker will look at the clock.
    pub(crate) fn start(&mut self) -> Start {
        match self.worker {
            WorkerState::Running => Start::Nothing,
            WorkerState::Idle => {
                self.worker = WorkerState::Running;
                Start::Worker
            }
        }
    }

    /// Returns true if asks seem to come one by one.
    fn is_quiet(&self) -> bool {
        self.asks_met == 0 && self.asks_before <= 1
    }

    /// Returns true if a worker could stop.
    fn has_nothing_to_do(&self) -> bool {
        self.asks.is_empty() && self.pending.is_empty() && self.fetch == Fetch::No
    }

    /// Ends the worker if nothing has come, and returns true if it has ended. This is a shortcut for
    /// [`next`](Queue::next), for a worker that need not be back for another reason.
    pub(crate) fn stop_if_done(&mut self) -> bool {
        let done = self.has_nothing_to_do();
        if done {
            self.stop();
        }
        done
    }

    /// Ends the worker, and remembers how many asks it met.
    fn stop(&mut self) {
        self.worker = WorkerState::Idle;
        match std::mem::take(&mut self.asks_met) {
            0 => {}
            met => self.asks_before = met,
        }
        // Most lanes are idle: their memory is for others.
        self.asks = VecDeque::new();
    }

    /// The worker has ended before its time; whether it leaves anything to do.
    pub(crate) fn abandon(&mut self) -> bool {
        self.worker = WorkerState::Idle;
        !self.asks.is_empty() || !self.pending.is_empty()
    }

    /// Gives up all that is to be done: the asks, and the settlements.
    pub(crate) fn empty(&mut self) -> (VecDeque<A>, Vec<P>) {
        self.fetch = Fetch::No;
        (std::mem::take(&mut self.asks), std::mem::take(&mut self.pending))
    }

    /// Takes out the asks that are not to wait any longer.
    pub(crate) fn take_out(&mut self, is_late: impl Fn(&A) -> bool) -> VecDeque<A> {
        let (late, others) = std::mem::take(&mut self.asks).into_iter().partition(is_late);
        self.asks = others;
        late
    }

    /// Returns the number of asks here.
    pub(crate) fn waiting(&self) -> usize {
        self.asks.len()
    }

    /// When the settlements here are written at the latest; `None` without any.
    pub(crate) fn flush_at(&self) -> Option<Instant> {
        self.flush_at.filter(|_| !self.pending.is_empty())
    }

    /// The settlements that no write has taken up yet.
    pub(crate) fn pending(&self) -> &[P] {
        &self.pending
    }

    /// Returns the next step of the worker.
    pub(crate) fn next(&mut self, timing: &Timing) -> Next<A, P> {
        let Timing { now, wake_at, not_before, settlements } = *timing;
        // Whoever stopped waiting needs no write.
        self.asks.retain(Waiting::is_wanted);
        let together = self.together();
        let flush_at = self.flush_at();
        let flush = flush_at.is_some_and(|at| settlements == Settlements::AtOnce || at <= now);
        if together > 0 || flush || self.fetch == Fetch::Yes {
            if let Some(later) = not_before.filter(|later| *later > now) {
                return Next::Wait(wake_at.map_or(later, |at| at.min(later)));
            }
            self.flush_at = None;
            return Next::Drive {
                asks: self.asks.drain(..together).collect(),
                pending: std::mem::take(&mut self.pending),
                fetch: std::mem::take(&mut self.fetch),
            };
        }
        let earliest = flush_at.into_iter().chain(wake_at).min();
        let Some(until) = earliest else {
            self.stop();
            return Next::Stop;
        };
        Next::Wait(until)
    }

    /// Counts the asks at the front that one write can serve: those whose limits equal the first one's.
    fn together(&self) -> usize {
        let Some(first) = self.asks.front() else { return 0 };
        self.asks.iter().take(MAX_BATCH).take_while(|ask| ask.goes_with(first)).count()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
