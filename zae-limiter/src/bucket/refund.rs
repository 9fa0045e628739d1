//! The part of a refund that still fits: exact refunds, without a call more than before.
//!
//! Tokens that are given back after their bucket has been refilled would be worth their amount twice: once as refill,
//! and once as a refund. So a refund is worth no more than what the bucket had room for all the time since the tokens
//! were taken: the capacity, less the most that it held since, less what was refunded since.
//!
//! In numbers: let `q` be the balance less everything that was ever refunded (the item counts it, `z_{limit}_rb`). It
//! falls with every grant, rises with refill, and refunds do not change it. A hold remembers `q` right after its write;
//! the answers of later writes show `q` again and again ([`Peaks`](crate::bucket::peaks::Peaks)), and between two of
//! them it rose by refill at the most. With `M` the largest `q` since the grant and `R` the count of refunds, a refund
//! is worth at most `C − R − M`.
//!
//! This is enough. Of the grants of any interval from `s` to `u`, what is kept is at most the balance at `s`, plus
//! refill, and refunds of tokens that were taken before `s`. The last of these was worth at most `C − R − q(s)`, which
//! is `C` less the balance at `s` and less the refunds since. All of it together is at most `C + r·τ`, however long
//! tokens are held (invariant I1). Refunds of tokens that were taken after `s` need not count, and do not where it was
//! this process that refunded them. So where nobody else refunds, a refund is worth all that there is room for.
//!
//! # In numbers
//!
//! C = 100, refill 10 a second, amounts in tokens. A lease takes 60 from a full bucket; right after, the balance is 40
//! and R = 0, so q = 40. Three seconds pass without a write and the lease is rolled back:
//!
//! | | balance | R | M | room C − R − M | worth |
//! |---|---|---|---|---|---|
//! | at once | 40 | 0 | 40 | 60 | 60 |
//! | after 3 s | 70 | 0 | 70 | 30 | 30 |
//! | after 3 s, 70 taken by others at 3 s, then 1 s more | 10 | 0 | 70 | 30 | 30 |
//! | after 6 s and more | 100 | 0 | 100 | 0 | 0 |
//!
//! The third row is the point. There is room for 90 by then, but the bucket held 70 in between: it has paid back 30 of
//! the 60 by refill, and others have used them. A refund of 60 would pay those 30 again.
//!
//! # Neighbours
//!
//! `R` is a condition of the write: the count of refunds must not have grown by more than the margin left (`at_most`),
//! so a neighbour's refund since the image cannot make ours too large. With more limits than conditions have room for,
//! the stamp of the last refund stands for all of them ([`refund_stamp`](crate::bucket::refund_stamp)).

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{
    bucket::{
        Amounts,
        image::{Balance, Basis, Image, LimitImage},
        incarnation::Incarnation,
        kind::{AppliedLimit, Kind},
        peaks::Peaks,
        quota::{Period, stored::StoredPeriod},
    },
    model::name::LimitName,
};

/// The most that a limit held since tokens were taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The largest balance since, less all refunds until then, in mt ...
    pub(crate) net: i64,
    /// ... as it was known at this instant, in epoch ms.
    pub(crate) at: i64,
    /// The kind of the whole limit when the tokens were taken.
    pub(crate) kind: Kind,
    /// The observation right after that.
    pub(crate) since: u64,
    /// The instant at which they were taken, in epoch ms.
    pub(crate) taken_at: i64,
    /// The period that they were taken in, of a quota.
    pub(crate) period: PeriodMark,
}

/// The state of a bucket right after a write took tokens from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Baseline {
    /// The creation of the bucket.
    pub(crate) incarnation: Option<Incarnation>,
    /// The balance less all refunds until then, in mt, by limit.
    pub(crate) nets: Amounts,
    /// When, in epoch ms.
    pub(crate) at: i64,
    /// The number of that observation in its lane.
    pub(crate) since: u64,
    /// The periods of quotas, by limit; `None` where none is a quota.
    pub(crate) periods: Periods,
}

/// The periods of quotas, by limit; `None` where none is a quota.
pub(crate) type Periods = Option<Arc<[PeriodMark]>>;

/// The period of a quota that tokens were taken in, beside what the calendar says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeriodMark {
    /// The number of resets by hand until then.
    pub(crate) resets_by_hand: i64,
    /// The start of the window, of a session quota.
    pub(crate) window: Option<i64>,
}

