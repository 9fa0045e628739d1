//! Updates to a bucket that exists: a [`BucketWrite`] as an update, and a limit's removal.
//!
//! The plain plan of the second row of [`bucket`](crate::bucket)'s example, 50 000 mt of `rpm` at 6 000, becomes:
//!
//! ```text
//! condition  attribute_exists(rf) AND shard_count = :0
//!            AND attribute_not_exists(disabled) AND attribute_not_exists(bypass)
//!            AND (attribute_not_exists(vu) OR vu > :1)
//!            AND b_rpm_tk >= :2 AND b_rpm_tk <= :3
//!            AND b_rpm_cp = :5 AND b_rpm_ra = :5 AND b_rpm_rp = :6
//! update     ADD b_rpm_tk :4, b_rpm_tc :2
//! values     :0 1   :1 6000   :2 50000   :3 90000   :4 -50000   :5 100000   :6 60000
//! ```
//!
//! `ADD` and not `SET` for balances, so that plain writes of several processes add up. Parameters are compared although
//! nothing here changes them: `:3` was computed from them. A *credited* plan compares `rf` with a value and sets it, a
//! *set* plan compares `tk` and sets that too.
//!
//! The order of clauses is fixed, so equal writes are equal requests.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    AHEAD, BYPASS, CASCADE, DISABLED, INCARNATION, LAST_REFUND, REFILL, REFUND_SLOTS, SHARDS, TTL, VALID_UNTIL,
    fraction_attr, ladder::shared, quota, refunded_attr, s, stamp_value, watch_text,
};
use crate::{
    bucket::{
        image::{LimitImage, StoredParams},
        leftovers::Enabled,
        refund_stamp::{RefundMark, RefundStamp, RefundsBefore},
        write::{BucketWrite, LimitWrite, OwnerWrite, TokenWrite, Validity},
    },
    model::name::WCU,
    wire::{
        expression::{Expression, ExpressionBuilder},
        keys,
        owner::{self, PARENT},
        values::n,
    },
};

/// One limit's part.
///
/// Added balances have one bound or two, set ones their old value. Parameters are compared with what was seen, also
/// where they are changed. The counter of consumption is added to, whatever the balance does: it is what the change
/// stream is read by.
fn limit(e: &mut ExpressionBuilder, limit: &LimitWrite) {
    let attribute = |field| keys::bucket_attr(limit.name.as_str(), field);
    let tokens = e.name(attribute("tk"));
    match limit.tokens {
        TokenWrite::Add { delta, at_least, at_most } => {
            if let Some(least) = at_least {
                e.compare(&tokens, ">=", least);
            }
            e.compare(&tokens, "<=", at_most);
            e.add(&tokens, delta);
        }
        TokenWrite::Keep => {}
        TokenWrite::Set { to, from } => {
            match from {
                // Balances are read within 64 bits; what is stored may lie beyond.
                Some(from @ (i64::MIN | i64::MAX)) => {
                    e.compare(&tokens, if from < 0 { "<=" } else { ">=" }, from);
                }
                from => e.expect(&tokens, from),
            }
            e.set(&tokens, to);
        }
        TokenWrite::Fill { to } => e.set(&tokens, to),
    }
    // The counter exists on every limit that was ever written, also when nothing is consumed.
    if limit.consumed != 0 || limit.set_params.is_some() {
        let consumed = e.name(attribute("tc"));
        e.add(&consumed, limit.consumed);
    }
    let stored = limit.expect_params;
    let wanted = limit.set_params;
    for (field, stored, wanted) in [
        ("cp", stored.capacity, wanted.and_then(|p| p.capacity)),
        ("ra", stored.refill, wanted.and_then(|p| p.refill)),
        ("rp", stored.period, wanted.and_then(|p| p.period)),
    ] {
        let wanted = wanted.filter(|wanted| stored != Some(*wanted));
        // If none of them is stored, one condition speaks for all: expressions are short of room.
        let expected = limit.expect_params != StoredParams::default() || field == "cp";
        if !expected && wanted.is_none() {
            continue;
        }
        let name = e.name(attribute(field));
        if expected {
            e.expect(&name, stored);
        }
        if let Some(wanted) = wanted {
            e.set(&name, wanted);
        }
    }
    if let Some(refund) = limit.refund {
        let name = e.name(refunded_attr(limit.name.as_str()));
        if let Some(most) = refund.at_most {
            e.compare(&name, "<=", most);
        }
        e.add(&name, refund.add);
    }
    if let Some(soft) = limit.soft {
        let name = e.name(attribute("soft"));
        e.expect(&name, soft.expect.map(stamp_value));
        if let Some(until) = soft.set {
            e.set_or_remove(&name, until);
        }
    }
    if limit.expect_fraction.is_none() && limit.set_fraction.is_none() {
        return;
    }
    let name = e.name(fraction_attr(limit.name.as_str()));
    if let Some(fraction) = limit.expect_fraction {
        e.expect(&name, Some(fraction));
    }
    if let Some(fraction) = limit.set_fraction {
        e.set_or_remove(&name, (fraction != 0).then_some(fraction));
    }
}

