//! One field of a cron expression: [`Field`].
//!
//! A field is a list of terms, each a value, a range or `*`, with a step or without:
//!
//! | term | values, as minutes | remark |
//! |---|---|---|
//! | `*` | 0 to 59 | |
//! | `*/15` | 0, 15, 30, 45 | |
//! | `10-20/5` | 10, 15, 20 | |
//! | `50/5` | 50, 55 | a lone value with a step goes on to the end |
//! | `1,2,40-42` | 1, 2, 40, 41, 42 | |
//!
//! Months and weekdays also have names of three letters, in any case. Sunday is 0 and 7. A range must not descend, and
//! a step must not be 0.
//!
//! The set of values is one number of 64 bits, which is all that matching needs. The text is kept beside it, with
//! numbers for names, because the table stores it and clients in two languages must find the same text, and because
//! cron asks how it begins: days of month and week are combined by `and` if one of them begins with `*`.

use std::fmt::{self, Write as _};

use crate::model::schedule::error::{FieldRule, ScheduleError};

/// Characters of an offending term that an error keeps.
const KEPT_CHARS: usize = 20;

/// Names of months, from 1 on.
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// Names of weekdays, from 0 on.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The fields of a cron expression, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum CronField {
    /// Minutes of an hour.
    Minute,
    /// Hours of a day.
    Hour,
    /// Days of a month.
    DayOfMonth,
    /// Months of a year.
    Month,
    /// Days of a week; Sunday is both 0 and 7.
    DayOfWeek,
}

impl CronField {
    /// The fields in the order of an expression.
    pub(crate) const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    /// The smallest and the largest value.
    fn bounds(self) -> (u32, u32) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The names of the values, from the smallest on.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
        }
    }

    /// Describes the values.
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Self::Minute => "0-59",
            Self::Hour => "0-23",
            Self::DayOfMonth => "1-31",
            Self::Month => "1-12 or JAN-DEC",
            Self::DayOfWeek => "0-7 or SUN-SAT, where 0 and 7 are Sunday",
        }
    }

    /// The set of all values.
    pub(crate) fn all(self) -> u64 {
        let (first, last) = self.bounds();
        let last = if self == Self::DayOfWeek { last - 1 } else { last };
        (first..=last).fold(0, |set, value| set | 1 << value)
    }

    /// Describes a term that breaks a rule: cut, and without control characters.
    fn error(self, term: &str, rule: FieldRule) -> ScheduleError {
        let term = match term.char_indices().nth(KEPT_CHARS) {
            Some((end, _)) => format!("{}...", &term[..end]),
            None => term.to_owned(),
        };
        // Control characters must not reach a terminal.
        let term = term.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        ScheduleError::Field { field: self, term, rule }
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// A field as it is stored, and the set of its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    /// The text, with numbers for names.
    pub(crate) text: Box<str>,
    /// Bit v stands for the value v; Sunday is 0.
    pub(crate) values: u64,
}

impl Field {
    /// Reads a list of terms.
    pub(crate) fn parse(field: CronField, text: &str) -> Result<Self, ScheduleError> {
        let (mut stored, mut values) = (String::with_capacity(text.len()), 0);
        for (index, term) in text.split(',').enumerate() {
            if index > 0 {
                stored.push(',');
            }
            values |= parse_term(field, term, &mut stored)?;
        }
        if field == CronField::DayOfWeek {
            values = (values | values >> 7) & 0x7f;
        }
        Ok(Self { text: stored.into(), values })
    }

    /// Returns true if the text begins with `*`, which decides how days of month and week combine.
    pub(crate) fn begins_with_star(&self) -> bool {
        self.text.starts_with('*')
    }

    /// Returns true if it is left out of the stored form.
    pub(crate) fn is_star(&self) -> bool {
        &*self.text == "*"
    }

    /// Writes it for people, with names for numbers.
    pub(crate) fn display(&self, field: CronField, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, _) = field.bounds();
        let name = |text: &str| {
            let index = text.parse::<usize>().ok()?.checked_sub(first as usize)?;
            let names = field.names();
            if field == CronField::DayOfWeek { names.get(index % 7) } else { names.get(index) }
        };
        for (index, term) in self.text.split(',').enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            let (range, step) = term.split_once('/').map_or((term, None), |(range, step)| (range, Some(step)));
            for (index, value) in range.split('-').enumerate() {
                if index > 0 {
                    f.write_char('-')?;
                }
                f.write_str(name(value).copied().unwrap_or(value))?;
            }
            if let Some(step) = step {
                write!(f, "/{step}")?;
            }
        }
        Ok(())
    }
}

/// Reads one term of a field's list, appends its stored form and returns its values.
fn parse_term(field: CronField, term: &str, stored: &mut String) -> Result<u64, ScheduleError> {
    let (range, step) = term.split_once('/').map_or((term, None), |(range, step)| (range, Some(step)));
    let every = match step {
        Some(step) => number(step).filter(|step| *step > 0).ok_or_else(|| field.error(term, FieldRule::Step))?,
        None => 1,
    };
    let (smallest, largest) = field.bounds();
    let (first, last) = if range == "*" {
        stored.push('*');
        (smallest, largest)
    } else if let Some((first, last)) = range.split_once('-') {
        let ends = (value(field, term, first)?, value(field, term, last)?);
        if ends.0 > ends.1 {
            return Err(field.error(term, FieldRule::Descending));
        }
        push_value(stored, first, ends.0);
        stored.push('-');
        push_value(stored, last, ends.1);
        // Python clients take such a range for its only value, and step on from there.
        if ends.0 == ends.1 && step.is_some() { (ends.0, largest) } else { ends }
    } else {
        let only = value(field, term, range)?;
        let lone_sunday = field == CronField::DayOfWeek && only == 0 && step.is_none();
        push_value(stored, if lone_sunday { "7" } else { range }, only);
        (only, if step.is_some() { largest } else { only })
    };
    if let Some(step) = step {
        stored.push('/');
        stored.push_str(step);
    }
    let values = (first..=last).step_by(usize::try_from(every).unwrap_or(usize::MAX));
    Ok(values.fold(0, |set, value| set | 1 << value))
}

/// Appends a value in its stored form: digits as they were given, the number for a name.
fn push_value(stored: &mut String, text: &str, value: u32) {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        stored.push_str(text);
    } else {
        // A `String` takes all that is written.
        let _ = write!(stored, "{value}");
    }
}

/// Reads a name or a number within the field's bounds.
fn value(field: CronField, term: &str, text: &str) -> Result<u32, ScheduleError> {
    if text.is_empty() {
        return Err(field.error(term, FieldRule::Missing));
    }
    let (first, last) = field.bounds();
    if let Some(index) = field.names().iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(first + u32::try_from(index).unwrap_or(0));
    }
    let number = number(text).ok_or_else(|| field.error(term, FieldRule::NotAValue))?;
    if (first..=last).contains(&number) { Ok(number) } else { Err(field.error(term, FieldRule::OutOfRange)) }
}

/// Digits and nothing else, however many.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}
