//! Limits whose parameters change with the time of day: [`Scheduled`].
//!
//! A scheduled limit is a plain one with a [`Schedule`]. At any instant it is a plain limit again ([`Scheduled::at`]),
//! and whoever decides something at that instant works with that one. Only two questions span several phases: how much
//! it gained since the last refill, and how long a request has to wait. Both go from phase to phase.

use crate::{
    bucket::{
        Accrual, Params,
        image::Basis,
        kind::Kind,
        schedule::{accrual::Course, phase::Phase},
    },
    model::schedule::Schedule,
};

/// The most phases of which the gain is added up for a bound; beyond them, the fastest rate counts for all of the time.
const PHASES: usize = 64;

/// A limit with other parameters at certain times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scheduled {
    /// The limit outside of the schedule's entries, undivided.
    pub(in crate::bucket) plain: Kind,
    /// The parameters at certain times.
    pub(in crate::bucket) schedule: Schedule,
    /// The number of shards among which it is divided.
    pub(in crate::bucket) shards: u32,
}

impl Scheduled {
    /// The walk through time of its parameters.
    pub(in crate::bucket) fn course(&self) -> Course<'_> {
        Course {
            base: self.plain.params(),
            schedule: Some(&self.schedule),
            resets: self.plain.resets(),
            shards: self.shards,
        }
    }

    /// The part that a phase makes of it.
    fn in_phase(&self, phase: &Phase) -> Kind {
        let params = self.schedule.params(self.plain.params(), phase);
        self.plain.with(params).share(self.shards)
    }

    /// The limit at `now` (epoch ms).
    pub(crate) fn at(&self, now: i64) -> Kind {
        self.in_phase(&self.schedule.phase(now))
    }

    /// The balance at `now` from `tokens` at `from`, and its basis.
    pub(in crate::bucket) fn held(&self, tokens: i64, from: i64, now: i64, fraction: i64) -> (i64, Basis) {
        let phase = self.schedule.phase(now);
        if from >= phase.from {
            return self.in_phase(&phase).held(tokens, from, now, fraction);
        }
        // The rest of a millitoken is given up with the phase.
        (self.course().balance(tokens, from, now), Basis::Changed)
    }

    /// All parameters that it can have, divided.
    fn possible(&self) -> impl Iterator<Item = Params> {
        let base = self.plain.params();
        let entries = (0..self.schedule.entries().len()).map(Some);
        entries.chain([None]).map(move |entry| {
            let phase = Phase { entry, from: i64::MIN, until: i64::MAX };
            self.schedule.params(base, &phase).share(self.shards)
        })
    }

    /// The largest capacity that it can have.
    pub(in crate::bucket) fn ceiling(&self) -> i64 {
        self.possible().map(|params| params.capacity).max().unwrap_or(0)
    }

    /// The limit that takes longest to fill of those that it can be, with the largest capacity.
    pub(in crate::bucket) fn slowest(&self) -> Kind {
        let slower = |one: &Params, other: &Params| rate(one, other).cmp(&rate(other, one));
        let slowest = self.possible().min_by(slower).unwrap_or(self.plain.params());
        self.plain.with(Params { capacity: self.ceiling(), ..slowest })
    }

    /// The most that it can have gained between two instants, in mt.
    pub(in crate::bucket) fn gained(&self, from: i64, to: i64) -> i64 {
        let (mut gained, mut at) = (0_i64, from);
        for _ in 0..PHASES {
            if at >= to {
                return gained;
            }
            let phase = self.schedule.phase(at);
            let until = phase.until.min(to);
            gained = gained.saturating_add(self.in_phase(&phase).gained(at, until));
            at = until;
        }
        let faster = |one: &Params, other: &Params| rate(one, other).cmp(&rate(other, one));
        let fastest = self.possible().max_by(faster).unwrap_or(self.plain.params());
        gained.saturating_add(Accrual::between(fastest, at, to, 0).rounded_up())
    }

    /// Ms from `now` (epoch ms) until it holds `amount` mt, of which it holds `tokens`; `None` where that is never.
    pub(in crate::bucket) fn wait_ms(&self, tokens: i64, amount: i64, now: i64) -> Option<i64> {
        let lowest = self.possible().map(|params| params.capacity).min().unwrap_or(0);
        if amount <= lowest {
            return self.course().wait(amount.saturating_sub(tokens), now);
        }
        self.course().wait_for(tokens, amount, now)
    }
}

/// A rate as it compares with another's, in the unit of both periods.
fn rate(one: &Params, other: &Params) -> i128 {
    i128::from(one.refill) * i128::from(other.period)
}
