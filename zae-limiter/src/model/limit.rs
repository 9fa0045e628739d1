//! Configured limits: one [`Limit`], and the set of [`Limits`] that apply together.
//!
//! A limit is a classic token bucket: it holds up to a capacity, starts full, and refills at a constant rate,
//! continuously and not at the turn of the period. 60 a minute means one token every second, with a burst of 60 at the
//! start. A counter that is reset every minute would let 120 through around the reset; a bucket cannot.
//!
//! `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) defines a quota `q` in a window `w`. A bucket of capacity
//! C and rate r is sent as q = C and w = C/r, the time in which it fills ([`Limit::fill_time`]).

mod raw;
mod set;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use raw::RawLimit;

use crate::{
    error::{ValidationError, ValidationReason},
    model::{
        name::{IntoName, LimitName},
        parameters::LimitSchedule,
        quota::QuotaBuilder,
        schedule::{Resets, Schedule, Zone},
    },
};

pub use set::Limits;

/// The largest capacity or refill amount, in tokens. Sums in millitokens still fit into 63 bits.
pub const MAX_TOKENS: u64 = 1_000_000_000_000_000;
/// The longest refill period (over 30 years): what the Python package reads.
pub const MAX_PERIOD: Duration = Duration::from_secs(1_000_000_000);
/// The longest window of a session quota (over 30 years).
pub const MAX_SESSION: Duration = Duration::from_secs(1_000_000_000);
/// Maximum number of limits in one set. The condition of a write names all of them, and DynamoDB accepts 300 operators
/// in an expression: twelve for each limit, and those of the bucket itself.
pub const MAX_LIMITS: usize = 22;

/// One token bucket's parameters: it holds up to `capacity` tokens and gains `refill_amount` tokens per
/// `refill_period`, continuously.
///
/// ```
/// use zae_limiter::Limit;
/// let limit = Limit::per_minute("tpm", 10_000)?.with_burst(15_000)?;
/// assert_eq!((limit.capacity(), limit.refill_amount(), limit.refill_period().as_secs()), (15_000, 10_000, 60));
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
///
/// Over any interval of t seconds a bucket grants at most `capacity + t · refill_rate()` tokens. Without
/// [`with_burst`](Limit::with_burst) the capacity is the amount of one period.
///
/// Serialised with the fields `name`, `capacity`, `refill_amount` and `refill_period_seconds`; reading checks them as
/// the constructors do. A quota also has `reset_schedule`, a list of cron expressions with their time zone, or
/// `reset_after_seconds`; a limit that changes with the time of day has `schedule`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawLimit")]
pub struct Limit {
    /// The name that costs and headers use.
    name: LimitName,
    /// Maximum number of tokens in the bucket.
    capacity: u64,
    /// Tokens gained per period.
    refill_amount: u64,
    /// The period, in seconds.
    refill_period_seconds: u64,
    /// True if it never refuses.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    soft: bool,
    /// Other parameters at certain times.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<LimitSchedule>,
    /// The instants at which a quota is restored.
    #[serde(rename = "reset_schedule", skip_serializing_if = "Option::is_none")]
    resets: Option<Resets>,
    /// The length of a session quota's window, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_after_seconds: Option<u64>,
}

/// Checks a period, and answers its seconds.
pub(crate) fn check_period(period: Duration) -> Result<u64, ValidationError> {
    if period.subsec_nanos() > 0 {
        let reason = ValidationReason::Other("must be whole seconds".to_owned());
        return Err(ValidationError::new("refill_period", format!("{period:?}"), reason));
    }
    check_amount("refill_period", period.as_secs(), MAX_PERIOD.as_secs())?;
    Ok(period.as_secs())
}

/// Tells if a limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Softness {
    /// It does when there is too little.
    Hard,
    /// It never does.
    Soft,
}

/// Checks that a number is from 1 to `max`.
fn check_amount(field: &'static str, value: u64, max: u64) -> Result<(), ValidationError> {
    let reason = if value == 0 {
        ValidationReason::NotPositive
    } else if value > max {
        ValidationReason::TooLarge { max }
    } else {
        return Ok(());
    };
    Err(ValidationError::new(field, value.to_string(), reason))
}

impl Limit {
    /// Creates a limit of `rate` tokens per second, with a capacity of `rate`.
    ///
    /// # Errors
    /// [`ValidationError`] if the name is invalid or `rate` is 0 or beyond [`MAX_TOKENS`].
    pub fn per_second(name: impl IntoName<LimitName>, rate: u64) -> Result<Self, ValidationError> {
        Self::of_seconds(name, rate, rate, 1)
    }

    /// Creates a limit of `rate` tokens per minute, with a capacity of `rate`.
    ///
    /// # Errors
    /// See [`Limit::per_second`].
    pub fn per_minute(name: impl IntoName<LimitName>, rate: u64) -> Result<Self, ValidationError> {
        Self::of_seconds(name, rate, rate, 60)
    }

