//! Tokens debited ahead of use: a lane's reserve in reserve mode. Pure decisions; the lane keeps it under a lock.
//!
//! A write that goes out anyway takes more than its asks need, and later acquires are granted from that. Three
//! questions are decided here: how much to take ([`LaneReserve::order`]), who is served ([`LaneReserve::take`],
//! [`LaneReserve::ration`]), and when to give it back ([`LaneReserve::give_up`]). [`demand`] estimates what this
//! process will need, [`lots`] keeps what it has.
//!
//! # The bound
//!
//! Tokens that could not be returned by the end of their life are forfeited: refill replaces them. So whatever is
//! granted from a reserve at an instant was debited within a life L before it. Over an interval of length τ therefore
//! no more is granted than the bucket gave out in τ + L, which is C + r·(τ + L). In numbers: 6000 tokens a minute, L =
//! 1 s. In any second without a reserve at most 6000 + 100 are granted; with one at most 6000 + 200, by one process or
//! by a thousand. `docs/engine.md` has the proof.
//!
//! # How much
//!
//! For each limit, in millitokens, let *d* be the demand of one life and B the share, 0.5 % of the capacity less one
//! token:
//!
//! - the goal is ¾·d, at most B: the reserve is filled up when a third of it is left, so that the last token of a lot
//!   is used when about ¾ of its life is over;
//! - one write takes at most half of what the bucket has left once its asks are served, so a few processes share what
//!   there is instead of the first taking all;
//! - if half of what is left would not last a life, the half is taken even beyond the goal, up to d: the bucket is
//!   scarce, and asking again soon would only compete with neighbours.
//!
//! With C = 60 000 and L = 1 s a process that grants 200 a second has d = 200 and a goal of 150. It orders 150, fetches
//! again at 49, and so writes about twice a second. If the bucket holds 160, half is 80 < 200: it orders 80, refuses
//! the rest by itself for about a life, and then asks again.
//!
//! # Many small processes
//!
//! Of a thousand processes that ask twice a second, none can hold anything ahead for a second. So where it is allowed
//! to, L grows with their number N. A reserve is filled up about twice in a life, so all together write 2·N/L times a
//! second, and L = N/75 s keeps that at 150. N is the reciprocal of this process's part of what the bucket's counters
//! say is consumed. The bound above is then that of the longest life allowed. A lot that lives long is many asks, so a
//! write that fills up a reserve from a full bucket leaves more room for those of neighbours than a strict one does.
//!
//! If L has grown, one process holds up to 1 % of the capacity. Of a bucket that is nearly empty it takes a quarter
//! of what is there, so that [several writes](crate::bucket::advance) from one image go through, and asks again after
//! twice the time as before, up to 0.7·L: so the writes of all stay as few as where there is enough. With N = 2 000 at
//! twice what 2 000 tokens a second allow, each takes about 13 tokens every 14 s.
//!
//! # When not
//!
//! Below two asks a second (or four in a life, if that is less), or if the goal would serve fewer than four asks of the
//! usual size, nothing is debited ahead: a reserve would keep tokens from others and save nothing. Sharded and disabled
//! buckets have none either.
//!
//! # Alternatives
//!
//! A fixed reserve is too large for ten processes or too small for one. Fetching by the clock makes all processes write
//! at the same moment; a fill level spreads them. Asking a scarce bucket for every ask costs a write per token that
//! drips in, times the processes; hence the ration of half to one and a half of the shortest life, at random.

pub(crate) mod demand;
pub(crate) mod lots;
mod order;
#[cfg(test)]
mod tests;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    bucket::{
        Amounts,
        incarnation::Incarnation,
        kind::AppliedLimit,
        limit_set::LimitSet,
        refund::{Baseline, Periods, Settled},
    },
    engine::{
        reserve::{
            demand::Demand,
            lots::{Expiry, ReserveLot, ReserveLots},
        },
        runtime::moment::{End, Moment},
        telemetry::Grants,
    },
    model::name::LimitName,
};

/// The longest memory of the demand.
const LONGEST_MEMORY: Duration = Duration::from_secs(10);

