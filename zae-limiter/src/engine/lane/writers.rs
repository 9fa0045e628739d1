//! The neighbours that write the same bucket, as a lane knows them: [`Writers`].

use std::sync::Arc;

use super::{Lane, lock};
use crate::{
    bucket::{
        Amounts,
        advance::{SHARES, advance},
        bet,
        image::Image,
        limit_set::LimitSet,
        plan::{Goal, balances},
        write::{BucketWrite, Room},
    },
    engine::lane::{
        ask::Ask,
        guess::{Guess, Observation, YOUNG},
    },
};

/// Time for which a bucket counts as shared after neighbours were seen, in ms.
const SHARED_MS: i64 = 60_000;
/// Consumption is measured over at least so many ms.
const WINDOW: i64 = 200;
/// Writes in a row that may be lost to bets on what the image does not show.
const MOST_BETS: u32 = 2;

/// The neighbours of one bucket.
#[derive(Debug, Default)]
pub(super) struct Writers {
    limit_set: Option<Arc<LimitSet>>,
    flows: Vec<Flow>,
    /// When the measurement began, in epoch ms.
    since: i64,
    /// When the image was seen, in epoch ms.
    seen_at: i64,
    /// True if a neighbour was seen to write since the measurement began.
    wrote: bool,
}

/// Consumption of one limit.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    /// The counter when the measurement began, in mt.
    consumed: i128,
    /// The part of this process since, in mt.
    own: i128,
    /// All together, in mt per ms.
    rate: Option<f64>,
    /// The part of this process, in mt per ms.
    own_rate: f64,
}

impl Writers {
    /// Notes what `image` shows at `now` (epoch ms) after a write that consumed `own` (in mt, by limit), or that was
    /// lost.
    fn observe(&mut self, limit_set: &Arc<LimitSet>, image: &Image, own: &[i64], now: i64) {
        self.seen_at = now;
        let counter = |slot: usize| {
            let name = limit_set.applied[slot].name.as_str();
            image.limit(name).and_then(|limit| limit.consumed).unwrap_or(0)
        };
        let is_known = self.limit_set.as_ref().is_some_and(|known| Arc::ptr_eq(known, limit_set));
        if !is_known || now < self.since {
            let flow = |slot| Flow { consumed: counter(slot), ..Flow::default() };
            *self = Self {
                limit_set: Some(Arc::clone(limit_set)),
                flows: (0..limit_set.applied.len()).map(flow).collect(),
                since: now,
                seen_at: now,
                wrote: false,
            };
            return;
        }
        let passed = now - self.since;
        for (slot, flow) in self.flows.iter_mut().enumerate() {
            flow.own += i128::from(own.get(slot).copied().unwrap_or(0));
            let consumed = counter(slot);
            self.wrote |= consumed - flow.consumed != flow.own;
            if passed < WINDOW {
                continue;
            }
            let measured = (consumed - flow.consumed) as f64 / passed as f64;
            let rate = flow.rate.map_or(measured, |before| (before + measured) / 2.0);
            let own = flow.own as f64 / passed as f64;
            let own_rate = if flow.rate.is_some() { (3.0 * flow.own_rate + own) / 4.0 } else { own };
            *flow = Flow { consumed, own: 0, rate: Some(rate), own_rate };
        }
        if passed >= WINDOW {
            self.since = now;
        }
    }

    /// Returns this process's part of what the bucket's processes consume; `None` until it is known.
    pub(super) fn part(&self) -> Option<f64> {
        let part = |flow: &Flow| flow.rate.filter(|rate| *rate > 0.0).map(|rate| flow.own_rate / rate);
        let part = self.flows.iter().filter_map(part).fold(0.0, f64::max);
        (part > 0.0).then_some(part.min(1.0))
    }
}

/// Returns true if `image` says at `now` (epoch ms) that several processes write the bucket. A stamp of a clock that is
/// far ahead says nothing.
fn says_shared(image: &Image, now: i64) -> bool {
    image.shared_until.is_some_and(|until| until > now && until <= now.saturating_add(2 * SHARED_MS))
}

impl Lane {
    /// Notes the image that a write has shown.
    pub(super) fn note_writers(&self, limit_set: &Arc<LimitSet>, image: &Image, own: &[i64], now: i64) {
        let mut state = lock(&self.state);
        // Most buckets have one writer: they need no memory for this.
        if state.writers.is_some() || state.shared || says_shared(image, now) {
            state.writers.get_or_insert_default().observe(limit_set, image, own, now);
        }
    }

