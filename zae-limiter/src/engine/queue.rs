//! Who waits at a bucket, and what its one worker does next: pure bookkeeping without a clock, a lock or I/O of its own.
//!
//! The lane keeps it under a lock. Every entry point that gives the worker something to do says whether a worker has to
//! be started; the worker stops only in the same step that finds nothing left to do. So nothing is forgotten between a
//! worker that stops and an ask that arrives (`tests/coalescer.rs` plays the interleavings).

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How many asks one write serves at most; more would only make its answer slower to compute.
const MAX_BATCH: usize = 1_024;

/// An ask as the queue sees it.
pub(crate) trait Waiting {
    /// Whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;
    /// Whether both can go into the same write.
    fn goes_with(&self, other: &Self) -> bool;
}

/// A bucket's queue of asks `A` and settlements `P`.
#[derive(Debug)]
pub(crate) struct Queue<A, P> {
    asks: VecDeque<A>,
    pending: Vec<P>,
    /// When the settlements are to be written though nobody else writes.
    flush_at: Option<Instant>,
    /// Whether tokens are to be fetched ahead of use.
    fetch: Fetch,
    worker: Worker,
}

/// Whether a worker has to be started for what was just queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Start {
    /// None runs: the caller starts one.
    Worker,
    /// The one that runs will see to it when it is woken.
    Nothing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Worker {
    #[default]
    Idle,
    Running,
}

/// Whether to debit tokens that nobody waits for yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// Only along with asks.
    #[default]
    No,
    /// Even if there is nothing else to write.
    Yes,
}

/// What the worker does next.
#[derive(Debug)]
pub(crate) enum Next<A, P> {
    /// Serves these and writes those.
    Drive {
        /// Asks that go together, in order of arrival.
        asks: Vec<A>,
        /// All settlements.
        pending: Vec<P>,
        /// Whether tokens are wanted ahead of use.
        fetch: Fetch,
    },
    /// Waits until then, or until it is woken.
    Wait(Instant),
    /// Ends; the queue counts as without a worker from here on.
    Stop,
}

impl<A, P> Default for Queue<A, P> {
    fn default() -> Self {
        Self { asks: VecDeque::new(), pending: Vec::new(), flush_at: None, fetch: Fetch::No, worker: Worker::Idle }
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
        Ok(self.start())
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
            Worker::Running => Start::Nothing,
            Worker::Idle => {
                self.worker = Worker::Running;
                Start::Worker
            }
        }
    }

    /// The worker has ended before its time; whether it leaves anything to do.
    pub(crate) fn abandon(&mut self) -> bool {
        self.worker = Worker::Idle;
        !self.asks.is_empty() || !self.pending.is_empty()
    }

    /// The settlements that no write has taken up yet.
    pub(crate) fn pending(&self) -> &[P] {
        &self.pending
    }

    /// What the worker does next. `wake_at` is when it wants to be back for another reason; `closing` means that nothing
    /// is to wait for company any more.
    pub(crate) fn next(&mut self, now: Instant, wake_at: Option<Instant>, closing: bool) -> Next<A, P> {
        // Whoever stopped waiting needs no write.
        self.asks.retain(Waiting::is_wanted);
        let together = self.together();
        let flush_at = self.flush_at.filter(|_| !self.pending.is_empty());
        let flush = flush_at.is_some_and(|at| closing || at <= now);
        if together > 0 || flush || self.fetch == Fetch::Yes {
            self.flush_at = None;
            return Next::Drive {
                asks: self.asks.drain(..together).collect(),
                pending: std::mem::take(&mut self.pending),
                fetch: std::mem::take(&mut self.fetch),
            };
        }
        let earliest = flush_at.into_iter().chain(wake_at).min();
        earliest.map_or_else(
            || {
                self.worker = Worker::Idle;
                // Most lanes are idle: their memory is for others.
                self.asks = VecDeque::new();
                Next::Stop
            },
            Next::Wait,
        )
    }

    fn together(&self) -> usize {
        let Some(first) = self.asks.front() else { return 0 };
        self.asks.iter().take(MAX_BATCH).take_while(|ask| ask.goes_with(first)).count()
    }
}
