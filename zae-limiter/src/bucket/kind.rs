//! The kinds of limits: [`Kind`], the one place that knows how a bucket fills.
//!
//! Everybody who asks how much a limit holds at an instant, when an amount will fit, when it is full, or how far a
//! balance may sink, asks a [`Kind`]; nobody outside `bucket` computes from capacity, refill and period. What a write
//! has to do about a limit follows from the [`Basis`] of its balance, which a kind decides too. So a further kind (a
//! quota that is restored at certain instants, a rate that changes with the time of day) is a further variant here,
//! with its answers to these questions.
//!
//! All amounts are in mt, all instants in epoch ms. A kind is that of a whole limit, or of one shard's share of it
//! ([`Kind::share`]).

use crate::{
    bucket::{
        Accrual, MILLI, Params,
        image::{Basis, StoredParams},
        lifetime::DEEPEST_DEBT,
    },
    model::{
        limit::{Limit, Limits},
        name::LimitName,
        schedule::Resets,
    },
};

/// The way in which a limit's bucket fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At a constant rate, up to its capacity.
    Rate(Params),
    /// Not at all; it is restored at certain instants.
    Quota {
        /// The most that it holds, in mt.
        capacity: i64,
        /// A period in ms that decides nothing, and is kept.
        period: i64,
        /// The instants.
        resets: Resets,
    },
}

/// Tells if a limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enforcement {
    /// It does when there is too little.
    Hard,
    /// It never does: it is debited whatever the balance.
    Soft,
    /// It never does, and is not debited: an operator lets everything through.
    Bypassed,
}

/// A limit that applies to a bucket, in stored units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppliedLimit {
    /// Its name.
    pub(crate) name: LimitName,
    /// The way in which it fills, over all shards.
    pub(crate) kind: Kind,
    /// Its answer when there is too little.
    pub(crate) enforcement: Enforcement,
}

impl AppliedLimit {
    /// Returns true if it is debited whatever the balance.
    pub(crate) fn is_soft(&self) -> bool {
        self.enforcement == Enforcement::Soft
    }

    /// Returns true if it refuses when there is too little.
    pub(crate) fn refuses(&self) -> bool {
        self.enforcement == Enforcement::Hard
    }

    /// Returns true if it lets `amount` pass where there are `left`, both in mt.
    pub(crate) fn lets_pass(&self, amount: i64, left: i64) -> bool {
        amount == 0 || amount <= left || !self.refuses()
    }

    /// Returns true if it can never let `amount` pass, in mt.
    pub(crate) fn never_lets_pass(&self, amount: i64) -> bool {
        amount > self.kind.ceiling() && self.refuses()
    }

    /// The limits of a set, in its order.
    pub(crate) fn all(limits: &Limits) -> Vec<Self> {
        limits.iter().map(Self::from).collect()
    }
}

impl From<&Limit> for AppliedLimit {
    fn from(limit: &Limit) -> Self {
        let enforcement = if limit.is_soft() { Enforcement::Soft } else { Enforcement::Hard };
        Self { name: limit.name().clone(), kind: limit.into(), enforcement }
    }
}

impl From<&Limit> for Kind {
    fn from(limit: &Limit) -> Self {
        let params = Params::from(limit);
        match limit.resets().cloned() {
            Some(resets) => Self::Quota { capacity: params.capacity, period: params.period, resets },
            None => Self::Rate(params),
        }
    }
}

impl From<Params> for Kind {
    fn from(params: Params) -> Self {
        Self::Rate(params)
    }
}

impl Kind {
    /// The part of one of `shards` shards.
    pub(crate) fn share(&self, shards: u32) -> Self {
        match self {
            Self::Rate(params) => Self::Rate(params.share(shards)),
            Self::Quota { capacity, period, resets } => {
                Self::Quota { capacity: capacity / i64::from(shards.max(1)), period: *period, resets: resets.clone() }
            }
        }
    }

