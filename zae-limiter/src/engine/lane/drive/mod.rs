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
//! deadlines end it, and [`MAX_LOST`](answer::MAX_LOST) where nobody waits.
//!
//! # Refunds keep their stamp
//!
//! All attempts of a round at its refunds carry one number
//! ([`RefundId`](crate::bucket::refund_stamp::RefundId)). If the network delivers an attempt twice, the second fails
//! its condition and returns an item that shows that number: it is recognised as done ([`outcome`]), instead of being
//! repeated as lost.
//!
//! # Losing to neighbours
//!
//! A lost condition is retried at once: the image that came back is the newest there is, and every moment makes it
//! older. Only after every eighth loss in a row there is a short random pause, so that processes in step fall out of
//! it. From the second loss on the bucket counts as contended for a second, and plans leave room below a full limit
//! ([`BucketWrite::leaving_room`](crate::bucket::write::BucketWrite::leaving_room)).

mod answer;
mod late;
mod outcome;
mod request;
mod round;
mod siblings;

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    bucket::{
        Amounts,
        image::Image,
        limit_set::LimitSet,
        refund_stamp::{Neighbours, RefundId},
        write::Room,
    },
    engine::{
        lane::{
            Lane, Round,
            ask::{Ask, Pending},
            decide::{Decision, Freshness, Situation, decide, decide_new},
            drive::{
                request::{WriteDraft, WriteRequest},
                round::{
                    bypass_until, consumed, drop_strangers, ends_soon, opening, rest, serve_from_reserve, serves_any,
                    taken,
                },
                siblings::siblings,
            },
            memory::Contention,
            queue::{Fetch, Waiting},
            refuse::{At, answer_refused, in_line, shards},
            stop::stops,
        },
        runtime::deadlines::{Passed, after},
        telemetry,
    },
    model::reserve::Exactness,
    store::bucket,
};
pub(super) use outcome::{fail, finish, lose};
pub(super) use round::soft_until;

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
    /// The stamp of the refunds of this round, the same for all attempts; `None` before the first.
    refund_id: Option<RefundId>,
    /// The other shards, where they decide about a missing one.
    siblings: Option<Vec<(u32, Image)>>,
    /// Conditions lost in a row.
    lost: u32,
    /// The number of them that may be due to an old image.
    excused: u32,
    /// When the last lost write was sent, in epoch ms: its answer speaks of that instant.
    lost_at: i64,
    /// Writes so far, for a metric.
    writes: u32,
}

