//! Saying no: from the image that a write returned, or, without asking at all, from one that is a moment old.
//!
//! A refusal is computed like a grant, by the same balances, and carries every limit's status. The wait of a limit is
//! the time until its missing millitokens are gained, rounded up to the millisecond; the whole refusal's is the
//! longest.
//!
//! Refusing from memory needs more than a fresh image: no settlement of ours is in flight (it may give tokens back),
//! what is booked but not written counts already, the limits that apply are the ones stored, and the bucket has one
//! shard, as one shard's "no" says nothing about the others. If an acquire charges a second bucket that is not known as
//! well, that one is read first ([`learn`](super::drive::learn)): its wait may be the longer one.
//!
//! Nor does it where a booked refund counts of which only a part fits. Until it is written, that part shrinks as fast
//! as the limit refills, so no time to wait would hold. The acquire asks, and its write takes the refund along.

use std::time::Duration;

use crate::{
    bucket::{
        MILLI,
        image::{Image, LimitImage},
        key::BucketKey,
        kind::AppliedLimit,
        limit_set::LimitSet,
        peaks::Peaks,
        refund::{self, Booking},
        soft,
    },
    engine::{
        lane::{
            Lane,
            ask::{Ask, AskOutcome, Pending, Refusal},
            memory::RecentImage,
        },
        telemetry::Refuser,
    },
    model::{
        name::LimitName,
        status::{LimitStatus, instant},
    },
};

/// Returns true if a bucket seen a moment ago has too little for `amounts`. It decides as [`from_memory`] does, without
/// building the answer, because mostly there is enough.
pub(crate) fn would_refuse(lane: &Lane, limit_set: &LimitSet, amounts: &[i64]) -> bool {
    let Some(RecentImage { image, booked }) = recent(lane, limit_set) else { return false };
    if booked.is_empty() && has_without_refill(&image, limit_set, amounts) {
        return false;
    }
    has_too_little(lane, limit_set, &image, &booked, amounts)
}

/// Returns true if memory cannot tell until when a bucket has too little for `amounts`: it was not seen within the last
/// second, or a booked refund shrinks.
pub(crate) fn has_to_be_asked(lane: &Lane, limit_set: &LimitSet, amounts: &[i64]) -> bool {
    if let Some(RecentImage { image, booked }) = recent(lane, limit_set) {
        let at = At { image: &image, shards: 1, now: lane.shared.clock.now_ms() };
        return booked.iter().any(shrinks) && depends(&booked, &refusal(lane, limit_set, amounts, &booked, &at));
    }
    if lane.is_unknown() {
        return true;
    }
    let seen = lane.image().filter(|image| image.shards() == 1);
    seen.is_some_and(|image| has_too_little(lane, limit_set, &image, &[], amounts))
}

/// Returns true if a bucket of one shard has too little for `amounts` by now, as `image` shows it.
fn has_too_little(lane: &Lane, limit_set: &LimitSet, image: &Image, booked: &[Booking], amounts: &[i64]) -> bool {
    let now = lane.shared.clock.now_ms();
    let balances = crate::bucket::plan::balances(image, &limit_set.goal(&[], booked, 1, now));
    let mut limits = limit_set.applied.iter().zip(&balances).zip(amounts);
    limits.any(|((limit, balance), amount)| !limit.lets_pass(*amount, balance.tokens))
}

/// Returns true if a bucket that has the limits of `limit_set` held `amounts` as it was stored.
fn has_without_refill(image: &Image, limit_set: &LimitSet, amounts: &[i64]) -> bool {
    let stored = |name: &LimitName| image.limit(name.as_str()).and_then(|limit| limit.tokens).unwrap_or(0);
    limit_set.applied.iter().zip(amounts).all(|(limit, amount)| limit.lets_pass(*amount, stored(&limit.name)))
}

/// The bucket a moment ago, where it may refuse for these limits.
fn recent(lane: &Lane, limit_set: &LimitSet) -> Option<RecentImage> {
    // One shard's refusal does not hold for all of them, and changed limits should reach the bucket.
    lane.recent()
        .filter(|RecentImage { image, .. }| image.shards() == 1 && !image.disabled && in_line(image, limit_set))
}

