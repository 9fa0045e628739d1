//! The store's own time, as the `Date` of its answers tells it: [`StoreDates`].
//!
//! A process whose clock is an hour ahead would write refill instants an hour ahead, and stop the refill of every
//! bucket that it touches for everybody else. Every answer of DynamoDB carries a `Date`, in whole seconds. If it came
//! just now and says 12:00:05, the store's clock shows between 12:00:05.000 and 12:00:08.000: the rest of that second,
//! and at most two seconds for the way. So a local clock within these bounds is believed, and any other is moved to the
//! nearer bound:
//!
//! | local clock | used |
//! |---|---|
//! | 12:00:04.000 | 12:00:05.000 |
//! | 12:00:06.300 | 12:00:06.300 |
//! | 13:00:06.300 | 12:00:08.000 |
//!
//! Between answers the bounds move with the monotonic clock. Time synchronisation keeps most machines within
//! milliseconds, so the correction is nothing in practice; it bounds the damage of those that are not. An average over
//! many answers would be closer, and needs state and an argument about its error, for a gain of at most three seconds.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
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

/// Ms by which the store may be ahead of the `Date` of an answer that has just come: it names a second, and was on its
/// way for a while.
const TOLERANCE_MS: i64 = 3_000;

/// The `Date` of the last answer, and when it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreDates(Arc<Mutex<Option<(i64, Instant)>>>);

impl StoreDates {
    /// Locks the last answer; a panic elsewhere does not stop the clock.
    fn lock(&self) -> MutexGuard<'_, Option<(i64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the `Date` header of an answer; one that is no date is ignored.
    pub(crate) fn note(&self, header: &str, now: Instant) {
        let Ok(date) = DateTime::from_str(header, Format::HttpDate) else { return };
        if let Ok(date) = date.to_millis() {
            self.note_ms(date, now);
        }
    }

    /// Notes the date (epoch ms) of an answer.
    pub(crate) fn note_ms(&self, date: i64, now: Instant) {
        *self.lock() = Some((date, now));
    }

    /// Returns the instant (epoch ms) that is nearest to `local` among those that the store's clock can show at `now`:
    /// mostly `local` itself. Without an answer there is nothing to go by.
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
