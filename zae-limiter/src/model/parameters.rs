//! Parameters of a limit that hold at certain times: [`LimitSchedule`].

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    error::{ValidationError, ValidationReason},
    model::schedule::{Change, Cron, Entry, Schedule, ScheduleError, Zone},
};

/// The zone of schedules that name none.
const DEFAULT_ZONE: &str = "UTC";

/// Other parameters of a limit at certain times. Of the entries that match an instant, the first decides; where none
/// does, the limit's own parameters hold.
///
/// ```
/// use zae_limiter::{Limit, LimitSchedule, Parameters};
///
/// let schedule = LimitSchedule::builder()
///     .zone("America/New_York")
///     .replace("* 0-5 * * *", Parameters::default().capacity(500).refill_amount(500)) // at night
///     .scale("* 9-17 * * MON-FRI", 0.5) // half of it during office hours
///     .build()?;
/// let limit = Limit::per_minute("rpm", 100)?.scheduled(schedule)?;
/// assert!(limit.schedule().is_some());
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
///
/// A limit gains by the parameters of each stretch of time. When the capacity falls, what is beyond it is cut; when it
/// rises, nothing is granted at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitSchedule(Schedule);

impl LimitSchedule {
    /// Begins a schedule.
    pub fn builder() -> ScheduleBuilder {
        ScheduleBuilder { entries: Vec::new(), zone: None }
    }

    /// A schedule as it was read.
    pub(crate) fn stored(schedule: Schedule) -> Self {
        Self(schedule)
    }

    /// The schedule, as it is evaluated.
    pub(crate) fn inner(&self) -> &Schedule {
        &self.0
    }

    /// The zone whose clocks count.
    pub(crate) fn zone(&self) -> &Zone {
        self.0.zone()
    }

    /// Returns true if an entry names a refill.
    pub(crate) fn changes_refill(&self) -> bool {
        let named = |entry: &Entry| matches!(entry.change, Change::Replace { refill_amount: Some(_), .. });
        self.0.entries().iter().any(named)
    }

    /// The entries in words, in order of precedence: `"* 9-17 * * MON-FRI" UTC  → scale 50%`.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.entries().iter().map(|entry| {
            let change = match entry.change {
                Change::Scale { per_mille } => format!("scale {}%", f64::from(per_mille) / 10.0),
                Change::Replace { capacity, refill_amount, refill_period } => {
                    let named = [("capacity", capacity), ("refill_amount", refill_amount)];
                    let named = named.into_iter().chain([("refill_period_seconds", refill_period)]);
                    let named = named.filter_map(|(name, value)| Some(format!("{name} {}", value?)));
                    named.collect::<Vec<_>>().join(", ")
                }
            };
            format!("\"{}\" {}  → {change}", entry.cron, self.0.zone())
        })
    }
}

/// A list of entries, each with its cron expression, the zone and its change.
impl Serialize for LimitSchedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct ZonedEntry<'a>(&'a crate::model::schedule::Entry, &'a Zone);
        impl Serialize for ZonedEntry<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self(entry, zone) = self;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("cron", &entry.cron.to_string())?;
                map.serialize_entry("tz", zone.name())?;
                match entry.change {
                    Change::Scale { per_mille } => map.serialize_entry("scale", &(f64::from(per_mille) / 1_000.0))?,
                    Change::Replace { capacity, refill_amount, refill_period } => {
                        for (name, value) in [
                            ("capacity", capacity),
                            ("refill_amount", refill_amount),
                            ("refill_period_seconds", refill_period),
                        ] {
                            if let Some(value) = value {
                                map.serialize_entry(name, &value)?;
                            }
                        }
                    }
                }
                map.end()
            }
        }
        serializer.collect_seq(self.0.entries().iter().map(|entry| ZonedEntry(entry, self.0.zone())))
    }
}

/// Parameters in place of a limit's own; what is not named stays.
///
/// See [`LimitSchedule`] for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Parameters {
    capacity: Option<u64>,
    refill_amount: Option<u64>,
    refill_period: Option<Duration>,
}

impl Parameters {
    /// The ceiling, in tokens.
    pub fn capacity(self, tokens: u64) -> Self {
        Self { capacity: Some(tokens), ..self }
    }

    /// Tokens gained per period.
    pub fn refill_amount(self, tokens: u64) -> Self {
        Self { refill_amount: Some(tokens), ..self }
    }

    /// The period, in whole seconds.
    pub fn refill_period(self, period: Duration) -> Self {
        Self { refill_period: Some(period), ..self }
    }
}

/// The change of an entry before it is checked.
#[derive(Clone, Copy, Debug)]
enum RawChange {
    Scale(f64),
    Replace(Parameters),
}

/// Makes a [`LimitSchedule`].
///
/// See [`LimitSchedule`] for an example.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before it is built"]
pub struct ScheduleBuilder {
    entries: Vec<(String, RawChange)>,
    zone: Option<String>,
}

impl ScheduleBuilder {
    /// The time zone whose clocks decide, by its name in the IANA database, such as `America/New_York`. UTC by default.
    pub fn zone(self, zone: impl Into<String>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }

    /// Multiplies capacity and refill amount by `factor`, of which thousandths count, while `cron` matches.
    pub fn scale(mut self, cron: impl Into<String>, factor: f64) -> Self {
        self.entries.push((cron.into(), RawChange::Scale(factor)));
        self
    }

    /// Puts `parameters` in place of the limit's while `cron` matches.
    pub fn replace(mut self, cron: impl Into<String>, parameters: Parameters) -> Self {
        self.entries.push((cron.into(), RawChange::Replace(parameters)));
        self
    }

    /// Checks it all.
    ///
    /// # Errors
    /// [`ValidationError`] on `time_zone` or `schedule`, whatever is wrong first: an expression, a factor that is not
    /// above 0 and at most a million, a value of 0 or out of range, no entries, more than a hundred.
    pub fn build(self) -> Result<LimitSchedule, ValidationError> {
        let Self { entries, zone } = self;
        let invalid = |field, value: &str, error: ScheduleError| {
            ValidationError::new(field, value, ValidationReason::Other(error.to_string()))
        };
        let zone = zone.as_deref().unwrap_or(DEFAULT_ZONE);
        let zone = Zone::new(zone).map_err(|error| invalid("time_zone", zone, error))?;
        let mut checked = Vec::new();
        for (cron, change) in entries {
            let parsed: Cron = cron.parse().map_err(|error| invalid("schedule", &cron, error))?;
            let change = match change {
                RawChange::Scale(factor) => Change::scale(factor),
                RawChange::Replace(Parameters { capacity, refill_amount, refill_period }) => {
                    if refill_period.is_some_and(|period| period.subsec_nanos() > 0) {
                        let reason = ValidationReason::Other("a refill period is whole seconds".to_owned());
                        return Err(ValidationError::new("schedule", cron, reason));
                    }
                    Change::replace(capacity, refill_amount, refill_period.map(|period| period.as_secs()))
                }
            };
            checked.push(Entry { cron: parsed, change: change.map_err(|error| invalid("schedule", &cron, error))? });
        }
        let schedule = Schedule::new(checked, zone).map_err(|error| invalid("schedule", "", error))?;
        Ok(LimitSchedule(schedule))
    }
}
