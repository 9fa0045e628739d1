//! The source of the time: [`Clock`].
//!
//! Two kinds of time are in use, and must not be mixed. The *wall clock* here decides refills, because processes have
//! to agree on it; tokio's monotonic clock decides deadlines, lifetimes of reserves and freshness of images, because
//! only this process needs it and it never jumps. Tests drive the first with [`ManualClock`] and pause the second.
//!
//! A wrong wall clock endangers other processes: one that is fast moves a bucket's refill instant into the future. The
//! limiter therefore bounds the deviation of a clock that [`follows_store`](Clock::follows_store) from the `Date`
//! header of DynamoDB's responses, which [`StoreDates`] reads.

mod dates;

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

#[cfg(feature = "aws")]
pub use dates::StoreDates;
#[cfg(not(feature = "aws"))]
pub(crate) use dates::StoreDates;

/// The wall clock that decides refills, in milliseconds since 1970.
///
/// Deadlines and waiting use tokio's clock, which tests can pause.
///
/// ```
/// use zae_limiter::Clock;
///
/// /// The system's clock, an hour ahead.
/// #[derive(Debug)]
/// struct Ahead;
///
/// impl Clock for Ahead {
///     fn now_ms(&self) -> i64 {
///         zae_limiter::SystemClock.now_ms() + 3_600_000
///     }
/// }
/// ```
///
/// Use [`ManualClock`] in tests.
///
/// Passed to a repository with [`RepositoryBuilder::clock`](crate::RepositoryBuilder::clock), and used by its limiters.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;

    /// Returns true if the clock should agree with DynamoDB's: it is then kept within the bounds that the `Date` of
    /// DynamoDB's responses allows, within three seconds. The default is `false`, which suits clocks of tests.
    fn follows_store(&self) -> bool {
        false
    }

    /// Returns true if the clock runs as fast as tokio's, so that a short time may be measured by either. The default
    /// is `false`; the clock is then read more often.
    fn keeps_pace(&self) -> bool {
        false
    }
}

/// The system's clock.
///
/// ```
/// use zae_limiter::{Clock, SystemClock};
/// assert!(SystemClock.now_ms() > 1_700_000_000_000); // later than November 2023
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        // In 64 bits: on the way of every grant from a reserve.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        seconds.saturating_mul(1_000).saturating_add(i64::from(now.subsec_millis()))
    }

    fn keeps_pace(&self) -> bool {
        true
    }

    fn follows_store(&self) -> bool {
        true
    }
}

/// A clock that stands still until it is set or advanced.
///
/// ```
/// use std::time::Duration;
/// use zae_limiter::{Clock, ManualClock};
/// let clock = ManualClock::at(1_767_225_600_000);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now_ms(), 1_767_225_660_000);
/// ```
///
/// The store's dates do not affect it, and nothing waits on it: after [`advance`](ManualClock::advance) the next
/// acquire sees the new time.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Creates a clock showing `now_ms` milliseconds since 1970.
    pub fn at(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Advances it.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(by)));
    }

    /// Sets it, possibly backwards.
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
