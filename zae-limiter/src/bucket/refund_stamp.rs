//! Stamps of refunds: one that the network delivers twice counts once.
//!
//! A refund adds, so the second delivery of its write would add again. Each refund therefore has a number, and sets it
//! on the item in one of [`SLOTS`] slots (`z_r0`, `z_r1`, …), on the condition that the slot still holds a smaller one.
//! Numbers in a slot only grow, so a second delivery fails, whoever has refunded in between.
//!
//! The item that comes back from a failed condition tells the two reasons for a failure apart: if the slot holds the
//! number of this refund, the first delivery was done, and the answer that got lost was its answer. All attempts at the
//! same refund have the same number, unless a neighbour has put a larger one into their slot.
//!
//! Numbers grow with time, and refunds of several processes mostly arrive in the order in which they were sent. So they
//! rarely exclude each other, even in the same slot. The slot is drawn anew for each round: with one for all, a
//! neighbour's refund would hide the number that tells a lost answer from a lost condition.
//!
//! If a write cannot have a margin for each limit's count of refunds ([`refund`](crate::bucket::refund)), its
//! condition is that nobody refunded since the image: the last refund's number, `z_rid`, is as it was. That excludes a
//! second delivery as well. A process without neighbours needs nothing else, and leaves the slots alone.

use crate::bucket::{
    image::Image,
    write::{BucketWrite, LimitWrite},
};

/// The number of slots.
pub(crate) const SLOTS: usize = 8;
/// Up to so many limits each have a margin for the refunds of neighbours. Beyond, conditions would outgrow DynamoDB's
/// bounds, and one stands for all.
const FEW: usize = 4;
/// Random digits at the end of a number: two refunds of one ms have different ones.
const RANDOM_BITS: u32 = 20;

/// The number and the slot of a refund, for all attempts at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefundId {
    /// Grows with time.
    number: i64,
    /// The number of its slot.
    slot: u8,
}

impl RefundId {
    /// Makes one of 64 random bits, at `now` (epoch ms).
    pub(crate) fn new(bits: u64, now: i64) -> Self {
        let random = (bits & ((1 << RANDOM_BITS) - 1)).cast_signed();
        let slot = u8::try_from((bits >> RANDOM_BITS) % SLOTS as u64).unwrap_or(0);
        Self { number: now.clamp(0, i64::MAX >> (RANDOM_BITS + 1)) << RANDOM_BITS | random, slot }
    }

    /// Returns the number that this refund has beside `seen`, the one in its slot: a larger one.
    fn beside(self, seen: Option<i64>) -> i64 {
        let random = self.number & ((1 << RANDOM_BITS) - 1);
        seen.filter(|seen| *seen >= self.number).map_or(self.number, |seen| seen.saturating_add(1 + random))
    }
}

/// The numbers of refunds that an item has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredRefunds {
    /// The last one's.
    pub(crate) last: Option<i64>,
    /// The largest in each slot; absent on most buckets.
    pub(crate) slots: Option<Box<[Option<i64>; SLOTS]>>,
}

impl StoredRefunds {
    /// The number in a slot.
    fn in_slot(&self, slot: u8) -> Option<i64> {
        self.slots.as_ref()?.get(usize::from(slot)).copied().flatten()
    }

    /// Returns true if this refund is the last one, in its slot or altogether.
    pub(crate) fn contains(&self, mark: RefundMark) -> bool {
        let in_slot = mark.slot.and_then(|slot| self.in_slot(slot));
        [self.last, in_slot].contains(&Some(mark.number))
    }

    /// Notes a number in a slot.
    pub(crate) fn note(&mut self, slot: usize, number: i64) {
        if let Some(known) = self.slots.get_or_insert_default().get_mut(slot) {
            *known = Some(number);
        }
    }
}

/// The trace that a refund leaves on an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefundMark {
    /// The number.
    pub(crate) number: i64,
    /// The slot that it is put into; `None` without neighbours.
    pub(crate) slot: Option<u8>,
}

/// The stamp of a write that refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefundStamp {
    /// Put on the item.
    pub(crate) mark: RefundMark,
    /// The refunds before it.
    pub(crate) before: RefundsBefore,
}

/// The refunds that may have come before a refund since its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefundsBefore {
    /// None: the last one still is this (`None`: there was none at all).
    Exactly(Option<i64>),
    /// Any with a smaller number in its slot, within the margins of its limits.
    SmallerInSlot,
    /// Any in other slots, within the margins of its limits.
    NoneInSlot,
}

impl RefundStamp {
    /// Returns true if the condition holds on an item with these stamps.
    #[cfg(test)]
    pub(crate) fn may_follow(self, stored: &StoredRefunds) -> bool {
        let known = self.mark.slot.and_then(|slot| stored.in_slot(slot));
        match self.before {
            RefundsBefore::Exactly(last) => stored.last == last,
            RefundsBefore::SmallerInSlot => known.is_some_and(|known| known < self.mark.number),
            RefundsBefore::NoneInSlot => known.is_none(),
        }
    }
}

/// Tells if other processes are known to write the same bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbours {
    /// No: a stamp suffices, and conditions stay short.
    None,
    /// Yes: each limit gets a margin, so that refunds of several processes do not exclude each other.
    Some,
}

impl BucketWrite {
    /// Stamps the write with what `id` draws, if it gives anything back. `neighbours` tells if others refund the same
    /// bucket.
    ///
    /// A refund without room gives no tokens, and still lowers the count of consumed tokens, so it is stamped too.
    pub(crate) fn stamped(mut self, id: impl FnOnce() -> RefundId, image: &Image, neighbours: Neighbours) -> Self {
        let refunds = || self.limits.iter().filter(|limit| limit.refund.is_some());
        let count = refunds().count();
        if count == 0 && self.limits.iter().all(|limit| limit.consumed >= 0) {
            return self;
        }
        let id = id();
        let is_counted = |limit: &LimitWrite| image.limit(limit.name.as_str()).is_some_and(|l| l.refunded.is_some());
        let has_margins = neighbours == Neighbours::Some && count <= FEW && refunds().all(is_counted);
        let slot = (neighbours == Neighbours::Some).then_some(id.slot);
        let seen = slot.and_then(|slot| image.refunds.in_slot(slot));
        let before = match (image.refunds.last, seen) {
            // A number that nothing is larger than was not written by a refund.
            (last, Some(i64::MAX)) => RefundsBefore::Exactly(last),
            (Some(_), Some(_)) if has_margins => RefundsBefore::SmallerInSlot,
            (Some(_), None) if has_margins => RefundsBefore::NoneInSlot,
            (last, _) => RefundsBefore::Exactly(last),
        };
        if matches!(before, RefundsBefore::Exactly(_)) {
            self.limits.iter_mut().filter_map(|limit| limit.refund.as_mut()).for_each(|refund| refund.at_most = None);
        }
        let number = id.beside(seen);
        // By chance it may be the last one's, and would then hold twice.
        let number = if Some(number) == image.refunds.last { number.checked_add(1).unwrap_or(0) } else { number };
        self.refund = Some(RefundStamp { mark: RefundMark { number, slot }, before });
        self
    }
}
