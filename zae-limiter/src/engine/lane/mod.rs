//! A lane: one bucket's queue in this process.
//!
//! At most one write per lane is in flight; acquires that arrive meanwhile go together in the next one. A lone acquire
//! is sent at once. Settlements ride along with the next write, or are flushed after a short delay when there is none.
//! In reserve mode a lane has a reserve of tokens debited ahead, from which it grants without a write.
//!
//! The work is done by a task of its own, not by those who wait: whoever stops waiting loses nothing for the others. A
//! caller that asks alone only begins it.
//!
//! | file | concern | I/O |
//! |---|---|---|
//! | [`ask`] | the values that come and go: asks, answers, settlements | no |
//! | [`queue`] | who waits, and the worker's next step | no |
//! | [`decide`] | which asks a write serves, given an image | no |
//! | [`drive`] | one round: the write, its outcomes, another attempt | through the store |
//! | `shift`, `worker` | the task: starting, waiting, gathering, ending | no |
//! | [`refuse`] | answers of "no", from a write's image or from memory | no |
//! | [`target`] | a bucket to charge, with its limits; grants from the reserve | no |
//! | [`hold`] | granted tokens, and giving them back | no |
//! | `memory` | the bucket as it was last seen, and its neighbours | no |
//! | `health` | the circuit and the pace of one bucket | no |
//! | `writers`, `guess` | neighbours that write the same bucket, and the bets that suit them | no |
//! | `keep` | settlements that have to be tried again | no |
//! | `split` | spreading a bucket that is written too often | through the store |
//! | `stop` | reasons not to decide at all: disabled, newer clients | no |
//! | [`lanes`] | all lanes of a limiter | no |
//!
//! # The life of a write
//!
//! Four acquires of 10 tokens each, on a bucket of 100 that holds 25. The first finds the lane idle, the others arrive
//! while its write is under way:
//!
//! 1. Ask 1 begins the work itself: a plain plan for 10, conditions 10 ≤ tk. One UpdateItem.
//! 2. Asks 2 to 4 queue. Nobody polls for them.
//! 3. The answer brings tk = 15. Ask 1 gets a hold of 10. The worker takes 2 to 4 as the next round.
//! 4. From the image 2 fits (15 ≥ 10), 3 and 4 do not (5 left). The image is an answer of this process's own write, so
//!    3 and 4 are refused now, with the time at which 10 tokens will be there; ask 2's write goes out.
//! 5. A second process took 10 in between: the condition 10 ≤ tk fails, and the item says 5. Ask 2 is refused from that
//!    image. Two round trips, four answers, nothing granted that was not there.
//!
//! # Who may change what
//!
//! The lane's state is under one `std` mutex that is held for a few comparisons and never across an await. The worker
//! is the only one that writes the bucket; it takes what it needs out of the state, and gives the image back in one
//! step. So there is no moment at which two writes of a lane are in flight, except that a write whose answer is late is
//! followed by a task of its own ([`drive`]) while the lane goes on: its outcome is unknown to the lane, and the
//! conditions of the next write do not depend on it.
//!
//! An image is believed in two ways. To *grant* it needs no trust, as the write's conditions check it. To *refuse* it
//! has to be an answer of the last second ([`Freshness`]), or tokens that neighbours gave back would never be seen.

pub(crate) mod ask;
pub(crate) mod decide;
pub(crate) mod drive;
mod guess;
mod health;
pub(crate) mod hold;
mod keep;
pub(crate) mod lanes;
pub(crate) mod memory;
pub(crate) mod queue;
pub(crate) mod refuse;
mod shift;
mod split;
mod stop;
pub(crate) mod target;
mod worker;
mod writers;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::telemetry::{self, ReserveFlow, Under};
use crate::{
    bucket::{image::Image, key::BucketKey, limit_set::LimitSet, peaks::Peaks},
    engine::{
        lane::{
            ask::{Ask, AskOutcome, Failure, Pending},
            health::Health,
            hold::Booked,
            queue::{Fetch, Next, Queue, Settlements, Start, Timing},
            writers::Writers,
        },
        reserve::{LaneReserve, ReserveReturn, ReturnCause},
        runtime::{context::Context, moment::End},
    },
    error::UnavailableReason,
};

