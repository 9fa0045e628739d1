//! Spreads a bucket over twice as many shards: [`split`].
//!
//! A bucket in n shards has n items, each a bucket of its own with an n-th of capacity and refill. Splitting gives each
//! item a twin: half of what it holds moves, and from then on both go by a 2n-th. All of it is one transaction, so that
//! at every instant the items together hold at most what one bucket would, and nothing is lost.
//!
//! # Why it is exact
//!
//! Let an item hold `tk`, with a gain of `a` since its refill instant, and let `D` be what moves to its twin.
//!
//! - *Before and after.* The twin begins with D tokens at the instant of the split, and the item is left with `tk − D`,
//!   to which `a` is added if it is [credited](Credit::Now): the sum is what the item had. Where `a` is left for later
//!   ([`Credit::Later`]), the item goes on gaining from its refill instant, by half of the rate, and the twin begins to
//!   gain no earlier than that, which is a condition: at most half of `a` is given up, and nothing is made.
//! - *Ceilings.* Neither part may be above its new ceiling: D is at most half of the old one, and the upper bound of
//!   the write says the same of what is left.
//! - *Neighbours.* The write that takes D from the item has the count of shards as a condition, as every write of this
//!   crate has. Whatever was planned by the old count fails from then on, and brings the new item.
//! - *Leases.* Half of the largest balance that the write allows is moved, so that at most half of what there was is
//!   left. What a lease took before and gives back afterwards is then worth no more than the room in both halves of the
//!   time: [`refund`](crate::bucket::refund) computes it by the shares of today, from the balance at that time.
//!
//! In numbers: C = 100, one item with 60 tokens and a gain of 10. 35 move. The item is left with 35 of 50, and its twin
//! begins with 35 of 50.
//!
//! # What is not split
//!
//! A bucket with a quota, because a grant of the running period cannot be halved; with a soft limit, a schedule, a
//! bypass or a feature of newer clients; one that an operator has switched off; one that is nearly empty, because then
//! more is asked for than the limit allows, and more items would only be asked in vain; and one whose halves would be
//! too small for what is asked of it.

use crate::{
    bucket::{
        MILLI,
        bet::{Ladder, Rung, Wager},
        image::{Balance, Basis, Image, LimitImage, WcuImage},
        incarnation::Incarnation,
        kind::Kind,
        leftovers::Enabled,
        quota::stored::QuotaWrite,
        refund_stamp::StoredRefunds,
        stamp::StampWrite,
        write::{BucketWrite, LimitWrite, ScheduleWrite, TokenWrite, Validity},
    },
    model::{limit::MAX_LIMITS, name::LimitName},
};

/// The largest number of shards that clients of the reference make and look for.
pub(crate) const MOST_SHARDS: u32 = 32;
/// A share is at least this many times the largest amount that is asked for.
const ASKS_IN_A_SHARE: i64 = 4;
/// A shard that holds less than one part in so many is not split.
const FULL_ENOUGH: i64 = 4;
/// A share gains at least so many mt per period: what is lost by rounding down is at most one part in so many.
const LEAST_REFILL: i64 = 1_000;
/// Neighbours may have refilled a shard until so many ms after it was looked at.
pub(crate) const AHEAD_MS: i64 = 20;
/// A refill instant that lies further ahead, in ms, is not believed.
pub(crate) const CLOCKS_MS: i64 = 3_000;
/// The part of a share by which refunds of neighbours may raise a balance since it was read, without the split being
/// lost: one in so many.
const SLACK: i64 = 64;

/// The treatment of what a shard has gained since its refill instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credit {
    /// Credited by the split: nothing is lost, and the split is, if a neighbour refills the shard first.
    Now,
    /// Credited later, by the new rate: up to half of it is given up, and neighbours may write meanwhile.
    Later,
}

