//! Decides how much a reserve debits ahead, when it fetches more, and when it leaves a nearly empty bucket alone.
//!
//! The reasons are on the page of the [room](super): the goal, the share of one process, and the ration.
//!
//! An order is part of a write that goes out anyway, or the reason for one if a third of the reserve is left. It takes
//! half of what the bucket has left at the most, so that processes share a scarce bucket within a few writes without
//! knowing of each other.

use std::{sync::Arc, time::Duration};

use super::{LaneReserve, ReserveState};
use crate::{
    bucket::{Amounts, MILLI, advance::SHARES, image::Image, kind::Kind, limit_set::LimitSet, plan::balances},
    engine::runtime::moment::{End, Moment},
    random::Random,
};

/// One part in this many of the capacity is the most that one process holds.
const SHARE: i64 = 200;
/// The same where so many processes share the bucket that lots live longer: what it may hold, it holds in fewer writes.
const SHARE_OF_MANY: i64 = 100;
/// The part of a life for which a nearly empty bucket is not asked where lots live longer.
const PATIENCE: f64 = 0.7;
/// Writes a second of all processes together to one bucket, for which its tokens are made to live long enough.
const WRITES: f64 = 150.0;
/// Times that a reserve is filled up in the life of a lot.
const FILLS: f64 = 2.0;

impl LaneReserve {
    /// Tells if more has to be fetched, and makes the caller the only one that does: the next is told so after an
    /// eighth of a life.
    #[inline]
    pub(super) fn rest_after(&mut self, amounts: &[i64], now: Moment) -> ReserveState {
        let runs_low = |((held, low), amount): ((&i64, &i64), &i64)| *amount > 0 && held < low;
        let low = self.lots.total().iter().zip(&self.low).zip(amounts).any(runs_low);
        if !low || now.monotonic < self.next_fetch || self.exhausted(now).is_some() {
            return ReserveState::Enough;
        }
        self.next_fetch = now.monotonic + *self.lives.start() / 8;
        ReserveState::Low
    }

    /// Returns the time that an ask has to wait because the bucket was nearly empty a moment ago; `None` when the
    /// bucket is to be asked.
    pub(crate) fn ration(&self, limit_set: &Arc<LimitSet>, amounts: &[i64], now: Moment) -> Option<Duration> {
        let wait = self.exhausted(now)?;
        // An amount that no reserve can hold is always decided by the bucket.
        let limits = || self.limit_set.applied.iter().zip(amounts);
        let fits = limits().all(|(limit, amount)| *amount <= self.most(&limit.kind) || !limit.refuses());
        // A soft limit refuses nobody: what it lacks here the bucket lets pass.
        let short = limits().zip(self.lots.total()).any(|((limit, amount), held)| !limit.lets_pass(*amount, *held));
        (fits && short && self.is_for(limit_set)).then_some(wait)
    }

    /// Returns the time for which the bucket is not asked; `None` when it may be.
    pub(super) fn exhausted(&self, now: Moment) -> Option<Duration> {
        self.rationed_until?.left(now)
    }

    /// Returns true if the bucket had too little the last time, so that whoever asks it competes for what comes in.
    pub(crate) fn is_scarce(&self) -> bool {
        self.rationed_until.is_some()
    }

    /// Lets everybody ask the bucket again if `image` shows at `now` (epoch ms) that it is worth it: somebody may have
    /// added tokens.
    pub(crate) fn end_ration(&mut self, image: &Image, now: i64) {
        let held = balances(image, &self.limit_set.goal(&[], &[], image.shards(), now));
        let left: Amounts = held.iter().map(|balance| balance.tokens).collect();
        if !self.is_little(&left) {
            self.rationed_until = None;
        }
    }

    /// Adapts the life of the next lots to the bucket's `processes`, as far as it may be. Their number is estimated
    /// from few writes: a life that is too short costs writes at once, so it gets shorter in steps.
    pub(crate) fn adapt(&mut self, processes: f64) {
        let wanted = Duration::try_from_secs_f64(FILLS * processes / WRITES).unwrap_or(Duration::MAX);
        let wanted = wanted.clamp(*self.lives.start(), *self.lives.end());
        self.life = if wanted < self.life { (self.life * 3 + wanted) / 4 } else { wanted };
    }

    /// The life of the next lot.
    pub(crate) fn life(&self) -> Duration {
        self.life
    }