/// One bucket's queue.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The bucket.
    pub(crate) key: BucketKey,
    /// The state that all lanes of the limiter share.
    pub(crate) shared: Arc<Context>,
    /// Queue, image and the rest; never locked across an await.
    state: Mutex<LaneState>,
    /// Only lanes that were asked in reserve mode have one. Locked after `state`, where both are.
    reserve: OnceLock<Box<Mutex<LaneReserve>>>,
    /// Wakes the worker while it waits.
    pub(super) wake: Notify,
}

/// The part of a lane that changes.
#[derive(Debug, Default)]
struct LaneState {
    /// The asks that wait, and the settlements to be written.
    queue: Queue<Ask, Pending>,
    /// The bucket as it was last seen; `None` if it never was, or is known to be missing.
    image: Option<Arc<Image>>,
    /// Until when the image may say no without the store being asked.
    trusted_until: Option<End>,
    /// True if the write in flight books settlements, which the image does not show yet.
    settling: bool,
    /// True if a neighbour was seen to write between two of our writes.
    shared: bool,
    /// When neighbours were last seen to contend for the bucket, in epoch ms.
    crowded_at: Option<i64>,
    /// The neighbours, where there are any.
    writers: Option<Box<Writers>>,
    /// The limits that were last asked with, for rounds that have no ask.
    limit_set: Option<Arc<LimitSet>>,
    /// The balances that the bucket was seen at, net of refunds.
    peaks: Peaks,
    /// The bucket's circuit and pace.
    health: Health,
    /// When the bucket may be split again.
    split_again: Option<Instant>,
    /// Until when the bucket's shards count as exhausted.
    exhausted_until: Option<Instant>,
    /// When whoever writes other shards looks at this one again.
    look_again: Option<Instant>,
    /// Until when somebody reads the bucket because another one refuses; nobody else does so meanwhile.
    learning_until: Option<Instant>,
    /// True if the limits were read again since what newer clients left on the bucket was seen.
    doubted: bool,
    /// The same of the owner: the bucket says that another parent is charged.
    owner_doubted: bool,
}

/// The content of one write (or a few attempts at it).
#[derive(Debug)]
pub(crate) struct Round {
    /// The limits that all asks of the round share.
    pub(crate) limit_set: Arc<LimitSet>,
    /// Asks, in order of arrival.
    pub(crate) asks: Vec<Ask>,
    /// Settlements to book.
    pub(crate) pending: Vec<Pending>,
    /// Tells if tokens are to be debited ahead even without asks.
    pub(crate) fetch: Fetch,
}

/// The party that begins the work on an ask.
enum Starter {
    /// The caller that asked, alone: its ask need not join the queue.
    WhoAsks(Ask),
    /// The lane's worker, which may have to be started.
    Others(Start),
}

/// An ask that was not taken in: the bucket's health or the bound of its queue forbids it.
struct Refused {
    ask: Ask,
    reason: UnavailableReason,
}

impl Refused {
    /// Answers the ask.
    fn tell(self) {
        let _ = self.ask.reply.send(AskOutcome::Failed(Failure::Unavailable(self.reason, None)));
    }
}

impl LaneState {
    /// Takes in an ask unless the bucket's health forbids it.
    fn admit(&mut self, ask: Ask) -> Result<Ask, Refused> {
        if let Some(reason) = self.health.refuses(ask.asked_at, ask.deadline) {
            return Err(Refused { ask, reason });
        }
        let limit_set = ask.target.limit_set();
        if !self.limit_set.as_ref().is_some_and(|known| Arc::ptr_eq(known, limit_set)) {
            self.limit_set = Some(Arc::clone(limit_set));
        }
        Ok(ask)
    }

    /// Adds an ask to the queue, which holds at most `max`.
    fn enqueue(&mut self, ask: Ask, max: usize) -> Result<Start, Refused> {
        let refused = |ask| Refused { ask, reason: UnavailableReason::Overloaded };
        self.queue.submit(ask, max).map_err(refused)
    }
}

