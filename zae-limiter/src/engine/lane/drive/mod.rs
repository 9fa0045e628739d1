//! Brings one round of a lane to its end: a write, and another where the image was out of date.
//!
//! ```text
//!           ┌────────────► plan ── nothing to write ──► over
//!           │               │
//!           │             write
//!           │               ├── done ────────► grant, remember the image, settle; plan for those who are left
//!           └── lost ◄──────┤
//!                           ├── not applied ─► asks and settlements back into the queue, for a later write
//!                           ├── failed ──────► everybody is answered; settlements are lost, unless nothing was sent
//!                           └── no answer ───► everybody is answered; `late` follows the write
//! ```
//!
//! A round ends when everybody in it is answered or waits in the queue again. Each pass either answers somebody, learns
//! a newer image, or hands over, so without neighbours there are two writes at the most; with them, the waiters'
//! deadlines end it, and [`MAX_LOST`] where nobody waits.
//!
//! # Refunds keep their stamp
//!
//! All attempts of a round at its refunds carry one random number. If the network delivers an attempt twice, the second
//! fails its condition and returns an item whose stamp is that number: it is recognised as done ([`outcome`]), instead
//! of being repeated as lost.
//!
//! # Losing to neighbours
//!
//! A lost condition is retried at once: the image that came back is the newest there is, and every moment makes it
//! older. Only after every eighth loss in a row there is a short random pause, so that processes in step fall out of
//! it. From the second loss on the bucket counts as contended for a second, and plans leave room below a full limit
//! ([`BucketWrite::leaving_room`](crate::bucket::write::BucketWrite::leaving_room)).

mod late;
mod outcome;
mod request;
mod round;

use std::{ops::ControlFlow, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    bucket::{Amounts, image::Image, limit_set::LimitSet, refund::Neighbours},
    engine::{
        lane::{
            Contention, Lane, Round,
            ask::{Ask, AskOutcome, Pending, SettleFailure},
            decide::{Decision, Freshness, Situation, decide, decide_new},
            drive::{
                late::LateWrite,
                outcome::{contended, deduplicated, kind, unknown},
                request::{Sending, WriteDraft, WriteRequest},
                round::{
                    balances, debts, drop_strangers, ends_soon, fill_up, grant, opening, rest, serve_from_reserve,
                },
            },
            queue::{Fetch, Waiting},
            refuse::{At, answer_refused, in_line, shards},
            stop::stops,
        },
        runtime::{
            breaker::Evidence,
            deadlines::{Passed, after},
        },
        telemetry,
    },
    error::{RepositoryError, SettleOutlook, StoreError},
    model::reserve::Exactness,
    store::bucket::{self, WriteOutcome, WriteReport},
};
pub(super) use outcome::{fail, finish, lose};
pub(super) use round::soft_until;

/// Time limit for a write of nothing but settlements: nobody waits, so it gets more time than an acquire.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds the number of times that a round nobody waits for starts over because a neighbour was faster.
const MAX_LOST: u32 = 256;
/// Lost conditions in a row after which neighbours are given way, by a random pause.
const PATIENCE: u32 = 8;

/// The next step of a round.
enum Step {
    /// A write has to be sent.
    Write(WriteDraft, WriteRequest),
    /// Something was answered; look again.
    Again,
    /// Everybody is answered.
    Over,
}

/// A round under way.
struct Drive<'a> {
    /// The lane whose round it is.
    lane: &'a Arc<Lane>,
    /// The limits of all its asks.
    limit_set: Arc<LimitSet>,
    /// Those not answered yet.
    asks: Vec<Ask>,
    /// Settlements not written yet.
    pending: Vec<Pending>,
    /// Tells if tokens are to be debited ahead though nobody asks.
    fetch: Fetch,
    /// True if tokens may be debited ahead.
    reserving: bool,
    /// Tells if the image may refuse.
    freshness: Freshness,
    /// True if the image that the last write was decided from had the limits that apply.
    was_in_line: bool,
    /// The stamp of the refunds of this round, the same for all attempts.
    refund_id: i64,
    /// Conditions lost in a row.
    lost: u32,
    /// Writes so far, for a metric.
    writes: u32,
}

