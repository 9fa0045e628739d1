//! Keeps requests from waiting for an unavailable store: [`Circuit`], one for each bucket, and [`Breaker`], one for the
//! store.
//!
//! The store as a whole counts as unavailable only for reasons that concern it: connections that fail, or no response
//! for several buckets while no other bucket gets one. The trouble of one bucket is its own.
//!
//! # When a circuit opens
//!
//! Two conditions must both hold: only failures for half a second, and so many in a row that chance is an unlikely
//! cause. With p the usual share of failures, n failures in a row have the probability pⁿ, and the circuit opens when
//! that is below one in a thousand: n ≥ ln(0.001)/ln(p).
//!
//! | usual failures p | failures in a row |
//! |---|---|
//! | 5 % or less | 3 |
//! | 20 % | 5 |
//! | 50 % | 10 |
//! | 80 % or more | 31 |
//!
//! p is a moving average that one outcome changes by 1/32. It is updated only when a run of failures has ended in a
//! success, so an outage does not make failures usual. A fixed count would not work: three is right for a healthy
//! store, but if every second call fails it would keep the circuit open although half of all calls would succeed.
//!
//! # While it is open
//!
//! For a second nothing is sent. Then one caller is let through while the next second begins; any response closes the
//! circuit. While the store's breaker is open, acquires of buckets without failures of their own are also let through,
//! ten a second in total.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The circuit opens after consecutive failures for this long ([`UNLIKELY`] is the other condition).
const TRIP_AFTER: Duration = Duration::from_millis(500);
/// The circuit opens only if this many failures in a row are less likely than this, given the usual share of failures.
const UNLIKELY: f64 = 1e-3;
/// Bounds of the usual share of failures, which require three to 31 failures in a row.
const USUAL: (f64, f64) = (0.05, 0.8);
/// The weight of one outcome in the usual share.
const WEIGHT: f64 = 1.0 / 32.0;
/// Time for which an open circuit lets nothing through before one request is tried.
const REST: Duration = Duration::from_secs(1);
/// The same, for requests to buckets without failures of their own.
const REST_OF_HEALTHY: Duration = Duration::from_millis(100);
/// Number of silent buckets from which the store counts as silent.
const WIDE: usize = 3;

/// Tells if the store may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It may be called.
    Open,
    /// Not before this long.
    Closed(Duration),
}

/// The significance of a failed write for the store as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// No connection could be established.
    NoConnection,
    /// No response, or no usable one.
    Silence,
}

/// Tells if the requested bucket itself has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BucketHealth {
    /// It was written since it last failed.
    Good,
    /// It fails, or its state is unknown.
    Doubtful,
}

/// Opens when requests keep failing, and lets one a second through until one succeeds.
#[derive(Debug)]
pub(crate) struct Circuit {
    /// Start of the current run of failures.
    failing_since: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// The usual share of failures.
    usual: f64,
    /// Time until which nothing is sent.
    open_until: Option<Instant>,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { failing_since: None, failures: 0, usual: 0.0, open_until: None }
    }
}

impl Circuit {
    /// Decides if the caller may call. Each time the pause is over, one caller is let through and the next pause
    /// begins.
    pub(crate) fn gate(&mut self, now: Instant) -> Gate {
        let Some(until) = self.open_until else { return Gate::Open };
        if now < until {
            return Gate::Closed(until - now);
        }
        self.open_until = Some(now + REST);
        Gate::Open
    }

    /// Returns true if the last outcome was a failure.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Returns true from the first opening until a response.
    fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// Records a response of any kind.
    pub(crate) fn succeeded(&mut self) {
        for _ in 0..std::mem::take(&mut self.failures).min(32) {
            self.usual += (1.0 - self.usual) * WEIGHT;
        }
        self.usual -= self.usual * WEIGHT;
        (self.failing_since, self.open_until) = (None, None);
    }

    /// Records a failure. Returns true if there have been too many.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        let since = *self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        let usual = self.usual.clamp(USUAL.0, USUAL.1);
        f64::from(self.failures) >= UNLIKELY.ln() / usual.ln() && now - since >= TRIP_AFTER
    }

    /// Opens for a second, from `now` on.
    pub(crate) fn open(&mut self, now: Instant) {
        self.open_until = Some(now + REST);
    }
}

/// Opens when the store as a whole keeps failing.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<BreakerState>);

/// The store as a whole, as this process sees it.
#[derive(Debug, Default)]
struct BreakerState {
    /// Failures of the store as a whole.
    circuit: Circuit,
    /// The first buckets that have failed since the last success, by hash.
    failing: Vec<u64>,
    /// Time at which the next request to a healthy bucket is let through.
    next_healthy: Option<Instant>,
}

