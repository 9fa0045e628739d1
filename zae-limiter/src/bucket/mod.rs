//! Token-bucket arithmetic on integers: amounts in millitokens (mt), times in milliseconds (ms).
//!
//! [`Accrual`] carries the fraction of a millitoken that a refill leaves over, so that a slow limit beside a busy one
//! loses nothing. The reference drops that fraction at every refill; the shared vectors (`vectors`) say what it
//! computes, to the bit. Which limits fill in which way is [`kind`]'s to know.
//!
//! # Exactness on one page
//!
//! A limit has a capacity *C* and a rate *r*. The *true* content of its bucket fills at r, is capped at C at every
//! instant, and drops by what is granted. An item stores a balance `tk` and one refill instant `rf` for all of its
//! limits, and never holds more than the true content at `rf`. To decide at `now`:
//!
//! 1. [`image`] is the item as it was last seen. It may be stale.
//! 2. [`Accrual`] is what a limit gained from `rf` until now: `a = (now − rf) · refill / period`, in whole millitokens
//!    and a fraction that is carried to the next refill.
//! 3. [`plan`] picks one of three writes. *Plain* takes tokens and leaves `rf`: the gain is credited later. That is
//!    exact only while tk + a ≤ C, because a later credit would otherwise count time that the bucket spent full.
//!    *Credited* adds a and moves `rf`. *Set* writes the exact value, which is C − cost for a bucket that has been
//!    full.
//! 4. Every number that the plan used is a condition of the write. Whatever a neighbour did in between either leaves
//!    all of them true, and with them the argument, or the write fails and brings the true image.
//!
//! So a grant at any instant was in the true content at that instant, and over any interval of length τ at most C + r·τ
//! is granted. `ideal_tests` holds random sequences of writes against an ideal bucket, to the millitoken.
//!
//! # A bucket through six writes
//!
//! A limit of 100 a minute: C = 100 000 mt, and the bucket gains 5 mt every 3 ms. All amounts in mt, all times in ms.
//!
//! | at | asked for | image: tk, rf | a | plan | conditions on tk and rf | item: tk, rf |
//! |---|---|---|---|---|---|---|
//! | 0 | 40 000 | none | | create | no bucket | 60 000, 0 |
//! | 6 000 | 50 000 | 60 000, 0 | 10 000 | plain | 50 000 ≤ tk ≤ 90 000 | 10 000, 0 |
//! | 12 000 | 25 000 | 10 000, 0 | 20 000 | credited | rf = 0, 5 000 ≤ tk ≤ 80 000 | 5 000, 12 000 |
//! | 12 600 | 30 000 | 5 000, 12 000 | 1 000 | none: 6 000 < 30 000 | | refused, retry in 14 400 |
//! | 72 000 | 80 000 | 5 000, 12 000 | 100 000 | set | rf = 12 000, tk = 5 000 | 20 000, 72 000 |
//! | 72 000 | 15 000 | 5 000, 12 000 (stale) | 100 000 | set | rf = 12 000: lost | planned again, plain: 5 000, 72 000 |
//!
//! The second row leaves the gain of 10 000 uncredited; the third credits it together with its own. In the fifth the
//! bucket has been full for 3 s (5 000 + 95 000 were reached at 69 000): crediting 100 000 would keep those 3 s, so the
//! balance is set to 100 000 − 80 000.
//!
//! # Who may write what
//!
//! | invariant | kept by |
//! |---|---|
//! | tk never exceeds the true content at `rf` | upper bounds, or exact values, in [`plan`] |
//! | what is granted was there | lower bounds in [`plan`] |
//! | a limit's slowest drop is not rounded away | fractions in [`Accrual`] |
//! | a refund is not worth more than its room | [`refund`], [`peaks`] |
//! | an item that expires takes no debt with it | [`lifetime`] |
//! | a wrong clock stops nobody for long | [`watch`] |
//!
//! | module | question |
//! |---|---|
//! | [`image`] | What does the item hold, and how much is that at an instant? |
//! | [`kind`] | How does a limit fill: how much is there, and when will it fit? |
//! | [`limit_set`] | Which limits apply, and can two asks share a write? |
//! | [`plan`] | Which write takes these tokens, and under which conditions? |
//! | [`write`] | How is a write described, before it becomes an expression? |
//! | [`refund`] | How much of what is given back still fits? |
//! | [`peaks`] | What is the most that the bucket held since an instant? |
//! | [`bet`] | Which write takes them from a bucket that many others write, so that no image is ever new? |
//! | [`advance`] | Which write takes them from a nearly empty bucket, side by side with neighbours? |
//! | [`opening`] | What does a new bucket, or a further shard, start with? |
//! | [`split`] | Which writes spread a bucket over twice as many shards? |
//! | [`lifetime`] | How long must the item be kept so that its loss grants nothing? |
//! | [`incarnation`] | Which creation of the bucket does a refund belong to? |
//! | [`watch`] | What if a clock was wrong and `rf` lies far ahead? |
//! | [`schedule`] | Which parameters hold at an instant, and when does a period begin? |
//! | [`scheduled`] | What is a limit at an instant whose parameters change with the time of day? |
//! | [`quota`] | What does a limit hold that gains nothing and is restored? |
//! | [`soft`] | Which limits never refuse, and what tells other clients so? |
//! | [`leftovers`] | Which attributes of newer clients are over, and may be ignored? |

