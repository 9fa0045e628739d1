//! Writes that credit a part of what has come in, side by side with those of neighbours: [`advance`].
//!
//! Of a bucket that is nearly empty, whoever takes has to credit what came in since the refill instant. A
//! [plan](crate::bucket::plan) credits all of it on the condition that the instant is still the one it has seen, so of
//! several processes one gets through. But a credit can be relative, too. For a time λ in which each limit gains whole
//! millitokens r·λ, the write adds λ to the refill instant and r·λ − cost to the balance, whatever both are, if
//!
//! - the refill instant is at most now − λ: what came in during λ after it is there, and not credited;
//! - the balance is at least cost − r·λ: balance and credit cover the cost;
//! - the bucket is below its ceiling, as for a [bet](crate::bucket::bet): the refill instant is at least now − δ and
//!   the balance at most C − r·δ for some δ ≥ λ. Then the credit has room, and so has all that is left to later
//!   credits.
//!
//! No fraction of a millitoken arises, so the stored one stays as it is. Two such writes commute.
//!
//! # Shares
//!
//! Let T be what the bucket holds, the part not yet credited included, and L the time since its refill instant. Writes
//! that credit L/n and take T/n each go through in any order, n of them, computed from the same image: after k of them
//! L·(1 − k/n) ≥ L/n is left to credit, and T·(1 − k/n) ≥ T/n to take. So whoever takes a small part of what is there
//! lets as many neighbours pass that have seen the same.

use crate::bucket::{
    Params,
    bet::{Wager, bet},
    image::Image,
    kind::Kind,
    plan::Goal,
    write::{BucketWrite, Room, TokenWrite},
};

/// Writes computed from the same image that all go through, where each takes no more than its share.
pub(crate) const SHARES: i64 = 4;

/// A credit of what has come in during a time after the refill instant, whatever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance {
    /// Added to the refill instant, in ms.
    pub(crate) by: i64,
    /// The refill instant must be at most this, in epoch ms.
    pub(crate) at_most: i64,
}

/// One limit that is taken from.
struct Taken {
    params: Params,
    /// The stored balance, in mt.
    tokens: i64,
    /// Mt to take.
    out: i64,
}

/// Computes the write that achieves `goal` on a bucket that has little, as its `image` shows it, and as neighbours may
/// leave it meanwhile. `None` where other writes serve better, or none would do.
pub(crate) fn advance(image: &Image, goal: &Goal<'_>) -> Option<BucketWrite> {
    let taken = scarce(image, goal)?;
    let lag = goal.now.saturating_sub(image.last_refill);
    let by = credited(&taken, lag)?;
    let fill = taken.iter().map(|limit| limit.params.wait_ms(limit.params.capacity)).min()?;
    let fill = i64::try_from(fill).unwrap_or(i64::MAX);
    let ages: Vec<i64> = [lag, fill / 4, fill / 2].into_iter().filter(|age| *age >= lag).collect();
    let mut write = bet(image, goal, Wager::Below, &ages, Room::ForAsks)?;
    if write.limits.len() != taken.len() {
        return None;
    }
    for (limit, Taken { params, .. }) in write.limits.iter_mut().zip(&taken) {
        let TokenWrite::Add { delta, at_least: Some(least), .. } = &mut limit.tokens else { return None };
        let gained = gain(*params, by);
        (*delta, *least) = (delta.saturating_add(gained), least.saturating_sub(gained));
    }
    write.advance = Some(Advance { by, at_most: goal.now.saturating_sub(by) });
    Some(write)
}

/// The limits of `image`, if all of them are rates that are taken from and less than half full, and one of them has so
/// little that its balance alone does not cover a few such writes.
fn scarce(image: &Image, goal: &Goal<'_>) -> Option<Vec<Taken>> {
    let all = goal.adjust.is_empty() && goal.limits.len() == image.limits.len();
    // A reserved limit that clients of the reference charge is refilled by exact writes.
    let idle = image.wcu.is_none_or(|wcu| wcu.tokens >= wcu.capacity());
    if !all || !idle {
        return None;
    }
    let shards = goal.shards.max(image.shards());
    let lag = goal.now.saturating_sub(image.last_refill);
    let taken = goal.limits.iter().zip(goal.take).map(|(limit, out)| {
        let stored = image.limit(limit.name.as_str())?;
        let (Kind::Rate(params), Some(tokens)) = (stored.kind()?.share(shards), stored.tokens) else { return None };
        let held = tokens.saturating_add(gain(params, lag));
        (*out > 0 && held >= *out && held <= params.capacity / 2).then_some(Taken { params, tokens, out: *out })
    });
    let taken: Vec<Taken> = taken.collect::<Option<_>>()?;
    taken.iter().any(|limit| limit.tokens < limit.out.saturating_mul(SHARES)).then_some(taken)
}

/// The time to credit, of `lag` ms: a share of it, or more where the balance does not cover the rest; `None` where
/// nothing can be credited without a fraction.
fn credited(taken: &[Taken], lag: i64) -> Option<i64> {
    let step = taken.iter().try_fold(1_i64, |step, limit| least_common_multiple(step, whole_in(limit.params)))?;
    let needed = taken.iter().map(|limit| limit.params.wait_ms((limit.out - limit.tokens).max(0))).max()?;
    let wanted = i64::try_from(needed).ok()?.max(lag / SHARES);
    let by = wanted.checked_add(step - 1)? / step * step;
    (by > 0 && by <= lag).then_some(by)
}

/// The shortest time in which a limit gains whole millitokens, in ms.
fn whole_in(params: Params) -> i64 {
    let period = params.period.max(1);
    period / greatest_common_divisor(period, params.refill.max(0)).max(1)
}

/// Mt gained in `ms`, rounded down.
fn gain(params: Params, ms: i64) -> i64 {
    Kind::Rate(params).gain_in(ms)
}

fn greatest_common_divisor(one: i64, other: i64) -> i64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

fn least_common_multiple(one: i64, other: i64) -> Option<i64> {
    one.checked_mul(other / greatest_common_divisor(one, other).max(1))
}
