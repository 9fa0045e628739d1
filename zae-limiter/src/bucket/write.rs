//! A write of one bucket item as data: its conditions, and its effects.
//!
//! [`plan`](crate::bucket::plan) makes it, [`wire::bucket`](crate::wire::bucket) turns it into an UpdateItem, and
//! nothing in between adds to it. So what a write is allowed to do can be read here, and tests can carry it out on a
//! model of the item instead of on a table.
//!
//! Options say "no condition" or "no change" by `None`. Twice nested ones (`Option<Option<…>>`) are needed where being
//! absent is a value: `Some(None)` expects, or leaves, an attribute that is not there.
//!
//! Under contention a full bucket is the worst case: each writer must set it, so of ten processes nine lose.
//! [`BucketWrite::leaving_room`] ends that by giving up a little. With 100 000 mt a minute it leaves the bucket at 100
//! 000 − 416 − cost (a quarter of a second's gain, less than 1 %): during the next 250 ms all ten can write plainly.

use crate::{
    bucket::{
        advance::Advance,
        bet::Ladder,
        image::{Leftover, StoredParams},
        incarnation::Incarnation,
        kind::Kind,
        leftovers::Enabled,
        owner::{Owner, OwnerStamp},
        quota::stored::{QuotaWrite, StoredSchedule},
        refund_stamp::RefundStamp,
        stamp::StampWrite,
        watch::Watch,
    },
    model::{name::LimitName, schedule::Schedule},
};

/// Bounds the part of a full limit that is given up under contention: the gain of this many ms ...
pub(super) const ROOM_MS: i64 = 250;
/// ... and at most one part in this many of its capacity.
const ROOM_SHARE: i64 = 100;
/// The same, where reserves are filled from it: a lot is many asks, so fewer of them fit into the room of single ones.
const ROOM_SHARE_OF_LOTS: i64 = 20;

/// The writes that a full limit leaves room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Those that take what is asked for.
    ForAsks,
    /// Those that debit ahead of use.
    ForLots,
}

impl Room {
    /// Returns the part of a limit that is given up under contention, in mt.
    pub(crate) fn of(self, share: &Kind) -> i64 {
        let part = match self {
            Self::ForAsks => ROOM_SHARE,
            Self::ForLots => ROOM_SHARE_OF_LOTS,
        };
        share.gain_in(ROOM_MS).min(share.ceiling() / part)
    }
}

/// The balances of a limit that leave room below its ceiling, in mt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WithRoom {
    for_asks: i64,
    for_lots: i64,
}

impl WithRoom {
    /// Computes them; `None` for a limit that gains nothing that would fill it.
    pub(super) fn of(share: &Kind) -> Option<Self> {
        let below = |room: Room| share.ceiling() - room.of(share);
        (!share.is_quota()).then(|| Self { for_asks: below(Room::ForAsks), for_lots: below(Room::ForLots) })
    }

    fn below(self, room: Room) -> i64 {
        match room {
            Room::ForAsks => self.for_asks,
            Room::ForLots => self.for_lots,
        }
    }
}

/// A conditional update of one bucket item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketWrite {
    /// The refill instant must be this one (only when something is computed from it).
    pub(crate) expect_refill: Option<i64>,
    /// The shard count must be this one.
    pub(crate) expect_shards: Option<u32>,
    /// The item must be of this creation (only when something is refunded).
    pub(crate) expect_incarnation: Option<Option<Incarnation>>,
    /// Condition on the validity stamp.
    pub(crate) expect_valid: Validity,
    /// Condition on the switch that lets an operator disable the bucket.
    pub(crate) expect_enabled: Enabled,
    /// The stamp of a bypass; `None` where it does not matter: what is settled was taken before.
    pub(crate) bypass: Option<StampWrite>,
    /// Leftovers to remove because they are over. Their values as seen are a condition.
    pub(crate) remove: Vec<Leftover>,
    /// One entry per limit that the write touches or depends on.
    pub(crate) limits: Vec<LimitWrite>,
    /// The new refill instant.
    pub(crate) set_refill: Option<i64>,
    /// Moves the refill instant relative to where it is.
    pub(crate) advance: Option<Advance>,
    /// Added to the reserved limit, in mt.
    pub(crate) wcu_credit: i64,
    /// The new lifetime: `Some(None)` removes it. A longer one that a neighbour has set is a condition lost.
    pub(crate) set_ttl: Option<Option<i64>>,
    /// The lifetime must not be shorter than this: in debt, a neighbour's would end before it is paid.
    pub(crate) expect_ttl: Option<i64>,
    /// The note that the refill instant lies too far ahead: `Some(None)` removes it.
    pub(crate) set_watch: Option<Option<Watch>>,
    /// The owner's facts, when the copies differ.
    pub(crate) set_owner: Option<OwnerWrite>,
    /// The stamp of a refund.
    pub(crate) refund: Option<RefundStamp>,
    /// Bounds one of which the bucket must be within, for a write that was made for several states of it.
    pub(crate) ladder: Option<Ladder>,
    /// Until when the bucket counts as shared, in epoch ms.
    pub(crate) set_shared: Option<i64>,
    /// The new number of shards.
    pub(crate) set_shards: Option<u32>,
}

