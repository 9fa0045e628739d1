//! Schedules that cannot be used: [`ScheduleError`].

use std::{error::Error, fmt};

use crate::model::schedule::{MAX_ENTRIES, cron::MAX_CRON, entry, field::CronField};

/// A cron expression, zone or stored schedule that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum ScheduleError {
    /// An expression of more or fewer than five fields.
    FieldCount {
        /// The number of fields found.
        found: usize,
    },
    /// An expression beyond the longest.
    TooLong,
    /// A field that cannot be read.
    Field {
        /// The field.
        field: CronField,
        /// The offending part of it.
        term: String,
        /// The rule it breaks.
        rule: FieldRule,
    },
    /// Days of the month that none of the months has.
    NoSuchDay,
    /// A name that is not in the time zone database.
    UnknownZone {
        /// The name.
        name: String,
    },
    /// A factor out of range.
    Scale,
    /// A capacity, refill amount or period out of range.
    Amount {
        /// The value's name.
        field: &'static str,
        /// The largest allowed.
        max: u64,
    },
    /// An entry that scales and sets values at once, or does neither.
    Change,
    /// A schedule without entries.
    NoEntries,
    /// A schedule of more entries than allowed.
    TooManyEntries {
        /// The number given.
        count: usize,
    },
    /// Resets that match all the time and thus never begin to.
    NeverResets,
    /// A stored form of an unknown version.
    Version,
    /// A stored form that cannot be read.
    Stored {
        /// The reason, in words.
        reason: &'static str,
    },
}

/// The rule that a part of a cron field breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum FieldRule {
    /// Nothing stands where a value belongs.
    Missing,
    /// Neither a number nor a name of the field.
    NotAValue,
    /// A number that the field does not have.
    OutOfRange,
    /// A range that ends before it begins.
    Descending,
    /// A step that is no positive number.
    Step,
}

impl fmt::Display for FieldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "a value is missing",
            Self::NotAValue => "not a number or a name of this field",
            Self::OutOfRange => "out of range",
            Self::Descending => "the range ends before it begins",
            Self::Step => "a step is a whole number of at least 1",
        })
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldCount { found } => write!(
                f,
                "a cron expression has five fields (minute, hour, day of month, month, day of week); this has {found}"
            ),
            Self::TooLong => write!(f, "a cron expression has at most {MAX_CRON} characters"),
            Self::Field { field, term, rule } => {
                write!(f, "{field} `{term}`: {rule} (allowed: {})", field.allowed())
            }
            Self::NoSuchDay => f.write_str("none of the months has such a day"),
            Self::UnknownZone { name } => write!(
                f,
                "`{name}` is no time zone; name one of the IANA database exactly, for example Europe/Berlin or UTC"
            ),
            Self::Scale => write!(f, "a scale is greater than 0 and at most {}", entry::MAX_SCALE),
            Self::Amount { field, max } => write!(f, "{field} is a whole number from 1 to {max}"),
            Self::Change => {
                f.write_str("an entry has either a scale or at least one of capacity, refill amount and refill period")
            }
            Self::NoEntries => f.write_str("a schedule has at least one entry"),
            Self::TooManyEntries { count } => {
                write!(f, "a schedule has at most {MAX_ENTRIES} entries; this has {count}")
            }
            Self::NeverResets => f.write_str(
                "it matches every minute, so that it never begins to; name a minute, for example `0 0 * * *` for \
                 midnight",
            ),
            Self::Version => f.write_str("the stored schedule is of a newer version; update this program"),
            Self::Stored { reason } => write!(f, "the stored schedule cannot be read: {reason}"),
        }
    }
}

impl Error for ScheduleError {}