    /// Computes the amounts to debit ahead of use where the bucket has `left`, for a life that suits its processes.
    pub(super) fn order(&self, left: &[i64]) -> Option<Amounts> {
        let part = lock(&self.state).writers.as_ref().and_then(|writers| writers.part());
        let mut reserve = self.reserve()?;
        if let Some(part) = part {
            reserve.adapt(part.recip());
        }
        reserve.order(left, self.shared.moment())
    }

    /// Returns the end of the time for which the bucket of `image` counts as shared, in epoch ms; `None` if the stored
    /// one will do.
    fn shared_until(&self, image: &Image, now: i64) -> Option<i64> {
        let is_said = says_shared(image, now) && image.shared_until > Some(now + SHARED_MS / 2);
        if is_said {
            return None;
        }
        let is_shared = self.is_crowded(now)
            || says_shared(image, now) && lock(&self.state).writers.as_ref().is_some_and(|writers| writers.wrote);
        is_shared.then_some(now + SHARED_MS)
    }

    /// Makes of `write`, which was planned from `image` for `goal`, one that leaves room for neighbours where there are
    /// any, and likely goes through although they have written since.
    pub(super) fn beside_neighbours(
        &self,
        write: BucketWrite,
        image: &Image,
        limit_set: &LimitSet,
        goal: &Goal<'_>,
        lost: u32,
        room: Room,
    ) -> BucketWrite {
        if limit_set.bypassed || !says_shared(image, goal.now) && !self.is_crowded(goal.now) {
            return write;
        }
        // A credit that commutes, where neighbours take from what is scarce. Of an old image too much is unknown.
        if goal.now.saturating_sub(self.seen_at().unwrap_or(goal.now)) < YOUNG
            && let Some(write) = advance(image, goal)
        {
            return BucketWrite { set_shared: self.shared_until(image, goal.now), ..write };
        }
        let out: Amounts = limit_set.applied.iter().map(|limit| goal.out(&limit.name)).collect();
        let guess = self.guess(image, limit_set, goal, &out, (lost, room));
        let bet = guess.and_then(|Guess { wager, ages }| bet::bet(image, goal, wager, &ages, room));
        // On what others may have done since, no more than twice: whoever is alone has to get through.
        let bet = bet
            .filter(|write| lost <= MOST_BETS || write.ladder.as_ref().is_some_and(|l| l.holds(image, &write.limits)));
        let write = bet.unwrap_or_else(|| write.leaving_room(room));
        BucketWrite { set_shared: self.shared_until(image, goal.now), ..write }
    }

    /// When the image was seen, in epoch ms; `None` while no neighbours are known.
    fn seen_at(&self) -> Option<i64> {
        lock(&self.state).writers.as_ref().map(|writers| writers.seen_at)
    }

    /// Returns true if neighbours had left less than a few of `asks` take when the bucket was last seen: what has come
    /// in since, they have most likely taken.
    pub(super) fn was_scarce(&self, limit_set: &LimitSet, asks: &[Ask]) -> bool {
        let Some((image, seen_at)) = self.image().zip(self.seen_at()) else { return false };
        if !says_shared(&image, self.shared.clock.now_ms()) {
            return false;
        }
        let held = balances(&image, &limit_set.goal(&[], &[], image.shards(), seen_at));
        let is_short = |ask: &Ask| {
            let few = ask.amounts.iter().map(|amount| amount.saturating_mul(SHARES));
            limit_set.applied.iter().zip(&held).zip(few).any(|((limit, held), few)| !limit.lets_pass(few, held.tokens))
        };
        asks.iter().any(is_short)
    }

    /// Guesses for a write that takes `out` after so many that were lost, and leaves that room.
    fn guess(
        &self,
        image: &Image,
        limit_set: &LimitSet,
        goal: &Goal<'_>,
        out: &[i64],
        (lost, room): (u32, Room),
    ) -> Option<Guess> {
        let state = lock(&self.state);
        let writers = state.writers.as_deref();
        let rates: Vec<Option<f64>> =
            writers.map_or_else(Vec::new, |writers| writers.flows.iter().map(|flow| flow.rate).collect());
        let seen_at = writers.map_or(goal.now, |writers| writers.seen_at);
        drop(state);
        let (shards, now, rates) = (goal.shards, goal.now, &rates);
        let observation = Observation { image, seen_at, limit_set, shards, now, rates, lost, room };
        observation.guess(out, !goal.adjust.is_empty(), &self.shared.random)
    }
}
