//! Decides which asks of a queue the next write serves, and which are refused: pure decisions over an image.
//!
//! Asks are served in order of arrival, each in full or not at all, and one that does not fit is passed over. So a
//! large ask does not block the small ones behind it; it may wait while they drain the bucket, for as long as its
//! deadline. Serving strictly in order would let one ask for more than refill ever leaves stop the whole queue.
//!
//! | image | asks that fit | the write | asks that do not fit |
//! |---|---|---|---|
//! | any | some | takes for them | stay, and are decided from the answer |
//! | fresh or recent | none | none, but for settlements | refused at once |
//! | stale | none | takes for the first ask | stay, and are decided from the answer |
//!
//! An ask that does not fit beside others is refused because those are served. That is not sure before their write is
//! done: a neighbour may have written since the image was taken, and then the others may be the ones who get nothing,
//! and the time to wait another one.
//!
//! The last row asks a question in the form of a write: if the image is right, its condition fails and the item comes
//! back; if a neighbour has given tokens back meanwhile, the first ask is served. One call, either way. It is only
//! possible where the write would fail by its own conditions; a plan that *sets* a balance would drive it below zero,
//! so then a write that takes nothing brings the bucket up to date.
//!
//! Settlements are booked before asks are served, so a refund in the same write can serve an ask.

use crate::bucket::{
    Amounts, bypass,
    image::{Balance, Image, LimitImage},
    kind::{AppliedLimit, Kind},
    lifetime::{self},
    limit_set::LimitSet,
    opening::Opening,
    plan::{Goal, balances, guards_itself, plan, restamps},
    quota::stored::{StoredQuota, StoredSchedule},
    refund::Booking,
    stamp::TimedStamp,
    write::BucketWrite,
};

/// Tells if an image can be trusted to say no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It came back from a write of this round.
    Fresh,
    /// It came back from a write of the last second.
    Recent,
    /// Somebody may have written since.
    Stale,
}

/// The decision about a queue of amounts (each aligned with the set's limits, in mt).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Indices of the asks that the write serves if it goes through.
    pub(crate) served: Vec<usize>,
    /// Indices of the asks that are refused, whatever becomes of the write.
    pub(crate) refused: Vec<usize>,
    /// Amounts that the write takes ahead of use, aligned with the set's limits, in mt; empty when nothing.
    pub(crate) ahead: Amounts,
    /// The write; `None` when nothing is to be written.
    pub(crate) write: Option<BucketWrite>,
}

/// Computes the amounts to take ahead of use, given what is left once everybody is served (in mt, by limit).
pub(crate) type Prefetch<'a> = &'a mut dyn FnMut(&[i64]) -> Option<Amounts>;

/// Returns true if every amount is there, or its limit lets it pass all the same.
fn fits(limits: &[AppliedLimit], left: &[i64], amounts: &[i64]) -> bool {
    limits.iter().zip(left).zip(amounts).all(|((limit, left), amount)| limit.lets_pass(*amount, *left))
}

/// The asks that are served, those that are not, the amounts that they take, and what is left.
struct Serving {
    /// Those that fit, as indices in order of arrival.
    served: Vec<usize>,
    /// Those that did not.
    unserved: Vec<usize>,
    /// The sum of what is served, in mt by limit.
    take: Vec<i64>,
    /// The balances after it, in mt by limit.
    left: Vec<i64>,
}

/// Serves in order of arrival and skips what does not fit, so that a large ask does not block small ones.
fn serve(limits: &[AppliedLimit], balances: &[Balance], asks: &[&[i64]]) -> Serving {
    let mut left: Vec<i64> = balances.iter().map(|balance| balance.tokens).collect();
    let mut take = vec![0_i64; left.len()];
    let (mut served, mut unserved) = (Vec::new(), Vec::new());
    for (index, amounts) in asks.iter().enumerate() {
        if fits(limits, &left, amounts) {
            for (slot, amount) in amounts.iter().enumerate() {
                left[slot] = left[slot].saturating_sub(*amount);
                take[slot] = take[slot].saturating_add(*amount);
            }
            served.push(index);
        } else {
            unserved.push(index);
        }
    }
    Serving { served, unserved, take, left }
}

/// An existing bucket as it is known, and the limit set that it is asked with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    /// The bucket as it was last seen.
    pub(crate) image: &'a Image,
    /// Tells if it may refuse.
    pub(crate) freshness: Freshness,
    /// The limits that apply.
    pub(crate) limit_set: &'a LimitSet,
    /// The shards that the bucket is known to have.
    pub(crate) shards: u32,
    /// The end of new stamps of soft limits, in epoch ms; `None` if none may be written.
    pub(crate) soft_until: Option<i64>,
    /// The end of the stamp of a bypass, in epoch ms; `None` if none may be written.
    pub(crate) bypass_until: Option<i64>,
    /// Epoch ms.
    pub(crate) now: i64,
}