/// Tokens debited ahead of use.
#[derive(Debug)]
pub(crate) struct LaneReserve {
    /// L: from the write that debits a lot to the last instant at which it may be returned.
    life: Duration,
    /// The bounds that L stays within.
    lives: RangeInclusive<Duration>,
    /// The limits that amounts are aligned with. Under others the reserve starts over.
    limit_set: Arc<LimitSet>,
    /// The creation of the bucket that the lots came from.
    incarnation: Option<Incarnation>,
    /// The periods of its quotas when it was last seen.
    periods: Periods,
    /// The tokens that are here.
    lots: ReserveLots,
    /// The tokens that this process will ask for, if it goes on as it did.
    demand: Demand,
    /// More is fetched when less than this is left.
    low: Amounts,
    /// Amounts that the bucket held after the last write.
    left: Amounts,
    /// The bucket is nearly empty: it is not asked before.
    rationed_until: Option<End>,
    /// The mean time for which it is not asked.
    patience: Duration,
    /// A fetch is under way, or would be of no use before.
    next_fetch: Instant,
    /// When something was last granted. After half a life without, all goes back.
    used_at: Instant,
    /// Grants since the last report.
    grants: Grants,
}

/// The purpose of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReserveDraw {
    /// All that an acquire asks for: nobody else counts it.
    Acquire,
    /// One of its buckets.
    Target,
    /// The same, for an ask whose demand was noted when it found too little.
    Again,
}

/// The state of the reserve after a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReserveState {
    /// Enough, or more is on its way.
    Enough,
    /// Whoever sees this fetches for all.
    Low,
}

/// The tokens that a reserve gives up.
#[derive(Debug)]
pub(crate) struct ReserveReturn {
    /// Refunds to the bucket.
    pub(crate) settled: Vec<Settled>,
    /// The creation of the bucket that the refunds go to.
    pub(crate) incarnation: Option<Incarnation>,
    /// Tokens that were too old to be returned, in mt.
    pub(crate) forfeited: Vec<(LimitName, i64)>,
}

/// Why a reserve is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReturnCause {
    /// Time went by: only what is past its use, and everything where nothing was used for half a life.
    Time,
    /// The limiter is shut down, or other limits apply.
    End,
}

impl LaneReserve {
    /// Starts with nothing, and with the shortest of `lives`.
    pub(crate) fn new(limit_set: Arc<LimitSet>, lives: RangeInclusive<Duration>, now: Instant) -> Self {
        let life = *lives.start();
        // A process that asks once in a while is only seen over a while.
        let memory = life.max((*lives.end() / 2).min(LONGEST_MEMORY));
        let zeros: Amounts = limit_set.applied.iter().map(|_| 0).collect();
        Self {
            life,
            lives,
            incarnation: None,
            periods: None,
            lots: ReserveLots::new(zeros.len()),
            demand: Demand::new(zeros.len(), memory, now),
            low: zeros.clone(),
            left: zeros,
            rationed_until: None,
            patience: life,
            next_fetch: now,
            used_at: now,
            grants: Grants::default(),
            limit_set,
        }
    }

    /// Returns true if the reserve is for this limit set.
    fn is_for(&self, limit_set: &Arc<LimitSet>) -> bool {
        Arc::ptr_eq(&self.limit_set, limit_set) || self.limit_set.same(limit_set)
    }

    /// Takes `amounts` if they are there: until when they may come back, and the bucket right after they were debited.
    #[inline]
    pub(crate) fn take(
        &mut self,
        limit_set: &Arc<LimitSet>,
        amounts: &[i64],
        serves: ReserveDraw,
        now: Moment,
    ) -> Option<(Expiry, Arc<Baseline>, ReserveState)> {
        if !self.is_for(limit_set) {
            return None;
        }
        let (expiry, baseline) = self.lots.take(amounts, now)?;
        if serves != ReserveDraw::Again {
            self.demand.offered(amounts);
        }
        self.used_at = now.monotonic;
        self.grants.targets += 1;
        self.grants.acquires += u64::from(serves == ReserveDraw::Acquire);
        Some((expiry, baseline, self.rest_after(amounts, now)))
    }

    /// Mt that the bucket is known to hold, and what is here, by limit.
    #[inline]
    pub(crate) fn available(&self) -> Amounts {
        let mut available = Amounts::new();
        // One by one: for the one or two that there are, all else takes longer.
        self.left.iter().zip(self.lots.total()).for_each(|(left, held)| available.push(left.saturating_add(*held)));
        available
    }

    /// Notes an ask that found too little here.
    pub(crate) fn missed(&mut self, limit_set: &Arc<LimitSet>, amounts: &[i64]) {
        if self.is_for(limit_set) {
            self.demand.offered(amounts);
        }
    }

    /// Mt here, by limit.
    pub(crate) fn held(&self) -> &[i64] {
        self.lots.total()
    }

    /// Takes back what was granted from here and is not used after all, within its expiry.
    ///
    /// Returns false where it has to be refunded to the bucket instead: its expiry is over, a quota was reset by hand,
    /// or the reserve is of other limits or another creation of the bucket. The lot keeps its expiry, so going in and
    /// out does not make tokens younger.
    pub(crate) fn put_back(
        &mut self,
        limit_set: &Arc<LimitSet>,
        back: ReserveLot,
        incarnation: Option<&Incarnation>,
        now: Moment,
    ) -> bool {
        let is_of_period = back.baseline.periods == self.periods;
        if !back.expiry.lasts(now)
            || !is_of_period
            || !self.is_for(limit_set)
            || self.incarnation.as_ref() != incarnation
        {
            return false;
        }
        self.lots.put(back);
        true
    }