/// Brings `round` to its end: everybody in it is answered, or waits in the lane's queue again.
pub(crate) async fn drive(lane: &Arc<Lane>, round: Round) {
    let mut drive = Drive::new(lane, round);
    if drive.should_look() {
        drive.freshness = Box::pin(look(lane)).await;
        drive.note_look();
    }
    if drive.opens_quota_shard() {
        drive.siblings = Box::pin(siblings(lane, &drive.asks)).await;
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
            refund_id: None,
            siblings: None,
            lost: 0,
            excused: 1,
            lost_at: 0,
            writes: 0,
        }
    }

    /// Returns true if a further shard of a quota was never seen: where it is missing, the others say what it has.
    fn opens_quota_shard(&self) -> bool {
        self.lane.key.shard > 0 && !self.asks.is_empty() && self.limit_set.has_quota() && self.lane.image().is_none()
    }

    /// Returns true if a further shard was never seen, which most likely exists, or if the image is likely out of date,
    /// because reserves of several processes want what comes in.
    ///
    /// If several processes keep reserves of one bucket that is nearly empty, each takes what comes in as soon as it
    /// can, and the image of a second ago is surely wrong. A read costs one read unit and a lost condition one write
    /// unit, which is five times the price, in as many round trips.
    fn should_look(&self) -> bool {
        if self.lane.key.shard > 0 && !self.asks.is_empty() && self.lane.image().is_none() {
            return true;
        }
        if self.freshness != Freshness::Stale || !self.lane.is_shared() {
            return false;
        }
        if self.reserving {
            self.lane.reserve().is_some_and(|reserve| reserve.is_scarce())
        } else {
            self.lane.was_scarce(&self.limit_set, &self.asks)
        }
    }

    /// Notes what a read has shown.
    fn note_look(&mut self) {
        if let Some(image) = self.lane.image().filter(|_| self.freshness == Freshness::Fresh) {
            self.lane.note_writers(&self.limit_set, &image, &[], self.lane.shared.clock.now_ms());
            self.excused = 0;
        }
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
    /// decided on what is left; those that are refused by what is known are answered before the write;
    /// and the reserve orders from what is still left.
    fn plan_update(&mut self, image: Arc<Image>) -> Step {
        let (lane, limit_set, now) = (self.lane, &self.limit_set, self.decides_at(&image));
        drop_strangers(&mut self.pending, &image);
        let amounts: Vec<&[i64]> = self.asks.iter().map(|ask| ask.amounts.as_slice()).collect();
        let shards = shards(lane, &self.asks, &image);
        let adjust = lane.booked(&self.pending, &image, shards, now);
        let known = Situation {
            image: &image,
            freshness: self.freshness,
            limit_set,
            shards,
            soft_until: soft_until(&self.asks),
            bypass_until: bypass_until(&self.asks),
            now,
        };
        let ends_soon = ends_soon(lane, limit_set, now);
        let may_reserve = self.reserving
            && !limit_set.bypassed
            && shards == 1
            && !image.disabled
            && !ends_soon
            && in_line(&image, limit_set);
        let mut order = |left: &[i64]| if may_reserve { lane.order(left) } else { None };
        let Decision { served, refused, ahead, write } = decide(known, &amounts, &adjust, &mut order);
        let at = At { image: &image, shards, now };
        let served = answer_refused(lane, limit_set, &mut self.asks, &adjust, &served, &refused, &at);
        let Some(write) = write else {
            finish(std::mem::take(&mut self.pending), &Ok(()));
            rest(lane, limit_set, &image, now, self.writes);
            return Step::Over;
        };
        let taken = taken(limit_set, served.iter().map(|index| &self.asks[*index].amounts), &ahead);
        let goal = if served.is_empty() && ahead.is_empty() {
            limit_set.settlement(&adjust, shards, now)
        } else {
            limit_set.goal(&taken, &adjust, shards, now)
        };
        let room = if ahead.is_empty() { Room::ForAsks } else { Room::ForLots };
        let write = lane.beside_neighbours(write, &image, limit_set, &goal, self.lost, room);
        let consumed = consumed(limit_set, &write);
        let neighbours = if lane.is_shared() { Neighbours::Some } else { Neighbours::None };
        // Drawn when it is needed: random bits cost a system call.
        let id = || RefundId::new(lane.shared.random.bits(), lane.shared.clock.now_ms());
        let write = write.stamped(|| *self.refund_id.get_or_insert_with(id), &image, neighbours);
        let refund = write.refund.map(|stamp| stamp.mark);
        let (sent_at, before) = (lane.shared.moment(), Some(image));
        let draft = WriteDraft { sent_at, now, served, ahead, adjust, consumed, refund, before };
        Step::Write(draft, WriteRequest::Update(Box::new(write)))
    }

    /// Returns the instant that the bucket is looked at, in epoch ms. After two lost writes, or one that followed a
    /// read, that is when the last one was sent, if it serves nobody then: what has come in since, one of many
    /// neighbours has taken.
    fn decides_at(&self, image: &Image) -> i64 {
        let is_exhausted = self.lost > self.excused
            && !self.asks.is_empty()
            && !serves_any(&self.limit_set, image, &self.asks, self.lost_at);
        if is_exhausted { self.lost_at } else { self.lane.shared.clock.now_ms() }
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
        let opening = opening(self.lane, &self.limit_set, &self.asks, self.siblings.as_deref(), now);
        let (served, image) = decide_new(&self.limit_set, &amounts, opening, now);
        let draft = WriteDraft {
            sent_at: self.lane.shared.moment(),
            now,
            served,
            ahead: Amounts::new(),
            adjust: Vec::new(),
            consumed: Amounts::new(),
            refund: None,
            before: None,
        };
        Step::Write(draft, WriteRequest::Create(Box::new(image)))
    }
}

/// Reads a bucket of which an old image is likely out of date: neighbours write it as soon as something has come in. A
/// read costs a fifth of a lost condition.
///
/// Consistent, unlike the read that comes with limits, so that what it shows may refuse. A failed read is not an error
/// here: the write that follows meets the same trouble and reports it.
pub(crate) async fn look(lane: &Lane) -> Freshness {
    telemetry::looked();
    let before = lane.image();
    let read = bucket::read(&lane.shared.store, &lane.shared.namespace, &lane.key);
    match lane.shared.deadlines.until(after(Instant::now(), lane.shared.options.write_timeout), read).await {
        Ok(Ok(image)) => {
            lane.note_contention(if image.as_ref() == before.as_deref() {
                Contention::Nobody
            } else {
                Contention::Somebody
            });
            lane.remember(image.map(Arc::new));
            Freshness::Fresh
        }
        // The write will tell the cause.
        Ok(Err(_)) | Err(Passed) => Freshness::Stale,
    }
}

/// Reads a bucket of which nothing is known by now, because another one refuses an acquire of both: the time to wait is
/// that of the one that takes longer. One who asks reads for all until `deadline`; a read takes nothing that would have
/// to be given back.
pub(crate) async fn learn(lane: &Lane, deadline: Instant) {
    if !lane.is_unknown() || !lane.begin_to_learn(deadline) {
        return;
    }
    telemetry::looked();
    let before = lane.image();
    let read = bucket::read(&lane.shared.store, &lane.shared.namespace, &lane.key);
    // If the read fails, the acquire asks both, and reports the trouble.
    if let Ok(Ok(image)) = lane.shared.deadlines.until(deadline, read).await {
        lane.learn(before.as_ref(), image);
    }
}
