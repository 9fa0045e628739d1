//! A lane's memory of its bucket: the image it was last seen with, how far that may be believed, and whether neighbours
//! write it too.
//!
//! All of it is under the lane's one lock, and every method takes it for a few comparisons only.
//!
//! | memory | from | forgotten |
//! |---|---|---|
//! | image | each answer of a write, and reads | when an answer says that there is no bucket |
//! | trust in it to refuse | such an answer | after about a second, at random between ¾ and 1 |
//! | peaks | balances of images | with the limits that they were seen under |
//! | a neighbour wrote | a lost condition, or a read that shows another image | with the next read that shows the same |
//! | contention | two conditions lost in a row | after a second |
//! | exhausted shards | an acquire that found too little at all shards it asked | after a second, or when one has enough |

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Lane, lock, refuse};
use crate::{
    bucket::{
        bypass,
        image::{Balance, Image, LimitImage},
        kind::AppliedLimit,
        limit_set::LimitSet,
        refund::{self, Baseline, Booking, PeriodMark, Periods},
        soft,
    },
    engine::{
        lane::{ask::Pending, decide::Freshness},
        runtime::moment::End,
    },
};

/// Time for which an image may say no without the store being asked. Tokens that others give back are seen after this
/// time.
const RECHECK: Duration = Duration::from_secs(1);
/// Time for which a bucket counts as contended after its writes met those of others, in ms of the clock that refills
/// it. A neighbour that has left the bucket alone since then has left it full for us.
const CROWDED_MS: i64 = 1_000;

/// Time after which those who write other shards look at the first: it may have been folded, or deleted by an operator,
/// while an index had not shown all of the others.
const LOOK: Duration = Duration::from_secs(10);

/// A bucket as it was a moment ago.
#[derive(Debug)]
pub(crate) struct RecentImage {
    /// The bucket as the last write or read showed it.
    pub(crate) image: Arc<Image>,
    /// Settlements that are booked but not written.
    pub(crate) booked: Vec<Booking>,
}

/// Tells if a write or a read found the bucket as it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contention {
    /// Nobody has written in between.
    Nobody,
    /// A neighbour has.
    Somebody,
}

/// The supply that the last acquire found at the shards of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Supply {
    /// One of them had enough.
    Enough,
    /// None of those asked had.
    Exhausted,
}

impl Lane {
    /// Notes the supply that an acquire has found at the shards of this bucket.
    pub(in crate::engine) fn note_shards(&self, supply: Supply) {
        let until = (supply == Supply::Exhausted).then(|| Instant::now() + RECHECK);
        lock(&self.state).exhausted_until = until;
    }

    /// Returns true if all shards that were asked a moment ago had too little.
    pub(in crate::engine) fn is_exhausted(&self) -> bool {
        lock(&self.state).exhausted_until.is_some_and(|until| Instant::now() < until)
    }

    /// The bucket as last seen.
    pub(crate) fn image(&self) -> Option<Arc<Image>> {
        lock(&self.state).image.clone()
    }

    /// Remembers the bucket as a write returned it (`None`: there is none).
    pub(crate) fn remember(&self, image: Option<Arc<Image>>) {
        let mut state = lock(&self.state);
        let counted = |image: Option<&Arc<Image>>| image.map(|image| image.shards());
        if counted(image.as_ref()) > counted(state.image.as_ref()) {
            // A part of those who wrote it write other shards from now on.
            state.health.relieve();
        }
        state.image = image;
        state.look_again = Some(Instant::now() + LOOK);
        // Not all processes should ask again at the same moment.
        let time = RECHECK.mul_f64(self.shared.random.of(0.75..=1.0));
        state.trusted_until = Some(End::after(self.shared.moment(), time));
    }

