//! One limit's part of a write, while a plan is made: which of the three kinds it needs, its conditions and values.
//!
//! All amounts are in mt, and all instants in epoch ms, but for the item's lifetime, which DynamoDB wants in epoch s.
//!
//! The kind of write that a limit needs decides for all of them: if one has to be credited, the refill instant moves,
//! and every other limit of the item is credited with it. So a plan asks each part twice: whether a plain write would
//! do, and then, once that is settled, what to write.

use crate::{
    bucket::{
        image::{Balance, Basis, Image, LimitImage},
        kind::{AppliedLimit, Enforcement, Kind},
        lifetime::DEEPEST_DEBT,
        plan::Goal,
        quota::stored::{Changing, Opens, QuotaWrite},
        refund::Booking,
        soft::restamp,
        stamp::{Occasion, StampWrite},
        write::{LimitWrite, RefundWrite, ScheduleWrite, TokenWrite, WithRoom},
    },
    model::name::LimitName,
};

/// The fate of the item's refill instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefillInstant {
    /// Nothing is credited.
    Stays,
    /// Every limit is credited.
    Moves,
}

/// One limit's part of a plan while it is made.
pub(super) struct LimitPlan<'a> {
    /// The limit.
    name: &'a LimitName,
    /// The limit as the image has it; `None` if the item lacks it.
    pub(super) stored: Option<&'a LimitImage>,
    /// The kind that is to hold from now on.
    pub(super) wanted: Kind,
    /// The balance at `now`, before anything is taken or booked.
    pub(super) balance: Balance,
    /// Taken only if it is there, in mt.
    pub(super) take: i64,
    /// Counted and not taken, in mt.
    counted: i64,
    /// Taken whatever the balance, in mt; negative when more is given back.
    pub(super) adjust: i64,
    /// The settlements that are booked with it.
    booking: Option<Booking>,
    /// True if the limit is among those that apply.
    pub(super) applies: bool,
    /// Tells if the lack of tokens stops the write.
    enforcement: Enforcement,
    /// The end of a new stamp.
    soft_until: Option<i64>,
    /// Now, in epoch ms.
    pub(super) now: i64,
}