impl Breaker {
    /// Locks the state; the store stays callable after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, BreakerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides if the caller may call. While the circuit is open, one caller a second is let through, and ten a second
    /// to buckets without failures of their own.
    pub(crate) fn gate(&self, now: Instant, bucket: BucketHealth) -> Gate {
        let mut state = self.lock();
        let gate = state.circuit.gate(now);
        if gate != Gate::Open && bucket == BucketHealth::Good && state.next_healthy.is_none_or(|next| next <= now) {
            state.next_healthy = Some(now + REST_OF_HEALTHY);
            return Gate::Open;
        }
        gate
    }

    /// Records a response of any kind.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        if state.circuit.is_open() {
            tracing::info!("DynamoDB answers again; acquires go to the table");
        }
        state.circuit.succeeded();
        state.failing.clear();
        state.next_healthy = None;
    }

    /// Records that a bucket (identified by its hash) got no response, or not in time.
    pub(crate) fn failed(&self, now: Instant, bucket: u64, evidence: Evidence) {
        let mut state = self.lock();
        let state = &mut *state;
        if !state.failing.contains(&bucket) && state.failing.len() < WIDE {
            state.failing.push(bucket);
        }
        let too_many = state.circuit.failed(now);
        if too_many && (evidence == Evidence::NoConnection || state.failing.len() >= WIDE) {
            if !state.circuit.is_open() {
                tracing::warn!(
                    failures = state.circuit.failures,
                    "DynamoDB keeps failing; circuit breaker opened for {} s",
                    REST.as_secs()
                );
            }
            state.circuit.open(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Fails at each of `at`, on alternating buckets.
    fn fail(breaker: &Breaker, start: Instant, at: impl IntoIterator<Item = u64>, buckets: u64, evidence: Evidence) {
        for (index, at) in (0..).zip(at) {
            breaker.failed(start + ms(at), index % buckets, evidence);
        }
    }

    #[test]
    fn opens_within_a_second_of_failures_and_lets_one_through_after_a_rest() {
        for (buckets, evidence) in [(1, Evidence::NoConnection), (3, Evidence::Silence)] {
            let (breaker, start) = (Breaker::default(), Instant::now());
            let gate = |at| breaker.gate(start + ms(at), BucketHealth::Doubtful);
            fail(&breaker, start, [0, 250, 500], buckets, evidence);
            assert_eq!(gate(600), Gate::Closed(ms(900)));
            assert_eq!(gate(1_500), Gate::Open, "one tries");
            assert!(matches!(gate(1_501), Gate::Closed(_)), "the others wait for it");
            breaker.succeeded();
            assert_eq!(gate(1_502), Gate::Open);
        }
    }

    #[test]
    fn silence_of_one_or_two_buckets_is_theirs_alone() {
        for buckets in [1, 2] {
            let (breaker, start) = (Breaker::default(), Instant::now());
            fail(&breaker, start, (0..10_000).step_by(50), buckets, Evidence::Silence);
            assert_eq!(breaker.gate(start + ms(10_000), BucketHealth::Doubtful), Gate::Open);
        }
    }

    #[test]
    fn a_bucket_that_did_not_fail_is_let_through_more_often() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        fail(&breaker, start, [0, 250, 500], 1, Evidence::NoConnection);
        let passes = |health| (501..1_500).filter(|at| breaker.gate(start + ms(*at), health) == Gate::Open).count();
        assert_eq!((passes(BucketHealth::Doubtful), passes(BucketHealth::Good)), (0, 10));
    }

    #[test]
    fn neither_a_few_failures_nor_a_short_time_of_them_are_enough() {
        let start = Instant::now();
        for failures in [vec![0, 10_000], (0..400).step_by(10).collect::<Vec<_>>()] {
            let (breaker, last) = (Breaker::default(), failures.last().copied().unwrap_or(0));
            fail(&breaker, start, failures, 1, Evidence::NoConnection);
            assert_eq!(breaker.gate(start + ms(last + 1), BucketHealth::Doubtful), Gate::Open);
        }
    }

    #[test]
    fn a_store_that_always_fails_a_little_is_not_given_up_for_it() {
        // One write in five fails, at four writes a second: with a threshold of three, a quarter of them were refused.
        let (mut circuit, start, mut opened) = (Circuit::default(), Instant::now(), 0);
        let mut seed = 1_u64;
        for write in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (seed >> 33) % 100 < 21 {
                opened += u32::from(circuit.failed(start + ms(write * 250)));
            } else {
                circuit.succeeded();
            }
        }
        assert!(opened < 20, "opened {opened} times in 20,000 writes");
        let end = start + ms(20_000 * 250);
        assert!((0..12).any(|write| circuit.failed(end + ms(write * 250))), "and is when it fails for good");
    }
}
