//! The effect of one write on a bucket: pure arithmetic from an image, no I/O.
//!
//! Time that passes while a bucket is full must not be credited later. With `a` gained since the image's refill,
//! leaving the credit for later is exact only while balance + a stays within the ceiling. So each write does one of
//! three things to each limit:
//!
//! - **plain**: nothing is credited; only while balance + a is within the ceiling;
//! - **credited**: `a` is added and the refill instant moves;
//! - **set**: the balance is set to what it must be (full, or new parameters), on the condition that it is still what
//!   it was.
//!
//! Limits of an item share one refill instant, so when one of them has to move it, all others are credited in the same
//! write. Every number that went into a write is also a condition of it.
//!
//! # Why the conditions suffice
//!
//! Let the write be carried out at some later instant than `now`, on an item with `tk′` and `rf′`. It counts as done at
//! `now`: a grant that is decided at `now` and stored a little later takes nothing that was not there at `now`.
//!
//! - *Plain.* `rf′` is not a condition. If a neighbour has credited since, `rf′ ≥ rf` (instants move backwards only to
//!   repair a far one, see [`watch`](super::watch)), and what the limit gained since `rf′` is at most the planned `a`
//!   (rounded up). So tk′ ≤ C − a implies that the limit has not been full since `rf′`, and whoever credits later may
//!   count all of that time. tk′ ≥ cost implies that the tokens are there, without what is not credited yet.
//! - *Credited.* `rf′ = rf`, so `a` is exactly what is to be credited, once. tk′ ≤ C − a says that all of it has room.
//!   tk′ ≥ cost − a says that balance and credit cover the cost.
//! - *Set.* `rf′ = rf` and tk′ = tk: the item is the image. Whatever value is written is computed from the truth.
//!
//! The shard count is a condition of all three, because it divides C and r; so are the stored parameters, because a
//! change of them by a neighbour makes `a` another number.
//!
//! # Refunds and debts in the same write
//!
//! Settlements ride along. A refund of b is added to the balance and lowers the upper bound by b, so that the balance
//! never passes the ceiling; where it would, the limit is *set*, and what does not fit is gone, as it would be if the
//! bucket had refilled. More consumption is taken whatever the balance, down to the debt that the lifetime allows: the
//! work is done. In a write with both, asks are served from what is there after the adjustments.
//!
//! # Which limits a write names
//!
//! All that apply, so that their parameters are brought in line; those on the item that no longer apply, if the refill
//! instant moves or something is owed to them, or their time would be lost. An untouched limit that is full does not
//! make a write *set*: it is left alone while nothing moves.

mod limit;
mod refill;
mod timed;

pub(crate) use refill::{is_overdue, refill};

use crate::{
    bucket::{
        Accrual,
        image::{Balance, Image},
        kind::AppliedLimit,
        leftovers::{Enabled, leftovers},
        lifetime::{Lifetime, Renewal, needed},
        owner::Owner,
        plan::limit::{LimitPlan, RefillInstant, parts},
        refund::Booking,
        stamp::{Occasion, StampWrite},
        watch::Watch,
        write::{BucketWrite, OwnerWrite, Validity},
    },
    model::{limit::MAX_LIMITS, name::LimitName},
};

/// The intended effect of a write.
#[derive(Clone, Debug)]
pub(crate) struct Goal<'a> {
    /// The limits that apply.
    pub(crate) limits: &'a [AppliedLimit],
    /// Amount to take from each of `limits` if there is enough, in mt.
    pub(crate) take: &'a [i64],
    /// Settlements to book whatever the balance.
    pub(crate) adjust: &'a [Booking],
    /// Number of shards that the bucket is known to have; a shard's own item may lag behind.
    pub(crate) shards: u32,
    /// The item's lifetime.
    pub(crate) ttl: Lifetime,
    /// The owner's facts, where they are known.
    pub(crate) owner: Option<&'a Owner>,
    /// The end of new stamps of soft limits, in epoch ms; `None` if `limits` are not those of the configuration.
    pub(crate) soft_until: Option<i64>,
    /// Now, in epoch ms.
    pub(crate) now: i64,
}

impl Goal<'_> {
    /// Returns the total to take from a limit, in mt; negative when more is given back.
    pub(crate) fn out(&self, name: &LimitName) -> i64 {
        let taken = self.limits.iter().zip(self.take).find(|(limit, _)| limit.name == *name);
        let booked = self.adjust.iter().find(|booking| booking.name == *name);
        taken.map_or(0, |(_, take)| *take).saturating_add(booked.map_or(0, |booking| booking.out))
    }
}