    /// The part of a process that goes on alone: at least one token, or a small limit would be a closed door.
    pub(crate) fn part(&self, part: f64) -> Self {
        match self {
            Self::Rate(params) => Self::Rate(params.part(part)),
            Self::Quota { capacity, period, resets } => {
                let capacity = ((*capacity as f64 * part) as i64).max(MILLI.min(*capacity));
                Self::Quota { capacity, period: *period, resets: resets.clone() }
            }
        }
    }

    /// The parameters as an item has them.
    pub(crate) fn stored(&self) -> StoredParams {
        match self {
            Self::Rate(params) => (*params).into(),
            Self::Quota { capacity, period, .. } => {
                StoredParams { capacity: Some(*capacity), refill: Some(0), period: Some(*period) }
            }
        }
    }

    /// The most that it holds.
    pub(crate) fn ceiling(&self) -> i64 {
        match self {
            Self::Rate(params) => params.capacity,
            Self::Quota { capacity, .. } => *capacity,
        }
    }

    /// Computes the balance at `now` from `tokens` at `from`, with a `fraction` left over, and its basis.
    pub(crate) fn held(&self, tokens: i64, from: i64, now: i64, fraction: i64) -> (i64, Basis) {
        match self {
            Self::Rate(params) => {
                let gained = Accrual::between(*params, from, now, fraction);
                if tokens.saturating_add(gained.rounded_up()) > params.capacity {
                    return (params.capacity, Basis::Full);
                }
                (tokens.saturating_add(gained.whole), Basis::Accrued(gained))
            }
            Self::Quota { capacity, .. } if self.is_due(from, now) => (*capacity, Basis::Restored),
            Self::Quota { capacity, .. } if tokens > *capacity => (*capacity, Basis::Full),
            Self::Quota { .. } => (tokens, Basis::Accrued(Accrual { whole: 0, fraction: 0 })),
        }
    }

    /// The most that it can have gained between two instants.
    pub(crate) fn gained(&self, from: i64, to: i64) -> i64 {
        match self {
            Self::Rate(params) => Accrual::between(*params, from, to, 0).rounded_up(),
            Self::Quota { capacity, .. } if self.is_due(from, to) => *capacity,
            Self::Quota { .. } => 0,
        }
    }

    /// The least that it gains in `ms`.
    pub(crate) fn gain_in(&self, ms: i64) -> i64 {
        match self {
            Self::Rate(params) => Accrual::between(*params, 0, ms, 0).whole,
            Self::Quota { .. } => 0,
        }
    }

    /// Returns true if it is restored after `from`, until `now`.
    pub(crate) fn is_due(&self, from: i64, now: i64) -> bool {
        match self {
            Self::Rate(_) => false,
            Self::Quota { resets, .. } => resets.last(now).is_some_and(|reset| reset > from),
        }
    }

    /// Returns true if it gains nothing, and is restored.
    pub(crate) fn is_quota(&self) -> bool {
        self.resets().is_some()
    }

    /// The instants at which it is restored.
    pub(crate) fn resets(&self) -> Option<&Resets> {
        match self {
            Self::Rate(_) => None,
            Self::Quota { resets, .. } => Some(resets),
        }
    }

    /// Ms from `now` until it is restored; `None` where it gains instead. Where no reset comes any more, all the time
    /// there is.
    pub(crate) fn restored_in(&self, now: i64) -> Option<i64> {
        let next = self.resets()?.next(now);
        Some(next.map_or(i64::MAX, |next| next.saturating_sub(now)))
    }

    /// Ms until `deficit` is gained, rounded up; 0 without a deficit. What gains nothing waits for its
    /// [reset](Kind::restored_in), which counts here as no time at all.
    pub(crate) fn wait_ms(&self, deficit: i64) -> u128 {
        match self {
            Self::Rate(params) => params.wait_ms(deficit),
            Self::Quota { .. } => 0,
        }
    }

    /// Ms that it takes to fill.
    pub(crate) fn fill_ms(&self) -> i64 {
        i64::try_from(self.wait_ms(self.ceiling())).unwrap_or(i64::MAX)
    }

    /// The lowest balance from which it is full again in `ms`.
    pub(crate) fn lowest_full_in(&self, ms: i64) -> i64 {
        self.ceiling().saturating_sub(self.gain_in(ms.max(0))).max(DEEPEST_DEBT)
    }
}
