//! The instants at which an expression begins or ceases to match, in minutes of the epoch.
//!
//! A zone's wall clock is the epoch's plus an offset that is constant for months. A search therefore proceeds through
//! *spans* of one offset: in each it searches a plain calendar, where a day has 1440 minutes, and converts the minute
//! that it finds. A span without a match is skipped as a whole.
//!
//! New York in 2026, where the offset is −300 minutes in winter and −240 in summer:
//!
//! | expression | instants | why |
//! |---|---|---|
//! | `30 2 * * *` | 7 March 07:30 UTC, then 9 March 06:30 UTC | on 8 March the clock goes from 2:00 to 3:00, and 2:30 is in neither span |
//! | `30 1 * * *` | 1 November 05:30 and 06:30 UTC | the clock goes back from 2:00 to 1:00, and 1:30 is in both spans |
//!
//! A matching day is found by the sets of a month ([`days`](super::days)), so twelve steps cover a year. A search ends
//! after 60 years: an expression that matches no day in that time, such as 31 February, never does.
//!
//! *Gaps* are searched for in the same way, because a phase ends when its expression ceases to match. If an expression
//! matches whole days (`* * * * 1-5`), the gap is a day; otherwise it is a minute of the same or the next day.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::{
    bucket::schedule::{
        DAY,
        days::{Wanted, fills_days, first_day, first_time, last_day, last_time, matches_day, matches_time, split},
    },
    model::schedule::{Cron, Zone},
};

/// The length of a search, in minutes: 60 years. A 29 February on a given weekday recurs after 28 years, or 40 across
/// the end of most centuries.
const LIMIT: i64 = 60 * 366 * DAY;

/// The earliest and the latest minute with a wall clock: the years 1 to 9000, in minutes.
const REPRESENTABLE: RangeInclusive<i64> = -1_035_593_280..=3_697_493_760;

/// Minutes of the epoch during which a zone's offset from UTC is constant.
struct Span {
    /// The first minute with this offset.
    first: i64,
    /// The last minute with this offset.
    last: i64,
    /// The offset: added to the minute of the epoch, it gives that of the wall clock.
    shift: i64,
}