/// Brings `round` to its end: everybody in it is answered, or waits in the lane's queue again.
pub(crate) async fn drive(lane: &Arc<Lane>, round: Round) {
    let mut drive = Drive::new(lane, round);
    if drive.should_look() {
        drive.freshness = Box::pin(look(lane)).await;
    }
    while drive.has_work() {
        let (draft, request) = match drive.plan() {
            Step::Write(draft, request) => (draft, request),
            Step::Again => continue,
            Step::Over => return,
        };
        if drive.write(draft, request).await.is_break() {
            return;
        }
        drive.asks.retain(Waiting::is_wanted);
    }
    telemetry::answered(drive.writes);
}

impl<'a> Drive<'a> {
    /// Serves from the reserve what it can, and looks how far the image may be believed.
    fn new(lane: &'a Arc<Lane>, round: Round) -> Self {
        let Round { limit_set, mut asks, mut pending, fetch } = round;
        serve_from_reserve(lane, &limit_set, &mut asks, &mut pending);
        let began = Instant::now();
        telemetry::queued(asks.iter().map(|ask| began.saturating_duration_since(ask.asked_at)));
        telemetry::settling(pending.iter().map(|pending| began.saturating_duration_since(pending.booked_at)));
        let freshness = match lane.image() {
            Some(image) if in_line(&image, &limit_set) => lane.freshness(),
            _ => Freshness::Stale,
        };
        Self {
            lane,
            reserving: fetch == Fetch::Yes || asks.iter().any(|ask| ask.exactness == Exactness::Reserved),
            limit_set,
            asks,
            pending,
            fetch,
            freshness,
            was_in_line: true,
            refund_id: i64::try_from(lane.shared.random.bits() >> 1).unwrap_or(0),
            lost: 0,
            writes: 0,
        }
    }

    /// Returns true if the image is likely out of date, because reserves of several processes want what comes in.
    ///
    /// If several processes keep reserves of one bucket that is nearly empty, each takes what comes in as soon as it
    /// can, and the image of a second ago is surely wrong. A read costs one read unit and a lost condition one write
    /// unit, which is five times the price, in as many round trips.
    fn should_look(&self) -> bool {
        self.reserving
            && self.freshness == Freshness::Stale
            && self.lane.is_shared()
            && self.lane.reserve().is_some_and(|reserve| reserve.is_scarce())
    }

    /// Returns true while somebody waits for something.
    fn has_work(&self) -> bool {
        !self.asks.is_empty() || !self.pending.is_empty() || self.fetch == Fetch::Yes
    }

    /// Decides the next step from the image: stop, update, or create.
    fn plan(&mut self) -> Step {
        let image = self.lane.image();
        if let Some(image) = &image
            && let Some(reason) = stops(self.lane, image, self.freshness, &self.asks, &self.limit_set)
        {
            if let Some(error) = reason.answer(&mut self.asks) {
                fail(std::mem::take(&mut self.asks), std::mem::take(&mut self.pending), Arc::new(error));
                return Step::Over;
            }
            self.fetch = Fetch::No;
            return Step::Again;
        }
        self.was_in_line = image.as_ref().is_none_or(|image| in_line(image, &self.limit_set));
        match image {
            Some(image) => self.plan_update(image),
            None => self.plan_creation(),
        }
    }