    /// Pays for consumption beyond what was taken, as far as the reserve goes: what is left to be booked.
    ///
    /// `amounts` and the result are in mt by limit. What is paid here left the bucket already, so nothing has to be
    /// booked for it.
    pub(crate) fn pay(
        &mut self,
        limit_set: &Arc<LimitSet>,
        amounts: &[i64],
        incarnation: Option<&Incarnation>,
        now: Moment,
    ) -> Amounts {
        if !self.is_for(limit_set) || self.incarnation.as_ref() != incarnation {
            return amounts.into();
        }
        let paid = self.lots.take_part(amounts, now);
        self.demand.offered(&paid);
        amounts.iter().zip(&paid).map(|(amount, paid)| amount - paid).collect()
    }

    /// Notes how often the quotas of the bucket were reset by hand, by limit. What was debited before the last one is
    /// of a period that is over: nothing more is granted from it.
    pub(crate) fn keep_period(&mut self, periods: &Periods) {
        if !self.lots.are_of(periods) {
            self.lots.end();
        }
        self.periods.clone_from(periods);
    }

    /// A lot has arrived.
    pub(crate) fn fill_up(&mut self, lot: ReserveLot, incarnation: Option<&Incarnation>, now: Instant) {
        if self.incarnation.as_ref() != incarnation {
            // The bucket was created again: the old lots belong to nobody.
            self.lots.clear();
            self.incarnation = incarnation.cloned();
        }
        self.lots.put(lot);
        self.next_fetch = now;
        self.used_at = now;
    }

    /// Returns true if the reserve is granted from, and so will be filled up again before long.
    pub(crate) fn is_in_use(&self, now: Instant) -> bool {
        !self.lots.is_empty() && now < self.used_at + self.life / 4
    }

    /// When somebody should look after the reserve; `None` when it is empty.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        if self.lots.has_spent() {
            return Some(now);
        }
        let first = self.lots.first_ends()?;
        Some(first.min(self.used_at + self.life / 2))
    }

    /// Gives up what `cause` says; `None` when that is nothing.
    ///
    /// A lot whose return would come after its life is forfeited: the return might arrive when refill has replaced the
    /// tokens already. The refunds carry the bucket as it was right after the debit, like any other hold's.
    pub(crate) fn give_up(&mut self, cause: ReturnCause, now: Moment) -> Option<ReserveReturn> {
        self.lots.expire(now);
        if cause == ReturnCause::End || now.monotonic >= self.used_at + self.life / 2 {
            self.lots.end();
        }
        if !self.lots.has_spent() {
            return None;
        }
        let mut forfeited = Amounts::from_elem(0, self.limit_set.applied.len());
        let mut settled = Vec::new();
        for ReserveLot { tokens, baseline, expiry } in self.lots.spent() {
            if !expiry.allows_return(now, *self.lives.start()) {
                forfeited.iter_mut().zip(&tokens).for_each(|(sum, tokens)| *sum += tokens);
                continue;
            }
            for (index, AppliedLimit { name, kind, .. }) in
                self.limit_set.applied.iter().enumerate().filter(|(index, _)| tokens[*index] > 0)
            {
                let (name, mark) = (name.clone(), baseline.mark(index, kind));
                settled.push(Settled { name, amount: -tokens[index], mark });
            }
        }
        let names = self.limit_set.applied.iter().map(|limit| limit.name.clone());
        let forfeited: Vec<_> = names.zip(forfeited).filter(|(_, amount)| *amount > 0).collect();
        let incarnation = self.incarnation.clone();
        (!settled.is_empty() || !forfeited.is_empty()).then_some(ReserveReturn { settled, incarnation, forfeited })
    }

    /// Starts over with another limit set; what is here is to be given up before.
    pub(crate) fn adopt(&mut self, limit_set: &Arc<LimitSet>, now: Moment) -> Option<ReserveReturn> {
        if self.is_for(limit_set) {
            return None;
        }
        let returned = self.give_up(ReturnCause::End, now);
        *self = Self { grants: self.grants, ..Self::new(Arc::clone(limit_set), self.lives.clone(), now.monotonic) };
        returned
    }

    /// Grants since the last time this was asked.
    pub(crate) fn report(&mut self) -> Grants {
        std::mem::take(&mut self.grants)
    }
}
