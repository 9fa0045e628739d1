//! Shared deadlines for many waits: [`Deadlines`].
//!
//! A runtime timer takes a system call if nothing else is due before it, as for every lone acquire, and an entry in a
//! structure that all timers of the runtime share. Here all waits of a limiter share one timer: their keeper sleeps
//! until the earliest deadline, and later ones do not disturb it. Most waits end long before it wakes.
//!
//! With a deadline of 250 ms and acquires that take 5 ms, the keeper sleeps until the first deadline, finds an empty
//! map and determines the next: about four wake-ups a second, whatever the number of acquires. Individual timers would
//! take one per acquire.
//!
//! # Correctness
//!
//! - A wait is in the map before its future returns `Pending`, under the lock that the keeper uses. So no deadline is
//!   missed in between.
//! - A deadline earlier than the one the keeper sleeps for wakes it, through a `Notify` that remembers one
//!   notification.
//! - The keeper runs on the runtime that started it. If that ends, its drop wakes all waits, and the first one polled
//!   again starts another.
//! - Wakers are never woken or dropped under the lock: both run code of other tasks.
//! - A deadline is accurate to tokio's timer, a millisecond; it is checked against the clock at every poll, so a
//!   wake-up for another reason does not extend it.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{sync::Notify, time::Instant};

/// The deadlines of all waits in one limiter.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// The waits, and the time at which the keeper checks them.
    state: Mutex<Waiters>,
    /// Notifies the keeper of a deadline before those that it knows.
    earlier: Notify,
}

/// All waits, in order of their deadlines.
#[derive(Debug, Default)]
struct Waiters {
    /// The wakers, by deadline.
    waits: BTreeMap<TimerKey, Waker>,
    /// Number of keys issued.
    count: u64,
    /// Time of the keeper's next check; `None` without a keeper.
    looks_at: Option<Instant>,
}

/// Longer than any process waits. The maximum of an `Instant` is unknown, so additions must stay small.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Returns the instant `wait` after `from`, or one that never arrives if that exceeds the range of instants.
pub(crate) fn after(from: Instant, wait: Duration) -> Instant {
    from + wait.min(LONGEST)
}

/// A deadline, and a number that makes it unique.
type TimerKey = (Instant, u64);

/// The deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed;

impl Deadlines {
    /// Returns the output of `future`, if it completes before `deadline`. Must be awaited on a tokio runtime.
    ///
    /// As cancel-safe as `future`.
    pub(crate) fn until<F: Future>(self: &Arc<Self>, deadline: Instant, future: F) -> Until<F> {
        Until { future, wait: Wait { deadlines: Arc::clone(self), deadline, place: None } }
    }

    /// Locks the waits.
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the waits that are due; returns the time of the next check.
    fn look(&self) -> Option<Instant> {
        let mut state = self.lock();
        let later = state.waits.split_off(&(Instant::now(), u64::MAX));
        let due = std::mem::replace(&mut state.waits, later);
        state.looks_at = state.waits.first_key_value().map(|((at, _), _)| *at);
        let next = state.looks_at;
        drop(state);
        due.into_values().for_each(Waker::wake);
        next
    }

    /// Sleeps from deadline to deadline, and ends when there are none.
    async fn keep(self: Arc<Self>) {
        let keeper = TimerTask(&self);
        while let Some(next) = self.look() {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(next) => {}
                () = self.earlier.notified() => {}
            }
        }
        std::mem::forget(keeper);
    }
}

/// Dropped early only with its runtime.
struct TimerTask<'a>(&'a Deadlines);

impl Drop for TimerTask<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.looks_at = None;
        // Waits on other runtimes find no keeper, and start one.
        let waits = std::mem::take(&mut state.waits);
        drop(state);
        waits.into_values().for_each(Waker::wake);
    }
}

pin_project! {
    /// A wait that ends with its deadline. Created by [`Deadlines::until`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub(crate) struct Until<F> {
        #[pin]
        future: F,
        wait: Wait,
    }
}

impl<F: Future> Future for Until<F> {
    type Output = Result<F::Output, Passed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        if Instant::now() >= this.wait.deadline {
            return Poll::Ready(Err(Passed));
        }
        this.wait.remember(context.waker());
        Poll::Pending
    }
}

/// One wait's entry in the map.
#[derive(Debug)]
struct Wait {
    /// The map that contains it.
    deadlines: Arc<Deadlines>,
    /// The end of the wait.
    deadline: Instant,
    /// Its key in the map, from its first poll on.
    place: Option<TimerKey>,
}

