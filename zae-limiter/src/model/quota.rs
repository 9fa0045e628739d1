//! Quotas: limits that gain nothing while a period runs and are restored in one lump. [`QuotaBuilder`] makes them.
//!
//! A rate of a million a day lets its million through at any speed, and from then on what it gains. A quota of a
//! million a day is restored at midnight and gains nothing in between: the figure of a contract, a budget or a
//! provider's daily allowance.
//!
//! Periods follow a calendar (cron expressions in a time zone, whose clocks decide, also on the days on which they are
//! set forward or back), or they are sessions: windows of a fixed length, each begun by the first use after the last.

use std::time::Duration;

use crate::{
    error::{ValidationError, ValidationReason},
    model::{
        limit::{Limit, Softness, check_period},
        name::{IntoName, LimitName},
        schedule::{Cron, Resets, ScheduleError, Zone},
    },
};

/// The zone of schedules that name none.
const DEFAULT_ZONE: &str = "UTC";
/// The stored period of a quota, in seconds. It decides nothing.
const STORED_PERIOD: Duration = Duration::from_secs(1);

/// Makes a quota: so many tokens for each period, restored in one lump.
///
/// ```
/// use zae_limiter::Limit;
///
/// // A hundred dollars a month, in millionths, by the clocks of Berlin.
/// let budget = Limit::quota("usd", 100_000_000).monthly().zone("Europe/Berlin").build()?;
/// assert!(budget.is_quota());
/// assert_eq!(budget.reset_schedule().as_deref(), Some("\"0 0 1 * *\" Europe/Berlin"));
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
///
/// Made by [`Limit::quota`]. A reset at an hour that a zone skips in spring does not take place on that day, and one at
/// an hour that comes twice in autumn takes place twice: midnight is safe in nearly all zones.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before it is built"]
pub struct QuotaBuilder {
    /// The name, or the error that `build` returns.
    name: Result<LimitName, ValidationError>,
    /// Tokens that each reset restores.
    amount: u64,
    /// The instants of the resets, as cron expressions that `build` checks.
    crons: Vec<String>,
    /// The name of the time zone; UTC if none is set.
    zone: Option<String>,
    /// The length of a session's window; none for a calendar.
    session: Option<Duration>,
    /// The period that is stored for clients that read the limit as a rate.
    stored_period: Duration,
    /// Tells if it refuses.
    softness: Softness,
}

impl QuotaBuilder {
    /// Begins a quota of `amount` tokens.
    pub(crate) fn new(name: impl IntoName<LimitName>, amount: u64) -> Self {
        let name = name.into_name();
        let (crons, zone, session) = (Vec::new(), None, None);
        Self { name, amount, crons, zone, session, stored_period: STORED_PERIOD, softness: Softness::Hard }
    }

    /// Restored whenever the cron expression `cron` begins to match: minute, hour, day of month, month, day of week.
    /// Given several times, whenever one of them does.
    ///
    /// ```
    /// use zae_limiter::Limit;
    /// let twice_a_day = Limit::quota("calls", 500).every("0 6,18 * * *").build()?;
    /// assert_eq!(twice_a_day.reset_schedule().as_deref(), Some("\"0 6,18 * * *\" UTC"));
    /// # Ok::<(), zae_limiter::ValidationError>(())
    /// ```
    pub fn every(mut self, cron: impl Into<String>) -> Self {
        self.crons.push(cron.into());
        self
    }

    /// Restored at the turn of every hour.
    pub fn hourly(self) -> Self {
        self.every("0 * * * *")
    }

    /// Restored at midnight.
    pub fn daily(self) -> Self {
        self.every("0 0 * * *")
    }

    /// Restored at midnight before each Monday.
    pub fn weekly(self) -> Self {
        self.every("0 0 * * MON")
    }

    /// Restored at midnight before the first day of each month.
    pub fn monthly(self) -> Self {
        self.every("0 0 1 * *")
    }

    /// The time zone whose clocks decide, by its name in the IANA database, such as `America/New_York`. UTC by default.
    pub fn zone(self, zone: impl Into<String>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }

    /// Restored by the first use after a window of this length, which begins the next window: the five hours of a chat
    /// plan. Instead of a calendar.
    ///
    /// ```
    /// use std::time::Duration;
    /// use zae_limiter::Limit;
    /// let plan = Limit::quota("messages", 45).session(Duration::from_secs(5 * 3_600)).build()?;
    /// assert_eq!(plan.session(), Some(Duration::from_secs(18_000)));
    /// # Ok::<(), zae_limiter::ValidationError>(())
    /// ```
    pub fn session(self, length: Duration) -> Self {
        Self { session: Some(length), ..self }
    }

    /// A refill period to store, for tools that compare whole items. It decides nothing.
    pub fn refill_period(self, period: Duration) -> Self {
        Self { stored_period: period, ..self }
    }

    /// Metered and debited, but never refusing: see [`Limit::soft`].
    pub fn soft(self) -> Self {
        Self { softness: Softness::Soft, ..self }
    }

    /// Checks it all.
    ///
    /// # Errors
    /// [`ValidationError`] on `name`, `capacity`, `refill_period`, `time_zone`, `reset_schedule` or `reset_after`,
    /// whatever is wrong first: a quota without a reset, too, which would never come back.
    pub fn build(self) -> Result<Limit, ValidationError> {
        let Self { name, amount, crons, zone, session, stored_period, softness } = self;
        let (name, period) = (name?, check_period(stored_period)?);
        let fail =
            |field, reason: &str| Err(ValidationError::new(field, "", ValidationReason::Other(reason.to_owned())));
        let limit = match session {
            Some(_) if !crons.is_empty() => {
                return fail("reset_after", "a quota is restored by a calendar or by sessions, not by both");
            }
            Some(_) if zone.is_some() => return fail("time_zone", "the windows of sessions know no time zone"),
            Some(length) if length.subsec_nanos() > 0 => return fail("reset_after", "must be whole seconds"),
            Some(length) => Limit::stored_session(name, amount, period, length.as_secs())?,
            None if crons.is_empty() => {
                let reason = "a quota needs an instant at which it is restored: `daily`, `monthly`, `every`, `session`";
                return fail("reset_schedule", reason);
            }
            None => {
                let resets = resets(&crons, zone.as_deref().unwrap_or(DEFAULT_ZONE))?;
                Limit::stored_quota(name, amount, period, resets)?
            }
        };
        Ok(if softness == Softness::Soft { limit.soft() } else { limit })
    }
}

/// Resets by cron expressions in a zone.
pub(crate) fn resets(crons: &[String], zone: &str) -> Result<Resets, ValidationError> {
    let invalid = |field, value: &str, error: ScheduleError| {
        ValidationError::new(field, value, ValidationReason::Other(error.to_string()))
    };
    let zone = Zone::new(zone).map_err(|error| invalid("time_zone", zone, error))?;
    let parse = |cron: &String| cron.parse::<Cron>().map_err(|error| invalid("reset_schedule", cron, error));
    let parsed: Vec<Cron> = crons.iter().map(parse).collect::<Result<_, _>>()?;
    Resets::new(parsed, zone).map_err(|error| invalid("reset_schedule", &crons.join("; "), error))
}