    /// Computes the amounts to debit ahead, given what the bucket has `left` once everybody is served; `None` when
    /// nothing.
    ///
    /// The demand of three quarters of a life, less what is here; no more than the share of the capacity and half of
    /// what is left. Where half of what is left would not last a life, all of that half. Nothing where asks are rare,
    /// or so large that a process's share would serve but a few of them: there a reserve would only keep tokens from
    /// others.
    pub(crate) fn order(&mut self, left: &[i64], now: Moment) -> Option<Amounts> {
        self.lots.expire(now);
        self.demand.fold(now.monotonic);
        if !self.is_worthwhile() {
            self.low.iter_mut().for_each(|low| *low = 0);
            return None;
        }
        let mut order = Amounts::new();
        for (slot, limit) in self.limit_set.applied.iter().enumerate() {
            let most = self.most(&limit.kind);
            let life = self.demand.during(slot, self.life).min(most);
            let goal = self.goal(slot, most);
            let left = left.get(slot).copied().unwrap_or(0);
            let part = if limit.is_soft() { most } else { left / self.takers() };
            // Scarce tokens have to last until the bucket is asked again.
            let wanted = if part < life { life } else { goal };
            let missing = wanted.saturating_sub(self.lots.total()[slot]).min(part);
            order.push((missing.max(0) / MILLI) * MILLI);
            self.low[slot] = goal / 3;
        }
        order.iter().any(|amount| *amount > 0).then_some(order)
    }

    /// Returns the amount to hold. The reserve is filled up again when a third is left, so the last of a lot is used
    /// after three quarters of its life.
    fn goal(&self, slot: usize, most: i64) -> i64 {
        self.demand.during(slot, self.life * 3 / 4).min(most)
    }

    /// Returns true if asks are frequent, and small beside what this process may hold.
    pub(crate) fn is_worthwhile(&self) -> bool {
        let limits = self.limit_set.applied.iter().enumerate();
        self.demand.is_steady(self.life)
            && limits.map(|(slot, limit)| (slot, self.most(&limit.kind))).all(|(slot, most)| {
                let goal = self.goal(slot, most);
                goal >= self.demand.unit(slot).saturating_mul(4)
            })
    }

    /// Notes what a write or a lost condition has just shown: `left` once everybody is served.
    pub(crate) fn observe(&mut self, left: &[i64], now: Moment, random: &Random) {
        self.demand.fold(now.monotonic);
        self.left = left.into();
        if self.is_little(left) {
            self.back_off(now, random);
        } else {
            self.rationed_until = None;
            self.patience = (self.patience / 2).max(*self.lives.start());
        }
    }

    /// Returns true if whoever asks a bucket that has `left` competes for what comes in.
    fn is_little(&self, left: &[i64]) -> bool {
        let hard = self.limit_set.applied.iter().enumerate().filter(|(_, limit)| !limit.is_soft());
        let mut short = hard.filter(|(slot, limit)| {
            let life = self.demand.during(*slot, self.life).min(self.most(&limit.kind));
            let enough = if self.is_of_many() { life.saturating_mul(SHARES) } else { life };
            left.get(*slot).is_some_and(|left| *left < enough)
        });
        self.is_worthwhile() && short.next().is_some()
    }

    /// Leaves a bucket alone that was nearly empty, and that the store has no time for now.
    pub(crate) fn observe_throttled(&mut self, now: Moment, random: &Random) {
        if self.is_scarce() {
            self.back_off(now, random);
        }
    }

    fn back_off(&mut self, now: Moment, random: &Random) {
        self.patience = self.patience_at(now);
        self.rationed_until = Some(End::after(now, self.patience.mul_f64(random.of(0.5..=1.5))));
    }

    /// The mean time for which a nearly empty bucket is not asked. Twice as long each time that it is found so again,
    /// until all processes together write it no more often than where it has enough.
    fn patience_at(&self, now: Moment) -> Duration {
        let shortest = *self.lives.start();
        let is_again = self.is_scarce() && self.exhausted(now).is_none();
        let patience = if is_again { self.patience * 2 } else { self.patience };
        let longest = if self.is_of_many() { self.life.mul_f64(PATIENCE).max(shortest) } else { shortest };
        patience.clamp(shortest, longest)
    }

    /// Returns true if so many processes share the bucket that lots live longer.
    fn is_of_many(&self) -> bool {
        self.life > *self.lives.start()
    }

    /// The number of writers that what the bucket has left is to do for.
    fn takers(&self) -> i64 {
        if self.is_of_many() { SHARES } else { 2 }
    }

    /// The most that this process holds of a limit, in mt: one token less than its share of the capacity.
    fn most(&self, kind: &Kind) -> i64 {
        let share = if self.is_of_many() { SHARE_OF_MANY } else { SHARE };
        (kind.ceiling() / share / MILLI * MILLI - MILLI).max(0)
    }
}
