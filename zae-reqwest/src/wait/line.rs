//! First come, first served: [`Lines`].
//!
//! The calls at the head of a line ask the limiter concurrently, so that one write can serve them together. Their
//! number grows with each call that is served, and halves when one is refused. While a refused call waits for tokens,
//! no other call moves to the head. So a line moves as fast as tokens are refilled, whatever the round-trip time, and
//! small calls cannot keep overtaking a large one.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use zae_tower::{EntityId, ResourceName};

use super::WaitReason;

/// The entity and resource that a line is for.
pub(crate) type Key = (EntityId, ResourceName);

/// Maximum number of calls that ask concurrently.
const MAX_HEADS: usize = 64;
/// The weight of the latest call among the recent ones.
const RECENT: f64 = 0.2;
/// Bounds the share that calls are expected to give back, so that no wait becomes too short.
const MOST_RETURNED: f64 = 0.8;

/// The lines of a process, one per entity and resource with waiting calls. The map has at most as many entries as there
/// are waiters, and entries are removed with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<HashMap<Key, Line>>>);

/// The calls that wait for one entity and resource.
#[derive(Debug)]
struct Line {
    /// Tells places apart.
    next_ticket: u64,
    /// Places that are not at the head, in order of arrival, with the wakers of those that are polled.
    queue: VecDeque<(u64, Option<Waker>)>,
    /// Number of places at the head.
    heads: usize,
    /// Number of places at the head that wait for tokens or for a pause to end.
    blocked: usize,
    /// Bounds the number of places at the head.
    room: usize,
    /// The reason of the last blocked place, and the time until which it waits.
    reason: Option<(WaitReason, Instant)>,
    /// Wakes blocked places before their time.
    nudge: Arc<Notify>,
    /// The share of their tokens that recent calls gave back.
    returned: f64,
}

/// A place in a line: first in its queue, then at its head. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct QueuePlace {
    lines: Lines,
    key: Key,
    ticket: u64,
    /// The state of this place, which the line counts.
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the queue, or already called to the head but not yet notified.
    Queued,
    /// At the head, asking the limiter.
    Asking,
    /// At the head, waiting: no other place moves there.
    Blocked,
    /// Served, and about to leave.
    Served,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if a call is waiting.
    pub(crate) fn is_busy(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// Notes that a call of this process took `taken` tokens and kept `kept` of them. If it gave some back, the places
    /// at the head that wait are woken.
    pub(crate) fn settled(&self, key: &Key, taken: i64, kept: i64) {
        let mut lines = self.lock();
        let Some(line) = lines.get_mut(key).filter(|_| taken > 0) else { return };
        let share = (1.0 - kept as f64 / taken as f64).clamp(0.0, MOST_RETURNED);
        line.returned += (share - line.returned) * RECENT;
        if kept < taken {
            line.nudge.notify_waiters();
        }
    }

    /// Goes to the end of the line.
    pub(crate) fn join(&self, key: Key) -> QueuePlace {
        let mut lines = self.lock();
        let line = lines.entry(key.clone()).or_insert_with(Line::new);
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.queue.push_back((ticket, None));
        line.call();
        drop(lines);
        QueuePlace { lines: self.clone(), key, ticket, stage: Stage::Queued }
    }
}

impl Line {
    /// Creates an empty line with room for one at its head.
    fn new() -> Self {
        Self {
            next_ticket: 0,
            queue: VecDeque::new(),
            heads: 0,
            blocked: 0,
            room: 1,
            reason: None,
            nudge: Arc::default(),
            returned: 0.0,
        }
    }