/// The reason why a bucket is not split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsplit {
    /// It has as many shards as there may be.
    Enough,
    /// Its shares would be too small.
    TooSmall,
    /// It has limits, or is in a state, of which a half is not exact.
    NotHalvable,
    /// It is nearly empty: more is asked for than the limit allows, and more items would not change that.
    Drained,
    /// One of its shards is missing, or of another count.
    Uneven,
}

/// One shard's part of a split.
#[derive(Clone, Debug)]
pub(crate) struct Half {
    /// The write that takes half of what the shard holds.
    pub(crate) write: BucketWrite,
    /// The new shard that begins with it.
    pub(crate) twin: Image,
}

/// Computes the split of a bucket whose shards are `shards`, in their order: of each, the write and its twin, which is
/// the shard with that number plus the old count. `asked` are the largest amounts that are asked for, in mt.
///
/// # Errors
/// The reason why it is not split.
pub(crate) fn split(
    shards: &[Image],
    asked: &[(LimitName, i64)],
    credit: Credit,
    now: i64,
    mut incarnation: impl FnMut() -> Incarnation,
) -> Result<Vec<Half>, Unsplit> {
    let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
    let doubled = count.saturating_mul(2);
    if count == 0 || shards.iter().any(|image| image.shards() != count) {
        return Err(Unsplit::Uneven);
    }
    if doubled > MOST_SHARDS {
        return Err(Unsplit::Enough);
    }
    shards.iter().map(|image| halve(image, asked, credit, now, incarnation())).collect()
}

/// Computes one shard's part.
fn halve(
    image: &Image,
    asked: &[(LimitName, i64)],
    credit: Credit,
    now: i64,
    incarnation: Incarnation,
) -> Result<Half, Unsplit> {
    // A neighbour whose clock is ahead has credited that time already.
    let now = image.last_refill.clamp(now, now.saturating_add(CLOCKS_MS));
    if !is_halvable(image, now) {
        return Err(Unsplit::NotHalvable);
    }
    let doubled = image.shards().saturating_mul(2);
    let (mut limits, mut twins) = (Vec::new(), Vec::new());
    for limit in &image.limits {
        let whole = limit.kind().ok_or(Unsplit::NotHalvable)?;
        let least = asked.iter().find(|(name, _)| *name == limit.name).map_or(MILLI, |(_, most)| (*most).max(MILLI));
        let half = whole.share(doubled);
        let refill = limit.params.refill.unwrap_or(0) / i64::from(doubled);
        if half.ceiling() < least.saturating_mul(ASKS_IN_A_SHARE) || refill < LEAST_REFILL {
            return Err(Unsplit::TooSmall);
        }
        let (moved, write) = moved(image, limit, &whole, credit, now)?;
        limits.push(write);
        twins.push(LimitImage { tokens: Some(moved), consumed: Some(0), fraction: 0, refunded: None, ..limit.clone() });
    }
    let begins = match credit {
        Credit::Now => now,
        Credit::Later => now.saturating_add(AHEAD_MS),
    };
    let moved: Vec<i64> = twins.iter().map(|limit| limit.tokens.unwrap_or(0)).collect();
    let refilled_by = Ladder { wager: Wager::Full, rungs: vec![Rung { refill: begins, balances: moved }] };
    let twin = Image {
        last_refill: begins,
        shard_count: Some(doubled),
        ttl: None,
        limits: twins,
        incarnation: Some(incarnation),
        refunds: StoredRefunds::default(),
        wcu: Some(WcuImage::full()),
        ..image.clone()
    };
    let write = BucketWrite {
        expect_refill: (credit == Credit::Now).then_some(image.last_refill),
        expect_shards: image.shard_count,
        expect_incarnation: Some(image.incarnation.clone()),
        expect_valid: Validity::AbsentOrAfter(now),
        expect_enabled: Enabled::Yes,
        bypass: Some(StampWrite { expect: None, set: None }),
        remove: Vec::new(),
        limits,
        set_refill: (credit == Credit::Now).then_some(now),
        advance: None,
        wcu_credit: 0,
        // Kept until it is folded: no shard may end before the others.
        set_ttl: image.ttl.map(|_| None),
        expect_ttl: None,
        set_watch: None,
        set_owner: None,
        refund: None,
        ladder: (credit == Credit::Later).then_some(refilled_by),
        set_shared: None,
        set_shards: Some(doubled),
    };
    Ok(Half { write, twin })
}

