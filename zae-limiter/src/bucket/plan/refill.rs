//! The write that brings a bucket up to date and takes nothing, for an aggregator.
//!
//! It is the plan of an acquire without a cost: what was gained is credited, a balance above a lowered ceiling is cut,
//! and a quota is restored if its period has begun. For limits that change with time it also renews the stamp until
//! which Python clients write without a look at the schedule, as any write does that moves the refill instant.
//!
//! A session that nobody has begun is left to its first user. The stamp of a bucket about which nothing changes with
//! time is left alone: only a client can know why it is there.

use super::{Goal, limit, watch, wcu_credit};
use crate::{
    bucket::{
        image::{Basis, Image},
        leftovers::Enabled,
        lifetime::Lifetime,
        plan::limit::{LimitPlan, RefillInstant},
        write::{BucketWrite, Validity},
    },
    model::limit::MAX_LIMITS,
};

/// Computes the write that brings all limits of `image` up to `now` (epoch ms) on a bucket of `shards` shards; `None`
/// when nothing would change, or nobody can take anything.
pub(crate) fn refill(image: &Image, shards: u32, now: i64) -> Option<BucketWrite> {
    if image.disabled || now <= image.refill_at(now) {
        return None;
    }
    let parts = limit::parts(image, &goal(shards, now));
    let wcu_credit = wcu_credit(image, now);
    let gains = |part: &LimitPlan<'_>| !part.wanted.is_quota() && part.balance.tokens > stored(part);
    if wcu_credit == 0 && !parts.iter().any(|part| gains(part) || overdue(part)) {
        return None;
    }
    Some(BucketWrite {
        expect_refill: Some(image.last_refill),
        expect_shards: image.shard_count,
        expect_incarnation: None,
        expect_valid: validity(image, &parts, now),
        expect_enabled: Enabled::Yes,
        bypass: None,
        remove: Vec::new(),
        // Nothing is taken here, so that the lifetime says nothing.
        limits: parts
            .iter()
            .filter_map(|part| part.write(RefillInstant::Moves, None, (image, image.shards().max(shards)), now))
            .take(MAX_LIMITS)
            .collect(),
        set_refill: Some(now),
        advance: None,
        wcu_credit,
        set_ttl: None,
        expect_ttl: None,
        set_watch: watch(image, Some(now), now),
        set_owner: None,
        refund: None,
        ladder: None,
        set_shared: None,
        set_shards: None,
    })
}

/// Returns true if a limit of `image` holds more than it may, or belongs into a period that has begun since.
pub(crate) fn is_overdue(image: &Image, shards: u32, now: i64) -> bool {
    !image.disabled && limit::parts(image, &goal(shards, now)).iter().any(overdue)
}

fn overdue(part: &LimitPlan<'_>) -> bool {
    match part.balance.basis {
        Basis::Restored => true,
        Basis::Unopened => false,
        _ => part.balance.tokens < stored(part),
    }
}

fn stored(part: &LimitPlan<'_>) -> i64 {
    part.stored.and_then(|stored| stored.tokens).unwrap_or(0)
}

fn goal<'a>(shards: u32, now: i64) -> Goal<'a> {
    Goal { limits: &[], take: &[], adjust: &[], shards, ttl: Lifetime::AsIs, owner: None, soft_until: None, now }
}

fn validity(image: &Image, parts: &[LimitPlan<'_>], now: i64) -> Validity {
    let seen = image.valid_until;
    let boundary = parts.iter().filter_map(LimitPlan::boundary).min();
    match boundary.filter(|_| image.is_timed()) {
        Some(until) => Validity::Renewed { seen, until: Some(until) },
        None if seen.is_some_and(|seen| seen <= now) => Validity::Renewed { seen, until: seen },
        None => Validity::AbsentOrAfter(now),
    }
}
