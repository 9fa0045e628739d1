//! One limit as a header sees it: no entity, no resource.
//!
//! Several buckets may have a limit of one name, the entity's and its parent's. Clients know one limit of that name, so
//! the most constrained bucket speaks for it: one that refused before one that did not, then the longer wait, then the
//! smaller rest.

use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use zae_limiter::{Limit, LimitStatus, REQUEST_LIMIT_NAMES};

use super::duration::{millis_up, seconds_up};

/// Name parts that say that a limit counts tokens of a language model.
const TOKEN_WORDS: [&str; 12] =
    ["tps", "tpm", "tph", "tpd", "token", "tokens", "itpm", "otpm", "itpd", "otpd", "itph", "otph"];

/// State of one limit after a request, or before it if the request was refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing<'a> {
    /// The limit's name, which clients may know.
    pub(crate) name: &'a str,
    /// Tokens the bucket holds at most.
    pub(crate) capacity: u64,
    /// Tokens gained per period.
    pub(crate) refill_amount: u64,
    /// The period, in seconds.
    pub(crate) refill_period_seconds: u64,
    /// Whole tokens; negative in debt.
    pub(crate) available: i64,
    /// Whole tokens asked for; 0 where it no longer matters.
    pub(crate) requested: u64,
    /// True if this limit refused.
    pub(crate) exceeded: bool,
    /// Time until the request would fit.
    pub(crate) retry_after: Duration,
    /// Until a quota is restored; `None` for what refills all the time.
    pub(crate) restored_in: Option<Duration>,
}

impl<'a> From<&'a LimitStatus> for Standing<'a> {
    fn from(status: &'a LimitStatus) -> Self {
        Self {
            requested: status.requested,
            exceeded: status.exceeded,
            retry_after: status.retry_after,
            ..Self::granted((&status.limit, status.available))
        }
    }
}

/// The standings of one response: two without an allocation, requests and tokens.
pub(super) type Standings<'a> = SmallVec<[Standing<'a>; 2]>;

impl<'a> Standing<'a> {
    /// Of a limit that granted and has so much left; how much was requested no longer matters.
    pub(super) fn granted((limit, available): (&'a Limit, i64)) -> Self {
        // A quota comes back as a whole once in its period.
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
    /// Let through, or refused for good.
    Passed,
    /// Refused for so long.
    Refused(Duration),
}

/// The unit that a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Calls.
    Requests,
    /// Tokens of a language model.
    Tokens,
    /// Neither name is known to fit.
    Other,
}

/// Rounded up. Where the numbers are small, without the machinery for those of 128 bits.
fn divided(product: u128, by: u64) -> u64 {
    let by = by.max(1);
    match u64::try_from(product) {
        Ok(product) => product.div_ceil(by),
        Err(_) => u64::try_from(product.div_ceil(by.into())).unwrap_or(u64::MAX),
    }
}

impl Standing<'_> {
    /// Whole tokens left, a debt counted as none.
    pub(crate) fn remaining(&self) -> u64 {
        u64::try_from(self.available).unwrap_or(0)
    }

    /// Milliseconds until the bucket is full, if nobody takes anything, rounded up. A debt counts.
    pub(super) fn full_in_millis(&self) -> u64 {
        if let Some(restored_in) = self.restored_in.filter(|_| i128::from(self.available) < i128::from(self.capacity)) {
            return millis_up(restored_in);
        }
        let missing = (i128::from(self.capacity) - i128::from(self.available)).max(0).unsigned_abs();
        // Debts are of 64 bits, and periods of far less.
        divided(missing * u128::from(self.refill_period_seconds) * 1_000, self.refill_amount)
    }

    /// Seconds that an empty bucket needs to fill, rounded up.
    pub(super) fn window_seconds(&self) -> u64 {
        divided(u128::from(self.capacity) * u128::from(self.refill_period_seconds), self.refill_amount)
    }

    /// Seconds for which a client should count on no more than what remains: until the request fits where this limit
    /// refused it, else until the bucket is full. `None` when that would end after the `Retry-After` beside it, which
    /// the draft advises against.
    pub(super) fn effective_seconds(&self, answer: Disposition) -> Option<u64> {
        let full = seconds_up(self.full_in_millis());
        match answer {
            Disposition::Passed => Some(full),
            Disposition::Refused(_) if self.exceeded => Some(seconds_up(millis_up(self.retry_after)).max(1)),
            Disposition::Refused(wait) => (full <= seconds_up(millis_up(wait)).max(1)).then_some(full),
        }
    }

    /// Returns the unit that the limit counts, as far as its name tells: `rpm` and the like count requests; `tpm`,
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

    /// Smaller is more constrained: refusals first, the longest wait first among them, then the fewest tokens left.
    pub(super) fn rank(&self) -> (bool, std::cmp::Reverse<Duration>, i64) {
        (!self.exceeded, std::cmp::Reverse(self.retry_after), self.available)
    }
}

/// One standing per limit name, the most constrained of each, in the order in which the names first appear.
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
    /// The limits that refused, one per name, in the order in which the names first appear.
    pub(crate) fn violations(statuses: &'a [LimitStatus]) -> Vec<Self> {
        let all: Vec<Self> = statuses.iter().filter(|status| status.exceeded).map(Self::from).collect();
        most_constrained(&all).into_iter().cloned().collect()
    }
}