mod accrual;
pub(crate) mod advance;
#[cfg(test)]
mod advance_tests;
#[cfg(test)]
pub(crate) mod apply;
pub(crate) mod bet;
#[cfg(test)]
mod bet_tests;
pub(crate) mod bypass;
#[cfg(test)]
mod ideal_tests;
pub(crate) mod image;
pub(crate) mod incarnation;
#[cfg(test)]
mod keeping_tests;
pub(crate) mod key;
pub(crate) mod kind;
pub(crate) mod leftovers;
pub(crate) mod lifetime;
pub(crate) mod limit_set;
pub(crate) mod opening;
pub(crate) mod operation;
pub(crate) mod owner;
pub(crate) mod peaks;
pub(crate) mod plan;
#[cfg(test)]
mod plan_tests;
pub(crate) mod quota;
pub(crate) mod refund;
pub(crate) mod refund_stamp;
#[cfg(test)]
mod refund_tests;
#[cfg(test)]
mod samples;
pub(crate) mod schedule;
pub(crate) mod scheduled;
pub(crate) mod soft;
pub(crate) mod split;
#[cfg(test)]
mod split_tests;
pub(crate) mod stamp;
#[cfg(test)]
mod vectors;
pub(crate) mod watch;
pub(crate) mod write;

pub(crate) use crate::model::amount::{Amounts, MILLI};
pub(crate) use accrual::Accrual;

use schedule::phase::Phase;

use crate::model::limit::{Limit, Limits};

/// A limit's parameters as a bucket stores them.
///
/// All three are positive in parameters that a limit was made of; parameters from an item are checked by
/// [`StoredParams::complete`](image::StoredParams::complete). The rate is `refill / period` mt per ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    /// Ceiling, in mt.
    pub(in crate::bucket) capacity: i64,
    /// Gained per period, in mt.
    pub(in crate::bucket) refill: i64,
    /// Period, in ms.
    pub(in crate::bucket) period: i64,
}

impl Params {
    /// The part of one of `shards` shards.
    ///
    /// Divided and rounded down, so that all shards together never have more than the whole: of 100 000 mt in 3 shards
    /// each has 33 333.
    pub(crate) fn share(self, shards: u32) -> Self {
        let shards = i64::from(shards.max(1));
        Self { capacity: self.capacity / shards, refill: self.refill / shards, period: self.period }
    }

    /// The part of a process that goes on alone: at least one token, or a small limit would be a closed door.
    pub(crate) fn part(self, part: f64) -> Self {
        let capacity = ((self.capacity as f64 * part) as i64).max(MILLI.min(self.capacity));
        Self { capacity, refill: ((self.refill as f64 * part) as i64).max(1), period: self.period }
    }

    /// Whole ms until `deficit` mt have been gained, rounded up; 0 without a deficit or a refill.
    ///
    /// Rounded up, so that after the wait the tokens are there: 1 mt at 5 mt per 3 ms takes 1 ms, and 2 mt take 2.
    pub(crate) fn wait_ms(self, deficit: i64) -> u128 {
        if deficit <= 0 || self.refill <= 0 {
            return 0;
        }
        let work = i128::from(deficit).unsigned_abs() * i128::from(self.period).unsigned_abs();
        work.div_ceil(i128::from(self.refill).unsigned_abs())
    }
}

impl From<&Limit> for Params {
    fn from(limit: &Limit) -> Self {
        // `Limit` bounds its numbers so that none of these products overflows.
        let milli = |value: u64| i64::try_from(value.saturating_mul(1_000)).unwrap_or(i64::MAX);
        Self {
            capacity: milli(limit.capacity()),
            refill: milli(limit.refill_amount()),
            period: milli(limit.refill_period().as_secs()),
        }
    }
}

/// Brings a result of 128 bits back into 64, at the nearest bound.
pub(crate) fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Returns the lifetime of an idle bucket of default limits: the longest time to fill among `limits`, times
/// `multiplier`, in seconds; `None` when buckets are kept.
pub(crate) fn ttl_seconds(limits: &Limits, multiplier: u32) -> Option<i64> {
    if multiplier == 0 {
        return None;
    }
    // Doubles, division first: the reference's order, which the vectors pin down.
    let longest = limits
        .iter()
        .map(|limit| match (limit.resets(), limit.session()) {
            (Some(resets), _) => resets.cycle_seconds() as f64,
            (None, Some(length)) => length.as_secs() as f64,
            (None, None) => slowest_fill(limit),
        })
        .fold(0.0, f64::max);
    Some((longest * f64::from(multiplier)) as i64)
}

/// Seconds that a rate takes to fill, by the slowest of its parameters.
fn slowest_fill(limit: &Limit) -> f64 {
    let base = Params::from(limit);
    let fill = |params: Params| params.capacity as f64 / params.refill as f64 * params.period as f64 / 1_000.0;
    let Some(schedule) = limit.parameter_schedule() else {
        return limit.capacity() as f64 / limit.refill_amount() as f64 * limit.refill_period().as_secs() as f64;
    };
    let entries = (0..schedule.entries().len()).map(Some).chain([None]);
    let phases = entries.map(|entry| Phase { entry, from: i64::MIN, until: i64::MAX });
    phases.map(|phase| fill(schedule.params(base, &phase))).fold(0.0, f64::max)
}

/// The `ttl` attribute for an item that may lie idle for `seconds` from `now` (epoch ms): epoch seconds.
pub(crate) fn ttl_at(now: i64, seconds: i64) -> i64 {
    now.div_euclid(1_000).saturating_add(seconds)
}