/// Returns true if a half of the shard is exact: all of its limits are plain rates in a plain state.
fn is_halvable(image: &Image, now: i64) -> bool {
    let plain = |limit: &LimitImage| {
        limit.tokens.is_some() && limit.soft.is_none() && limit.quota.is_none() && limit.params.complete().is_some()
    };
    image.watch.is_none()
        && image.leftovers.is_empty()
        && !image.disabled
        && image.bypass.is_none()
        && !image.scheduled
        && !image.is_timed()
        && image.valid_until.is_none_or(|until| until > now)
        && image.last_refill <= now
        && !image.limits.is_empty()
        && image.limits.len() <= MAX_LIMITS
        && image.limits.iter().all(plain)
}

/// Computes the amount of a limit that moves to the twin, in mt, and the write that takes it.
fn moved(
    image: &Image,
    limit: &LimitImage,
    whole: &Kind,
    credit: Credit,
    now: i64,
) -> Result<(i64, LimitWrite), Unsplit> {
    let shards = image.shards();
    let stored = limit.tokens.ok_or(Unsplit::NotHalvable)?;
    let balance = Balance::at(image, Some(limit), whole, shards, now);
    if balance.tokens < balance.ceiling() / FULL_ENOUGH {
        return Err(Unsplit::Drained);
    }
    let ceiling = whole.share(shards.saturating_mul(2)).ceiling();
    // The most that may be there by the time of the split, without what is not credited.
    let most = stored.saturating_add(balance.ceiling() / SLACK);
    let write = |tokens, fraction: Option<i64>| LimitWrite {
        name: limit.name.clone(),
        tokens,
        consumed: 0,
        expect_params: limit.params,
        set_params: None,
        expect_fraction: fraction.and((limit.fraction != 0).then_some(limit.fraction)),
        set_fraction: fraction.filter(|fraction| *fraction != limit.fraction),
        refund: None,
        soft: None,
        quota: QuotaWrite::Nothing,
        schedule: ScheduleWrite::default(),
        with_room: None,
    };
    let half = |of: i64| (of / 2 + of % 2).min(ceiling);
    match (credit, balance.basis) {
        (Credit::Later, _) => {
            // The ladder says that as much is there.
            let moved = half(most);
            if stored <= 0 || moved > stored {
                return Err(Unsplit::Drained);
            }
            let at_most = most.min(ceiling.saturating_add(moved));
            let tokens = TokenWrite::Add { delta: -moved, at_least: None, at_most };
            Ok((moved, write(tokens, None)))
        }
        (Credit::Now, Basis::Accrued(gained)) => {
            let moved = half(most.saturating_add(gained.whole));
            if balance.tokens <= 0 || moved > balance.tokens {
                return Err(Unsplit::Drained);
            }
            let at_least = moved.saturating_sub(gained.whole);
            // As much as leaves room for the gain, and at most the new ceiling.
            let fits = balance.ceiling().saturating_sub(gained.rounded_up());
            let left = ceiling.saturating_add(moved).saturating_sub(gained.rounded_up());
            let tokens = TokenWrite::Add {
                delta: gained.whole.saturating_sub(moved),
                at_least: Some(at_least),
                at_most: most.min(fits).min(left),
            };
            Ok((moved, write(tokens, Some(gained.fraction))))
        }
        (Credit::Now, Basis::Full) => {
            let moved = half(balance.tokens);
            let to = balance.tokens.saturating_sub(moved).min(ceiling);
            Ok((moved, write(TokenWrite::Set { to, from: Some(stored) }, Some(0))))
        }
        (Credit::Now, Basis::Changed | Basis::New | Basis::Restored | Basis::Unopened) => Err(Unsplit::NotHalvable),
    }
}