/// Returns the refusal of a shard that is mostly others' to ask, of a bucket in `shards`, if it held too little when it
/// was seen within the last second; `None` when it should be asked. What it has gained since, those others have taken.
pub(crate) fn of_other_shard(lane: &Lane, limit_set: &LimitSet, amounts: &[i64], shards: u32) -> Option<Refusal> {
    let RecentImage { image, booked } = lane.recent()?;
    let speaks = image.shards() == shards && !image.disabled && in_line(&image, limit_set);
    if !speaks || has_without_refill(&image, limit_set, amounts) {
        return None;
    }
    let at = At { image: &image, shards, now: image.last_refill };
    let refusal = refusal(lane, limit_set, amounts, &booked, &at);
    let refused = refusal.statuses.iter().any(|status| status.exceeded) && !depends(&booked, &refusal);
    refused.then_some(Refusal { by: Refuser::Memory, ..refusal })
}

/// Returns the refusal of a shard seen a moment ago, of a bucket in `shards`; `None` when it should be asked.
pub(crate) fn of_shard(lane: &Lane, limit_set: &LimitSet, amounts: &[i64], shards: u32) -> Option<Refusal> {
    let RecentImage { image, booked } = lane.recent()?;
    if image.shards() != shards || image.disabled || !in_line(&image, limit_set) {
        return None;
    }
    let now = lane.shared.clock.now_ms();
    let refusal = refusal(lane, limit_set, amounts, &booked, &At { image: &image, shards, now });
    let refused = refusal.statuses.iter().any(|status| status.exceeded) && !depends(&booked, &refusal);
    refused.then_some(Refusal { by: Refuser::Memory, ..refusal })
}

/// Returns the answer of a bucket seen a moment ago to `amounts`; `None` when it should be asked.
pub(crate) fn from_memory(lane: &Lane, limit_set: &LimitSet, amounts: &[i64]) -> Option<Remembered> {
    let RecentImage { image, booked } = recent(lane, limit_set)?;
    let now = lane.shared.clock.now_ms();
    let refusal = refusal(lane, limit_set, amounts, &booked, &At { image: &image, shards: 1, now });
    let refused = refusal.statuses.iter().any(|status| status.exceeded);
    Some(if refused { Remembered::No(refusal) } else { Remembered::Perhaps(refusal.statuses) })
}

/// Returns true if a refund is worth less with every moment until it is written.
fn shrinks(booking: &Booking) -> bool {
    booking.back > 0 && booking.margin == 0
}

/// Returns true if a refusal depends on a booked refund that shrinks.
fn depends(booked: &[Booking], refusal: &Refusal) -> bool {
    let shrinking = booked.iter().filter(|booking| shrinks(booking));
    let exceeded =
        |name: &LimitName| refusal.statuses.iter().any(|status| status.exceeded && status.limit.name() == name);
    shrinking.map(|booking| &booking.name).any(exceeded)
}

/// Returns true if the bucket has the limits that apply.
pub(super) fn in_line(image: &Image, limit_set: &LimitSet) -> bool {
    let is_in_line = |limit: &AppliedLimit| {
        let stored = image.limit(limit.name.as_str());
        stored.and_then(LimitImage::kind).as_ref() == Some(&limit.kind) && soft::agrees(limit, stored)
    };
    image.leftovers.is_empty()
        && image.bypass.is_some() == limit_set.bypassed
        && limit_set.applied.iter().all(is_in_line)
}

/// The answer of an image that is a moment old.
#[derive(Debug)]
pub(crate) enum Remembered {
    /// It does not fit.
    No(Refusal),
    /// It fitted then; only the store can say whether it still does.
    Perhaps(Vec<LimitStatus>),
}

/// The number of shards of the bucket: what its first item says, and for others the largest that anybody knows of.
pub(super) fn shards(lane: &Lane, asks: &[Ask], image: &Image) -> u32 {
    if lane.key.shard == 0 {
        return image.shards();
    }
    asks.iter().map(|ask| ask.shards).max().unwrap_or(1).max(image.shards())
}

/// A bucket at one moment.
#[derive(Debug)]
pub(super) struct At<'a> {
    /// The bucket.
    pub(super) image: &'a Image,
    /// The shards that it is known to have.
    pub(super) shards: u32,
    /// Epoch ms.
    pub(super) now: i64,
}

