//! Time zones: [`Zone`].
//!
//! The database is compiled in, so that no process depends on the system's: all of a fleet see the same edges.
//!
//! Names are compared exactly, as Python's `zoneinfo` does on a file system that tells case apart: a name that one
//! client accepts and another does not would be a limit that only some enforce. A zone is its name: two zones with the
//! same rules are different values, because the name is what is stored.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use crate::model::schedule::ScheduleError;

/// The part of a name that an error keeps, in characters: longer than any name.
const KEPT_CHARS: usize = 50;
/// The zone that a jiff database has for times without one; no name of the IANA database.
const UNKNOWN: &str = "Etc/Unknown";

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone of the IANA database by its exact name; links such as `US/Eastern` count.
#[derive(Clone)]
pub(crate) struct Zone {
    /// The name as it was given.
    name: Arc<str>,
    /// Offsets and transitions.
    rules: TimeZone,
}

impl Zone {
    /// Coordinated Universal Time, the zone of schedules that name none.
    pub(crate) fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// Looks up a zone.
    pub(crate) fn new(name: &str) -> Result<Self, ScheduleError> {
        // The look-up ignores case; Python's does not.
        let rules = DATABASE.get(name).ok().filter(|zone| zone.iana_name() == Some(name) && name != UNKNOWN);
        match rules {
            Some(rules) => Ok(Self { name: name.into(), rules }),
            None => {
                let name = name.chars().take(KEPT_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c });
                Err(ScheduleError::UnknownZone { name: name.collect() })
            }
        }
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &TimeZone {
        &self.rules
    }

    /// Returns true if its clocks are going to be set forward and back.
    pub(crate) fn changes_its_clock(&self) -> bool {
        // Rules without an end repeat every year. The last transition of the others lies behind.
        const FAR: i64 = 32_503_680_000;
        Timestamp::from_second(FAR).is_ok_and(|far| self.rules.following(far).next().is_some())
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
