//! The write that makes shard 0 the whole bucket.

use super::{
    bucket::{REFILL, SHARDS, TTL, fraction_attr, refunded_attr},
    keys,
    values::n,
};
use crate::{
    bucket::image::Image,
    model::name::{LimitName, WCU},
    wire::expression::Expression,
};

/// The new state of one limit of shard 0.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    pub(crate) name: &'a LimitName,
    /// Its balance as it was read, in mt.
    pub(crate) stored: i64,
    /// The amount it is given, in mt; negative where a shard was in debt.
    pub(crate) gain: i64,
}

/// Sets the count to one and the refill instant to `now`, and adds what is given, unless shard 0 was refilled or
/// refunded since `image`, and makes its `ttl` longer where one is given (what is owed must be paid by then); what was
/// taken from it meanwhile stays taken. The reserved limit is filled up: reference clients shard a bucket that runs
/// short of it.
pub(crate) fn encode(image: &Image, shares: &[Share<'_>], ttl: Option<i64>, now: i64) -> Expression {
    let mut sets = vec!["#rf = :now".to_owned(), "#count = :one".to_owned()];
    let mut conditions = vec!["#rf = :rf".to_owned()];
    let (mut gains, mut removals) = (Vec::new(), Vec::new());
    let mut write = Expression::default()
        .name("#rf", REFILL)
        .name("#count", SHARDS)
        .value(":now", n(now.max(image.last_refill)))
        .value(":rf", n(image.last_refill))
        .value(":one", n(1));
    match image.shard_count {
        Some(count) => {
            conditions.push("#count = :count".to_owned());
            write = write.value(":count", n(count));
        }
        None => conditions.push("attribute_not_exists(#count)".to_owned()),
    }
    for (index, share) in shares.iter().enumerate() {
        let (balance, fraction) = (format!("#t{index}"), format!("#f{index}"));
        conditions.push(format!("{balance} <= :s{index}"));
        gains.push(format!("{balance} :g{index}"));
        removals.push(fraction.clone());
        if share.gain > 0 {
            // As a refund does, it goes in below what is still held.
            gains.push(format!("#r{index} :g{index}"));
            write = write.name(&format!("#r{index}"), refunded_attr(share.name.as_str()));
        }
        write = write
            .name(&balance, keys::bucket_attr(share.name.as_str(), "tk"))
            .name(&fraction, fraction_attr(share.name.as_str()))
            .value(&format!(":s{index}"), n(share.stored))
            .value(&format!(":g{index}"), n(share.gain));
    }
    if let Some(ttl) = ttl {
        sets.push("#ttl = :ttl".to_owned());
        conditions.push("#ttl <= :ttl".to_owned());
        write = write.name("#ttl", TTL).value(":ttl", n(ttl));
    }
    if let Some(wcu) = image.wcu {
        sets.push("#wcu = :wcu".to_owned());
        write = write.name("#wcu", keys::bucket_attr(WCU, "tk")).value(":wcu", n(wcu.params.capacity));
    }
    write.update = format!("SET {}", sets.join(", "));
    if !shares.is_empty() {
        write.update.push_str(&format!(" ADD {} REMOVE {}", gains.join(", "), removals.join(", ")));
    }
    write.when(conditions.join(" AND "))
}