/// Works out the effect of the settlements in `pending` on `image`.
pub(super) fn booked(pending: &[Pending], image: &Image, peaks: &Peaks, shards: u32, now: i64) -> Vec<Booking> {
    refund::book(pending.iter().flat_map(|pending| &pending.amounts), image, peaks, shards, now)
}

/// Answers those whom the image refuses, and returns where the served ones now stand in `asks`.
///
/// They are told what is left after those who are served, as they stand behind them; a refusal before the write is on
/// the safe side if that write is lost.
pub(super) fn answer_refused(
    lane: &Lane,
    limit_set: &LimitSet,
    asks: &mut Vec<Ask>,
    adjust: &[Booking],
    served: &[usize],
    refused: &[usize],
    at: &At<'_>,
) -> Vec<usize> {
    if refused.is_empty() {
        return served.to_vec();
    }
    let mut kept = Vec::with_capacity(served.len());
    // Whoever was served stood before them: they see what is left.
    let mut gone = adjust.to_vec();
    for index in served {
        for (AppliedLimit { name, .. }, amount) in limit_set.applied.iter().zip(&asks[*index].amounts) {
            let taken = Booking::from((name.clone(), *amount));
            match gone.iter_mut().find(|known| known.name == *name) {
                Some(known) => known.add(&taken),
                None => gone.push(taken),
            }
        }
    }
    for (index, ask) in std::mem::take(asks).into_iter().enumerate() {
        if refused.contains(&index) {
            let refusal = refusal(lane, limit_set, &ask.amounts, &gone, at);
            let _ = ask.reply.send(AskOutcome::Refused(refusal));
            continue;
        }
        if served.contains(&index) {
            kept.push(asks.len());
        }
        asks.push(ask);
    }
    kept
}

/// Whole tokens, rounded down; 0 for less than nothing.
pub(crate) fn whole(amount: i64) -> u64 {
    u64::try_from(amount / MILLI).unwrap_or(0)
}

/// Builds the refusal of a reserve while the bucket is known to be nearly empty: wait until it is asked again.
pub(super) fn exhausted(
    key: &BucketKey,
    limit_set: &LimitSet,
    amounts: &[i64],
    held: &[i64],
    wait: Duration,
) -> Refusal {
    let statuses = limit_set.limits.iter().zip(held).zip(amounts).map(|((limit, held), amount)| LimitStatus {
        entity_id: key.entity.clone(),
        resource: key.resource.clone(),
        limit: limit.clone(),
        available: held.div_euclid(MILLI),
        requested: whole(*amount),
        exceeded: amount > held && !limit.is_soft(),
        retry_after: if amount > held && !limit.is_soft() { wait } else { Duration::ZERO },
        resets_at: None,
    });
    Refusal { statuses: statuses.collect(), never: false, by: Refuser::Ration }
}

/// Builds the refusal of an image for amounts that do not fit.
///
/// `never` is about this bucket as it is: in one of four shards, an amount of more than a quarter of the capacity never
/// fits, and the acquire tries the other shards before it says so.
fn refusal(lane: &Lane, limit_set: &LimitSet, amounts: &[i64], adjust: &[Booking], at: &At<'_>) -> Refusal {
    let balances = crate::bucket::plan::balances(at.image, &limit_set.goal(&[], adjust, at.shards, at.now));
    let mut never = false;
    let limits = limit_set.limits.iter().zip(&limit_set.applied);
    let statuses = limits.zip(balances).zip(amounts).map(|(((limit, applied), balance), amount)| {
        let passes = applied.lets_pass(*amount, balance.tokens);
        let missing = if passes { 0 } else { amount.saturating_sub(balance.tokens) };
        never |= *amount > balance.highest() && applied.refuses();
        let wait = if missing > 0 { balance.wait_ms(*amount) } else { 0 };
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        LimitStatus {
            entity_id: lane.key.entity.clone(),
            resource: lane.key.resource.clone(),
            limit: limit.clone(),
            available: balance.tokens.div_euclid(MILLI),
            requested: whole(*amount),
            exceeded: missing > 0,
            retry_after: Duration::from_millis(wait),
            resets_at: balance.resets_at(at.now).and_then(instant),
        }
    });
    let statuses = statuses.collect();
    Refusal { statuses, never, by: Refuser::Store }
}