impl Baseline {
    /// The mark of the limit at `index` with these parameters.
    pub(crate) fn mark(&self, index: usize, kind: &Kind) -> Option<Mark> {
        self.nets.get(index).map(|net| Mark {
            net: *net,
            at: self.at,
            kind: kind.clone(),
            since: self.since,
            taken_at: self.at,
            period: self.period(index),
        })
    }

    /// The same for amounts that were counted and not taken: under a bypass.
    pub(crate) fn never_debited(&self) -> Self {
        let nets = Amounts::from_elem(Mark::NEVER_DEBITED, self.nets.len());
        Self { nets, ..self.clone() }
    }

    /// Returns the period of the limit at `index`.
    fn period(&self, index: usize) -> PeriodMark {
        self.periods.as_ref().and_then(|periods| periods.get(index)).copied().unwrap_or_default()
    }

    /// Returns the end of the period of a quota that the limit at `index` is, in epoch ms.
    pub(crate) fn resets_at(&self, index: usize, kind: &Kind) -> Option<i64> {
        match kind.quota_period()? {
            Period::Calendar(resets) => resets.next(self.at),
            Period::Session { length } => {
                let start = self.period(index).window?;
                Some(start.saturating_add(length)).filter(|end| *end > self.at)
            }
        }
    }

    /// The more cautious of both, for tokens that are given back together.
    pub(crate) fn rise_to(&mut self, other: &Self) {
        self.nets.iter_mut().zip(&other.nets).for_each(|(net, other)| *net = (*net).max(*other));
        self.at = self.at.min(other.at);
        self.since = self.since.min(other.since);
    }
}

/// The balances of `image` at `now` (epoch ms), each less all refunds, in mt. Started millitokens count.
pub(crate) fn nets(image: &Image, limits: &[AppliedLimit], balances: &[Balance]) -> Amounts {
    let net = |(AppliedLimit { name, .. }, balance): (&AppliedLimit, &Balance)| {
        let started = matches!(balance.basis, Basis::Accrued(gained) if gained.fraction > 0);
        let refunded = image.limit(name.as_str()).and_then(|stored| stored.refunded).unwrap_or(0);
        balance.tokens.saturating_add(i64::from(started)).saturating_sub(refunded)
    };
    limits.iter().zip(balances).map(net).collect()
}

/// One limit's part of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The limit.
    pub(crate) name: LimitName,
    /// In mt: positive for more consumption, negative for a refund.
    pub(crate) amount: i64,
    /// The most that the limit held since the tokens were taken; `None` gives back as much as there is room for now.
    pub(crate) mark: Option<Mark>,
}

impl Settled {
    /// Adds what is settled of the same limit, with the more cautious of both marks.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.amount = self.amount.saturating_add(other.amount);
        self.mark = self.mark.take().zip(other.mark.clone()).map(|(one, other)| Mark {
            net: one.net.max(other.net),
            at: one.at.min(other.at),
            kind: other.kind,
            since: one.since.min(other.since),
            taken_at: one.taken_at.min(other.taken_at),
            // Of two periods, the earlier is over first.
            period: PeriodMark {
                resets_by_hand: one.period.resets_by_hand.min(other.period.resets_by_hand),
                window: one.period.window.min(other.period.window),
            },
        });
    }
}

/// The effect of settlements on one limit of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    /// The limit.
    pub(crate) name: LimitName,
    /// Added to the consumption counter, in mt.
    pub(crate) consumed: i64,
    /// Taken from the balance, in mt; negative when more is given back.
    pub(crate) out: i64,
    /// Given back to the balance, in mt, of tokens that carry a mark.
    pub(crate) back: i64,
    /// The amount, in mt, by which the count of refunds may have grown since the image without a change to `back`.
    pub(crate) margin: i64,
    /// The parts of what is given back, in mt, each with the observation right after they were taken.
    pub(crate) parts: SmallVec<[(u64, i64); 1]>,
}

impl From<(LimitName, i64)> for Booking {
    fn from((name, amount): (LimitName, i64)) -> Self {
        Self { name, consumed: amount, out: amount, back: 0, margin: i64::MAX, parts: SmallVec::new() }
    }
}

impl Mark {
    /// The net balance that stands for amounts that were counted and not taken: it leaves no room for a refund.
    const NEVER_DEBITED: i64 = i64::MAX;

    /// Returns true if what was counted was taken as well.
    pub(crate) fn was_debited(&self) -> bool {
        self.net != Self::NEVER_DEBITED
    }

