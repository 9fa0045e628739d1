//! Limits as they are serialised, before they are checked.

use std::time::Duration;

use serde::Deserialize;

use super::Limit;
use crate::{
    error::{ValidationError, ValidationReason},
    model::{
        name::LimitName,
        parameters::{LimitSchedule, Parameters},
    },
};

/// A limit as it is serialised.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimit {
    name: LimitName,
    capacity: u64,
    refill_amount: u64,
    refill_period_seconds: u64,
    #[serde(default)]
    soft: bool,
    #[serde(default)]
    schedule: Vec<RawEntry>,
    #[serde(default)]
    reset_schedule: Vec<RawReset>,
    #[serde(default)]
    reset_after_seconds: Option<u64>,
}

/// An instant of a reset as it is serialised.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReset {
    cron: String,
    #[serde(default)]
    tz: Option<String>,
}

/// An entry of a schedule of parameters as it is serialised.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    cron: String,
    #[serde(default)]
    tz: Option<String>,
    #[serde(default)]
    scale: Option<f64>,
    #[serde(default)]
    capacity: Option<u64>,
    #[serde(default)]
    refill_amount: Option<u64>,
    #[serde(default)]
    refill_period_seconds: Option<u64>,
}

impl RawEntry {
    /// The values that it replaces.
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        if let Some(capacity) = self.capacity {
            parameters = parameters.capacity(capacity);
        }
        if let Some(amount) = self.refill_amount {
            parameters = parameters.refill_amount(amount);
        }
        if let Some(seconds) = self.refill_period_seconds {
            parameters = parameters.refill_period(Duration::from_secs(seconds));
        }
        parameters
    }
}

/// The zone that all entries share.
fn zone<'a>(mut zones: impl Iterator<Item = Option<&'a str>>) -> Result<&'a str, ValidationError> {
    const DEFAULT: &str = "UTC";
    let first = zones.next().flatten().unwrap_or(DEFAULT);
    match zones.map(|zone| zone.unwrap_or(DEFAULT)).find(|zone| *zone != first) {
        Some(other) => {
            let reason = ValidationReason::Other("must be the same for all entries of a limit".to_owned());
            Err(ValidationError::new("time_zone", other, reason))
        }
        None => Ok(first),
    }
}

impl TryFrom<RawLimit> for Limit {
    type Error = ValidationError;
    fn try_from(raw: RawLimit) -> Result<Self, Self::Error> {
        let is_quota = !raw.reset_schedule.is_empty() || raw.reset_after_seconds.is_some();
        if is_quota && raw.refill_amount > 0 {
            let reason = ValidationReason::Other("must be 0 for a quota".to_owned());
            return Err(ValidationError::new("refill_amount", raw.refill_amount.to_string(), reason));
        }
        let mut limit = if is_quota {
            let mut quota = Self::quota(raw.name, raw.capacity);
            quota = quota.refill_period(Duration::from_secs(raw.refill_period_seconds));
            if !raw.reset_schedule.is_empty() {
                quota = quota.zone(zone(raw.reset_schedule.iter().map(|reset| reset.tz.as_deref()))?);
            }
            quota = raw.reset_schedule.iter().fold(quota, |quota, reset| quota.every(&reset.cron));
            match raw.reset_after_seconds {
                Some(seconds) => quota.session(Duration::from_secs(seconds)).build()?,
                None => quota.build()?,
            }
        } else {
            Self::of_seconds(raw.name, raw.capacity, raw.refill_amount, raw.refill_period_seconds)?
        };
        if !raw.schedule.is_empty() {
            let zone = zone(raw.schedule.iter().map(|entry| entry.tz.as_deref()))?;
            let mut schedule = LimitSchedule::builder().zone(zone);
            for entry in raw.schedule {
                let parameters = entry.parameters();
                if entry.scale.is_some() && parameters != Parameters::default() {
                    let reason = "an entry has either a scale or other parameters";
                    let reason = ValidationReason::Other(reason.to_owned());
                    return Err(ValidationError::new("schedule", entry.cron, reason));
                }
                schedule = match entry.scale {
                    Some(scale) => schedule.scale(entry.cron, scale),
                    None => schedule.replace(entry.cron, parameters),
                };
            }
            limit = limit.scheduled(schedule.build()?)?;
        }
        Ok(if raw.soft { limit.soft() } else { limit })
    }
}
