//! The asks that wait at a bucket, and the next step of its one worker: pure bookkeeping without a clock, a lock or I/O
//! of its own.
//!
//! The lane keeps it under a lock. Every entry point that gives the worker something to do says whether a worker has to
//! be started; the worker stops only in the same step that finds nothing left to do. So nothing is forgotten between a
//! worker that stops and an ask that arrives (`tests/acquire/coalescer.rs` plays the interleavings).

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
    asks: VecDeque<A>,
    pending: Vec<P>,
    /// When the settlements are to be written though nobody else writes.
    flush_at: Option<Instant>,
    /// Tells if tokens are to be fetched ahead of use.
    fetch: Fetch,
    worker: WorkerState,
    /// Number of asks that the worker has met; `met_before` is the number of the last time when there were any.
    met: usize,
    met_before: usize,
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WorkerState {
    #[default]
    Idle,
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

impl<A, P> Default for Queue<A, P> {
    fn default() -> Self {
        Self {
            asks: VecDeque::new(),
            pending: Vec::new(),
            flush_at: None,
            fetch: Fetch::No,
            worker: WorkerState::Idle,
            met: 0,
            met_before: 0,
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
        self.met += 1;
        Ok(self.start())
    }

    /// Starts the worker for an ask that need not join: nobody else is here, and asks seem to come one by one. Returns
    /// true if it did.
    pub(crate) fn begin_alone(&mut self) -> bool {
        let alone = self.worker == WorkerState::Idle && self.has_nothing_to_do() && self.is_quiet();
        if alone {
            self.worker = WorkerState::Running;
            self.met += 1;
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
        self.met == 0 && self.met_before <= 1
    }

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

    fn stop(&mut self) {
        self.worker = WorkerState::Idle;
        match std::mem::take(&mut self.met) {
            0 => {}
            met => self.met_before = met,
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

    /// Returns the next step of the worker. `wake_at` is when it wants to be back for another reason; nothing is
    /// written before `not_before`; `closing` means that settlements no longer wait for others to join them.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        wake_at: Option<Instant>,
        not_before: Option<Instant>,
        closing: bool,
    ) -> Next<A, P> {
        // Whoever stopped waiting needs no write.
        self.asks.retain(Waiting::is_wanted);
        let together = self.together();
        let flush_at = self.flush_at();
        let flush = flush_at.is_some_and(|at| closing || at <= now);
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

    fn together(&self) -> usize {
        let Some(first) = self.asks.front() else { return 0 };
        self.asks.iter().take(MAX_BATCH).take_while(|ask| ask.goes_with(first)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(50);

    #[derive(Debug, PartialEq, Eq)]
    struct Ask {
        number: u32,
        terms: u32,
        wanted: bool,
    }

    impl Waiting for Ask {
        fn is_wanted(&self) -> bool {
            self.wanted
        }

        fn goes_with(&self, other: &Self) -> bool {
            self.terms == other.terms
        }
    }

    fn ask(number: u32) -> Ask {
        Ask { number, terms: 0, wanted: true }
    }

    fn queue(asks: impl IntoIterator<Item = Ask>) -> Queue<Ask, u32> {
        let mut queue = Queue::default();
        for ask in asks {
            let _ = queue.submit(ask, usize::MAX).unwrap();
        }
        queue
    }

    /// Returns the numbers of the asks that are driven next.
    fn numbers(queue: &mut Queue<Ask, u32>) -> Vec<u32> {
        match queue.next(Instant::now(), None, None, false) {
            Next::Drive { asks, .. } => asks.iter().map(|ask| ask.number).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_comes_first_is_served_first_with_those_of_the_same_terms() {
        let other = |number| Ask { terms: 1, ..ask(number) };
        let mut queue = queue([ask(0), ask(1), other(2), ask(3)]);
        assert_eq!([numbers(&mut queue), numbers(&mut queue), numbers(&mut queue)], [vec![0, 1], vec![2], vec![3]]);
    }

    #[test]
    fn one_write_serves_no_more_than_a_batch() {
        let mut queue = queue((0..1_500).map(ask));
        assert_eq!([numbers(&mut queue).len(), numbers(&mut queue).len()], [1_024, 476]);
    }

    #[test]
    fn who_gave_up_needs_no_write_and_makes_room() {
        let gone = |number| Ask { wanted: false, ..ask(number) };
        let mut queue = queue([gone(0), ask(1), gone(2)]);
        assert_eq!(queue.submit(ask(3), 2), Ok(Start::Nothing), "two of the three do not count");
        assert_eq!(queue.submit(ask(4), 2), Err(ask(4)));
        assert_eq!(numbers(&mut queue), [1, 3]);
        let _ = queue.submit(gone(5), 2);
        assert!(matches!(queue.next(Instant::now(), None, None, false), Next::Stop));
    }

    #[test]
    fn a_settlement_waits_no_longer_than_the_first_of_them() {
        let (mut queue, start) = (queue([]), Instant::now());
        for turn in 0..4 {
            let _ = queue.book(turn, start + DELAY / 2 * turn, DELAY);
        }
        assert!(matches!(queue.next(start, None, None, false), Next::Wait(until) if until == start + DELAY));
        let Next::Drive { pending, .. } = queue.next(start + DELAY, None, None, false) else { panic!("it is due") };
        assert_eq!(pending, [0, 1, 2, 3]);
        let _ = queue.book(4, start, DELAY);
        assert!(matches!(queue.next(start, None, None, true), Next::Drive { .. }), "at the end nothing waits");
    }

    #[test]
    fn one_begins_alone_where_no_worker_meets_two() {
        let mut queue = queue([]);
        let mut alone = |asks: u32| {
            let alone = asks > 0 && queue.begin_alone();
            (u32::from(alone)..asks).for_each(|number| drop(queue.submit(ask(number), 9)));
            while !matches!(queue.next(Instant::now(), None, None, true), Next::Stop) {}
            alone
        };
        assert_eq!([1, 1, 2, 0, 1, 1].map(&mut alone), [true, true, true, false, false, true]);
    }

    #[test]
    fn nobody_begins_alone_beside_others() {
        let fresh = || queue([]);
        let [mut working, mut settling, mut fetching, mut left] = [(); 4].map(|()| fresh());
        assert!(working.begin_alone());
        let _ = settling.book(0, Instant::now(), DELAY);
        let _ = fetching.fetch();
        assert!(left.begin_alone());
        left.rejoin(ask(0));
        assert!(left.abandon());
        for mut queue in [working, settling, fetching, left] {
            assert!(!queue.begin_alone(), "{queue:?}");
        }
    }

    #[test]
    fn a_worker_ends_at_a_glance_only_where_nothing_has_come() {
        for (come, ends) in [
            ((|_| ()) as fn(&mut Queue<Ask, u32>), true),
            (|queue| drop(queue.submit(ask(1), 9)), false),
            (|queue| assert_eq!(queue.book(0, Instant::now(), DELAY), Start::Nothing), false),
            (|queue| assert_eq!(queue.fetch(), Start::Nothing), false),
        ] {
            let mut queue = queue([]);
            assert!(queue.begin_alone());
            come(&mut queue);
            assert_eq!((queue.stop_if_done(), queue.begin_alone()), (ends, ends), "{queue:?}");
        }
    }
}