    /// Remembers a bucket that was seen in place of `before`, unless another was seen since.
    pub(super) fn remember_instead_of(&self, before: Option<&Arc<Image>>, image: Arc<Image>) {
        let mut state = lock(&self.state);
        let is_same = match (&state.image, before) {
            (Some(known), Some(before)) => Arc::ptr_eq(known, before),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            state.image = Some(image);
        }
    }

    /// Returns true if nothing tells how much the bucket has by now: it was not seen within the last second. A bucket
    /// that is spread over shards or keeps failing is not read for another's sake, and counts as known.
    pub(crate) fn is_unknown(&self) -> bool {
        let state = lock(&self.state);
        let trusted = state.trusted_until.is_some_and(|until| until.is_ahead(self.shared.moment()));
        let is_whole = state.image.as_ref().is_none_or(|image| image.shards() == 1);
        !trusted && !state.settling && is_whole && !state.health.is_failing()
    }

    /// Returns true if nobody reads the bucket for another's sake; the caller does until `until`.
    pub(super) fn begin_to_learn(&self, until: Instant) -> bool {
        let learning_until = &mut lock(&self.state).learning_until;
        let is_free = learning_until.is_none_or(|until| until <= Instant::now());
        if is_free {
            *learning_until = Some(until);
        }
        is_free
    }

    /// Remembers the bucket as a consistent read showed it in place of `before`, unless a write has shown it since.
    pub(super) fn learn(&self, before: Option<&Arc<Image>>, image: Option<Image>) {
        let is_same = match (&lock(&self.state).image, before) {
            (Some(known), Some(before)) => Arc::ptr_eq(known, before),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            self.remember(image.map(Arc::new));
        }
        lock(&self.state).learning_until = None;
    }

    /// Notes the balances that `image` shows at `now` (epoch ms) for the limits of `limit_set`. Returns the baseline
    /// of the tokens that were just taken.
    pub(super) fn observe(
        &self,
        limit_set: &Arc<LimitSet>,
        image: &Image,
        balances: &[Balance],
        now: i64,
    ) -> Arc<Baseline> {
        let nets = refund::nets(image, &limit_set.applied, balances);
        let since = lock(&self.state).peaks.observe(limit_set, image.shards(), &nets, now);
        let periods = periods(limit_set, image);
        Arc::new(Baseline { incarnation: image.incarnation.clone(), nets, at: now, since, periods })
    }

    /// Returns true if it is time to look at this shard, which counts those that are written instead.
    pub(crate) fn should_be_looked_at(&self, now: Instant) -> bool {
        let look_again = &mut lock(&self.state).look_again;
        let is_due = look_again.is_none_or(|at| now >= at);
        if is_due {
            *look_again = Some(now + LOOK);
        }
        is_due
    }

    /// Notes what a write of this process has refunded.
    pub(super) fn refunded(&self, limit_set: &LimitSet, booked: &[Booking]) {
        if booked.iter().all(|booking| booking.parts.is_empty()) {
            return;
        }
        let mut state = lock(&self.state);
        for booking in booked {
            let Some(slot) = limit_set.applied.iter().position(|limit| limit.name == booking.name) else { continue };
            booking.parts.iter().for_each(|(since, amount)| state.peaks.refunded(slot, *since, *amount));
        }
    }

    /// Works out the effect of settlements on `image`.
    pub(super) fn booked(&self, pending: &[Pending], image: &Image, shards: u32, now: i64) -> Vec<Booking> {
        refuse::booked(pending, image, &lock(&self.state).peaks, shards, now)
    }

    /// Returns true if callers have to read their limits again, because of what newer clients left on the bucket, or
    /// because its stamps contradict `limit_set`, which may be copied onto it until `soft_until` (epoch ms). This is so
    /// once, until it is gone.
    pub(super) fn doubts(&self, image: &Image, limit_set: &LimitSet, soft_until: Option<i64>) -> bool {
        let now = self.shared.clock.now_ms();
        let contradicts =
            soft::contradicts(image, &limit_set.applied, soft_until, now) || bypass::contradicts(image, limit_set, now);
        let doubted = contradicts || !image.leftovers.is_empty();
        let known = std::mem::replace(&mut lock(&self.state).doubted, doubted);
        doubted && !known
    }