/// Locks a lane's state or reserve.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under these locks; if something did, what they guard is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    /// Starts without an image, a worker or a reserve.
    pub(crate) fn new(key: BucketKey, shared: Arc<Context>) -> Self {
        Self { key, shared, state: Mutex::default(), reserve: OnceLock::new(), wake: Notify::new() }
    }

    /// The set that this lane knows already, if it equals `limit_set`: equal sets are mostly the same.
    pub(crate) fn intern(&self, limit_set: Arc<LimitSet>) -> Arc<LimitSet> {
        let mut state = lock(&self.state);
        match &state.limit_set {
            Some(known) if known.same(&limit_set) => Arc::clone(known),
            _ => {
                state.limit_set = Some(Arc::clone(&limit_set));
                limit_set
            }
        }
    }

    /// The parent that is charged too, as it was last read.
    pub(crate) fn charged_parent(&self) -> Option<Arc<str>> {
        let state = lock(&self.state);
        let owner = &state.limit_set.as_ref()?.owner;
        owner.charged().cloned()
    }

    /// Asks, without waiting: the answer comes through the ask's `reply`. A caller that asks alone begins the work, in
    /// one step; all others join the queue.
    pub(super) async fn submit(self: &Arc<Self>, ask: Ask) {
        match self.join(ask) {
            Ok(Starter::WhoAsks(ask)) => self.begin_here(ask).await,
            Ok(Starter::Others(start)) => self.began(start),
            Err(refused) => refused.tell(),
        }
    }

    /// Asks like [`submit`](Self::submit), and leaves the work to the lane's task: several lanes are asked at once.
    pub(super) fn enqueue(self: &Arc<Self>, ask: Ask) {
        let mut state = lock(&self.state);
        let start = state.admit(ask).and_then(|ask| state.enqueue(ask, self.shared.options.max_waiting));
        drop(state);
        match start {
            Ok(start) => self.began(start),
            Err(refused) => refused.tell(),
        }
    }

    /// Decides under the lock what becomes of an ask: it begins the work, joins the queue, or is refused by the
    /// bucket's health or the queue's bound.
    fn join(&self, ask: Ask) -> Result<Starter, Refused> {
        let mut state = lock(&self.state);
        let ask = state.admit(ask)?;
        // If several asks come at once, the first should not go without the others.
        if state.health.not_before(ask.asked_at).is_none() && state.queue.begin_alone() {
            return Ok(Starter::WhoAsks(ask));
        }
        state.enqueue(ask, self.shared.options.max_waiting).map(Starter::Others)
    }

    /// Books a settlement.
    pub(crate) fn book(self: &Arc<Self>, pending: Pending) {
        let now = pending.booked_at;
        let options = &self.shared.options;
        // A reserve that is in use will be filled up: a write that the settlement can join is to come.
        let reserving = self.reserve().is_some_and(|reserve| reserve.is_in_use(now));
        let delay = if reserving { options.flush_delay.max(options.reserve_life / 2) } else { options.flush_delay };
        let start = lock(&self.state).queue.book(pending, now, delay);
        self.began(start);
    }

    /// Writes what is booked without waiting for others to join: somebody waits for it.
    pub(crate) fn flush(&self) {
        if lock(&self.state).queue.flush(Instant::now()) {
            self.wake.notify_one();
        }
    }

    /// Writes what is booked without waiting for others to join, and tells when it is stored, whatever is under way
    /// included. `None` where there is nothing.
    pub(crate) fn flush_all(self: &Arc<Self>) -> Option<Booked> {
        let mut state = lock(&self.state);
        if state.queue.pending().is_empty() && !state.settling {
            return None;
        }
        let (done, stored) = oneshot::channel();
        // Behind all others, and of the creation that they are of: what is of another is void, and told so at once.
        let last = state.queue.pending().last().map(|pending| pending.incarnation.clone());
        let incarnation = last.unwrap_or_else(|| state.image.as_ref().and_then(|image| image.incarnation.clone()));
        let start = state.queue.book(Pending::new(Vec::new(), incarnation, Some(done)), Instant::now(), Duration::ZERO);
        drop(state);
        self.began(start);
        Some(stored)
    }

    /// Returns the number of acquires in the queue.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).queue.waiting()
    }

    /// Makes sure that there is a reserve: one for `limit_set` where there is none yet.
    pub(super) fn keep_reserve(&self, limit_set: &Arc<LimitSet>, now: Instant) {
        let options = &self.shared.options;
        let lives = options.reserve_life..=options.longest_reserve_life;
        let new = || Box::new(Mutex::new(LaneReserve::new(Arc::clone(limit_set), lives, now)));
        self.reserve.get_or_init(new);
    }

    /// Makes sure that tokens are debited ahead.
    pub(super) fn fetch(self: &Arc<Self>) {
        let start = lock(&self.state).queue.fetch();
        self.began(start);
    }

    /// The reserve, if somebody asked in reserve mode.
    #[inline]
    pub(super) fn reserve(&self) -> Option<MutexGuard<'_, LaneReserve>> {
        self.reserve.get().map(|reserve| lock(reserve))
    }

    /// The limit set of a round. A settlement or a fetch comes from an ask, so there always is one.
    pub(super) fn limit_set_of(&self, asks: &[Ask]) -> Option<Arc<LimitSet>> {
        let first = asks.first().map(|ask| Arc::clone(ask.target.limit_set()));
        first.or_else(|| lock(&self.state).limit_set.clone())
    }

    /// Ends the worker if there is nothing left to do; whether it has ended.
    pub(super) fn stop_if_done(&self) -> bool {
        let mut state = lock(&self.state);
        // A reserve may have something to return, now or later.
        let done = self.reserve.get().is_none() && state.queue.stop_if_done();
        state.settling &= !done;
        done
    }

    /// Takes the worker's next step out of the queue, and gives back the part of the reserve whose time has come. Tells
    /// those who cannot wait for a throttled bucket's next write.
    pub(super) fn next(&self) -> Next<Ask, Pending> {
        let moment = self.shared.moment();
        let now = moment.monotonic;
        let closing = self.shared.closing.has_begun();
        let mut state = lock(&self.state);
        let mut wake_at = None;
        if let Some(mut reserve) = self.reserve() {
            telemetry::reserve_grants(reserve.report());
            // Tokens debited ahead may not be used once an operator has switched the bucket off.
            let over = closing || state.image.as_ref().is_some_and(|image| image.disabled);
            let cause = if over { ReturnCause::End } else { ReturnCause::Time };
            if let Some(pending) = reserve.give_up(cause, moment).and_then(returned) {
                // We run already, and it is to be stored before its life ends.
                let _ = state.queue.book(pending, now, Duration::ZERO);
            }
            wake_at = reserve.due(now);
        }
        let not_before = state.health.not_before(now);
        if let Some(next) = not_before {
            for ask in state.queue.take_out(|ask| ask.deadline <= next) {
                let _ = ask.reply.send(AskOutcome::Failed(Failure::Unavailable(UnavailableReason::Throttled, None)));
            }
        }
        let settlements = if closing { Settlements::AtOnce } else { Settlements::WhenDue };
        let next = state.queue.next(&Timing { now, wake_at, not_before, settlements });
        state.settling = matches!(&next, Next::Drive { pending, .. } if !pending.is_empty());
        next
    }
}

/// Turns what a reserve gives up into a settlement; counted either way.
pub(super) fn returned(returned: ReserveReturn) -> Option<Pending> {
    let ReserveReturn { settled, incarnation, forfeited } = returned;
    telemetry::reserve_tokens(ReserveFlow::Forfeited, forfeited.iter().map(|(name, amount)| (name, *amount)));
    forfeited.iter().for_each(|(name, amount)| telemetry::under(Under::Forfeited, name, *amount));
    telemetry::reserve_tokens(ReserveFlow::Returned, settled.iter().map(|part| (&part.name, -part.amount)));
    (!settled.is_empty()).then(|| Pending::new(settled, incarnation, None))
}