    /// Decides who is served from a bucket that exists, and refuses those who are not.
    ///
    /// In this order: settlements of another creation are void; the others are booked against the image; asks are
    /// decided on what is left; those that are refused are answered before the write, so that they do not wait for it;
    /// and the reserve orders from what is still left.
    fn plan_update(&mut self, image: Arc<Image>) -> Step {
        let (lane, limit_set, now) = (self.lane, &self.limit_set, self.lane.shared.clock.now_ms());
        drop_strangers(&mut self.pending, &image);
        let amounts: Vec<&[i64]> = self.asks.iter().map(|ask| ask.amounts.as_slice()).collect();
        let shards = shards(&self.asks, &image);
        let adjust = lane.booked(&self.pending, &image, shards, now);
        let known = Situation {
            image: &image,
            freshness: self.freshness,
            limit_set,
            shards,
            soft_until: soft_until(&self.asks),
            now,
        };
        let ends_soon = ends_soon(lane, limit_set, now);
        let may_reserve = self.reserving && shards == 1 && !image.disabled && !ends_soon && in_line(&image, limit_set);
        let mut order = |left: &[i64]| if may_reserve { lane.reserve()?.order(left, Instant::now()) } else { None };
        let Decision { served, refused, ahead, write } = decide(known, &amounts, &adjust, &mut order);
        let at = At { image: &image, shards, now, written_in: Duration::ZERO };
        let served = answer_refused(lane, limit_set, &mut self.asks, &adjust, &served, &refused, &at);
        let Some(write) = write else {
            finish(std::mem::take(&mut self.pending), &Ok(()));
            rest(lane, limit_set, &image, now, self.writes);
            return Step::Over;
        };
        let write = if lane.is_crowded(now) { write.leaving_room(shards) } else { write };
        let neighbours = if lane.is_shared() { Neighbours::Some } else { Neighbours::None };
        let write = write.stamped(self.refund_id, &image, neighbours);
        let refund = write.refund.map(|stamp| stamp.id);
        let draft = WriteDraft { sent_at: Instant::now(), now, served, ahead, adjust, refund, before: Some(image) };
        Step::Write(draft, WriteRequest::Update(Box::new(write)))
    }

    /// There is no bucket: what was owed to it or by it is void.
    ///
    /// Settlements are answered as done: a new bucket starts full, which is all that a refund could give, and a debt
    /// died with the item that had it.
    fn plan_creation(&mut self) -> Step {
        finish(std::mem::take(&mut self.pending), &Ok(()));
        if self.asks.is_empty() {
            return Step::Over;
        }
        let now = self.lane.shared.clock.now_ms();
        let amounts: Vec<&[i64]> = self.asks.iter().map(|ask| ask.amounts.as_slice()).collect();
        let opening = opening(self.lane, &self.limit_set, &self.asks, now);
        let (served, image) = decide_new(&self.limit_set, &amounts, opening, now);
        let draft = WriteDraft {
            sent_at: Instant::now(),
            now,
            served,
            ahead: Amounts::new(),
            adjust: Vec::new(),
            refund: None,
            before: None,
        };
        Step::Write(draft, WriteRequest::Create(Box::new(image)))
    }

    /// Sends a write, waits for its answer, and deals with it.
    async fn write(&mut self, draft: WriteDraft, request: WriteRequest) -> ControlFlow<()> {
        let operation = request.operation();
        let mut write = request.send(Arc::clone(self.lane), draft.now);
        self.writes += 1;
        let Some(WriteReport { outcome, units }) = self.answer(draft.sent_at, write.as_mut()).await else {
            return self.too_late(draft, write, operation);
        };
        telemetry::wrote(kind(&outcome), units, draft.sent_at.elapsed());
        match deduplicated(outcome, draft.refund) {
            WriteOutcome::Done(image) => {
                self.done(image, &draft);
                ControlFlow::Continue(())
            }
            WriteOutcome::Lost(image) => self.lost(image, draft.now).await,
            WriteOutcome::NotApplied(error) => self.not_applied(error),
            WriteOutcome::Failed(error) => self.failed(error, &draft),
        }
    }