impl LimitPlan<'_> {
    /// Returns true if something is taken from the limit or booked in it.
    fn named(&self) -> bool {
        self.take != 0 || self.booking.is_some()
    }

    /// Returns the total to take; negative when more is given back.
    fn out(&self) -> i64 {
        self.take.saturating_add(self.adjust)
    }

    /// Returns true if the balance is to sink, or if something is taken that has to be there.
    fn takes(&self) -> bool {
        self.take > 0 || self.out() > 0
    }

    /// The balance as it is stored.
    fn tokens(&self) -> i64 {
        self.stored.and_then(|stored| stored.tokens).unwrap_or(0)
    }

    /// Returns true if the balance is computed rather than added to.
    pub(super) fn is_set(&self) -> bool {
        let refund = (-self.adjust).max(0);
        match self.balance.basis {
            Basis::Accrued(gained) => {
                let tokens = self.tokens();
                // A refund that would lift the balance over the ceiling stops there, and a debt at the deepest.
                tokens.saturating_add(gained.rounded_up()).saturating_add(refund) > self.balance.ceiling()
                    || tokens.saturating_sub(self.out().max(0)) < DEEPEST_DEBT
            }
            Basis::Full | Basis::Changed | Basis::New | Basis::Restored | Basis::Unopened => true,
        }
    }

    /// Returns what the write does about the stamp of a soft limit.
    pub(super) fn restamp(&self, occasion: Occasion) -> Option<StampWrite> {
        let stored = self.stored.and_then(|stored| stored.soft);
        let due = || restamp(self.enforcement, stored, self.soft_until, self.now, occasion);
        self.applies.then(due).flatten()
    }

    /// Returns true if the lack of tokens stops the write.
    fn refuses(&self) -> bool {
        self.enforcement == Enforcement::Hard
    }

    /// Returns true if tokens go back.
    fn gives_back(&self) -> bool {
        self.booking.as_ref().is_some_and(|booking| booking.out < 0)
    }

    /// Returns true if a plain write is enough for this limit.
    pub(super) fn plain(&self) -> bool {
        if self.restamp(Occasion::Needed).is_some_and(|stamp| stamp.set.is_some()) {
            return false;
        }
        match self.balance.basis {
            Basis::Changed | Basis::New => !self.applies,
            // The refill instant can neither move nor stay without it.
            Basis::Restored => false,
            Basis::Unopened => self.opens() == Opens::No && !(self.applies && self.is_changed()),
            // Only within the period that it was taken in, and the refill instant tells that.
            _ if self.wanted.is_quota() && self.gives_back() => false,
            Basis::Full | Basis::Accrued(_) if !self.named() => true,
            _ if self.is_set() => false,
            Basis::Full | Basis::Accrued(_) => self.take == 0 || !self.refuses() || self.tokens() >= self.out(),
        }
    }

    /// Ms until the limit is full once the write is done. Without a credit, a neighbour may have credited what it
    /// gained already: then it does not count.
    pub(super) fn full_in(&self, refill: RefillInstant) -> i64 {
        match self.balance.basis {
            Basis::Accrued(gained) if refill == RefillInstant::Stays && !self.is_set() => {
                self.balance.full_in(self.out().saturating_add(gained.whole))
            }
            _ => self.balance.full_in(self.balance.tokens.saturating_sub(self.left())),
        }
    }

    /// The balance that the write leaves, all that was gained included. What is given back stops at the ceiling before
    /// anything is taken.
    pub(super) fn left(&self) -> i64 {
        let after_refund = self.balance.tokens.saturating_sub(self.adjust).min(self.balance.ceiling());
        after_refund.saturating_sub(self.take).max(DEEPEST_DEBT)
    }

    /// The addition to the count of refunds, with the bound up to which the computed room holds.
    fn refund(&self) -> Option<RefundWrite> {
        let booking = self.booking.as_ref().filter(|booking| booking.back > 0)?;
        let seen = self.stored.and_then(|stored| stored.refunded).unwrap_or(0);
        Some(RefundWrite { add: booking.back, at_most: Some(seen.saturating_add(booking.margin)) })
    }

    /// `ttl` (epoch s) is when the item may be removed: the limit has to be full again by then.
    ///
    /// `None` for a limit that the write need not name. For one that is added to, the bounds are these, with `credit` =
    /// what is credited in this write (0 if the instant stays):
    ///
    /// - at least `lowest + out − credit`, where `lowest` is the balance that the lifetime allows to be left, and 0 for
    ///   asks;
    /// - at most `ceiling − a − refund`, where `a` is rounded up.
    pub(super) fn write(
        &self,
        refill: RefillInstant,
        ttl: Option<i64>,
        item: (&Image, u32),
        now: i64,
    ) -> Option<LimitWrite> {
        let moving = refill == RefillInstant::Moves;
        if !self.named() && (!moving || self.is_left_unopened()) {
            return (self.counted != 0).then(|| self.count());
        }
        let refund = (-self.adjust).max(0);
        let out = self.out();
        let expect_params = self.stored.map(|s| s.params).unwrap_or_default();
        let old_fraction = self.stored.map_or(0, |s| s.fraction);
        let (tokens, fraction) = match self.balance.basis {
            Basis::Accrued(gained) if !self.is_set() => {
                let credit = if moving { gained.whole } else { 0 };
                // Amounts taken by neighbours must not make a debt deeper than the lifetime allows, or than the
                // debt seen if no lifetime is long enough.
                let seen = self.tokens().saturating_add(credit).saturating_sub(out);
                let lowest = self.balance.lowest(ttl, now).min(seen).max(if self.take > 0 { 0 } else { i64::MIN });
                let at_least =
                    (self.refuses() && self.takes()).then(|| lowest.saturating_add(out).saturating_sub(credit));
                let at_most = self.balance.ceiling().saturating_sub(gained.rounded_up()).saturating_sub(refund);
                let fraction = if moving { gained.fraction } else { old_fraction };
                (TokenWrite::Add { delta: credit.saturating_sub(out), at_least, at_most }, fraction)
            }
            // Tokens that were not consumed after all move no balance.
            _ if self.is_left_unopened() => {
                (TokenWrite::Add { delta: 0, at_least: None, at_most: i64::MAX }, old_fraction)
            }
            _ => (TokenWrite::Set { to: self.left(), from: self.stored.and_then(|s| s.tokens) }, 0),
        };
        let changed = match self.balance.basis {
            Basis::Changed | Basis::New => true,
            Basis::Restored | Basis::Unopened => self.is_changed(),
            Basis::Accrued(_) | Basis::Full => false,
        };
        let (stored, wanted, basis) = (self.stored, &self.wanted, self.balance.basis);
        let quota = Changing { stored, wanted, basis, image: item.0, shards: item.1, opens: self.opens(), now };
        Some(LimitWrite {
            name: self.name.clone(),
            tokens,
            consumed: self
                .take
                .saturating_add(self.counted)
                .saturating_add(self.booking.as_ref().map_or(0, |booking| booking.consumed)),
            expect_params,
            set_params: changed.then(|| self.wanted.stored()),
            expect_fraction: (moving && old_fraction != 0).then_some(old_fraction),
            set_fraction: (fraction != old_fraction).then_some(fraction),
            refund: self.refund(),
            soft: self.restamp(if moving { Occasion::Opportune } else { Occasion::Needed }),
            quota: quota.write(),
            schedule: self.reschedule(item.0),
            with_room: WithRoom::of(&self.balance.kind),
        })
    }
}

