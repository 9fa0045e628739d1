//! The bucket that a top-up creates where there is none.

use crate::{
    bucket::{
        MILLI,
        image::{Image, LimitImage, WcuImage},
        incarnation::Incarnation,
        limit_set::LimitSet,
        quota::stored::{StoredQuota, StoredSchedule},
        stamp::{STAMP_MS, TimedStamp},
    },
    model::name::LimitName,
};

/// A bucket that begins with a top-up at `now` (epoch ms): full, and its quotas hold `credits` (whole tokens) on top.
pub(crate) fn opened(limit_set: &LimitSet, credits: &[(LimitName, i64)], incarnation: Incarnation, now: i64) -> Image {
    let until = now.saturating_add(STAMP_MS);
    let limits = limit_set.limits.iter().zip(&limit_set.applied).map(|(limit, applied)| {
        let credit = credits.iter().find(|(name, _)| *name == applied.name && applied.kind.is_quota());
        let credit = credit.map(|(_, tokens)| tokens.saturating_mul(MILLI));
        LimitImage {
            name: applied.name.clone(),
            tokens: Some(applied.kind.at(now).ceiling().saturating_add(credit.unwrap_or(0))),
            params: applied.kind.stored(),
            fraction: 0,
            refunded: None,
            soft: limit.is_soft().then_some(TimedStamp::Until(until)),
            consumed: Some(0),
            quota: StoredQuota::new(&applied.kind, 1).map(|quota| StoredQuota { topped_up: credit, ..quota }),
            schedule: StoredSchedule::new(&applied.kind),
        }
    });
    let kinds = || limit_set.applied.iter().map(|limit| &limit.kind);
    // A top-up lasts until its period ends, and so does the bucket.
    let ends = kinds().filter_map(|kind| kind.resets()?.next(now)).max();
    let full = ends.map_or(0, |end| end.saturating_sub(now));
    Image {
        last_refill: now,
        shard_count: Some(1),
        ttl: limit_set.lifetime.end(full, now),
        valid_until: kinds().filter_map(|kind| kind.next_boundary(now)).min(),
        owner: limit_set.owner.clone(),
        bypass: limit_set.bypassed.then_some(TimedStamp::Until(until)),
        incarnation: Some(incarnation),
        limits: limits.collect(),
        wcu: Some(WcuImage::full()),
        ..Image::default()
    }
}