    /// Waits for a write's answer: for its timeout, and for as long as somebody waits whose own deadline is later.
    /// `None` when it has not come by then.
    ///
    /// The write's own timeout is the limiter's deadline, which the first asks in it have used up partly. One with a
    /// longer deadline of its own keeps the round waiting in steps, as long as its caller still does. Without asks two
    /// seconds are enough: only settlements wait.
    async fn answer(
        &self,
        sent_at: Instant,
        mut write: Pin<&mut (dyn Future<Output = WriteReport> + Send)>,
    ) -> Option<WriteReport> {
        let timeout = if self.asks.is_empty() { SETTLE_TIMEOUT } else { self.lane.shared.options.write_timeout };
        let mut until = after(sent_at, timeout);
        loop {
            if let Ok(sent) = self.lane.shared.deadlines.until(until, write.as_mut()).await {
                return Some(sent);
            }
            let now = Instant::now();
            let waiting = self.asks.iter().filter(|ask| ask.is_wanted() && now < ask.deadline);
            let deadline = waiting.map(|ask| ask.deadline).max()?;
            // In steps, because whoever waits may give up: the bucket's next write does not wait for nobody.
            until = deadline.min(after(now, timeout));
        }
    }

    /// Hands out what the write took, and remembers the image that it left.
    fn done(&mut self, image: Image, draft: &WriteDraft) {
        self.lane.succeeded();
        if let Some(before) = &draft.before {
            telemetry::clock_ahead(&self.lane.key, before, &image, draft.now);
        }
        let image = Arc::new(image);
        self.lane.remember(Some(Arc::clone(&image)));
        telemetry::served(draft.served.len());
        debts(&image, &draft.adjust);
        let baseline = grant(self.lane, &self.limit_set, &mut self.asks, &image, draft);
        self.lane.refunded(&self.limit_set, &draft.adjust);
        fill_up(self.lane, &self.limit_set, &image, draft, baseline);
        finish(std::mem::take(&mut self.pending), &Ok(()));
        self.freshness = Freshness::Fresh;
        self.fetch = Fetch::No;
        self.lost = 0;
    }

    /// Takes the newer image, and gives way now and then.
    async fn lost(&mut self, image: Option<Image>, now: i64) -> ControlFlow<()> {
        let lane = self.lane;
        lane.succeeded();
        if self.was_in_line && image.as_ref().is_some_and(|image| !in_line(image, &self.limit_set)) {
            // The limits were changed by somebody who knows better than a resolution from before. Whoever asks again in
            // spite of it knows better still.
            for ask in self.asks.drain(..) {
                let _ = ask.reply.send(AskOutcome::Outdated);
            }
            self.fetch = Fetch::No;
        }
        if let Some(image) = &image {
            lane.observe(&self.limit_set, image, &balances(&self.limit_set, image, now), now);
        }
        lane.remember(image.map(Arc::new));
        self.freshness = Freshness::Fresh;
        telemetry::again("condition");
        lane.met(Contention::Somebody);
        self.lost += 1;
        if self.lost > 1 {
            // The first may have been the fault of an old image.
            lane.crowd(lane.shared.clock.now_ms());
        }
        // Waiters bound this with their deadlines; without waiters, it ends after so many attempts.
        let patience = self.asks.iter().any(|ask| Instant::now() < ask.deadline);
        if self.lost > MAX_LOST && !patience {
            fail(std::mem::take(&mut self.asks), Vec::new(), Arc::new(contended()));
            self.keep_pending(Instant::now() + SETTLE_TIMEOUT, &Arc::new(contended()));
            return ControlFlow::Break(());
        }
        // The image is the newest there is, and grows old with every moment: a pause makes the next attempt a lost one
        // too. Only now and then is way given, so that attempts that keep step fall out of it.
        if self.lost.is_multiple_of(PATIENCE) {
            pause(lane, self.lost / PATIENCE).await;
        }
        ControlFlow::Continue(())
    }

    /// DynamoDB takes no more writes of this bucket for now. The lane's next write waits, and all that wait share it;
    /// those who cannot wait so long are told.
    fn not_applied(&mut self, error: StoreError) -> ControlFlow<()> {
        let error = Arc::new(RepositoryError::from(error));
        let next = self.lane.throttled(Instant::now());
        telemetry::again("throttled");
        let late = self.asks.extract_if(.., |ask| ask.deadline <= next).collect();
        fail(late, Vec::new(), Arc::clone(&error));
        self.keep_pending(next, &error);
        ControlFlow::Break(())
    }

