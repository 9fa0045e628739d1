//! The store's own time, from the `Date` of its responses: [`StoreDates`].
//!
//! A process whose clock is an hour fast would write refill instants an hour ahead, and stop the refill of every bucket
//! that it touches for all other processes. Every response of DynamoDB has a `Date`, in whole seconds. If one that has
//! just arrived reads 12:00:05, the store's clock is between 12:00:05.000 and 12:00:08.000: the rest of that second,
//! and at most two seconds in transit. A local clock within these bounds is trusted, and any other is moved to the
//! nearer bound:
//!
//! | local clock | used |
//! |---|---|
//! | 12:00:04.000 | 12:00:05.000 |
//! | 12:00:06.300 | 12:00:06.300 |
//! | 13:00:06.300 | 12:00:08.000 |
//!
//! Between responses the bounds move with the monotonic clock. Time synchronisation keeps most machines within
//! milliseconds, so there usually is no correction; it bounds the damage caused by others. An average over many
//! responses would be closer, but would need state and an analysis of its error, for a gain of at most three seconds.

#![cfg_attr(not(feature = "aws"), allow(unreachable_pub, dead_code, reason = "public in the module `aws` alone"))]

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextRef},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{DateTime, config_bag::ConfigBag, date_time::Format};
use tokio::time::Instant;

/// Ms by which the store may be ahead of the `Date` of a response that has just arrived: it names a whole second, and
/// was in transit for a while.
const TOLERANCE_MS: i64 = 3_000;

/// The `Date` of the last response and its time of arrival: an interceptor for any client of the AWS SDK.
///
/// Clones share what they noted, so one goes to the client and another is asked. Every response counts, also a refusal.
///
/// ```
/// # #[cfg(feature = "aws")]
/// # fn main() {
/// use aws_sdk_dynamodb::config::Builder;
/// use zae_limiter::aws::StoreDates;
///
/// let dates = StoreDates::default();
/// let config = Builder::new().interceptor(dates.clone());
/// // …after a call of a client with that configuration:
/// println!("the store's clock: {:?}", dates.last());
/// # }
/// # #[cfg(not(feature = "aws"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, Default)]
pub struct StoreDates(Arc<Mutex<Option<(i64, Instant)>>>);

impl StoreDates {
    /// Returns the date of the last response, in whole seconds; `None` before the first that had one.
    pub fn last(&self) -> Option<SystemTime> {
        let (date, _) = (*self.lock())?;
        UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(date).ok()?))
    }

    /// Locks the last response; a panic elsewhere does not stop the clock.
    fn lock(&self) -> MutexGuard<'_, Option<(i64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the `Date` header of a response; an invalid date is ignored.
    pub(crate) fn note(&self, header: &str, now: Instant) {
        let Ok(date) = DateTime::from_str(header, Format::HttpDate) else { return };
        if let Ok(date) = date.to_millis() {
            self.note_ms(date, now);
        }
    }

    /// Records the date (epoch ms) of a response.
    pub(crate) fn note_ms(&self, date: i64, now: Instant) {
        *self.lock() = Some((date, now));
    }

    /// Returns the instant (epoch ms) nearest to `local` among those that the store's clock can show at `now`: usually
    /// `local` itself, and always before the first response.
    pub(crate) fn nearest(&self, local: i64, now: Instant) -> i64 {
        let Some((date, at)) = *self.lock() else { return local };
        let since = now.saturating_duration_since(at).min(Duration::from_secs(86_400));
        let earliest = date.saturating_add(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        local.clamp(earliest, earliest.saturating_add(TOLERANCE_MS))
    }
}

impl Intercept for StoreDates {
    fn name(&self) -> &'static str {
        "StoreDates"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.note(date, Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    const START: i64 = 1_767_225_600_000;

    #[test]
    fn a_clock_is_held_to_the_seconds_that_the_store_can_show() {
        let (dates, now) = (StoreDates::default(), Instant::now());
        assert_eq!(dates.nearest(7, now), 7, "nothing is known yet");
        dates.note(DATE, now);
        dates.note("yesterday", now);
        assert_eq!(dates.last(), Some(UNIX_EPOCH + Duration::from_millis(START.unsigned_abs())));
        let minute = Duration::from_secs(60);
        for (local, at, nearest) in [
            (START + 500, now, START + 500),
            (START + 2_999, now, START + 2_999),
            (START + 86_400_000, now, START + TOLERANCE_MS),
            (START - 86_400_000, now, START),
            (START + 86_400_000, now + minute, START + 60_000 + TOLERANCE_MS),
            (START, now + minute, START + 60_000),
        ] {
            assert_eq!(dates.nearest(local, at), nearest);
        }
    }
}
