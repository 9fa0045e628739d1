//! The stored form of schedules, which Python clients share.
//!
//! It begins with the version `1`, followed by the entries, joined by `;`. An entry is made of tagged values: `m`, `h`,
//! `D`, `M` and `w` are the fields of its cron expression, left out where they are `*`; `s` is a factor in thousandths,
//! `c`, `a` and `p` are capacity, refill amount (tokens) and period (seconds). So `1h9-17w1-5s500` halves a limit from
//! nine to five on weekdays, and `1m0h0` restores a quota at midnight.
//!
//! Text and not a map, because a write of a bucket has to compare a limit's schedule with what is stored, and one
//! string is one operand. It is also what counts most for the size of an item.
//!
//! Reading is strict: an unknown version or tag, a tag given twice, and values that are no numbers are errors, since
//! half a schedule would be enforced as another one. A version that is newer has an error of its own, for which the
//! cure is another client and not another text.

use std::fmt::Write as _;

use crate::model::schedule::{Change, Cron, Entry, ScheduleError, field::CronField};

/// The version that is written and read.
const VERSION: &str = "1";

/// The stored form of a parameter schedule.
pub(crate) fn of_entries(entries: &[Entry]) -> String {
    let mut text = VERSION.to_owned();
    for (index, entry) in entries.iter().enumerate() {
        push_cron(&mut text, index, &entry.cron);
        match entry.change {
            Change::Scale { per_mille } => push(&mut text, 's', u64::from(per_mille)),
            Change::Replace { capacity, refill_amount, refill_period } => {
                for (tag, value) in [('c', capacity), ('a', refill_amount), ('p', refill_period)] {
                    if let Some(value) = value {
                        push(&mut text, tag, value);
                    }
                }
            }
        }
    }
    text
}

/// The stored form of resets.
pub(crate) fn of_crons(crons: &[Cron]) -> String {
    let mut text = VERSION.to_owned();
    for (index, cron) in crons.iter().enumerate() {
        push_cron(&mut text, index, cron);
    }
    text
}

/// Appends an expression, after a separator unless it is the first.
fn push_cron(text: &mut String, index: usize, cron: &Cron) {
    if index > 0 {
        text.push(';');
    }
    for (kind, field) in cron.fields() {
        if !field.is_star() {
            text.push(tag(kind));
            text.push_str(&field.text);
        }
    }
}

/// Appends a tagged value.
fn push(text: &mut String, tag: char, value: u64) {
    // A `String` takes all that is written.
    let _ = write!(text, "{tag}{value}");
}

/// The tag of a field.
fn tag(field: CronField) -> char {
    match field {
        CronField::Minute => 'm',
        CronField::Hour => 'h',
        CronField::DayOfMonth => 'D',
        CronField::Month => 'M',
        CronField::DayOfWeek => 'w',
    }
}

/// Reads a parameter schedule; nothing where `text` is empty.
pub(crate) fn entries(text: &str) -> Result<Vec<Entry>, ScheduleError> {
    split(text)?
        .map(|entry| {
            let tagged = Tagged::of(entry)?;
            Ok(Entry { cron: tagged.cron()?, change: tagged.change()? })
        })
        .collect()
}

/// Reads resets; nothing where `text` is empty.
pub(crate) fn crons(text: &str) -> Result<Vec<Cron>, ScheduleError> {
    split(text)?
        .map(|entry| {
            let tagged = Tagged::of(entry)?;
            if tagged.has_change() {
                return Err(ScheduleError::Stored { reason: "resets change no parameters" });
            }
            tagged.cron()
        })
        .collect()
}

/// The entries of a stored form, the version checked and taken off.
fn split(text: &str) -> Result<impl Iterator<Item = &str>, ScheduleError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (version, entries) = text.split_at(digits);
    let entries = match version.trim_start_matches('0') {
        "" if text.is_empty() => None,
        "" => return Err(ScheduleError::Stored { reason: "it has no version" }),
        VERSION if entries.is_empty() => return Err(ScheduleError::Stored { reason: "it has no entries" }),
        VERSION => Some(entries.split(';')),
        _ => return Err(ScheduleError::Version),
    };
    Ok(entries.into_iter().flatten())
}

/// The values of one entry by their tags.
#[derive(Default)]
struct Tagged<'a> {
    /// The fields of the expression, in order.
    cron: [Option<&'a str>; 5],
    /// The factor, in thousandths.
    scale: Option<&'a str>,
    /// Capacity, refill amount and period.
    replace: [Option<&'a str>; 3],
}

impl<'a> Tagged<'a> {
    /// Sorts the values by their tags.
    fn of(entry: &'a str) -> Result<Self, ScheduleError> {
        let mut tagged = Self::default();
        let mut rest = entry;
        while let Some(tag) = rest.chars().next() {
            let after = &rest[tag.len_utf8()..];
            let end = after.find(|c: char| "mhDMwscap".contains(c)).unwrap_or(after.len());
            let (value, next) = after.split_at(end);
            let place = match tag {
                'm' => &mut tagged.cron[0],
                'h' => &mut tagged.cron[1],
                'D' => &mut tagged.cron[2],
                'M' => &mut tagged.cron[3],
                'w' => &mut tagged.cron[4],
                's' => &mut tagged.scale,
                'c' => &mut tagged.replace[0],
                'a' => &mut tagged.replace[1],
                'p' => &mut tagged.replace[2],
                _ => return Err(ScheduleError::Stored { reason: "it has an unknown tag" }),
            };
            if place.replace(value).is_some() {
                return Err(ScheduleError::Stored { reason: "a tag stands twice in an entry" });
            }
            rest = next;
        }
        Ok(tagged)
    }

    /// The expression, `*` where a field is left out.
    fn cron(&self) -> Result<Cron, ScheduleError> {
        self.cron.map(|field| field.unwrap_or("*")).join(" ").parse()
    }

    /// Returns true if the entry changes parameters.
    fn has_change(&self) -> bool {
        self.scale.is_some() || self.replace.iter().any(Option::is_some)
    }

    /// The change, which is a factor or replacements, and not both.
    fn change(&self) -> Result<Change, ScheduleError> {
        let [capacity, refill_amount, refill_period] = self.replace;
        match self.scale {
            Some(_) if self.replace.iter().any(Option::is_some) => Err(ScheduleError::Change),
            Some(scale) => Change::per_mille(number(scale)?),
            None => {
                let number = |text: Option<&str>| text.map(number).transpose();
                Change::replace(number(capacity)?, number(refill_amount)?, number(refill_period)?)
            }
        }
    }
}

/// Reads a whole number.
fn number(text: &str) -> Result<u64, ScheduleError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or(ScheduleError::Stored { reason: "a value is no whole number" })
}
