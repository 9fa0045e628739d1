//! The kinds of limits: [`Kind`], the one place that knows how a bucket fills.
//!
//! Everybody who asks how much a limit holds at an instant, when an amount will fit, when it is full, or how far a
//! balance may sink, asks a [`Kind`]; nobody outside `bucket` computes from capacity, refill and period. What a write
//! has to do about a limit follows from the [`Basis`] of its balance, which a kind decides too. So a further kind (a
//! quota that is restored at certain instants, say) is a further variant here, with its answers to these questions. A
//! limit that changes with the time of day ([`Scheduled`]) is a plain kind again at each instant.
//!
//! All amounts are in mt, all instants in epoch ms. A kind is that of a whole limit, or of one shard's share of it
//! ([`Kind::share`]).

use std::sync::Arc;

use crate::{
    bucket::{
        Accrual, Params,
        image::{Basis, StoredParams},
        lifetime::DEEPEST_DEBT,
        quota::Period,
        schedule::accrual::Course,
        scheduled::Scheduled,
    },
    model::{
        limit::{Limit, Limits},
        name::LimitName,
        schedule::{Resets, Schedule},
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
    /// Not at all; the first use after a window of fixed length restores it and begins the next one.
    Session {
        /// The most that it holds, in mt.
        capacity: i64,
        /// A period in ms that decides nothing, and is kept.
        period: i64,
        /// The length of a window, in ms.
        length: i64,
    },
    /// In one of these ways, by parameters that change with the time of day.
    Scheduled(Arc<Scheduled>),
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

impl Enforcement {
    /// The enforcement of a limit that no operator lets pass.
    pub(crate) fn of(limit: &Limit) -> Self {
        if limit.is_soft() { Self::Soft } else { Self::Hard }
    }
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
        Self { name: limit.name().clone(), kind: limit.into(), enforcement: Enforcement::of(limit) }
    }
}

impl From<&Limit> for Kind {
    fn from(limit: &Limit) -> Self {
        let params = Params::from(limit);
        let plain = match (limit.resets().cloned(), limit.session()) {
            (Some(resets), _) => Self::Quota { capacity: params.capacity, period: params.period, resets },
            (None, Some(length)) => {
                let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
                Self::Session { capacity: params.capacity, period: params.period, length }
            }
            (None, None) => Self::Rate(params),
        };
        plain.scheduled(limit.parameter_schedule().cloned())
    }
}

impl From<Params> for Kind {
    fn from(params: Params) -> Self {
        Self::Rate(params)
    }
}

impl Kind {
    /// The same by `schedule`.
    pub(crate) fn scheduled(self, schedule: Option<Schedule>) -> Self {
        match schedule {
            Some(schedule) => Self::Scheduled(Arc::new(Scheduled { plain: self, schedule, shards: 1 })),
            None => self,
        }
    }

    /// The limit at `now` (epoch ms): without a schedule, always the same.
    pub(crate) fn at(&self, now: i64) -> Self {
        match self {
            Self::Scheduled(scheduled) => scheduled.at(now),
            plain => plain.clone(),
        }
    }

    /// Its parameters outside of the entries of a schedule.
    pub(in crate::bucket) fn params(&self) -> Params {
        match self {
            Self::Rate(params) => *params,
            Self::Quota { capacity, period, .. } | Self::Session { capacity, period, .. } => {
                Params { capacity: *capacity, refill: 0, period: *period }
            }
            Self::Scheduled(scheduled) => scheduled.plain.params(),
        }
    }

    /// The same with other parameters. What gains nothing still does not.
    pub(in crate::bucket) fn with(&self, params: Params) -> Self {
        let Params { capacity, period, .. } = params;
        match self {
            Self::Rate(_) => Self::Rate(params),
            Self::Quota { resets, .. } => Self::Quota { capacity, period, resets: resets.clone() },
            Self::Session { length, .. } => Self::Session { capacity, period, length: *length },
            Self::Scheduled(scheduled) => scheduled.plain.with(params),
        }
    }

    /// The part of one of `shards` shards.
    pub(crate) fn share(&self, shards: u32) -> Self {
        match self {
            Self::Scheduled(scheduled) => {
                Self::Scheduled(Arc::new(Scheduled { shards: shards.max(1), ..Scheduled::clone(scheduled) }))
            }
            plain => plain.with(plain.params().share(shards)),
        }
    }

    /// The part at `now` of a process that goes on alone: at least one token, or a small limit would be a closed door.
    pub(crate) fn part(&self, part: f64, now: i64) -> Self {
        let plain = self.at(now);
        plain.with(plain.params().part(part))
    }

    /// The parameters as an item has them.
    pub(crate) fn stored(&self) -> StoredParams {
        self.params().into()
    }

    /// The most that it holds; by a schedule, at any time.
    pub(crate) fn ceiling(&self) -> i64 {
        match self {
            Self::Scheduled(scheduled) => scheduled.ceiling(),
            plain => plain.params().capacity,
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
            Self::Quota { capacity, .. } | Self::Session { capacity, .. } if tokens > *capacity => {
                (*capacity, Basis::Full)
            }
            Self::Quota { .. } | Self::Session { .. } => (tokens, Basis::Accrued(Accrual { whole: 0, fraction: 0 })),
            Self::Scheduled(scheduled) => scheduled.held(tokens, from, now, fraction),
        }
    }

    /// The most that it can have gained between two instants.
    pub(crate) fn gained(&self, from: i64, to: i64) -> i64 {
        match self {
            Self::Rate(params) => Accrual::between(*params, from, to, 0).rounded_up(),
            Self::Quota { capacity, .. } if self.is_due(from, to) => *capacity,
            // Windows are told apart by their starts, and nothing is gained within one.
            Self::Quota { .. } | Self::Session { .. } => 0,
            Self::Scheduled(scheduled) if scheduled.plain.is_quota() => scheduled.at(to).gained(from, to),
            Self::Scheduled(scheduled) => scheduled.gained(from, to),
        }
    }

    /// The least that it gains in `ms`.
    pub(crate) fn gain_in(&self, ms: i64) -> i64 {
        match self {
            Self::Rate(params) => Accrual::between(*params, 0, ms, 0).whole,
            Self::Quota { .. } | Self::Session { .. } => 0,
            Self::Scheduled(scheduled) => scheduled.slowest().gain_in(ms),
        }
    }

    /// Returns true if the calendar restores it after `from`, until `now`.
    pub(crate) fn is_due(&self, from: i64, now: i64) -> bool {
        self.resets().and_then(|resets| resets.last(now)).is_some_and(|reset| reset > from)
    }

    /// Returns true if it gains nothing, and is restored.
    pub(crate) fn is_quota(&self) -> bool {
        self.quota_period().is_some()
    }

    /// Returns true if a use begins the period in which it is restored.
    pub(crate) fn is_session(&self) -> bool {
        matches!(self.quota_period(), Some(Period::Session { .. }))
    }

    /// Returns true if something about it changes with time alone.
    pub(crate) fn is_timed(&self) -> bool {
        !matches!(self, Self::Rate(_))
    }

    /// The rule by which it is restored.
    pub(crate) fn quota_period(&self) -> Option<Period<'_>> {
        match self {
            Self::Rate(_) => None,
            Self::Quota { resets, .. } => Some(Period::Calendar(resets)),
            Self::Session { length, .. } => Some(Period::Session { length: *length }),
            Self::Scheduled(scheduled) => scheduled.plain.quota_period(),
        }
    }

    /// The instants at which it is restored.
    pub(crate) fn resets(&self) -> Option<&Resets> {
        match self.quota_period() {
            Some(Period::Calendar(resets)) => Some(resets),
            Some(Period::Session { .. }) | None => None,
        }
    }

    /// The schedule of its parameters.
    pub(crate) fn schedule(&self) -> Option<&Schedule> {
        match self {
            Self::Scheduled(scheduled) => Some(&scheduled.schedule),
            _ => None,
        }
    }

    /// The parameters over time of one of `shards` shards.
    pub(in crate::bucket) fn course(&self, shards: u32) -> Course<'_> {
        Course { base: self.params(), schedule: self.schedule(), resets: self.resets(), shards }
    }

    /// The first instant after `now` (epoch ms) at which the calendar or the schedule changes something about it.
    pub(crate) fn next_boundary(&self, now: i64) -> Option<i64> {
        let change = self.schedule().and_then(|schedule| schedule.next_change(now));
        let reset = self.resets().and_then(|resets| resets.next(now));
        change.into_iter().chain(reset).min()
    }

    /// Ms from `now` until it is restored, if nothing was taken from it before; `None` where it gains instead. Where no
    /// reset comes any more, all the time there is.
    pub(crate) fn restored_in(&self, now: i64) -> Option<i64> {
        match self.quota_period()? {
            Period::Calendar(resets) => Some(resets.next(now).map_or(i64::MAX, |next| next.saturating_sub(now))),
            Period::Session { length } => Some(length),
        }
    }

    /// Ms until `deficit` is gained, rounded up; 0 without a deficit. What gains nothing waits for its
    /// [reset](Kind::restored_in), which counts here as no time at all.
    pub(crate) fn wait_ms(&self, deficit: i64) -> u128 {
        match self {
            Self::Rate(params) => params.wait_ms(deficit),
            Self::Quota { .. } | Self::Session { .. } => 0,
            Self::Scheduled(scheduled) => scheduled.slowest().wait_ms(deficit),
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