/// Computes the write that achieves `goal` on the item of `image`, admission already decided (by [`balances`]).
pub(crate) fn plan(image: &Image, goal: &Goal<'_>) -> BucketWrite {
    let parts = parts(image, goal);
    let shards = goal.shards.max(image.shards());
    let expired = image.valid_until.filter(|until| *until <= goal.now);
    let timed = image.is_timed() || parts.iter().any(|part| part.wanted.is_timed());
    // Python clients look at what changes with time when the stamp tells them to.
    let boundary = parts.iter().filter_map(LimitPlan::boundary).min();
    let unstamped = timed && image.valid_until.is_none() && boundary.is_some();
    let moving = expired.is_some() || unstamped || parts.iter().any(|part| !part.plain());
    let instant = if moving { RefillInstant::Moves } else { RefillInstant::Stays };
    let refunds = goal.adjust.iter().any(|booking| booking.consumed < 0 || booking.out < 0);
    // Only forward: a neighbour whose clock is ahead has spent that time already. Unless it is too far ahead to be
    // believed.
    let set_refill = (moving && goal.now > image.refill_at(goal.now)).then_some(goal.now);
    let full = parts.iter().map(|part| part.full_in(instant)).max().unwrap_or(0);
    let renewal = if moving { Renewal::Eager } else { Renewal::Lazy };
    let set_ttl = goal.ttl.of_shards(shards).renewed(image.ttl, full, goal.now, renewal);
    let ttl = set_ttl.unwrap_or(image.ttl);
    let in_debt = parts.iter().any(|part| part.left() < 0);
    let kept = set_ttl.is_none() && in_debt && ttl.is_some();
    BucketWrite {
        expect_refill: moving.then_some(image.last_refill),
        expect_shards: image.shard_count,
        expect_incarnation: refunds.then(|| image.incarnation.clone()),
        expect_valid: match expired {
            _ if timed && moving => Validity::Renewed { seen: image.valid_until, until: boundary },
            Some(expired) => Validity::Expired(expired),
            None => Validity::AbsentOrAfter(goal.now),
        },
        expect_enabled: if goal.take.iter().any(|take| *take > 0) { Enabled::Yes } else { Enabled::Any },
        bypass: (!goal.limits.is_empty()).then_some(StampWrite { expect: image.bypass, set: None }),
        remove: leftovers(image, goal),
        // Those that apply come first. Of very many that no longer do, some gain nothing while the instant moves.
        limits: parts
            .iter()
            .filter_map(|part| part.write(instant, ttl, (image, shards), goal.now))
            .take(MAX_LIMITS)
            .collect(),
        set_refill,
        advance: None,
        wcu_credit: if moving { wcu_credit(image, goal.now) } else { 0 },
        set_ttl,
        expect_ttl: kept.then(|| needed(full, goal.now)),
        set_watch: watch(image, set_refill, goal.now),
        refund: None,
        ladder: None,
        set_shared: None,
        set_shards: None,
        set_owner: owner(image, goal),
    }
}

/// Returns the owner's facts to copy. Not where anything is taken off the bucket, which leaves no room in the
/// condition: the next write does it.
fn owner(image: &Image, goal: &Goal<'_>) -> Option<OwnerWrite> {
    let owner = goal.owner.filter(|owner| owner.replaces(&image.owner) && leftovers(image, goal).is_empty())?;
    Some(OwnerWrite { to: owner.clone(), from: image.owner.stamp.clone() })
}

/// Returns true if the write of `goal` would set or remove the stamp of a soft limit that is wrong or over.
pub(crate) fn restamps(image: &Image, goal: &Goal<'_>) -> bool {
    parts(image, goal).iter().any(|part| part.restamp(Occasion::Needed).is_some_and(|stamp| stamp.set.is_some()))
}

/// Returns true if a plan with this `take` only adds to the balances of the limits it takes from, so that it fails by
/// its own conditions when there is not enough.
pub(crate) fn guards_itself(image: &Image, goal: &Goal<'_>) -> bool {
    parts(image, goal).iter().all(|part| part.take == 0 || !part.is_set())
}

/// Returns the balance of each limit that applies, with the adjustments booked and nothing taken.
pub(crate) fn balances(image: &Image, goal: &Goal<'_>) -> Vec<Balance> {
    let parts = parts(image, goal);
    let applying = parts.iter().filter(|part| part.applies);
    applying
        .map(|part| {
            let tokens = part.balance.tokens.saturating_sub(part.adjust).min(part.balance.ceiling());
            Balance { tokens, ..part.balance.clone() }
        })
        .collect()
}

/// Computes the gain of the reserved limit. It is refilled so that clients of the reference that share the bucket never
/// see it run dry. We never charge it and it decides nothing, so no condition guards it.
fn wcu_credit(image: &Image, now: i64) -> i64 {
    let Some(wcu) = image.wcu else { return 0 };
    let gained = Accrual::between(wcu.params, image.refill_at(now), now, 0).whole;
    gained.min(wcu.params.capacity.saturating_sub(wcu.tokens)).max(0)
}

/// Decides the fate of the note that the refill instant lies too far ahead.
fn watch(image: &Image, set_refill: Option<i64>, now: i64) -> Option<Option<Watch>> {
    match image.to_watch(now) {
        Some(watch) => Some(Some(watch)),
        None => (image.watch.is_some() && set_refill.is_some()).then_some(None),
    }
}
