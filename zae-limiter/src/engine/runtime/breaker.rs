//! Keeps a dead store from holding requests: [`Breaker`].
//!
//! It opens after [`TRIP_FAILURES`] failures in a row that span [`TRIP_AFTER`]: a short burst of lost packets does not
//! open it, nor does one failure on a quiet service. While it is open, acquires get their policy's answer at once
//! instead of waiting for their deadline. Every [`REST`] one of them is let through; its success closes the breaker.
//!
//! Only failures that say something about the store count: no answer, no connection, an error of its own. A refused
//! condition or a missing permission is an answer. Throttling counts only if it lasts as long as anybody waits.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Time of failures without a success in between after which the breaker opens.
const TRIP_AFTER: Duration = Duration::from_millis(500);
/// At least this many failures, so that one lost packet on a quiet service does not trip it.
const TRIP_FAILURES: u32 = 3;
/// Time for which the store is left alone before one request tries again.
const REST: Duration = Duration::from_secs(1);

/// Opens when the store keeps failing, and lets one request a second through until it answers again.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<BreakerState>);

#[derive(Debug, Default)]
struct BreakerState {
    /// Since when there were only failures.
    failing_since: Option<Instant>,
    failures: u32,
    /// Until when nothing is sent.
    open_until: Option<Instant>,
}

/// Tells if the store may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Not before this long.
    Closed(Duration),
}

impl Breaker {
    fn lock(&self) -> MutexGuard<'_, BreakerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides if the caller may ask. Each time the rest is over, one caller gets through and the next rest begins.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        let mut state = self.lock();
        let Some(until) = state.open_until else { return Gate::Open };
        if now < until {
            return Gate::Closed(until - now);
        }
        state.open_until = Some(now + REST);
        Gate::Open
    }

    /// The store answered, whatever it said.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        if state.failing_since.is_none() {
            return;
        }
        if state.open_until.is_some() {
            tracing::info!("DynamoDB answers again; acquires go to the table");
        }
        *state = BreakerState::default();
    }

    /// The store did not answer, or not in time.
    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.lock();
        let since = *state.failing_since.get_or_insert(now);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= TRIP_FAILURES && now - since >= TRIP_AFTER {
            if state.open_until.is_none() {
                tracing::warn!(failures = state.failures, "DynamoDB keeps failing; circuit breaker opened for 1 s");
            }
            state.open_until = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_within_a_second_of_failures_and_lets_one_through_after_a_rest() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for ms in [0, 250, 500] {
            assert_eq!(breaker.gate(at(ms)), Gate::Open);
            breaker.failed(at(ms));
        }
        assert_eq!(breaker.gate(at(600)), Gate::Closed(Duration::from_millis(900)));
        assert_eq!(breaker.gate(at(1_500)), Gate::Open, "one tries");
        assert!(matches!(breaker.gate(at(1_501)), Gate::Closed(_)), "the others wait for it");
        breaker.succeeded();
        assert_eq!(breaker.gate(at(1_502)), Gate::Open);
    }

    #[test]
    fn neither_a_few_failures_nor_a_short_time_of_them_are_enough() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for failures in [vec![0, 10_000], (0..400).step_by(10).collect()] {
            let (breaker, last) = (Breaker::default(), failures.last().copied().unwrap_or(0));
            failures.into_iter().for_each(|ms| breaker.failed(at(ms)));
            assert_eq!(breaker.gate(at(last + 1)), Gate::Open);
        }
    }

    #[test]
    fn a_success_in_between_starts_the_count_anew() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for ms in (0..5_000).step_by(100) {
            let now = start + Duration::from_millis(ms);
            assert_eq!(breaker.gate(now), Gate::Open);
            if ms % 200 == 0 { breaker.failed(now) } else { breaker.succeeded() }
        }
    }
}