    /// Answers everybody. Settlements of a write that was never sent are kept, and all others count as lost.
    fn failed(&mut self, error: RepositoryError, draft: &WriteDraft) -> ControlFlow<()> {
        let error = Arc::new(error);
        let asks = std::mem::take(&mut self.asks);
        if error.outage().is_none() {
            fail(asks, std::mem::take(&mut self.pending), error);
            return ControlFlow::Break(());
        }
        let now = Instant::now();
        if error.was_never_sent() {
            self.lane.failed(now, Evidence::NoConnection);
            fail(asks, Vec::new(), Arc::clone(&error));
            self.keep_pending(self.lane.throttled(now), &error);
            return ControlFlow::Break(());
        }
        self.lane.failed(now, Evidence::Silence);
        unknown(&self.limit_set, draft, |index| asks.get(index).map(|ask| &ask.amounts));
        fail(asks, std::mem::take(&mut self.pending), error);
        ControlFlow::Break(())
    }

    /// Answers everybody, and goes on waiting for the answer: it tells what there is to give back.
    ///
    /// The write stays under way with all that it carries; the lane goes on without it. Its next plan starts from the
    /// image before this write. If that is stale by then, its condition fails, which costs one round trip and nothing
    /// else.
    fn too_late(&mut self, draft: WriteDraft, write: Sending, operation: &'static str) -> ControlFlow<()> {
        let after = draft.sent_at.elapsed();
        telemetry::wrote("timed_out", 0.0, after);
        self.lane.failed(Instant::now(), Evidence::Silence);
        let error = Arc::new(RepositoryError::from(StoreError::timed_out(operation, after)));
        let asks = std::mem::take(&mut self.asks);
        let served = draft.served.iter().filter_map(|index| asks.get(*index));
        let served = served.map(|ask| (Arc::clone(&ask.target), ask.amounts.clone())).collect();
        fail(asks, Vec::new(), Arc::clone(&error));
        let mut pending = std::mem::take(&mut self.pending);
        let unknown = SettleFailure { source: error, outlook: SettleOutlook::Unknown };
        pending.iter_mut().for_each(|settlement| settlement.tell(Err(unknown.clone())));
        late::follow(self.lane, LateWrite { write, draft, limit_set: Arc::clone(&self.limit_set), served, pending });
        ControlFlow::Break(())
    }

    /// Puts asks and settlements that certainly were not written back into the queue, for a write not before `next`.
    ///
    /// Asks go back in front of those that came meanwhile, so their order stays that of arrival.
    fn keep_pending(&mut self, next: Instant, why: &Arc<RepositoryError>) {
        let asks = std::mem::take(&mut self.asks);
        self.lane.put_back(asks, std::mem::take(&mut self.pending), next, why);
    }
}

/// Reads a bucket of which an old image is likely out of date: neighbours write it as soon as something has come in. A
/// read costs a fifth of a lost condition.
///
/// Consistent, unlike the read that comes with limits, so that what it shows may refuse. A failed read is not an error
/// here: the write that follows meets the same trouble and reports it.
async fn look(lane: &Lane) -> Freshness {
    telemetry::looked();
    let before = lane.image();
    let now = lane.shared.clock.now_ms();
    let read = bucket::read(&lane.shared.store, &lane.shared.namespace, &lane.key, now);
    match lane.shared.deadlines.until(after(Instant::now(), lane.shared.options.write_timeout), read).await {
        Ok(Ok(image)) => {
            lane.met(if image.as_ref() == before.as_deref() { Contention::Nobody } else { Contention::Somebody });
            lane.remember(image.map(Arc::new));
            Freshness::Fresh
        }
        // The write will tell the cause.
        Ok(Err(_)) | Err(Passed) => Freshness::Stale,
    }
}

/// A short random pause, longer with each try, so that processes that collided do not collide again.
async fn pause(lane: &Lane, tries: u32) {
    let ceiling = 2_u64 << tries.min(5);
    tokio::time::sleep(Duration::from_millis(lane.shared.random.of(1..=ceiling))).await;
}
