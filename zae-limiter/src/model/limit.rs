//! Configured limits: one [`Limit`], and the set of [`Limits`] that apply together.
//!
//! A limit is a classic token bucket: it holds up to a capacity, starts full, and refills at a constant rate,
//! continuously and not at the turn of the period. 60 a minute means one token every second, with a burst of 60 at the
//! start. A counter that is reset every minute would let 120 through around the reset; a bucket cannot.
//!
//! `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) defines a quota `q` in a window `w`. A bucket of capacity
//! C and rate r is sent as q = C and w = C/r, the time in which it fills ([`Limit::fill_time`]).
//!
//! A set is checked once and shared: `Limits` is an `Arc`, and equal sets in one process usually share an allocation,
//! because resolving interns them. Comparing limits on the hot path is thus a comparison of pointers.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    error::{ValidationError, ValidationReason},
    model::{
        name::{IntoName, LimitName},
        quota::QuotaBuilder,
        schedule::{Resets, Zone},
    },
};

/// The largest capacity or refill amount, in tokens. Sums in millitokens still fit into 63 bits.
pub const MAX_TOKENS: u64 = 1_000_000_000_000_000;
/// The longest refill period (over 300 years).
pub const MAX_PERIOD: Duration = Duration::from_secs(10_000_000_000);
/// Maximum number of limits in one set. The condition of a write names all of them, and DynamoDB accepts 300 operators
/// in an expression: twelve for each limit, and those of the bucket itself.
pub const MAX_LIMITS: usize = 23;

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
/// Serialised with the fields `name`, `capacity`, `refill_amount` and `refill_period_seconds`; deserialising checks
/// them as the constructors do. A quota also has `reset_schedule`, a list of cron expressions with their time zone.
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
    /// The instants at which a quota is restored.
    #[serde(rename = "reset_schedule", skip_serializing_if = "Option::is_none")]
    resets: Option<Resets>,
}

/// A limit as it is serialised, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    name: LimitName,
    capacity: u64,
    refill_amount: u64,
    refill_period_seconds: u64,
    #[serde(default)]
    soft: bool,
    #[serde(default)]
    reset_schedule: Vec<RawReset>,
}

/// An instant of a reset as it is serialised.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReset {
    cron: String,
    #[serde(default)]
    tz: Option<String>,
}

impl TryFrom<RawLimit> for Limit {
    type Error = ValidationError;
    fn try_from(raw: RawLimit) -> Result<Self, Self::Error> {
        let limit = match raw.reset_schedule.first() {
            None => Self::of_seconds(raw.name, raw.capacity, raw.refill_amount, raw.refill_period_seconds)?,
            Some(first) => {
                let other = |field, value: &str, reason: &str| {
                    Err(ValidationError::new(field, value, ValidationReason::Other(reason.to_owned())))
                };
                if raw.refill_amount > 0 {
                    return other("refill_amount", &raw.refill_amount.to_string(), "must be 0 for a quota");
                }
                if let Some(reset) = raw.reset_schedule.iter().find(|reset| reset.tz != first.tz) {
                    let zone = reset.tz.as_deref().unwrap_or_default();
                    return other("time_zone", zone, "must be the same for all instants of a quota");
                }
                let zone = first.tz.clone().unwrap_or_else(|| "UTC".to_owned());
                let quota = Self::quota(raw.name, raw.capacity).zone(zone);
                let quota = quota.refill_period(Duration::from_secs(raw.refill_period_seconds));
                raw.reset_schedule.iter().fold(quota, |quota, reset| quota.every(&reset.cron)).build()?
            }
        };
        Ok(Self { soft: raw.soft, ..limit })
    }
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
        Ok(Self { name, capacity: amount, refill_amount: amount, refill_period_seconds, soft: false, resets: None })
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
        Ok(Self { name, capacity, refill_amount, refill_period_seconds, soft: false, resets: None })
    }

    /// Creates a quota from its stored parts: it gains nothing, and is restored by `resets`.
    ///
    /// # Errors
    /// [`ValidationError`] naming the first invalid part.
    pub(crate) fn stored_quota(
        name: impl IntoName<LimitName>,
        capacity: u64,
        refill_period_seconds: u64,
        resets: Resets,
    ) -> Result<Self, ValidationError> {
        let name = name.into_name()?;
        check_amount("capacity", capacity, MAX_TOKENS)?;
        check_amount("refill_period", refill_period_seconds, MAX_PERIOD.as_secs())?;
        Ok(Self { name, capacity, refill_amount: 0, refill_period_seconds, soft: false, resets: Some(resets) })
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

    /// Returns true if it gains nothing during a period, and is restored as a whole at certain instants.
    pub fn is_quota(&self) -> bool {
        self.resets.is_some()
    }

    /// Returns the instants at which a quota is restored, as cron expressions and a time zone; `None` for a rate.
    pub fn reset_schedule(&self) -> Option<String> {
        self.resets.as_ref().map(ToString::to_string)
    }

    /// Returns the instants at which a quota is restored.
    pub(crate) fn resets(&self) -> Option<&Resets> {
        self.resets.as_ref()
    }

    /// The zone of its schedules.
    pub(crate) fn zone(&self) -> Option<&Zone> {
        self.resets.as_ref().map(Resets::zone)
    }

    /// Returns the tokens gained per second.
    pub fn refill_rate(&self) -> f64 {
        self.refill_amount as f64 / self.refill_period_seconds as f64
    }

    /// Returns the time in which an empty bucket fills, rounded up to whole seconds: the `w` of a `RateLimit-Policy`
    /// field.
    ///
    /// For a quota, it is the length of its period by the calendar: a minute, an hour, a day, 7, 31 or 366 days.
    pub fn fill_time(&self) -> Duration {
        if let Some(resets) = &self.resets {
            return Duration::from_secs(resets.cycle_seconds());
        }
        let product = u128::from(self.capacity) * u128::from(self.refill_period_seconds);
        Duration::from_secs(u64::try_from(product.div_ceil(u128::from(self.refill_amount))).unwrap_or(u64::MAX))
    }
}