    /// Mt that a refund at `now` (epoch ms) may be worth, where `refunded` was refunded until now; negative for
    /// nothing.
    fn room(&self, kind: &Kind, ceiling: i64, shards: u32, refunded: i64, now: i64) -> i64 {
        let gained = |kind: &Kind| kind.share(shards).gained(self.at, now);
        // The rate may have been changed in between: neither one nor the other gained more.
        let gained = gained(kind).max(gained(&self.kind));
        ceiling.saturating_sub(self.net).saturating_sub(gained).saturating_sub(refunded)
    }
}

/// Works out the effect of `settled` on `image` at `now` (epoch ms), summed by limit. `peaks` are what was seen of the
/// bucket since.
pub(crate) fn book<'a>(
    settled: impl IntoIterator<Item = &'a Settled>,
    image: &Image,
    peaks: &Peaks,
    shards: u32,
    now: i64,
) -> Vec<Booking> {
    let mut bookings: Vec<Booking> = Vec::new();
    let mut settled: SmallVec<[&Settled; 4]> = settled.into_iter().collect();
    // The refund of what was taken last takes no room from the others.
    settled.sort_by_key(|part| part.mark.as_ref().map_or(u64::MAX, |mark| mark.since));
    for Settled { name, amount, mark } in settled {
        let mut booking = Booking::from((name.clone(), *amount));
        let stored = image.limit(name.as_str());
        let kind = stored.and_then(LimitImage::kind);
        let is_lost = stored.is_some_and(|stored| is_of_another_period(stored, mark.as_ref(), now));
        if mark.as_ref().is_some_and(|mark| !mark.was_debited()) {
            booking.out = 0;
        } else if *amount < 0 && is_lost {
            // The tokens of a period end with it. That they were not consumed is counted all the same.
            booking.out = 0;
        } else if let (true, Some(mark), Some(stored), Some(kind)) = (*amount < 0, mark, stored, kind) {
            // One after the other: what was refunded before takes room from the next.
            let before = bookings.iter().find(|known| known.name == *name).map_or(0, |known| known.back);
            let refunded = stored.refunded.unwrap_or(0).saturating_add(before);
            let ceiling = stored.granted(&kind, shards, now).at(now).ceiling();
            let room = peaks.highest(name, mark, now).room(&kind, ceiling, shards, refunded, now);
            booking.back = amount.saturating_neg().min(room.max(0));
            booking.out = -booking.back;
            booking.parts.push((mark.since, booking.back));
            booking.margin = if booking.back > 0 { room.saturating_sub(booking.back) } else { i64::MAX };
        }
        match bookings.iter_mut().find(|known| known.name == *name) {
            Some(known) => known.add(&booking),
            None => bookings.push(booking),
        }
    }
    bookings.retain(|booking| (booking.consumed, booking.out, booking.back) != (0, 0, 0));
    bookings
}

/// Returns true if tokens of a quota were taken in a period that is over at `now` (epoch ms), or nobody knows in which.
fn is_of_another_period(stored: &LimitImage, mark: Option<&Mark>, now: i64) -> bool {
    let Some(quota) = &stored.quota else { return false };
    let Some(mark) = mark else { return true };
    let has_ended = match &quota.period {
        StoredPeriod::Calendar(resets) => resets.last(now).is_some_and(|reset| reset > mark.taken_at),
        StoredPeriod::Session { length, window } => {
            window.start != mark.period.window || window.start.is_none_or(|start| now >= start.saturating_add(*length))
        }
    };
    has_ended || quota.resets_by_hand != mark.period.resets_by_hand
}

impl Booking {
    /// Adds the effect of another settlement of the same limit.
    pub(crate) fn add(&mut self, other: &Self) {
        self.consumed = self.consumed.saturating_add(other.consumed);
        self.out = self.out.saturating_add(other.out);
        self.back = self.back.saturating_add(other.back);
        self.margin = self.margin.min(other.margin);
        self.parts.extend_from_slice(&other.parts);
    }
}

/// Sums amounts by limit, as they were booked: for counters, and for what was never written.
pub(crate) fn sums<'a>(settled: impl IntoIterator<Item = &'a Settled>) -> Vec<(LimitName, i64)> {
    let mut sums: Vec<(LimitName, i64)> = Vec::new();
    for Settled { name, amount, .. } in settled {
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(*amount),
            None => sums.push((name.clone(), *amount)),
        }
    }
    sums.retain(|(_, sum)| *sum != 0);
    sums
}
