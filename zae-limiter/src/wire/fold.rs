//! The write that makes shard 0 the whole bucket.
//!
//! Shard 0 is the only item that says how many shards there are. So one conditional write ends the division: the count
//! becomes one, and with it the capacity and the refill are whole again. What the other shards held is added in the
//! same write; their items go in the same transaction, or before it
//! ([`Repository::fold_bucket`](crate::Repository::fold_bucket)), so at no moment do both count.
//!
//! The write adds to the balance and does not set it, as a neighbour may take from shard 0 meanwhile. It expects that
//! shard 0 was neither refilled nor refunded since it was read, because the gain was computed from that.

use super::{
    bucket::{REFILL, SHARDS, TTL, VALID_UNTIL, fraction_attr, refunded_attr},
    keys,
};
use crate::{
    bucket::image::Image,
    model::name::{LimitName, WCU},
    wire::expression::{Expression, ExpressionBuilder},
};

/// The new state of one limit of shard 0.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    /// The limit.
    pub(crate) name: &'a LimitName,
    /// Its balance as it was read, in mt.
    pub(crate) stored: i64,
    /// The amount it is given, in mt; negative where a shard was in debt.
    pub(crate) gain: i64,
    /// Set where it is a quota.
    pub(crate) quota: Option<QuotaFold>,
    /// The first instant at which something about it changes by itself, in epoch ms; 0 where the next use changes it.
    pub(crate) boundary: Option<i64>,
}

/// The state of a quota that all shards together were granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaFold {
    /// Topped up in the running period, in mt; 0 for nothing.
    pub(crate) topped_up: i64,
    /// The number of resets by hand.
    pub(crate) resets_by_hand: i64,
    /// The start of the running window, of a session quota.
    pub(crate) window: Option<i64>,
}

/// Sets the count to one and the refill instant to `now`, and adds what is given, unless shard 0 was refilled or
/// refunded since `image`, and makes its `ttl` longer where one is given (what is owed must be paid by then); what was
/// taken from it meanwhile stays taken. The reserved limit is filled up: reference clients shard a bucket that runs
/// short of it.
pub(crate) fn encode(image: &Image, shares: &[Share<'_>], ttl: Option<i64>, now: i64) -> Expression {
    let mut e = ExpressionBuilder::for_limits(shares.len());
    let (refill, count) = (e.name(REFILL), e.name(SHARDS));
    e.set(&refill, now.max(image.last_refill));
    e.set(&count, 1);
    e.expect(&refill, Some(image.last_refill));
    e.expect(&count, image.shard_count.map(i64::from));
    for share in shares {
        let balance = e.name(keys::bucket_attr(share.name.as_str(), "tk"));
        e.compare(&balance, "<=", share.stored);
        e.add(&balance, share.gain);
        if share.gain > 0 {
            // As a refund does, it goes in below what is still held.
            let refunded = e.name(refunded_attr(share.name.as_str()));
            e.add(&refunded, share.gain);
        }
        let fraction = e.name(fraction_attr(share.name.as_str()));
        e.remove(&fraction);
        if let Some(quota) = share.quota {
            let attribute = |field| keys::bucket_attr(share.name.as_str(), field);
            let (count, topped_up) = (e.name(attribute("gc")), e.name(attribute("tu")));
            e.set(&count, 1);
            e.set_or_remove(&topped_up, (quota.topped_up > 0).then_some(quota.topped_up));
            if let Some(window) = quota.window {
                for field in ["ws", "wa"] {
                    let name = e.name(attribute(field));
                    e.set(&name, window);
                }
                let mark = e.name(attribute("wtc"));
                e.remove(&mark);
            }
            if quota.resets_by_hand > 0 {
                let by_hand = e.name(attribute("rn"));
                e.set(&by_hand, quota.resets_by_hand);
            }
        }
    }
    if shares.iter().any(|share| share.boundary.is_some()) {
        // The refill instant moves over a reset, or up to one.
        let valid = e.name(VALID_UNTIL);
        let next = shares.iter().filter_map(|share| share.boundary).min();
        e.expect(&valid, image.valid_until);
        e.set_or_remove(&valid, next);
    }
    if let Some(ttl) = ttl {
        let name = e.name(TTL);
        e.set(&name, ttl);
        e.compare(&name, "<=", ttl);
    }
    if let Some(wcu) = image.wcu {
        let name = e.name(keys::bucket_attr(WCU, "tk"));
        e.set(&name, wcu.capacity());
    }
    e.finish()
}

/// The condition that a further shard still is as `image` shows it; `None`: that there is no such bucket.
pub(crate) fn encode_unchanged(image: Option<&Image>) -> Expression {
    let mut e = ExpressionBuilder::for_limits(image.map_or(1, |image| image.limits.len()));
    let refill = e.name(REFILL);
    e.expect(&refill, image.map(|image| image.last_refill));
    for limit in image.iter().flat_map(|image| &image.limits) {
        let balance = e.name(keys::bucket_attr(limit.name.as_str(), "tk"));
        e.expect(&balance, limit.tokens);
    }
    e.finish()
}