impl Span {
    /// Returns the span of `minute`. Only whole minutes of the epoch are evaluated, so a zone's odd seconds round down.
    fn around(zone: &Zone, minute: i64) -> Self {
        let instant = |minute: i64| {
            let minute = minute.clamp(*REPRESENTABLE.start(), *REPRESENTABLE.end());
            Timestamp::from_second(minute * 60).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let (at, rules) = (instant(minute), zone.rules());
        let shift = i64::from(rules.to_offset(at).seconds()).div_euclid(60);
        // The first whole minute at or after a change.
        let begins = |change: Timestamp| -(-change.as_second()).div_euclid(60);
        let last = rules.following(at).next().map_or(i64::MAX, |change| begins(change.timestamp()) - 1);
        // Changes strictly before the next minute's first instant are those up to this minute.
        let just_after = Timestamp::from_second(at.as_second() + 1).unwrap_or(at);
        let first = rules.preceding(just_after).next().map_or(i64::MIN, |change| begins(change.timestamp()));
        Self { first, last, shift }
    }
}

/// Returns true if `cron` matches at `minute` on the clock of `zone`.
pub(super) fn matches(cron: &Cron, zone: &Zone, minute: i64) -> bool {
    let at = Timestamp::from_second(minute.saturating_mul(60)).unwrap_or(Timestamp::UNIX_EPOCH);
    let shift = i64::from(zone.rules().to_offset(at).seconds()).div_euclid(60);
    let (day, time) = split(minute + shift);
    matches_time(cron, time) && matches_day(cron, day)
}

/// Returns the first `wanted` minute from `from` on.
pub(super) fn first(cron: &Cron, zone: &Zone, from: i64, wanted: Wanted) -> Option<i64> {
    if cron.always_matches() {
        return (wanted == Wanted::Match).then_some(from);
    }
    let (mut at, end) = (from, from.saturating_add(LIMIT));
    while at < end && REPRESENTABLE.contains(&at) {
        let span = Span::around(zone, at);
        let last = span.last.min(end);
        let found = first_local(cron, at + span.shift, last + span.shift, wanted);
        if let Some(found) = found {
            return Some(found - span.shift);
        }
        at = last + 1;
    }
    None
}

/// Returns the last `wanted` minute up to `from`.
pub(super) fn last(cron: &Cron, zone: &Zone, from: i64, wanted: Wanted) -> Option<i64> {
    if cron.always_matches() {
        return (wanted == Wanted::Match).then_some(from);
    }
    let (mut at, end) = (from, from.saturating_sub(LIMIT));
    while at > end && REPRESENTABLE.contains(&at) {
        let span = Span::around(zone, at);
        let first = span.first.max(end);
        let found = last_local(cron, first + span.shift, at + span.shift, wanted);
        if let Some(found) = found {
            return Some(found - span.shift);
        }
        at = first - 1;
    }
    None
}

/// Returns the first wanted minute between two minutes of the plain calendar, both included.
fn first_local(cron: &Cron, first: i64, last: i64, wanted: Wanted) -> Option<i64> {
    let (day, time) = split(first);
    let (last_day_of_span, _) = split(last);
    let rest = match wanted {
        Wanted::Match if matches_day(cron, day) => first_time(cron, time, Wanted::Match).map(|time| day * DAY + time),
        Wanted::Match => None,
        Wanted::Gap if matches_day(cron, day) => first_time(cron, time, Wanted::Gap).map(|time| day * DAY + time),
        Wanted::Gap => Some(first),
    };
    let found = rest.or_else(|| match wanted {
        Wanted::Match => {
            let day = first_day(cron, day + 1..last_day_of_span + 1)?;
            Some(day * DAY + first_time(cron, 0, Wanted::Match)?)
        }
        Wanted::Gap if fills_days(cron) => {
            let day = (day + 1..=last_day_of_span).find(|day| !matches_day(cron, *day))?;
            Some(day * DAY)
        }
        Wanted::Gap if matches_day(cron, day + 1) => {
            first_time(cron, 0, Wanted::Gap).map(|time| (day + 1) * DAY + time)
        }
        Wanted::Gap => Some((day + 1) * DAY),
    });
    found.filter(|found| *found <= last)
}

/// Returns the last wanted minute between two minutes of the plain calendar, both included.
fn last_local(cron: &Cron, first: i64, last: i64, wanted: Wanted) -> Option<i64> {
    const LAST_MINUTE: i64 = DAY - 1;
    let (day, time) = split(last);
    let (first_day_of_span, _) = split(first);
    let rest = match wanted {
        Wanted::Match if matches_day(cron, day) => last_time(cron, time, Wanted::Match).map(|time| day * DAY + time),
        Wanted::Match => None,
        Wanted::Gap if matches_day(cron, day) => last_time(cron, time, Wanted::Gap).map(|time| day * DAY + time),
        Wanted::Gap => Some(last),
    };
    let found = rest.or_else(|| match wanted {
        Wanted::Match => {
            let day = last_day(cron, first_day_of_span..day)?;
            Some(day * DAY + last_time(cron, LAST_MINUTE, Wanted::Match)?)
        }
        Wanted::Gap if fills_days(cron) => {
            let day = (first_day_of_span..day).rev().find(|day| !matches_day(cron, *day))?;
            Some(day * DAY + LAST_MINUTE)
        }
        Wanted::Gap if matches_day(cron, day - 1) => {
            last_time(cron, LAST_MINUTE, Wanted::Gap).map(|time| (day - 1) * DAY + time)
        }
        Wanted::Gap => Some(day * DAY - 1),
    });
    found.filter(|found| *found >= first)
}
