//! Schedules: cron expressions in a time zone.
//!
//! Two things are scheduled. A [`Schedule`] gives a limit other parameters at certain times: half of its capacity
//! during office hours, say. [`Resets`] name the instants at which a quota is restored. Both are made of [`Cron`]
//! expressions in one [`Zone`], and both are stored as a compact text (see [`compact`]), which is also their identity:
//! two schedules of equal text and zone are equal.
//!
//! A value that exists is a valid one. Evaluation at an instant is the business of
//! [`bucket::schedule`](crate::bucket::schedule).

pub(crate) mod compact;
pub(crate) mod cron;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod field;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod vectors;
pub(crate) mod zone;

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::{Serialize, Serializer};

pub(crate) use self::{
    cron::Cron,
    entry::{Change, Entry},
    error::ScheduleError,
    zone::Zone,
};

/// Maximum number of entries of a schedule. Each is looked at whenever the schedule is evaluated.
pub(crate) const MAX_ENTRIES: usize = 100;

/// Other parameters of a limit at certain times: the first entry that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Schedule {
    /// The entries, in the order of their text.
    entries: Arc<[Entry]>,
    /// The text as it is stored.
    text: Arc<str>,
    /// The time zone of all entries.
    zone: Zone,
}

impl Schedule {
    /// Collects `entries`, which are read in `zone`.
    pub(crate) fn new(entries: impl IntoIterator<Item = Entry>, zone: Zone) -> Result<Self, ScheduleError> {
        let entries: Vec<Entry> = entries.into_iter().collect();
        check_count(entries.len())?;
        let text = compact::of_entries(&entries).into();
        Ok(Self { entries: entries.into(), text, zone })
    }

    /// Reads the stored form; `None` where it is the empty text.
    pub(crate) fn decode(text: &str, zone: Zone) -> Result<Option<Self>, ScheduleError> {
        let entries = compact::entries(text)?;
        if entries.is_empty() { Ok(None) } else { Self::new(entries, zone).map(Some) }
    }

    /// The entries, in order of precedence.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The stored form.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The zone whose clocks count.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }
}

/// The instants at which a quota is restored: those at which one of its expressions begins to match.
///
/// Two of equal text and zone are equal.
#[derive(Clone, Debug)]
pub(crate) struct Resets {
    /// The expressions; a reset is due at the instants of each.
    crons: Arc<[Cron]>,
    /// The text as it is stored.
    text: Arc<str>,
    /// The time zone of all expressions.
    zone: Zone,
}

impl Resets {
    /// Collects `crons`, which are read in `zone`. One of them has to begin to match now and then: what matches all
    /// the time never does, and Python clients cannot read it back.
    pub(crate) fn new(crons: impl IntoIterator<Item = Cron>, zone: Zone) -> Result<Self, ScheduleError> {
        let resets = Self::stored(crons.into_iter().collect(), zone)?;
        if resets.crons.iter().all(Cron::always_matches) {
            return Err(ScheduleError::NeverResets);
        }
        Ok(resets)
    }

    /// Reads the stored form; `None` where it is the empty text.
    pub(crate) fn decode(text: &str, zone: Zone) -> Result<Option<Self>, ScheduleError> {
        let crons = compact::crons(text)?;
        if crons.is_empty() { Ok(None) } else { Self::stored(crons, zone).map(Some) }
    }

    /// Builds resets from parsed expressions, and their compact text.
    fn stored(crons: Vec<Cron>, zone: Zone) -> Result<Self, ScheduleError> {
        check_count(crons.len())?;
        let text = compact::of_crons(&crons).into();
        Ok(Self { crons: crons.into(), text, zone })
    }

    /// The expressions.
    pub(crate) fn crons(&self) -> &[Cron] {
        &self.crons
    }

    /// The stored form.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The zone whose clocks count.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The length of the shortest period, in seconds, as the calendar names it: a minute, an hour, a day, 7, 31 or 366
    /// days.
    pub(crate) fn cycle_seconds(&self) -> u64 {
        self.crons.iter().map(Cron::cycle_seconds).min().unwrap_or(60)
    }

    /// Returns true if some reset lies where clocks are set forward and back: skipped on one day of the year, doubled
    /// on another.
    pub(crate) fn meets_clock_changes(&self) -> bool {
        self.zone.changes_its_clock() && self.crons.iter().any(|cron| cron.begins_between_hours(1, 3))
    }
}

impl PartialEq for Resets {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl Eq for Resets {}

impl Hash for Resets {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.text, &self.zone).hash(state);
    }
}

/// Writes each expression in quotes, and the zone.
impl fmt::Display for Resets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cron in &*self.crons {
            write!(f, "\"{cron}\" ")?;
        }
        write!(f, "{}", self.zone)
    }
}

/// A list of expressions, each with the zone.
impl Serialize for Resets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = |cron: &Cron| BTreeMap::from([("cron", cron.to_string()), ("tz", self.zone.to_string())]);
        serializer.collect_seq(self.crons.iter().map(entry))
    }
}

/// Checks the number of expressions of one limit.
fn check_count(count: usize) -> Result<(), ScheduleError> {
    match count {
        0 => Err(ScheduleError::NoEntries),
        count if count > MAX_ENTRIES => Err(ScheduleError::TooManyEntries { count }),
        _ => Ok(()),
    }
}