/// Decides about `asks` on an existing bucket.
pub(crate) fn decide(known: Situation<'_>, asks: &[&[i64]], adjust: &[Booking], order: Prefetch<'_>) -> Decision {
    let Situation { image, freshness, limit_set, shards, soft_until, bypass_until, now } = known;
    let stamped = |write| BucketWrite { bypass: Some(bypass::restamp(image, limit_set, bypass_until, now)), ..write };
    let goal = |take, adjust| Goal { soft_until, ..limit_set.goal(take, adjust, shards, now) };
    let Serving { served, unserved, mut take, left } =
        serve(&limit_set.applied, &balances(image, &goal(&[], adjust)), asks);
    let refuses = freshness != Freshness::Stale && served.is_empty();
    let refused = if refuses { unserved } else { Vec::new() };
    let ahead = order(&left).unwrap_or_default();
    take.iter_mut().zip(&ahead).for_each(|(take, ahead)| *take = take.saturating_add(*ahead));
    if asks.is_empty() && ahead.is_empty() {
        let write = (!adjust.is_empty()).then(|| plan(image, &limit_set.settlement(adjust, shards, now)));
        return Decision { served, refused, ahead, write };
    }
    if !served.is_empty() || !adjust.is_empty() || !ahead.is_empty() {
        let mut goal = goal(&take, adjust);
        if asks.is_empty() {
            // Whom the bucket charges is for those who ask to know: what is kept here may be older than it.
            goal.owner = None;
        }
        let write = Some(stamped(plan(image, &goal)));
        return Decision { served, refused, ahead, write };
    }
    if refuses {
        // Nothing is to be had, but whoever comes later has to know since when the refill instant lies too far ahead.
        let mut note = image.to_watch(now).map(|_| plan(image, &limit_set.settlement(&[], shards, now)));
        // Neighbours stop at a stamp that is wrong or over.
        if restamps(image, &goal(&[], &[])) {
            note = Some(stamped(plan(image, &goal(&[], &[]))));
        }
        return Decision { served, refused, ahead, write: note };
    }
    // The image says no to everybody, but it may be out of date. A write that fails by its own conditions when the
    // image is right, and serves the first when it is not, answers in one call either way.
    let first = goal(asks[0], adjust);
    if guards_itself(image, &first) {
        return Decision { served: vec![0], refused, ahead, write: Some(stamped(plan(image, &first))) };
    }
    Decision { served, refused, ahead, write: Some(stamped(plan(image, &goal(&[], adjust)))) }
}