    /// Creates a limit of `rate` tokens per hour, with a capacity of `rate`.
    ///
    /// # Errors
    /// See [`Limit::per_second`].
    pub fn per_hour(name: impl IntoName<LimitName>, rate: u64) -> Result<Self, ValidationError> {
        Self::of_seconds(name, rate, rate, 3_600)
    }

    /// Creates a limit of `rate` tokens per day, with a capacity of `rate`.
    ///
    /// # Errors
    /// See [`Limit::per_second`].
    pub fn per_day(name: impl IntoName<LimitName>, rate: u64) -> Result<Self, ValidationError> {
        Self::of_seconds(name, rate, rate, 86_400)
    }

    /// Creates a limit of `amount` tokens per `period`, with a capacity of `amount`.
    ///
    /// # Errors
    /// [`ValidationError`] if the name is invalid, `amount` is 0 or beyond [`MAX_TOKENS`], or `period` is 0, beyond
    /// [`MAX_PERIOD`] or not a whole number of seconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use zae_limiter::Limit;
    /// let limit = Limit::per("uploads", 20, Duration::from_secs(600))?.with_burst(50)?;
    /// assert_eq!((limit.capacity(), limit.refill_amount(), limit.refill_period().as_secs()), (50, 20, 600));
    /// # Ok::<(), zae_limiter::ValidationError>(())
    /// ```
    pub fn per(name: impl IntoName<LimitName>, amount: u64, period: Duration) -> Result<Self, ValidationError> {
        let name: LimitName = name.into_name()?;
        check_amount("refill_amount", amount, MAX_TOKENS)?;
        let refill_period_seconds = check_period(period)?;
        Ok(Self::of_parts(name, amount, amount, refill_period_seconds))
    }

    /// Begins a quota of `amount` tokens: it gains nothing, and is restored in one lump at the instants that the
    /// builder is told.
    ///
    /// ```
    /// use zae_limiter::Limit;
    /// let contract = Limit::quota("calls", 100_000).monthly().zone("America/New_York").build()?;
    /// assert_eq!((contract.capacity(), contract.refill_amount()), (100_000, 0));
    /// # Ok::<(), zae_limiter::ValidationError>(())
    /// ```
    pub fn quota(name: impl IntoName<LimitName>, amount: u64) -> QuotaBuilder {
        QuotaBuilder::new(name, amount)
    }

    /// Creates a limit from its four stored parts.
    ///
    /// # Errors
    /// [`ValidationError`] naming the first invalid part.
    pub(crate) fn of_seconds(
        name: impl IntoName<LimitName>,
        capacity: u64,
        refill_amount: u64,
        refill_period_seconds: u64,
    ) -> Result<Self, ValidationError> {
        let name = name.into_name()?;
        check_amount("capacity", capacity, MAX_TOKENS)?;
        check_amount("refill_amount", refill_amount, MAX_TOKENS)?;
        check_amount("refill_period", refill_period_seconds, MAX_PERIOD.as_secs())?;
        Ok(Self::of_parts(name, capacity, refill_amount, refill_period_seconds))
    }

    /// A hard rate without a schedule.
    fn of_parts(name: LimitName, capacity: u64, refill_amount: u64, refill_period_seconds: u64) -> Self {
        let (schedule, resets, reset_after_seconds) = (None, None, None);
        Self {
            name,
            capacity,
            refill_amount,
            refill_period_seconds,
            soft: false,
            schedule,
            resets,
            reset_after_seconds,
        }
    }

    /// A quota as it is stored: it gains nothing, and is restored by a calendar.
    ///
    /// # Errors
    /// [`ValidationError`] naming the first invalid part.
    pub(crate) fn stored_quota(
        name: impl IntoName<LimitName>,
        capacity: u64,
        refill_period_seconds: u64,
        resets: Resets,
    ) -> Result<Self, ValidationError> {
        let quota = Self::stored_session(name, capacity, refill_period_seconds, 1)?;
        Ok(Self { resets: Some(resets), reset_after_seconds: None, ..quota })
    }

    /// A quota as it is stored: it gains nothing, and is restored by the first use after a window of so many seconds.
    ///
    /// # Errors
    /// [`ValidationError`] naming the first of the parts that is invalid.
    pub(crate) fn stored_session(
        name: impl IntoName<LimitName>,
        capacity: u64,
        refill_period_seconds: u64,
        seconds: u64,
    ) -> Result<Self, ValidationError> {
        let name = name.into_name()?;
        check_amount("capacity", capacity, MAX_TOKENS)?;
        check_amount("refill_period", refill_period_seconds, MAX_PERIOD.as_secs())?;
        check_amount("reset_after", seconds, MAX_SESSION.as_secs())?;
        let quota = Self::of_parts(name, capacity, 0, refill_period_seconds);
        Ok(Self { reset_after_seconds: Some(seconds), ..quota })
    }

