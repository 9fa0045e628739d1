//! Writes that go through whatever the state of a bucket is, within bounds: [`bet`].
//!
//! A [plan](crate::bucket::plan) is computed from one image, and is lost where a neighbour has refilled the bucket
//! since. A process that asks seldom beside many others never has the image that counts. But a write that only takes
//! does not need it. For any age δ, with r the rate and C the capacity of each limit:
//!
//! - *Below*: if the refill instant is at least now − δ, at most r·δ has come in since. So where the balance is at most
//!   C − r·δ, the bucket is not full, and a plain write, which leaves the credit for later, is exact.
//! - *Full*: if the refill instant is at most now − δ, at least r·δ has come in. So where the balance is at least
//!   V − r·δ, at least V is there, and setting it to V − cost grants nothing that was not there. What is above V is
//!   given up: V is the ceiling less the room that is left for neighbours, and no limit is held below that.
//!
//! Either holds for every δ, so a write lists several of them, and goes through where one fits. A bucket between V and
//! C takes both kinds.

use crate::{
    bucket::{
        image::{Image, LimitImage},
        kind::{AppliedLimit, Enforcement, Kind},
        lifetime::Renewal,
        plan::{Goal, plan},
        write::{BucketWrite, LimitWrite, Room, TokenWrite},
    },
    model::name::LimitName,
};

/// Bounds the number of limits of a bucket that bets are made on: each age compares all of them, and an expression has
/// room for 300 operators.
pub(crate) const MOST_LIMITS: usize = 4;

/// The state of the bucket that a bet is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wager {
    /// No limit that is named is full.
    Below,
    /// All limits are full, or nearly.
    Full,
}

/// Conditions one of which has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ladder {
    /// Decides how they compare.
    pub(crate) wager: Wager,
    /// From the youngest age on.
    pub(crate) rungs: Vec<Rung>,
}

impl Ladder {
    /// Returns true if the bucket of `image` is within the bounds for one of the ages.
    pub(crate) fn holds(&self, image: &Image, limits: &[LimitWrite]) -> bool {
        let tokens = |limit: &LimitWrite| image.limit(limit.name.as_str()).and_then(|stored| stored.tokens);
        let any = self.rungs.iter().any(|rung| {
            let mut limits = limits.iter().zip(&rung.balances);
            match self.wager {
                Wager::Below => {
                    image.last_refill >= rung.refill && limits.all(|(l, most)| tokens(l).is_some_and(|t| t <= *most))
                }
                Wager::Full => {
                    image.last_refill <= rung.refill && limits.all(|(l, least)| tokens(l).is_some_and(|t| t >= *least))
                }
            }
        });
        any && image.watch.is_none()
    }
}

/// The bounds for one age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    /// The refill instant must be at least ([`Wager::Below`]) or at most ([`Wager::Full`]) this, in epoch ms.
    pub(crate) refill: i64,
    /// Each balance must be at most (`Below`) or at least (`Full`) this, in mt, in the order of the write's limits.
    pub(crate) balances: Vec<i64>,
}

/// Computes the write that achieves `goal` on any bucket that `wager` describes and whose limits are those of `image`,
/// for these `ages` in ms; one that sets leaves `room`. `None` where there is none: other writes need the image as it
/// is.
pub(crate) fn bet(image: &Image, goal: &Goal<'_>, wager: Wager, ages: &[i64], room: Room) -> Option<BucketWrite> {
    if !is_open(image, goal, wager) {
        return None;
    }
    let mut write = plan(&supposed(image, goal, wager), goal);
    let shards = goal.shards.max(image.shards());
    if wager == Wager::Full {
        write = filled(write.leaving_room(room), image, goal, shards)?;
    }
    if write.expect_refill.is_some() {
        return None;
    }
    if write.set_ttl.is_none() && goal.adjust.iter().any(|booking| booking.out > 0) {
        // The lowest balance that it may leave was computed from this lifetime.
        write.expect_ttl = image.ttl;
    }
    let rungs: Vec<Rung> = ages.iter().filter_map(|age| rung(&write, wager, shards, goal.now, (*age).max(0))).collect();
    if rungs.is_empty() {
        return None;
    }
    write.ladder = Some(Ladder { wager, rungs });
    Some(write)
}