/// Decides about `asks` on a bucket that is created with this write.
pub(crate) fn decide_new(limit_set: &LimitSet, asks: &[&[i64]], opening: Opening, now: i64) -> (Vec<usize>, Image) {
    let shares: Vec<Kind> = limit_set.applied.iter().map(|limit| limit.kind.share(opening.shards)).collect();
    let start = |index: usize, share: &Kind| {
        let ceiling = share.at(now).ceiling();
        match &opening.balances {
            Some(balances) => balances.get(index).copied().unwrap_or(0).clamp(0, ceiling),
            None => ceiling,
        }
    };
    let balances: Vec<Balance> =
        shares.iter().enumerate().map(|(index, share)| Balance::opening(start(index, share), share, now)).collect();
    let Serving { served, take, .. } = serve(&limit_set.applied, &balances, asks);
    let debited = |taken: &i64| if limit_set.bypassed { 0 } else { *taken };
    let limits = limit_set.applied.iter().enumerate().map(|(index, limit)| LimitImage {
        name: limit.name.clone(),
        tokens: Some(balances[index].tokens - debited(&take[index])),
        params: limit.kind.stored(),
        fraction: 0,
        refunded: None,
        soft: opening.soft_until.filter(|_| limit.is_soft()).map(TimedStamp::Until),
        consumed: Some(take[index].into()),
        quota: StoredQuota::new(&limit.kind, opening.shards).map(|quota| quota.opened_at(now, debited(&take[index]))),
        schedule: StoredSchedule::new(&limit.kind),
    });
    let boundary = |(limit, take): (&AppliedLimit, &i64)| {
        let session = limit.kind.is_session().then(|| match limit.kind.restored_in(now) {
            Some(length) if debited(take) > 0 => now.saturating_add(length),
            // The first use begins it.
            _ => 0,
        });
        session.into_iter().chain(limit.kind.next_boundary(now)).min()
    };
    let full = lifetime::full_in(balances.iter().zip(take.iter().map(debited)));
    let image = Image {
        last_refill: now,
        shard_count: Some(opening.shards),
        ttl: limit_set.lifetime.of_shards(opening.shards).end(full, now),
        valid_until: limit_set.applied.iter().zip(&take).filter_map(boundary).min(),
        owner: limit_set.owner.clone(),
        bypass: opening.bypass_until.filter(|_| limit_set.bypassed).map(TimedStamp::Until),
        incarnation: Some(opening.incarnation),
        limits: limits.collect(),
        wcu: Some(opening.wcu),
        ..Image::default()
    };
    (served, image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bucket::{image::WcuImage, lifetime::Lifetime, owner::Owner},
        model::{
            limit::{Limit, Limits},
            name::LimitName,
        },
    };

    fn limit_set(capacity: u64) -> LimitSet {
        let limits = Limits::from(Limit::per_minute("rpm", capacity).unwrap());
        LimitSet::new(limits, Lifetime::AsIs, Owner::default())
    }

    fn bucket(limit_set: &LimitSet, tokens: i64) -> Image {
        let opening = Opening {
            shards: 1,
            balances: Some(vec![tokens]),
            incarnation: "a".into(),
            wcu: WcuImage::full(),
            soft_until: None,
            bypass_until: None,
        };
        decide_new(limit_set, &[], opening, 0).1
    }

    fn known<'a>(image: &'a Image, limit_set: &'a LimitSet, freshness: Freshness) -> Situation<'a> {
        Situation { image, freshness, limit_set, shards: 1, soft_until: None, bypass_until: None, now: 0 }
    }

    #[test]
    fn a_large_ask_does_not_block_small_ones() {
        let limit_set = limit_set(10);
        let image = bucket(&limit_set, 3_000);
        let decision = decide(
            known(&image, &limit_set, Freshness::Fresh),
            &[&[5_000], &[1_000], &[2_000], &[1_000]],
            &[],
            &mut |_| None,
        );
        assert_eq!((decision.served, decision.refused), (vec![1, 2], vec![]));
    }

    #[test]
    fn a_stale_no_is_checked_with_one_write_that_serves_the_first() {
        let limit_set = limit_set(10);
        let image = bucket(&limit_set, 0);
        let decision = decide(known(&image, &limit_set, Freshness::Stale), &[&[1_000], &[1_000]], &[], &mut |_| None);
        assert_eq!((decision.served, decision.refused), (vec![0], vec![]));
        assert!(!crate::bucket::apply::apply(&mut image.clone(), &decision.write.unwrap()));
    }

    #[test]
    fn a_fresh_no_needs_no_write() {
        let limit_set = limit_set(10);
        for freshness in [Freshness::Fresh, Freshness::Recent] {
            let decision =
                decide(known(&bucket(&limit_set, 0), &limit_set, freshness), &[&[1_000]], &[], &mut |_| None);
            assert_eq!(decision, Decision { served: vec![], refused: vec![0], ahead: Amounts::new(), write: None });
        }
    }

    #[test]
    fn a_no_because_others_are_served_waits_for_their_write() {
        let limit_set = limit_set(10);
        let image = bucket(&limit_set, 1_000);
        let refused = |freshness| {
            let decision = decide(known(&image, &limit_set, freshness), &[&[1_000], &[1_000]], &[], &mut |_| None);
            assert_eq!(decision.served, [0]);
            decision.refused
        };
        assert!(refused(Freshness::Fresh).is_empty() && refused(Freshness::Recent).is_empty());
    }

    #[test]
    fn a_refund_that_rides_along_serves_those_who_wait() {
        let limit_set = limit_set(10);
        let refund = [(LimitName::new("rpm").unwrap(), -1_000).into()];
        let decision =
            decide(known(&bucket(&limit_set, 0), &limit_set, Freshness::Stale), &[&[1_000]], &refund, &mut |_| None);
        assert_eq!(decision.served, [0]);
    }

    #[test]
    fn what_is_taken_ahead_comes_after_those_who_wait() {
        let limit_set = limit_set(10);
        let image = bucket(&limit_set, 5_000);
        let mut seen = Vec::new();
        let decision = decide(known(&image, &limit_set, Freshness::Stale), &[&[1_000], &[2_000]], &[], &mut |left| {
            seen.extend_from_slice(left);
            Some([1_000].as_slice().into())
        });
        assert_eq!((seen, decision.ahead.as_slice()), (vec![2_000], [1_000].as_slice()));
        let mut after = image;
        assert!(crate::bucket::apply::apply(&mut after, &decision.write.unwrap()));
        assert_eq!(after.limits[0].tokens, Some(1_000));
    }
}
