//! Spreading a top-up over the shards of a bucket, in whole tokens.

use std::collections::BTreeMap;

/// Parts of `total` in proportion to `weights`, rounded down; the lowest shard has the rest.
pub(super) fn by_weight(total: i64, weights: &BTreeMap<u32, i64>) -> BTreeMap<u32, i64> {
    let mut parts = proportional(total, weights);
    let rest = total.saturating_sub(parts.values().sum());
    if let Some(first) = parts.values_mut().next() {
        *first = first.saturating_add(rest);
    }
    parts
}

/// Parts of `total` in proportion to the `room` of each shard, rounded down, and none of them larger than it; what is
/// left goes to the lowest shards that have room for it.
pub(super) fn by_room(total: i64, room: &BTreeMap<u32, i64>) -> BTreeMap<u32, i64> {
    let sum: i128 = room.values().map(|room| i128::from(*room)).sum();
    let total = i64::try_from(i128::from(total).min(sum)).unwrap_or(total);
    let mut parts = proportional(total, room);
    let mut rest = total.saturating_sub(parts.values().sum());
    for (shard, part) in &mut parts {
        let more = rest.min(room[shard].saturating_sub(*part));
        *part += more;
        rest -= more;
    }
    parts
}

fn proportional(total: i64, weights: &BTreeMap<u32, i64>) -> BTreeMap<u32, i64> {
    let sum: i128 = weights.values().map(|weight| i128::from(*weight)).sum();
    let part = |weight: i64| i64::try_from(i128::from(total) * i128::from(weight) / sum.max(1)).unwrap_or(0);
    weights.iter().map(|(shard, weight)| (*shard, part(*weight))).collect()
}