    /// Returns true if callers have to read again whom the bucket charges, because its copy of the owner's facts says
    /// otherwise than `limit_set`. This is so once, until it is gone.
    pub(super) fn doubts_owner(&self, image: &Image, limit_set: &LimitSet) -> bool {
        let doubted = limit_set.owner.is_doubted_by(&image.owner);
        let known = std::mem::replace(&mut lock(&self.state).owner_doubted, doubted);
        doubted && !known
    }

    /// Makes the next write ask the store, whatever the image says.
    pub(crate) fn distrust(&self) {
        lock(&self.state).trusted_until = None;
    }

    /// Notes whether a neighbour has written since the last image.
    pub(super) fn note_contention(&self, neighbour: Contention) {
        lock(&self.state).shared = neighbour == Contention::Somebody;
    }

    /// Returns true if a neighbour was seen the last time.
    pub(super) fn is_shared(&self) -> bool {
        lock(&self.state).shared
    }

    /// Notes that at `now` (epoch ms) one write after the other had met those of neighbours.
    pub(super) fn crowd(&self, now: i64) {
        lock(&self.state).crowded_at = Some(now);
    }

    /// Returns true if neighbours are expected to write in between at `now` (epoch ms).
    pub(super) fn is_crowded(&self, now: i64) -> bool {
        // A clock that was turned back says nothing: the next loss does.
        lock(&self.state).crowded_at.is_some_and(|at| (0..CROWDED_MS).contains(&now.saturating_sub(at)))
    }

    /// Tells if the image is new enough to say no.
    pub(crate) fn freshness(&self) -> Freshness {
        let trusted = lock(&self.state).trusted_until.is_some_and(|until| until.is_ahead(self.shared.moment()));
        if trusted { Freshness::Recent } else { Freshness::Stale }
    }

    /// The bucket as last seen and what is booked on top, if that is all there is to know.
    pub(crate) fn recent(&self) -> Option<RecentImage> {
        let state = lock(&self.state);
        let trusted = state.trusted_until.is_some_and(|until| until.is_ahead(self.shared.moment()));
        if !trusted || state.settling {
            return None;
        }
        let (image, pending) = (state.image.clone()?, state.queue.pending());
        let booked = if pending.is_empty() {
            Vec::new()
        } else {
            refuse::booked(pending, &image, &state.peaks, image.shards(), self.shared.clock.now_ms())
        };
        Some(RecentImage { image, booked })
    }

    /// Takes an image that came along with another read, where there is none. If it shows that somebody has refilled
    /// the bucket since the last one, that may not refuse any longer, nor may the reserve if the bucket has enough: an
    /// operator may have added tokens.
    ///
    /// Returns true if it does.
    pub(crate) fn offer(&self, image: Image) -> bool {
        {
            let mut state = lock(&self.state);
            match &state.image {
                Some(known) if known.last_refill < image.last_refill => state.trusted_until = None,
                Some(_) => return false,
                None => {
                    state.image = Some(Arc::new(image));
                    state.look_again = Some(Instant::now() + LOOK);
                    return false;
                }
            }
        }
        if let Some(mut reserve) = self.reserve() {
            reserve.end_ration(&image, self.shared.clock.now_ms());
        }
        true
    }
}

/// The periods of quotas, by limit; `None` where none is a quota.
pub(super) fn periods(limit_set: &LimitSet, image: &Image) -> Periods {
    let period = |limit: &AppliedLimit| {
        let stored = image.limit(limit.name.as_str());
        PeriodMark {
            resets_by_hand: stored.map_or(0, LimitImage::resets_by_hand),
            window: stored.and_then(LimitImage::window_start),
        }
    };
    image.any_quota().map(|_| limit_set.applied.iter().map(period).collect())
}
