//! The time that a bucket is kept: [`Lifetime`]. An item that DynamoDB removes is created again as a full bucket. So it
//! must not be removed before it is full, whatever is owed.
//!
//! DynamoDB removes an item some time after its `ttl`, within minutes or days, and it may be written until then. With b
//! = balance after the write, the item is full `(C − b) · period / refill` ms later, and every write makes sure that
//! `ttl` is no earlier. In numbers: 100 tokens a minute and a multiplier of 7 keep an idle bucket for 420 s. An
//! adjustment leaves it at −1 000 tokens; it is full in 660 s, so it is kept for 7 · 660 = 4 620 s from now.
//!
//! Three neighbours' moves could break this between the image and the write, and each has its condition:
//!
//! - one has taken more: the balance must stay above what refills until the `ttl` ([`Balance::lowest`]);
//! - one has set a longer `ttl`, knowing of a deeper debt: ours is written only over a shorter one;
//! - one has set a shorter `ttl`, and the bucket is in debt: the write expects at least what is needed.
//!
//! The lifetime is renewed when something is credited anyway, or when half of it is over: it has to be right, not
//! fresh, and a longer request costs the same write unit.

use crate::bucket::{clamp, image::Balance, kind::Kind, ttl_at, write::ROOM_MS};

/// The deepest debt, in mt: a quarter of what 64 bits hold, so that sums of a few have room. It takes four times the
/// largest capacity, and what is owed beyond is forgiven.
pub(crate) const DEEPEST_DEBT: i64 = i64::MIN / 2;

/// Lifetime of an idle bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Leave the attribute as it is, unless the bucket would go before it is full.
    AsIs,
    /// For ever.
    Unlimited,
    /// A multiple of the time that it takes to fill.
    Idle {
        /// Of an empty bucket, in seconds.
        seconds: i64,
        /// A bucket in debt is kept for this many times the time it takes to fill.
        multiplier: u32,
    },
}

impl Lifetime {
    /// The lifetime of one of `shards` shards: all are kept until they are folded, since a bucket whose first shard is
    /// gone begins anew while others still grant.
    pub(crate) fn of_shards(self, shards: u32) -> Self {
        match self {
            Self::Idle { .. } if shards > 1 => Self::Unlimited,
            other => other,
        }
    }

    /// The `ttl` (epoch s) of an item whose limits are all full in `full` ms from `now` (epoch ms); `None` for ever.
    pub(crate) fn end(self, full: i64, now: i64) -> Option<i64> {
        let Self::Idle { seconds, multiplier } = self else { return None };
        let multiple = full.saturating_mul(i64::from(multiplier)) / 1_000;
        Some(ttl_at(now, seconds.max(multiple)).max(needed(full, now)))
    }

    /// Returns the new value of an item's `ttl`: `None` if it stays as it is, `Some(None)` if it is removed.
    ///
    /// Renewed with every refill (`Renewal::Eager`), when half of it is over, and when it would end too early.
    pub(crate) fn renewed(self, stored: Option<i64>, full: i64, now: i64, renewal: Renewal) -> Option<Option<i64>> {
        match (self, stored) {
            (Self::Unlimited, None) | (Self::AsIs, None) => None,
            (Self::Unlimited, Some(_)) => Some(None),
            (Self::AsIs, Some(stored)) => (full > 0 && stored < needed(full, now)).then(|| Some(needed(full, now))),
            (Self::Idle { .. }, stored) => {
                let wanted = self.end(full, now)?;
                let half = wanted.saturating_sub(ttl_at(now, 0)) / 2;
                let due = |stored: i64| {
                    stored < needed(full, now)
                        || (wanted > stored && (renewal == Renewal::Eager || wanted.saturating_sub(stored) > half))
                };
                stored.is_none_or(due).then_some(Some(wanted))
            }
        }
    }
}

/// When a lifetime is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Whenever it would be longer.
    Eager,
    /// When it is worth it.
    Lazy,
}

/// The earliest `ttl` of an item that is full in `full` ms, room for neighbours given up included; a started second
/// counts.
pub(crate) fn needed(full: i64, now: i64) -> i64 {
    let full = if full > 0 { full.saturating_add(ROOM_MS) } else { 0 };
    let end = i128::from(now) + i128::from(full);
    clamp((end + 999).div_euclid(1_000))
}

impl Balance {
    /// Ms until it is full when `out` mt are taken from it.
    pub(crate) fn full_in(&self, out: i64) -> i64 {
        let tokens = self.tokens.saturating_sub(out).min(self.ceiling());
        if let Some(restored_in) = self.restored_in {
            return if tokens < self.ceiling() { restored_in } else { 0 };
        }
        let kind = self.slowest();
        let wait = kind.wait_ms(kind.ceiling().saturating_sub(tokens));
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        if wait > 0 { wait.saturating_add(self.lead) } else { 0 }
    }

    /// The limit that takes longest to fill of those that it can be.
    fn slowest(&self) -> Kind {
        self.changing.as_ref().map_or_else(|| self.kind.clone(), |(scheduled, _)| scheduled.slowest())
    }

    /// The lowest balance from which it is full again by `ttl` (epoch s; `None`: never removed).
    pub(crate) fn lowest(&self, ttl: Option<i64>, now: i64) -> i64 {
        let Some(ttl) = ttl else { return DEEPEST_DEBT };
        let left = i128::from(ttl) * 1_000 - i128::from(now) - i128::from(self.lead);
        match self.restored_in {
            // A reset forgives all that is owed.
            Some(restored_in) if left >= i128::from(restored_in) => DEEPEST_DEBT,
            _ => self.slowest().lowest_full_in(clamp(left)),
        }
    }
}

/// Ms until all limits are full, each given as its level and what is taken from it, in mt.
pub(crate) fn full_in<'a>(balances: impl IntoIterator<Item = (&'a Balance, i64)>) -> i64 {
    balances.into_iter().map(|(balance, out)| balance.full_in(out)).max().unwrap_or(0)
}
