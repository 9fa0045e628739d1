//! Limits as full buckets store them, and goals that name little: the tests of this room begin with these.

use crate::bucket::{
    image::LimitImage,
    kind::AppliedLimit,
    lifetime::Lifetime,
    plan::Goal,
    quota::stored::{StoredQuota, StoredSchedule},
};

/// A limit as a full bucket stores it right after its creation.
pub(super) fn full(limit: &AppliedLimit) -> LimitImage {
    LimitImage {
        name: limit.name.clone(),
        tokens: Some(limit.kind.ceiling()),
        params: limit.kind.stored(),
        fraction: 0,
        refunded: None,
        soft: None,
        consumed: Some(0),
        quota: StoredQuota::new(&limit.kind, 1),
        schedule: StoredSchedule::new(&limit.kind),
    }
}

/// Takes `take` from `limits` of a bucket with one shard; nothing else is known or wanted.
pub(super) fn taking<'a>(limits: &'a [AppliedLimit], take: &'a [i64], now: i64) -> Goal<'a> {
    Goal { limits, take, adjust: &[], shards: 1, ttl: Lifetime::AsIs, owner: None, soft_until: None, now }
}