    /// Moves calls to the head while there is room.
    fn call(&mut self) {
        while self.blocked == 0 && self.heads < self.room {
            let Some((_, waker)) = self.queue.pop_front() else { return };
            self.heads += 1;
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl QueuePlace {
    /// Returns true if it already is at the head; then it waits for no other call.
    pub(crate) fn is_at_head(&self) -> bool {
        self.lines.lock().get(&self.key).is_none_or(|line| line.queue.iter().all(|(ticket, _)| *ticket != self.ticket))
    }

    /// Waits until it is at the head.
    ///
    /// Cancel-safe: if it is dropped, nothing has changed.
    pub(crate) async fn head(&mut self) {
        poll_fn(|context| {
            let mut lines = self.lines.lock();
            let queue = lines.get_mut(&self.key).map(|line| &mut line.queue);
            let own = queue.and_then(|queue| queue.iter_mut().find(|(ticket, _)| *ticket == self.ticket));
            match own {
                Some((_, waker)) => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            }
        })
        .await;
        if self.stage == Stage::Queued {
            self.stage = Stage::Asking;
        }
    }

    /// Records that the place at the head has to wait; no other call moves to the head meanwhile.
    pub(crate) fn blocked(&mut self, reason: &WaitReason, until: Instant) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.key) else { return };
        if self.stage == Stage::Asking {
            self.stage = Stage::Blocked;
            line.blocked += 1;
            line.room = (line.room / 2).max(1);
        }
        line.reason = Some((reason.clone(), until));
    }

    /// Returns the time in which tokens that are refilled in `refill` are expected: sooner, as far as other calls give
    /// some back.
    pub(crate) fn expected(&self, refill: Duration) -> Duration {
        let returned = self.lines.lock().get(&self.key).map_or(0.0, |line| line.returned);
        refill.mul_f64(1.0 - returned)
    }

    /// Waits for `time`, or until tokens were given back.
    ///
    /// Cancel-safe: nothing changes.
    pub(crate) async fn wait(&self, time: Duration) {
        let nudge = self.lines.lock().get(&self.key).map(|line| Arc::clone(&line.nudge));
        match nudge {
            // Ends at the time, if nothing wakes it before.
            Some(nudge) => drop(timeout(time, nudge.notified()).await),
            None => sleep(time).await,
        }
    }

    /// Lets one more call move to the head, while it keeps its place there.
    pub(crate) fn step_aside(&mut self) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.key) else { return };
        if self.stage == Stage::Blocked {
            self.stage = Stage::Asking;
            line.blocked -= 1;
            line.room = line.room.max(line.heads + 1);
            line.call();
        }
    }

    /// Records that the call was served, and leaves the line.
    pub(crate) fn served(mut self) {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get_mut(&self.key) {
            line.room = (line.room + 1).min(MAX_HEADS);
            if self.stage == Stage::Blocked {
                line.blocked -= 1;
            }
        }
        drop(lines);
        self.stage = Stage::Served;
    }

    /// Returns the reason for which the places at the head wait, and the time until which they do; `None` if none of
    /// them waits.
    pub(crate) fn reason(&self) -> Option<(WaitReason, Instant)> {
        self.lines.lock().get(&self.key).filter(|line| line.blocked > 0).and_then(|line| line.reason.clone())
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.key) else { return };
        match line.queue.iter().position(|(ticket, _)| *ticket == self.ticket) {
            Some(queued) => drop(line.queue.remove(queued)),
            None => {
                line.heads -= 1;
                if self.stage == Stage::Blocked {
                    line.blocked -= 1;
                }
            }
        }
        line.call();
        if line.heads == 0 && line.queue.is_empty() {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    fn key() -> Key {
        (EntityId::new("e").unwrap(), ResourceName::new("r").unwrap())
    }

    fn reason() -> (WaitReason, Instant) {
        (WaitReason::Provider { said: "429".into() }, Instant::now() + Duration::from_secs(9))
    }

    fn comes(place: &mut QueuePlace) -> bool {
        place.head().now_or_never().is_some()
    }

    #[tokio::test]
    async fn first_come_first_served_and_those_who_leave_hold_nobody_up() {
        let lines = Lines::default();
        let mut places: Vec<QueuePlace> = (0..4).map(|_| lines.join(key())).collect();
        assert!(places[0].is_at_head() && !places[1].is_at_head());
        assert!(comes(&mut places[0]));
        assert!(!comes(&mut places[1]) && !comes(&mut places[2]) && !comes(&mut places[3]));
        drop(places.remove(1));
        drop(places.remove(0));
        assert!(!comes(&mut places[1]), "the third is before it");
        assert!(comes(&mut places[0]));
        drop(places.remove(0));
        assert!(comes(&mut places[0]));
        assert!(lines.is_busy(&key()));
        drop(places);
        assert!(!lines.is_busy(&key()), "nothing is kept of a line that nobody stands in");
    }

    #[tokio::test]
    async fn more_come_to_the_head_with_each_one_served_and_none_while_one_is_blocked() {
        let lines = Lines::default();
        let mut places: VecDeque<QueuePlace> = (0..20).map(|_| lines.join(key())).collect();
        let heads = |places: &VecDeque<QueuePlace>| places.iter().filter(|place| place.is_at_head()).count();
        for asking in [1, 2, 4, 8] {
            assert_eq!(heads(&places), asking);
            for _ in 0..asking {
                let mut place = places.pop_front().unwrap();
                assert!(comes(&mut place));
                place.served();
            }
        }
        assert_eq!(heads(&places), 5, "there are no more");
        places.extend((0..50).map(|_| lines.join(key())));
        assert_eq!(heads(&places), 16);
        let (why, until) = reason();
        assert!(comes(&mut places[0]));
        places[0].blocked(&why, until);
        drop(places.remove(1));
        assert_eq!(heads(&places), 15, "nobody follows");
        places.pop_front().unwrap().served();
        assert_eq!(heads(&places), 14, "room for nine, and there are more than that");
    }

    #[tokio::test]
    async fn those_behind_know_what_the_head_waits_for() {
        let lines = Lines::default();
        let (mut head, mut behind) = (lines.join(key()), lines.join(key()));
        assert!(comes(&mut head) && behind.reason().is_none());
        let (why, until) = reason();
        head.blocked(&why, until);
        assert!(matches!(behind.reason(), Some((WaitReason::Provider { .. }, at)) if at == until));
        drop(head);
        assert!(comes(&mut behind) && behind.reason().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_given_back_wake_the_head() {
        let lines = Lines::default();
        let mut head = lines.join(key());
        assert!(comes(&mut head));
        let started = Instant::now();
        let nudge = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            lines.settled(&key(), 100, 40);
        };
        futures_util::join!(head.wait(Duration::from_secs(60)), nudge);
        assert_eq!(started.elapsed().as_secs(), 1);
        head.wait(Duration::from_secs(60)).await;
        assert_eq!(started.elapsed().as_secs(), 61, "each time once");
        (0..50).for_each(|_| lines.settled(&key(), 100, 40));
        assert_eq!(head.expected(Duration::from_secs(10)).as_secs(), 4);
        (0..50).for_each(|_| lines.settled(&key(), 100, 100));
        assert_eq!(head.expected(Duration::from_secs(10)).as_millis().div_ceil(100), 100);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let lines = Lines::default();
        let (head, mut behind) = (lines.join(key()), lines.join(key()));
        let mut waiting = pin!(behind.head());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(head);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
    }
}