/// Turns a write into an update. The expression is empty when there is nothing to change.
///
/// The conditions that every write has are those that cost nothing to state and would each be a wrong write without:
/// the item is a bucket (`rf` exists or is as it was), it has the shards that the numbers were divided by, nobody has
/// switched it off or lets it be bypassed, and no newer client claims it (`vu`).
pub(crate) fn encode_update(write: &BucketWrite) -> Expression {
    let mut e = ExpressionBuilder::for_limits(write.limits.len());
    let refill = e.name(REFILL);
    match write.expect_refill {
        Some(at) => e.expect(&refill, Some(at)),
        // Whatever it is, it must be there: an item without it is no bucket.
        None => e.expect_some(&refill),
    }
    let shards = e.name(SHARDS);
    e.expect(&shards, write.expect_shards.map(i64::from));
    // These two are stamped onto buckets without anything else that would stop a plain write.
    if write.expect_enabled == Enabled::Yes {
        let disabled = e.name(DISABLED);
        e.expect(&disabled, None::<i64>);
    }
    if let Some(stamp) = write.bypass {
        let bypass = e.name(BYPASS);
        e.expect(&bypass, stamp.expect.map(stamp_value));
        if let Some(until) = stamp.set {
            e.set_or_remove(&bypass, until);
        }
    }
    for leftover in &write.remove {
        let name = e.name(leftover.attribute.clone());
        e.expect(&name, Some(AttributeValue::N(leftover.value.clone())));
        e.remove(&name);
    }
    let valid = e.name(VALID_UNTIL);
    match write.expect_valid {
        Validity::AbsentOrAfter(now) => e.absent_or(&valid, ">", now),
        Validity::Expired(stamp) => {
            e.expect(&valid, Some(stamp));
            e.remove(&valid);
        }
        Validity::Renewed { seen, until } => {
            e.expect(&valid, seen);
            e.set_or_remove(&valid, until);
        }
    }
    if let Some(incarnation) = &write.expect_incarnation {
        let name = e.name(INCARNATION);
        e.expect(&name, incarnation.as_ref().map(|incarnation| s(incarnation.to_string())));
    }
    if let Some(at) = write.set_refill {
        e.set(&refill, at);
    }
    for part in &write.limits {
        limit(&mut e, part);
    }
    quota::update(&mut e, write);
    shared(&mut e, write, &refill);
    if write.wcu_credit != 0 {
        let name = e.name(keys::bucket_attr(WCU, "tk"));
        e.add(&name, write.wcu_credit);
    }
    if let Some(ttl) = write.set_ttl {
        let name = e.name(TTL);
        if let Some(ttl) = ttl {
            // A neighbour may know of a deeper debt.
            e.absent_or(&name, "<=", ttl);
        }
        e.set_or_remove(&name, ttl);
    }
    if let Some(shortest) = write.expect_ttl {
        let name = e.name(TTL);
        e.absent_or(&name, ">=", shortest);
    }
    if let Some(watch) = write.set_watch {
        let name = e.name(AHEAD);
        e.set_or_remove(&name, watch.map(|watch| s(watch_text(watch))));
    }
    if let Some(owner) = &write.set_owner {
        set_owner(&mut e, owner);
    }
    if let Some(refund) = write.refund {
        stamp(&mut e, refund);
    }
    e.finish()
}

/// Puts a refund's number on the item, unless it or a later one of the same slot is there.
fn stamp(e: &mut ExpressionBuilder, refund: RefundStamp) {
    let RefundMark { number, slot } = refund.mark;
    let last = e.name(LAST_REFUND);
    let slot = slot.map(|slot| e.name(REFUND_SLOTS[usize::from(slot)]));
    match refund.before {
        RefundsBefore::Exactly(seen) => e.expect(&last, seen),
        RefundsBefore::SmallerInSlot => slot.iter().for_each(|slot| e.compare(slot, "<", number)),
        RefundsBefore::NoneInSlot => slot.iter().for_each(|slot| e.expect(slot, None::<i64>)),
    }
    e.set(&last, number);
    slot.iter().for_each(|slot| e.set(slot, number));
}

/// The condition that a bucket's first item counts `shards` shards.
pub(crate) fn encode_counted(shards: u32) -> Expression {
    let mut e = ExpressionBuilder::for_limits(1);
    let (refill, count) = (e.name(REFILL), e.name(SHARDS));
    e.expect_some(&refill);
    e.expect(&count, Some(i64::from(shards)));
    e.finish()
}

/// Copies the owner's facts, unless somebody else has since: all of them together, or none.
fn set_owner(e: &mut ExpressionBuilder, write: &OwnerWrite) {
    let OwnerWrite { to, from } = write;
    let (incarnation, generation) = (e.name(owner::INCARNATION), e.name(owner::GENERATION));
    e.expect(&incarnation, from.as_ref().map(|from| s(&*from.incarnation)));
    if let Some(from) = from {
        match from.generation {
            // Also what older clients have not counted.
            0 => e.absent_or(&generation, "=", 0),
            counted => e.expect(&generation, Some(counted)),
        }
    }
    let (cascade, parent) = (e.name(CASCADE), e.name(PARENT));
    e.set(&cascade, AttributeValue::Bool(to.cascade));
    e.set_or_remove(&parent, to.parent.as_deref().map(s));
    if let Some(stamp) = &to.stamp {
        e.set(&incarnation, s(&*stamp.incarnation));
        e.set(&generation, stamp.generation);
    }
}

/// Takes `limit` off its bucket, unless somebody consumed from it or was refunded since the image.
///
/// For a limit that no longer applies. The counter stands for "nobody used it": every write that takes from a limit or
/// gives back moves it.
pub(crate) fn encode_removal(limit: &LimitImage) -> Expression {
    let name = limit.name.as_str();
    let mut e = ExpressionBuilder::for_limits(1);
    let fields = ["tk", "cp", "ra", "rp", "soft"].into_iter().chain(quota::FIELDS);
    let fields = fields.map(|field| keys::bucket_attr(name, field));
    for attribute in fields.chain([fraction_attr(name), refunded_attr(name)]) {
        let attribute = e.name(attribute);
        e.remove(&attribute);
    }
    let consumed = e.name(keys::bucket_attr(name, "tc"));
    e.remove(&consumed);
    e.expect_item();
    e.expect(&consumed, limit.consumed.map(n));
    e.finish()
}
