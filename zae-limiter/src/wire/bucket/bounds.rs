//! The largest set of limits is what DynamoDB's bounds on expressions leave room for.

use super::encode_update;
use crate::{
    bucket::{
        image::{Image, LimitImage, StoredParams},
        kind::{AppliedLimit, Enforcement},
        lifetime::Lifetime,
        owner::{Owner, OwnerStamp},
        plan::{Goal, plan},
        refund::Booking,
        refund_stamp::{Neighbours, RefundId},
        write::BucketWrite,
    },
    model::{limit::MAX_LIMITS, name::LimitName},
};

const MAX_OPERATORS: usize = 300;
const MAX_BYTES: usize = 4_096;

/// The write that says most about each limit: all are taken from and credited, carry a fraction and are refunded, and
/// the lifetime and the owner's facts are renewed.
fn fullest(limits: usize) -> BucketWrite {
    let enforcement = Enforcement::Hard;
    let kind = |index: i64| {
        let [capacity, refill, period] = [1_000_000_001, 1_000_000_101, 60_007].map(|least| Some(least + index));
        StoredParams { capacity, refill, period }.kind().unwrap()
    };
    let name = |index: i64| LimitName::new(format!("l{}{index:03}", "x".repeat(60))).unwrap();
    let count = i64::try_from(limits).unwrap();
    let wanted: Vec<_> =
        (0..count).map(|index| AppliedLimit { name: name(index), kind: kind(index), enforcement }).collect();
    let stored = wanted.iter().map(|limit| LimitImage {
        name: limit.name.clone(),
        tokens: Some(500_000_000),
        params: limit.kind.stored(),
        fraction: 7,
        refunded: Some(1_000_000_007),
        soft: None,
        consumed: Some(0),
        quota: None,
        schedule: None,
    });
    let image = Image {
        last_refill: 1_767_225_600_000,
        shard_count: Some(1),
        incarnation: Some("a".into()),
        limits: stored.collect(),
        owner: Owner { stamp: Some(OwnerStamp { incarnation: "b".into(), generation: 0 }), ..Owner::default() },
        ..Image::default()
    };
    let owner = Owner { stamp: Some(OwnerStamp { incarnation: "c".into(), generation: 1 }), ..Owner::default() };
    let take: Vec<i64> = (0..count).map(|index| 600_000_000 + index).collect();
    let adjust: Vec<_> =
        (0..count).map(|index| Booking { back: 1, out: -1, ..Booking::from((name(index), -1)) }).collect();
    let ttl = Lifetime::Idle { seconds: 420, multiplier: 7 };
    let now = image.last_refill + 10_000;
    let goal = Goal {
        limits: &wanted,
        take: &take,
        adjust: &adjust,
        shards: 1,
        ttl,
        owner: Some(&owner),
        soft_until: None,
        now,
    };
    plan(&image, &goal).stamped(|| RefundId::new(7, now), &image, Neighbours::Some)
}

fn operators(expression: &str) -> usize {
    let signs = ["=", "<=", ">=", "<", ">", "AND", "OR"];
    let words = expression.split([' ', '(', ')', ',']);
    words.filter(|word| signs.contains(word) || word.starts_with("attribute_")).count()
}

#[test]
fn the_largest_set_of_limits_is_all_that_an_expression_has_room_for() {
    // A plan never names more: what it names is counted as it would go on.
    let write = fullest(MAX_LIMITS);
    assert_eq!(write.limits.len(), MAX_LIMITS);
    let largest = encode_update(&write);
    let count = operators(&largest.condition);
    assert!(count <= MAX_OPERATORS, "{count}: {}", largest.condition);
    assert!(operators(&largest.update) <= MAX_OPERATORS, "{}", largest.update);
    assert!(largest.condition.len() <= MAX_BYTES && largest.update.len() <= MAX_BYTES);
    let each = count - operators(&encode_update(&fullest(MAX_LIMITS - 1)).condition);
    assert!(count + each > MAX_OPERATORS, "there is room for one more: {count} and {each}");
}
