//! One limit as a header shows it: no entity, no resource.
//!
//! Several buckets may have a limit of the same name, the entity's and its parent's. Clients know one limit of that
//! name, so the most constrained bucket is shown: a refusing one before one that granted, then the longer wait, then
//! the fewer remaining tokens.

use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use zae_limiter::{Limit, LimitStatus, REQUEST_LIMIT_NAMES};

use super::duration::{millis_up, seconds_up};

/// Parts of names that mark a limit as counting tokens of a language model.
const TOKEN_WORDS: [&str; 12] =
    ["tps", "tpm", "tph", "tpd", "token", "tokens", "itpm", "otpm", "itpd", "otpd", "itph", "otph"];

/// State of one limit after a request, or before it if the request was refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing<'a> {
    /// The limit's name, which is public.
    pub(crate) name: &'a str,
    /// Maximum number of tokens in the bucket.
    pub(crate) capacity: u64,
    /// Tokens refilled per period.
    pub(crate) refill_amount: u64,
    /// The period, in seconds.
    pub(crate) refill_period_seconds: u64,
    /// Whole tokens; negative in debt.
    pub(crate) available: i64,
    /// Whole tokens requested; 0 where it no longer matters.
    pub(crate) requested: u64,
    /// True if this limit refused.
    pub(crate) exceeded: bool,
    /// Time until the request would fit.
    pub(crate) retry_after: Duration,
    /// Time until a quota is restored; `None` for a limit that refills continuously.
    pub(crate) restored_in: Option<Duration>,
}

impl<'a> From<&'a LimitStatus> for Standing<'a> {
    fn from(status: &'a LimitStatus) -> Self {
        let known = Self::granted((&status.limit, status.available));
        let until = |resets_at: SystemTime| resets_at.duration_since(SystemTime::now()).ok();
        Self {
            requested: status.requested,
            exceeded: status.exceeded,
            retry_after: status.retry_after,
            restored_in: status.resets_at.and_then(until).or(known.restored_in),
            ..known
        }
    }
}

/// The standings of one response; requests and tokens fit without an allocation.
pub(super) type Standings<'a> = SmallVec<[Standing<'a>; 2]>;

impl<'a> Standing<'a> {
    /// Creates the standing of a limit that granted and has that much left; the requested amount no longer matters.
    pub(super) fn granted((limit, available): (&'a Limit, i64)) -> Self {
        // A quota is restored as a whole once per period.
        let (refill_amount, refill_period, restored_in) = if limit.is_quota() {
            let now = SystemTime::now();
            let restored_in = limit.next_reset(now).and_then(|reset| reset.duration_since(now).ok());
            (limit.capacity(), limit.fill_time(), restored_in)
        } else {
            (limit.refill_amount(), limit.refill_period(), None)
        };
        Self {
            name: limit.name().as_str(),
            capacity: limit.capacity(),
            refill_amount,
            refill_period_seconds: refill_period.as_secs(),
            restored_in,
            available,
            requested: 0,
            exceeded: false,
            retry_after: Duration::ZERO,
        }
    }
}

/// The kind of response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Admitted, or refused permanently.
    Passed,
    /// Refused, with that wait.
    Refused(Duration),
}

/// The unit that a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Calls.
    Requests,
    /// Tokens of a language model.
    Tokens,
    /// Unknown: the name suggests neither.
    Other,
}

/// Divides, rounding up. Avoids 128-bit arithmetic for small numbers.
fn divided(product: u128, by: u64) -> u64 {
    let by = by.max(1);
    match u64::try_from(product) {
        Ok(product) => product.div_ceil(by),
        Err(_) => u64::try_from(product.div_ceil(by.into())).unwrap_or(u64::MAX),
    }
}

impl Standing<'_> {
    /// Returns the whole tokens left; 0 in debt.
    pub(crate) fn remaining(&self) -> u64 {
        u64::try_from(self.available).unwrap_or(0)
    }

    /// Returns the milliseconds until the bucket is full if nothing more is taken, rounded up. A debt counts.
    pub(super) fn full_in_millis(&self) -> u64 {
        if let Some(restored_in) = self.restored_in.filter(|_| i128::from(self.available) < i128::from(self.capacity)) {
            return millis_up(restored_in);
        }
        let missing = (i128::from(self.capacity) - i128::from(self.available)).max(0).unsigned_abs();
        // Debts have 64 bits, and periods far fewer.
        divided(missing * u128::from(self.refill_period_seconds) * 1_000, self.refill_amount)
    }

    /// Returns the seconds that an empty bucket needs to fill, rounded up.
    pub(super) fn window_seconds(&self) -> u64 {
        divided(u128::from(self.capacity) * u128::from(self.refill_period_seconds), self.refill_amount)
    }

    /// Returns the seconds for which a client should expect no more than what remains: until the request fits if this
    /// limit refused it, otherwise until the bucket is full. `None` if that would exceed the `Retry-After` beside it,
    /// which the draft advises against.
    pub(super) fn effective_seconds(&self, answer: Disposition) -> Option<u64> {
        let full = seconds_up(self.full_in_millis());
        match answer {
            Disposition::Passed => Some(full),
            Disposition::Refused(_) if self.exceeded => Some(seconds_up(millis_up(self.retry_after)).max(1)),
            Disposition::Refused(wait) => (full <= seconds_up(millis_up(wait)).max(1)).then_some(full),
        }
    }

    /// Returns the unit that the limit counts, judged by its name: `rpm` and the like count requests; `tpm`,
    /// `input-tokens` and the like count tokens.
    pub(super) fn unit(&self) -> Unit {
        let is = |part: &str, words: &[&str]| words.iter().any(|word| part.eq_ignore_ascii_case(word));
        let has = |words: &[&str]| self.name.split(['.', '_', '-']).any(|part| is(part, words));
        if has(&TOKEN_WORDS) {
            Unit::Tokens
        } else if has(&REQUEST_LIMIT_NAMES) || has(&["request"]) {
            Unit::Requests
        } else {
            Unit::Other
        }
    }

    /// Returns the sort key; smaller is more constrained: refusals first, the longest wait first among them, then the
    /// fewest tokens left.
    pub(super) fn rank(&self) -> (bool, std::cmp::Reverse<Duration>, i64) {
        (!self.exceeded, std::cmp::Reverse(self.retry_after), self.available)
    }
}

/// Returns one standing per limit name, the most constrained of each, in the order in which the names first appear.
pub(super) fn most_constrained<'s, 'a>(standings: &'s [Standing<'a>]) -> SmallVec<[&'s Standing<'a>; 4]> {
    let mut chosen = SmallVec::<[&Standing<'a>; 4]>::new();
    for standing in standings {
        match chosen.iter_mut().find(|other| other.name == standing.name) {
            Some(other) if standing.rank() < other.rank() => *other = standing,
            Some(_) => {}
            None => chosen.push(standing),
        }
    }
    chosen
}

impl<'a> Standing<'a> {
    /// Returns the limits that refused, one per name, in the order in which the names first appear.
    pub(crate) fn violations(statuses: &'a [LimitStatus]) -> Vec<Self> {
        let all: Vec<Self> = statuses.iter().filter(|status| status.exceeded).map(Self::from).collect();
        most_constrained(&all).into_iter().cloned().collect()
    }
}