impl BucketWrite {
    /// The same write, but a limit that it would leave at its ceiling is left a little below.
    ///
    /// A full limit has to be set by whoever takes from it, on the condition that nobody else did since; so of many
    /// writers only one at a time gets through. Until it is full again they all can write plainly, side by side.
    pub(crate) fn leaving_room(mut self, room: Room) -> Self {
        for limit in self.limits.iter_mut().filter(|limit| limit.set_params.is_none() && limit.consumed != 0) {
            let (TokenWrite::Set { to, .. }, Some(with_room)) = (&mut limit.tokens, limit.with_room) else { continue };
            // Never below nothing: whoever is served is served in full.
            *to = (*to).min(with_room.below(room).saturating_sub(limit.consumed.max(0)).max(0));
        }
        self
    }
}

/// The copy of an owner's facts that a write brings, and the one that it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerWrite {
    /// The new copy.
    pub(crate) to: Owner,
    /// The stamp of the copy as it was seen: a condition.
    pub(crate) from: Option<OwnerStamp>,
}

/// Condition on the validity stamp of newer clients for a write to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// Absent or later than this instant (epoch ms).
    AbsentOrAfter(i64),
    /// Exactly this expired stamp, which the write removes: it has done the pass that the stamp asks for.
    Expired(i64),
    /// Exactly this stamp, or none, in place of which the write puts another: until when no quota is restored.
    Renewed {
        /// The stamp as it was seen.
        seen: Option<i64>,
        /// The new one (`None`: removed).
        until: Option<i64>,
    },
}

/// The effect of a write on one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitWrite {
    /// Its name.
    pub(crate) name: LimitName,
    /// The balance.
    pub(crate) tokens: TokenWrite,
    /// Added to the consumption counter, in mt.
    pub(crate) consumed: i64,
    /// The parameters the numbers were computed from: a condition.
    pub(crate) expect_params: StoredParams,
    /// New parameters.
    pub(crate) set_params: Option<StoredParams>,
    /// The fraction that the numbers were computed from, where there is one: a condition. The refill instant does not
    /// stand for it, because a bucket filled within the ms of its refill loses the fraction and keeps the instant.
    pub(crate) expect_fraction: Option<i64>,
    /// The new fraction: `Some(0)` removes it.
    pub(crate) set_fraction: Option<i64>,
    /// Counted as refunded.
    pub(crate) refund: Option<RefundWrite>,
    /// Its stamp as a soft limit, where something depends on it.
    pub(crate) soft: Option<StampWrite>,
    /// The attributes of a quota.
    pub(crate) quota: QuotaWrite,
    /// The schedule of its parameters.
    pub(crate) schedule: ScheduleWrite,
    /// The balances that leave room below a full limit; `None` where it gains nothing that would fill it.
    pub(crate) with_room: Option<WithRoom>,
}

/// The effect of a write on the schedule of a limit's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScheduleWrite {
    /// The schedule that the numbers were computed from: a condition.
    pub(crate) expect: Option<StoredSchedule>,
    /// The new schedule: `Some(None)` says that there is none.
    pub(crate) set: Option<Option<Schedule>>,
}

/// The effect of a write on the count of refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefundWrite {
    /// Added to the count, in mt.
    pub(crate) add: i64,
    /// The count must not be larger than this; `None` where the stamp of the last refund speaks for it.
    pub(crate) at_most: Option<i64>,
}

/// The effect of a write on a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenWrite {
    /// Adds `delta` if the balance is within the bounds.
    Add {
        /// Added, in mt.
        delta: i64,
        /// The balance must be at least this.
        at_least: Option<i64>,
        /// And at most this.
        at_most: i64,
    },
    /// Leaves it alone, whatever it is.
    Keep,
    /// Sets the balance to `to` if it still is `from` (`None`: absent).
    Set {
        /// The new balance.
        to: i64,
        /// The balance seen.
        from: Option<i64>,
    },
    /// Sets the balance to `to`, where the ladder of the write says that as much was there.
    Fill {
        /// The new balance.
        to: i64,
    },
}