    /// Sets the capacity to `capacity` tokens; the rate stays. The capacity may be smaller than the rate.
    ///
    /// # Errors
    /// [`ValidationError`] if `capacity` is 0 or beyond [`MAX_TOKENS`].
    pub fn with_burst(self, capacity: u64) -> Result<Self, ValidationError> {
        check_amount("capacity", capacity, MAX_TOKENS)?;
        Ok(Self { capacity, ..self })
    }

    /// Makes the limit soft: it is metered and debited like any other, may go into debt without bound, and never
    /// refuses. Leases that were granted despite a debt report it ([`Lease::overdrawn`](crate::Lease::overdrawn)).
    ///
    /// ```
    /// use zae_limiter::Limit;
    /// let budget = Limit::per_day("tokens", 1_000_000)?.soft();
    /// assert!(budget.is_soft());
    /// # Ok::<(), zae_limiter::ValidationError>(())
    /// ```
    #[must_use]
    pub fn soft(self) -> Self {
        Self { soft: true, ..self }
    }

    /// The same limit with other parameters at certain times.
    ///
    /// ```
    /// use zae_limiter::{Limit, LimitSchedule};
    ///
    /// let office = LimitSchedule::builder().zone("Europe/Berlin").scale("* 9-17 * * MON-FRI", 0.5).build()?;
    /// let limit = Limit::per_minute("rpm", 100)?.scheduled(office)?; // 50 a minute during office hours
    /// assert_eq!(limit.capacity(), 100);
    /// # Ok::<(), zae_limiter::ValidationError>(())
    /// ```
    ///
    /// # Errors
    /// [`ValidationError`] on field `schedule` when it would let a quota gain something, or is in another time zone
    /// than the quota's resets.
    pub fn scheduled(self, schedule: LimitSchedule) -> Result<Self, ValidationError> {
        let fail = |reason: &str| {
            Err(ValidationError::new("schedule", self.name.as_str(), ValidationReason::Other(reason.to_owned())))
        };
        if self.is_quota() && schedule.changes_refill() {
            return fail("changes the refill of a quota, which gains nothing");
        }
        if self.resets.as_ref().is_some_and(|resets| resets.zone() != schedule.zone()) {
            return fail("is in another time zone than the resets");
        }
        Ok(Self { schedule: Some(schedule), ..self })
    }

    /// Returns true if it never refuses.
    pub fn is_soft(&self) -> bool {
        self.soft
    }

    /// Returns the limit's name.
    pub fn name(&self) -> &LimitName {
        &self.name
    }

    /// Returns the bucket's capacity, in tokens.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Returns the tokens gained per period; 0 for a quota.
    pub fn refill_amount(&self) -> u64 {
        self.refill_amount
    }

    /// Returns the period, in whole seconds.
    pub fn refill_period(&self) -> Duration {
        Duration::from_secs(self.refill_period_seconds)
    }

    /// Returns true if it gains nothing while a period runs, and is restored in one lump.
    pub fn is_quota(&self) -> bool {
        self.resets.is_some() || self.reset_after_seconds.is_some()
    }

    /// The length of the window of a session quota, which begins with the first use; `None` for others.
    pub fn session(&self) -> Option<Duration> {
        self.reset_after_seconds.map(Duration::from_secs)
    }

    /// Other parameters at certain times; `None` if they are always the same.
    pub fn schedule(&self) -> Option<&LimitSchedule> {
        self.schedule.as_ref()
    }

    /// The same, as it is evaluated.
    pub(crate) fn parameter_schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref().map(LimitSchedule::inner)
    }

    /// The instants at which a quota is restored, as cron expressions and a time zone; `None` for a rate and a session
    /// quota.
    pub fn reset_schedule(&self) -> Option<String> {
        self.resets.as_ref().map(ToString::to_string)
    }

    /// Returns the instants at which a quota is restored.
    pub(crate) fn resets(&self) -> Option<&Resets> {
        self.resets.as_ref()
    }

    /// The zone of its schedules.
    pub(crate) fn zone(&self) -> Option<&Zone> {
        self.resets.as_ref().map(Resets::zone).or(self.schedule.as_ref().map(LimitSchedule::zone))
    }

    /// Returns the tokens gained per second.
    pub fn refill_rate(&self) -> f64 {
        self.refill_amount as f64 / self.refill_period_seconds as f64
    }

    /// Returns the time in which an empty bucket fills, rounded up to whole seconds: the `w` of a `RateLimit-Policy`
    /// field.
    ///
    /// For a quota, the length of its window, or of its period by the calendar: a minute, an hour, a day, 7, 31 or 366
    /// days. A schedule of parameters makes no difference.
    pub fn fill_time(&self) -> Duration {
        if let Some(resets) = &self.resets {
            return Duration::from_secs(resets.cycle_seconds());
        }
        if let Some(session) = self.session() {
            return session;
        }
        let product = u128::from(self.capacity) * u128::from(self.refill_period_seconds);
        Duration::from_secs(u64::try_from(product.div_ceil(u128::from(self.refill_amount))).unwrap_or(u64::MAX))
    }
}