impl LimitPlan<'_> {
    /// Counts without a look at the balance: many such writes succeed side by side.
    fn count(&self) -> LimitWrite {
        LimitWrite {
            name: self.name.clone(),
            tokens: TokenWrite::Keep,
            consumed: self.counted,
            expect_params: self.stored.map(|s| s.params).unwrap_or_default(),
            set_params: None,
            expect_fraction: None,
            set_fraction: None,
            refund: None,
            soft: None,
            quota: QuotaWrite::Nothing,
            schedule: ScheduleWrite::default(),
            with_room: None,
        }
    }
}

/// Lays the goal and the image side by side, limit by limit: those that apply first, then the others that the item has.
pub(super) fn parts<'a>(image: &'a Image, goal: &Goal<'a>) -> Vec<LimitPlan<'a>> {
    let booked = |name: &LimitName| {
        let booking = goal.adjust.iter().find(|booking| booking.name == *name).cloned();
        (booking.as_ref().map_or(0, |booking| booking.out), booking)
    };
    let shards = goal.shards.max(image.shards());
    let mut parts: Vec<LimitPlan<'a>> = goal
        .limits
        .iter()
        .enumerate()
        .map(|(index, AppliedLimit { name, kind: wanted, enforcement })| {
            let stored = image.limit(name.as_str());
            let balance = Balance::at(image, stored, wanted, shards, goal.now);
            let amount = goal.take.get(index).copied().unwrap_or(0);
            let is_taken = *enforcement != Enforcement::Bypassed;
            let (take, counted) = if is_taken { (amount, 0) } else { (0, amount) };
            let (adjust, booking) = booked(name);
            LimitPlan {
                name,
                stored,
                wanted: wanted.clone(),
                balance,
                take,
                counted,
                adjust,
                booking,
                applies: true,
                enforcement: *enforcement,
                soft_until: goal.soft_until,
                now: goal.now,
            }
        })
        .collect();
    for stored in &image.limits {
        if goal.limits.iter().any(|limit| limit.name == stored.name) {
            continue;
        }
        // A limit that no longer applies still shares the refill instant, and may be owed a refund.
        let (Some(current), Some(_)) = (stored.kind(), stored.tokens) else { continue };
        let balance = Balance::at(image, Some(stored), &current, shards, goal.now);
        let (adjust, booking) = booked(&stored.name);
        parts.push(LimitPlan {
            name: &stored.name,
            stored: Some(stored),
            wanted: current,
            balance,
            take: 0,
            counted: 0,
            adjust,
            booking,
            applies: false,
            enforcement: Enforcement::Hard,
            soft_until: None,
            now: goal.now,
        });
    }
    // A write has room for so many: what is booked goes before what only gains.
    // So does a quota, which the refill instant must not leave behind.
    parts.sort_by_key(|part| !(part.applies || part.named() || part.wanted.is_timed()));
    parts
}