/// Returns true if the bucket's limits are plain and known, and nothing else has to be done to it.
fn is_open(image: &Image, goal: &Goal<'_>, wager: Wager) -> bool {
    let is_plain = image.watch.is_none()
        && image.leftovers.is_empty()
        && !image.disabled
        && image.bypass.is_none()
        // Changes with time are made by whoever moves the refill instant, which takes an exact write.
        && !image.scheduled
        && !image.is_timed()
        // Shares are those of the item's own count, which is a condition.
        && goal.shards <= image.shards()
        && image.valid_until.is_none_or(|until| until > goal.now)
        && image.limits.len() <= MOST_LIMITS
        && image.limits.iter().all(|limit| limit.tokens.is_some() && limit.kind().is_some() && limit.soft.is_none());
    let stored = |name: &LimitName| image.limit(name.as_str()).and_then(LimitImage::kind);
    // A soft limit may be in debt without bound, and its stamp is a matter of the image.
    let is_hard = |limit: &AppliedLimit| limit.enforcement == Enforcement::Hard;
    let in_line = goal.limits.iter().all(|limit| is_hard(limit) && stored(&limit.name).as_ref() == Some(&limit.kind));
    // A reserved limit that clients of the reference charge is refilled by exact writes.
    let idle = image.wcu.is_none_or(|wcu| wcu.tokens >= wcu.capacity());
    is_plain && in_line && (wager == Wager::Below || (idle && goal.adjust.is_empty()))
}

/// The image that the write is planned from: as little as can be there for a plain write, all for one that sets.
fn supposed(image: &Image, goal: &Goal<'_>, wager: Wager) -> Image {
    let shards = goal.shards.max(image.shards());
    let tokens = |limit: &LimitImage| match (wager, limit.kind()) {
        (Wager::Full, Some(kind)) => kind.share(shards).ceiling(),
        _ => goal.out(&limit.name).max(0),
    };
    let limits = image.limits.iter().map(|limit| LimitImage { tokens: Some(tokens(limit)), ..limit.clone() });
    let last_refill = match wager {
        Wager::Below => goal.now,
        Wager::Full => goal.now.saturating_sub(1),
    };
    Image { last_refill, limits: limits.collect(), ..image.clone() }
}

/// Turns a write that sets all limits of one image into one that sets them whatever they were.
fn filled(mut write: BucketWrite, image: &Image, goal: &Goal<'_>, shards: u32) -> Option<BucketWrite> {
    let mut full = 0;
    for limit in &mut write.limits {
        let TokenWrite::Set { to, .. } = limit.tokens else { return None };
        let share = share(limit, shards)?;
        full = full.max(i64::try_from(share.wait_ms(share.ceiling().saturating_sub(to))).unwrap_or(i64::MAX));
        limit.tokens = TokenWrite::Fill { to };
        // The fraction that is left over is part of what is given up.
        (limit.expect_fraction, limit.set_fraction) = (None, Some(0));
    }
    write.set_refill?;
    write.expect_refill = None;
    // A neighbour may have renewed it since: no reason to be lost.
    write.set_ttl = goal.ttl.of_shards(shards).renewed(image.ttl, full, goal.now, Renewal::Lazy);
    Some(write)
}

fn share(limit: &LimitWrite, shards: u32) -> Option<Kind> {
    Some(limit.expect_params.kind()?.share(shards))
}

/// The bounds for `age`; `None` where no bucket is within them.
fn rung(write: &BucketWrite, wager: Wager, shards: u32, now: i64, age: i64) -> Option<Rung> {
    let refill = now.saturating_sub(age);
    let balance = |limit: &LimitWrite| {
        let share = share(limit, shards)?;
        match (limit.tokens, wager) {
            (TokenWrite::Add { at_least, at_most, .. }, Wager::Below) => {
                // Whatever fraction is stored, it is less than a millitoken.
                let gained = share.gained(refill, now).saturating_add(1);
                let most = at_most.saturating_sub(gained);
                at_least.is_none_or(|least| least <= most).then_some(most)
            }
            (TokenWrite::Fill { to }, Wager::Full) => {
                let there = to.saturating_add(limit.consumed);
                Some(there.saturating_sub(share.gain_in(age)))
            }
            _ => None,
        }
    };
    let balances = write.limits.iter().map(balance).collect::<Option<Vec<_>>>()?;
    (!balances.is_empty()).then_some(Rung { refill, balances })
}
