//! Cron expressions: [`Cron`].

use std::{fmt, str::FromStr};

use crate::model::schedule::{
    error::ScheduleError,
    field::{CronField, Field},
};

/// The longest expression, in characters.
pub(crate) const MAX_CRON: usize = 1_000;

/// The month whose length changes.
const FEBRUARY: u32 = 2;

/// A cron expression of five fields: minute, hour, day of month, month, day of week. It matches whole minutes of a
/// clock.
///
/// Days of the month and of the week both have to match where the text of one of them begins with `*`; else either is
/// enough.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cron {
    /// Minute, hour, day of the month, month and day of the week.
    fields: [Field; 5],
}

impl Cron {
    /// Parses the five fields, and refuses days that no month has.
    fn of(texts: [&str; 5]) -> Result<Self, ScheduleError> {
        let [minute, hour, day, month, weekday] = texts;
        let cron = Self {
            fields: [
                Field::parse(CronField::Minute, minute)?,
                Field::parse(CronField::Hour, hour)?,
                Field::parse(CronField::DayOfMonth, day)?,
                Field::parse(CronField::Month, month)?,
                Field::parse(CronField::DayOfWeek, weekday)?,
            ],
        };
        let has_a_day = |month: u32| cron.days() & days_of(month) != 0;
        let months = (1..=12).filter(|month| cron.months() & 1 << month != 0);
        if cron.needs_both_days() && !months.into_iter().any(has_a_day) {
            return Err(ScheduleError::NoSuchDay);
        }
        Ok(cron)
    }

    /// Bit m stands for the minute m.
    pub(crate) fn minutes(&self) -> u64 {
        self.fields[0].values
    }

    /// Bit h stands for the hour h.
    pub(crate) fn hours(&self) -> u64 {
        self.fields[1].values
    }

    /// Bit d stands for the day d of a month.
    pub(crate) fn days(&self) -> u64 {
        self.fields[2].values
    }

    /// Bit m stands for the month m.
    pub(crate) fn months(&self) -> u64 {
        self.fields[3].values
    }

    /// Bit w stands for the day w of a week, Sunday being 0.
    pub(crate) fn weekdays(&self) -> u64 {
        self.fields[4].values
    }

    /// Returns true if the days of the month and of the week both have to match.
    pub(crate) fn needs_both_days(&self) -> bool {
        self.fields[2].begins_with_star() || self.fields[4].begins_with_star()
    }

    /// Returns true if it matches every minute.
    pub(crate) fn always_matches(&self) -> bool {
        let full = |index: usize, field: CronField| self.fields[index].values == field.all();
        let days = match (full(2, CronField::DayOfMonth), full(4, CronField::DayOfWeek)) {
            (true, true) => true,
            (one, other) => (one || other) && !self.needs_both_days(),
        };
        full(0, CronField::Minute) && full(1, CronField::Hour) && full(3, CronField::Month) && days
    }

    /// Returns true if it begins to match at some minute of the hours from `first` to before `end`.
    pub(crate) fn begins_between_hours(&self, first: u32, end: u32) -> bool {
        let whole_hours = self.minutes() == CronField::Minute.all();
        (first..end).any(|hour| {
            let matched = |hour: u32| self.hours() & 1 << hour != 0;
            matched(hour) && !(whole_hours && matched((hour + 23) % 24))
        })
    }

    /// The length of its cycle, in seconds: the unit above the longest field that is restricted.
    pub(crate) fn cycle_seconds(&self) -> u64 {
        const DAY: u64 = 86_400;
        let restricts = |index: usize, field: CronField| self.fields[index].values != field.all();
        let cycles = [
            (3, CronField::Month, 366 * DAY),
            (2, CronField::DayOfMonth, 31 * DAY),
            (4, CronField::DayOfWeek, 7 * DAY),
            (1, CronField::Hour, DAY),
            (0, CronField::Minute, 3_600),
        ];
        cycles.into_iter().find(|(index, field, _)| restricts(*index, *field)).map_or(60, |(_, _, cycle)| cycle)
    }

    /// The fields with their texts.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (CronField, &Field)> {
        CronField::ALL.into_iter().zip(&self.fields)
    }
}

/// The set of days that `month` has in a leap year.
fn days_of(month: u32) -> u64 {
    let days = match month {
        FEBRUARY => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    CronField::DayOfMonth.all() & ((1 << (days + 1)) - 1)
}

impl FromStr for Cron {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_CRON {
            return Err(ScheduleError::TooLong);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        match <[&str; 5]>::try_from(fields) {
            Ok(fields) => Self::of(fields),
            Err(fields) => Err(ScheduleError::FieldCount { found: fields.len() }),
        }
    }
}

/// Writes numbers of months and days of the week as names.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (kind, field)) in self.fields().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            field.display(kind, f)?;
        }
        Ok(())
    }
}
