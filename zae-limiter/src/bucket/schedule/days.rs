//! The days that an expression matches, and the minutes of such a day; on a plain calendar, without zones.
//!
//! Days are counted from 1 January 1970, a Thursday. The well-known conversions between a day and its month count years
//! from March on, so that the leap day is the last of the year (Howard Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms"). They are exact for every year within 64 bits.
//!
//! # The days of a month as one number
//!
//! An expression has its days of the month and its weekdays as sets of bits. For a month, the weekdays are converted to
//! days: the set is rotated so that bit 0 is the weekday of the 1st, and repeated five times. One operation then
//! combines both, `and` if either field begins with `*`, otherwise `or`, as cron does. The result is cut to the month's
//! length, and the first or last match is found by counting zeros.
//!
//! For example, Fridays (bit 5) in February 2026, which begins with a Sunday: rotated by 0, repeated at 5, 12, 19, 26,
//! shifted by one because days begin with 1: the 6th, 13th, 20th and 27th.

use std::ops::Range;

use crate::{bucket::schedule::DAY, model::schedule::Cron};

/// The minutes to search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Minutes that it matches.
    Match,
    /// Minutes that it does not match.
    Gap,
}

/// A month of the proleptic Gregorian calendar.
#[derive(Clone, Copy)]
struct Month {
    /// The year.
    year: i64,
    /// Counted from 1.
    month: u32,
    /// Its first day, in days of the epoch.
    first: i64,
    /// Its days.
    length: u32,
}

/// Returns the days from the epoch to 1 March of the year `year`, where years begin in March.
fn days_before_march(year: i64) -> i64 {
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) - 719_468
}

impl Month {
    /// Returns a month of a year.
    fn new(year: i64, month: u32) -> Self {
        let begins_in_march = |month: u32| i64::from((month + 9) % 12);
        let start = |year: i64, month: u32| {
            let year = if month <= 2 { year - 1 } else { year };
            days_before_march(year) + (153 * begins_in_march(month) + 2) / 5
        };
        let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let first = start(year, month);
        let length = u32::try_from(start(next_year, next) - first).unwrap_or(0);
        Self { year, month, first, length }
    }

    /// Returns the month of a day.
    fn of_day(day: i64) -> Self {
        let shifted = day + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = u32::try_from((from_march + 2) % 12 + 1).unwrap_or(1);
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self::new(year, month)
    }

    /// Returns the next month.
    fn next(self) -> Self {
        if self.month == 12 { Self::new(self.year + 1, 1) } else { Self::new(self.year, self.month + 1) }
    }

    /// Returns the previous month.
    fn previous(self) -> Self {
        if self.month == 1 { Self::new(self.year - 1, 12) } else { Self::new(self.year, self.month - 1) }
    }

    /// Returns the days that `cron` matches: bit d stands for the day d.
    fn matching(self, cron: &Cron) -> u64 {
        if cron.months() & 1 << self.month == 0 {
            return 0;
        }
        // The first day of the epoch was a Thursday. Bit 0 of `week` is the weekday of the first day of the month.
        let weekday = (self.first + 4).rem_euclid(7);
        let weekdays = cron.weekdays();
        let week = (weekdays >> weekday | weekdays << (7 - weekday)) & 0x7f;
        let by_weekday = (week | week << 7 | week << 14 | week << 21 | week << 28) << 1;
        let days = if cron.needs_both_days() { cron.days() & by_weekday } else { cron.days() | by_weekday };
        days & ((1 << (self.length + 1)) - 2)
    }

    /// Returns the number of `day` in the month, from 1 on.
    fn number(self, day: i64) -> u32 {
        u32::try_from(day - self.first + 1).unwrap_or(0)
    }

    /// Returns the day with this number.
    fn day(self, number: u32) -> i64 {
        self.first + i64::from(number) - 1
    }
}

/// Returns true if `cron` matches any minute of `day`.
pub(super) fn matches_day(cron: &Cron, day: i64) -> bool {
    let month = Month::of_day(day);
    month.matching(cron) & 1 << month.number(day) != 0
}

/// Returns the first day in `days` that `cron` matches.
pub(super) fn first_day(cron: &Cron, days: Range<i64>) -> Option<i64> {
    let mut month = Month::of_day(days.start);
    while month.first < days.end {
        let from = month.number(days.start.max(month.first));
        let later = month.matching(cron) >> from << from;
        if later != 0 {
            return Some(month.day(later.trailing_zeros())).filter(|day| *day < days.end);
        }
        month = month.next();
    }
    None
}

/// Returns the last day in `days` that `cron` matches.
pub(super) fn last_day(cron: &Cron, days: Range<i64>) -> Option<i64> {
    let mut month = Month::of_day(days.end - 1);
    while month.first + i64::from(month.length) > days.start {
        let until = month.number(days.end - 1).min(month.length);
        let earlier = month.matching(cron) & ((1 << (until + 1)) - 1);
        if earlier != 0 {
            return Some(month.day(63 - earlier.leading_zeros())).filter(|day| *day >= days.start);
        }
        month = month.previous();
    }
    None
}

/// Returns true if `cron` matches `minute` of a matching day.
pub(super) fn matches_time(cron: &Cron, minute: i64) -> bool {
    cron.hours() & 1 << (minute / 60) != 0 && cron.minutes() & 1 << (minute % 60) != 0
}

/// Returns the first wanted minute from `minute` on, on a day that `cron` matches.
pub(super) fn first_time(cron: &Cron, minute: i64, wanted: Wanted) -> Option<i64> {
    let hour = minute / 60;
    (hour..24).find_map(|at| {
        let set = minutes_of_hour(cron, at, wanted);
        let from = if at == hour { minute % 60 } else { 0 };
        let later = set >> from << from;
        (later != 0).then(|| at * 60 + i64::from(later.trailing_zeros()))
    })
}

/// Returns the last wanted minute up to and including `minute`, on a day that `cron` matches.
pub(super) fn last_time(cron: &Cron, minute: i64, wanted: Wanted) -> Option<i64> {
    let hour = minute / 60;
    (0..=hour).rev().find_map(|at| {
        let set = minutes_of_hour(cron, at, wanted);
        let until = if at == hour { minute % 60 } else { 59 };
        let earlier = set & (u64::MAX >> (63 - until));
        (earlier != 0).then(|| at * 60 + 63 - i64::from(earlier.leading_zeros()))
    })
}

/// Returns the wanted minutes of an hour: bit m stands for minute m.
fn minutes_of_hour(cron: &Cron, hour: i64, wanted: Wanted) -> u64 {
    const HOUR: u64 = (1 << 60) - 1;
    let minutes = if cron.hours() & 1 << hour != 0 { cron.minutes() } else { 0 };
    match wanted {
        Wanted::Match => minutes,
        Wanted::Gap => !minutes & HOUR,
    }
}

/// Returns true if `cron` matches every minute of a matching day.
pub(super) fn fills_days(cron: &Cron) -> bool {
    first_time(cron, 0, Wanted::Gap).is_none()
}

/// Splits a minute of the calendar into its day and the minute of that day.
pub(super) fn split(minute: i64) -> (i64, i64) {
    (minute.div_euclid(DAY), minute.rem_euclid(DAY))
}
