//! A limit's parameters over time: [`Phase`].
//!
//! Entries are asked in their order, and the first that matches decides; if none does, the limit's own parameters hold.
//! So a phase ends when its entry ceases to match, or an earlier one begins to. With
//!
//! ```text
//! 1.  * 12 * * *     factor 2      at noon
//! 2.  * 9-17 * * *   factor 0.5    in working hours
//! ```
//!
//! the phases of a day are: own parameters until 9:00, the second entry until 12:00, the first until 13:00, the second
//! until 18:00, own parameters.
//!
//! A phase carries its ends, so whoever keeps it need not ask again before the second. Computing it takes a search for
//! each entry that could end it.

use crate::{
    bucket::{
        MILLI, Params, clamp,
        schedule::{
            MINUTE,
            days::Wanted,
            search::{first, last, matches},
        },
    },
    model::schedule::{Change, Schedule},
};

/// The largest capacity and refill amount, in mt. What a factor makes of a limit is cut to it: sums of two still fit.
const LARGEST: f64 = (i64::MAX / 2) as f64;

/// A stretch of time in which one entry of a schedule, or none, decides a limit's parameters. It may be kept until it
/// ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// The first entry that matches.
    pub(crate) entry: Option<usize>,
    /// Its first instant, in epoch ms; `i64::MIN` where it has none.
    pub(crate) from: i64,
    /// The first instant after it, in epoch ms; `i64::MAX` where it does not end.
    pub(crate) until: i64,
}

impl Phase {
    /// Returns true if `now` (epoch ms) lies in it.
    #[cfg(test)]
    pub(crate) fn holds(&self, now: i64) -> bool {
        (self.from..self.until).contains(&now)
    }
}

impl Schedule {
    /// The phase at `now` (epoch ms).
    pub(crate) fn phase(&self, now: i64) -> Phase {
        let minute = now.div_euclid(MINUTE);
        let entry = self.entries().iter().position(|entry| matches(&entry.cron, self.zone(), minute));
        let until = self.ends_of(entry).filter_map(|(cron, wanted)| first(cron, self.zone(), minute + 1, wanted));
        let from = self.ends_of(entry).filter_map(|(cron, wanted)| last(cron, self.zone(), minute - 1, wanted));
        Phase {
            entry,
            from: from.max().map_or(i64::MIN, |minute| (minute + 1) * MINUTE),
            until: until.min().map_or(i64::MAX, |minute| minute * MINUTE),
        }
    }

    /// The first instant after `now` at which another entry decides, in epoch ms.
    pub(crate) fn next_change(&self, now: i64) -> Option<i64> {
        let minute = now.div_euclid(MINUTE);
        let entry = self.entries().iter().position(|entry| matches(&entry.cron, self.zone(), minute));
        let ends = self.ends_of(entry).filter_map(|(cron, wanted)| first(cron, self.zone(), minute + 1, wanted));
        ends.min().map(|minute| minute * MINUTE)
    }

    /// The events that end a phase of `entry`: it ceases to match, or an earlier one matches.
    fn ends_of(&self, entry: Option<usize>) -> impl Iterator<Item = (&crate::model::schedule::Cron, Wanted)> {
        let earlier = &self.entries()[..entry.unwrap_or(self.entries().len())];
        let own = entry.map(|index| (&self.entries()[index].cron, Wanted::Gap));
        earlier.iter().map(|entry| (&entry.cron, Wanted::Match)).chain(own)
    }

    /// The parameters that `phase` makes of `base`; both undivided.
    pub(crate) fn params(&self, base: Params, phase: &Phase) -> Params {
        match phase.entry.map(|index| self.entries()[index].change) {
            None => base,
            Some(Change::Scale { per_mille }) => {
                let factor = f64::from(per_mille) / 1_000.0;
                // The product is that of doubles, so that every client of the table has the same.
                let scaled = |value: i64| ((value as f64 * factor).trunc().clamp(1.0, LARGEST)) as i64;
                let refill = if base.refill == 0 { 0 } else { scaled(base.refill) };
                Params { capacity: scaled(base.capacity), refill, ..base }
            }
            Some(Change::Replace { capacity, refill_amount, refill_period }) => {
                let milli = |value: u64| clamp(i128::from(value) * i128::from(MILLI));
                Params {
                    capacity: capacity.map_or(base.capacity, milli),
                    refill: refill_amount.map_or(base.refill, milli),
                    period: refill_period.map_or(base.period, milli),
                }
            }
        }
    }
}