impl Wait {
    /// Adds the wait to the map or updates it, and makes sure that a keeper will check in time.
    fn remember(&mut self, waker: &Waker) {
        let mut state = self.deadlines.lock();
        let number = state.count;
        let place = *self.place.get_or_insert((self.deadline, number));
        state.count += 1;
        let before = match state.waits.get_mut(&place) {
            Some(known) if known.will_wake(waker) => None,
            Some(known) => Some(std::mem::replace(known, waker.clone())),
            None => state.waits.insert(place, waker.clone()),
        };
        let looks_at = state.looks_at;
        let is_earlier = looks_at.is_none_or(|at| self.deadline < at);
        if is_earlier {
            state.looks_at = Some(self.deadline);
        }
        drop(state);
        // Outside of the lock: it may be the last reference to its task.
        drop(before);
        match looks_at {
            Some(_) if is_earlier => self.deadlines.earlier.notify_one(),
            None => drop(tokio::spawn(Arc::clone(&self.deadlines).keep())),
            Some(_) => {}
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.deadlines.lock().waits.remove(&place);
            // See above: outside of the lock.
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Pending, pending},
        task::Wake,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn waits(deadlines: &Deadlines) -> usize {
        deadlines.lock().waits.len()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_with_its_own_deadline() {
        let (deadlines, start) = (Arc::new(Deadlines::default()), Instant::now());
        let wait = |millis| {
            let wait = deadlines.until(start + Duration::from_millis(millis), pending::<()>());
            tokio::spawn(async move {
                assert_eq!(wait.await, Err(Passed));
                start.elapsed().as_millis()
            })
        };
        let tasks = [30, 10, 20, 10, 40].map(wait);
        let mut ended = Vec::new();
        for task in tasks {
            ended.push(task.await.unwrap());
        }
        assert_eq!(ended, [30, 10, 20, 10, 40]);
        assert_eq!(waits(&deadlines), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_in_time_leaves_nothing_behind() {
        let deadlines = Arc::new(Deadlines::default());
        let work = tokio::time::sleep(Duration::from_millis(5));
        assert_eq!(deadlines.until(Instant::now() + Duration::from_millis(10), work).await, Ok(()));
        assert_eq!(waits(&deadlines), 0);
        tokio::time::sleep(LONG).await;
        assert_eq!(deadlines.lock().looks_at, None, "the keeper has gone");
        let late = deadlines.until(Instant::now() + Duration::from_millis(10), pending::<()>());
        assert_eq!(late.await, Err(Passed), "and another one comes");
    }

    #[test]
    fn those_on_another_runtime_outlive_the_keeper() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (deadlines, [first, second]) = (Arc::new(Deadlines::default()), [runtime(), runtime()]);
        let deadline = Instant::now() + Duration::from_millis(200);
        let with_the_keeper = first.spawn(deadlines.until(deadline, pending::<()>()));
        first.block_on(tokio::task::yield_now());
        let wait = second.spawn(deadlines.until(deadline, pending::<()>()));
        second.block_on(tokio::task::yield_now());
        assert_eq!(waits(&deadlines), 2);
        drop((with_the_keeper, first));
        let ended = second.block_on(async { tokio::time::timeout(Duration::from_secs(10), wait).await });
        assert_eq!(ended.expect("it ends").unwrap(), Err(Passed));
    }

    /// The task that polls a wait may change, and the last reference to a task may be the waker.
    #[tokio::test(start_paused = true)]
    async fn a_waker_that_is_replaced_may_own_another_wait() {
        struct Task(#[expect(dead_code, reason = "only to be dropped")] Mutex<Until<Pending<()>>>);
        impl Wake for Task {
            fn wake(self: Arc<Self>) {}
        }
        let (deadlines, at) = (Arc::new(Deadlines::default()), Instant::now() + LONG);
        let [mut owned, mut wait] = [(); 2].map(|()| deadlines.until(at, pending()));
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut owned).poll(&mut nobody).is_pending());
        let task = Waker::from(Arc::new(Task(Mutex::new(owned))));
        assert!(Pin::new(&mut wait).poll(&mut Context::from_waker(&task)).is_pending());
        drop(task);
        assert_eq!(waits(&deadlines), 2);
        assert!(Pin::new(&mut wait).poll(&mut nobody).is_pending());
        assert_eq!(waits(&deadlines), 1);
    }
}
