//! The instants of resets: [`Resets::last`] and [`Resets::next`].
//!
//! An expression *begins* at a minute that it matches if it does not match the previous minute. `* 9 * * *` begins once
//! a day, and `* * * * *` never. There is no horizon: in March, the last reset of a quota that is reset on the 31st is
//! found in January.

use std::time::{Duration, SystemTime};

use crate::{
    bucket::schedule::{
        MINUTE,
        days::Wanted,
        search::{first, last, matches},
    },
    model::{
        limit::Limit,
        schedule::{Cron, Resets, Zone},
    },
};

impl Resets {
    /// Returns the latest reset at or before `now`, in epoch ms.
    pub(crate) fn last(&self, now: i64) -> Option<i64> {
        self.crons().iter().filter_map(|cron| last_edge(cron, self.zone(), now)).max()
    }

    /// Returns the earliest reset after `now`, in epoch ms.
    pub(crate) fn next(&self, now: i64) -> Option<i64> {
        self.crons().iter().filter_map(|cron| next_edge(cron, self.zone(), now)).min()
    }
}

impl Limit {
    /// Returns the first instant after `after` at which a quota is restored; `None` for a rate.
    pub fn next_reset(&self, after: SystemTime) -> Option<SystemTime> {
        let since = after.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let next = self.resets()?.next(i64::try_from(since.as_millis()).ok()?)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(next).ok()?))
    }
}

fn last_edge(cron: &Cron, zone: &Zone, now: i64) -> Option<i64> {
    let matched = last(cron, zone, now.div_euclid(MINUTE), Wanted::Match)?;
    let before = last(cron, zone, matched, Wanted::Gap)?;
    Some((before + 1) * MINUTE)
}

fn next_edge(cron: &Cron, zone: &Zone, now: i64) -> Option<i64> {
    let minute = now.div_euclid(MINUTE);
    let gap = if matches(cron, zone, minute) { first(cron, zone, minute, Wanted::Gap)? } else { minute };
    first(cron, zone, gap, Wanted::Match).map(|minute| minute * MINUTE)
}