/// A non-empty set of limits with distinct names, in a fixed order; cheap to clone.
///
/// ```
/// use zae_limiter::{Limit, Limits};
/// let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
/// assert_eq!(limits.get("tpm").map(|l| l.capacity()), Some(10_000));
/// // Collected, a set is checked too.
/// let requests: Result<Limits, _> = limits.into_iter().filter(|limit| limit.name().as_str() == "rpm").collect();
/// assert_eq!(requests?.len(), 1);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
///
/// The order is that of construction. It does not affect acquires, and is kept in statuses and headers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Limits(Arc<[Limit]>);

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limits = Vec::<Limit>::deserialize(deserializer)?;
        Self::new(limits).map_err(serde::de::Error::custom)
    }
}

impl Limits {
    /// Collects `limits` into a set.
    ///
    /// # Errors
    /// [`ValidationError`] on field `limits` if there are none, more than [`MAX_LIMITS`], two of one name, or
    /// calendars in two time zones: one configuration item has one.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, ValidationError> {
        let limits: Vec<Limit> = limits.into_iter().collect();
        let fail = |value: String, reason| Err(ValidationError::new("limits", value, reason));
        if limits.is_empty() {
            return fail(String::new(), ValidationReason::Empty);
        }
        if limits.len() > MAX_LIMITS {
            return fail(limits.len().to_string(), ValidationReason::TooMany { max: MAX_LIMITS });
        }
        for (index, limit) in limits.iter().enumerate() {
            if limits[..index].iter().any(|other| other.name == limit.name) {
                return fail(limit.name.to_string(), ValidationReason::Duplicate);
            }
        }
        let mut zones = limits.iter().filter_map(|limit| Some((limit, limit.zone()?)));
        if let Some((_, first)) = zones.next()
            && let Some((limit, other)) = zones.find(|(_, zone)| *zone != first)
        {
            let reason = format!("is in time zone {other}, and another limit in {first}: limits of a set share one");
            return fail(limit.name.to_string(), ValidationReason::Other(reason));
        }
        Ok(Self(limits.into()))
    }

    /// Returns the limit called `name`.
    pub fn get(&self, name: &str) -> Option<&Limit> {
        self.0.iter().find(|limit| limit.name.as_str() == name)
    }

    /// Returns the number of limits, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the limits, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Limit> {
        self.0.iter()
    }

    /// Returns the limits as a slice; never empty.
    pub fn as_slice(&self) -> &[Limit] {
        &self.0
    }

    /// Returns true if `other` is the same set; shared sets are compared by pointer.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }
}

impl TryFrom<Vec<Limit>> for Limits {
    type Error = ValidationError;
    fn try_from(limits: Vec<Limit>) -> Result<Self, Self::Error> {
        Self::new(limits)
    }
}

/// The collected limits may be empty or contain a name twice, so the result is that of [`Limits::new`].
impl FromIterator<Limit> for Result<Limits, ValidationError> {
    fn from_iter<I: IntoIterator<Item = Limit>>(limits: I) -> Self {
        Limits::new(limits)
    }
}

impl IntoIterator for Limits {
    type Item = Limit;
    type IntoIter = std::vec::IntoIter<Limit>;
    fn into_iter(self) -> Self::IntoIter {
        Vec::from(&self.0[..]).into_iter()
    }
}

impl<'a> IntoIterator for &'a Limits {
    type Item = &'a Limit;
    type IntoIter = std::slice::Iter<'a, Limit>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl From<&Limits> for Limits {
    fn from(limits: &Limits) -> Self {
        limits.clone()
    }
}

impl From<Limit> for Limits {
    fn from(limit: Limit) -> Self {
        Self(Arc::new([limit]))
    }
}
