//! An instant by both clocks: [`Moment`], and what ends by either: [`End`].
//!
//! The monotonic clock stands still while a machine is suspended, a function is frozen or a snapshot waits to be
//! restored. What is held ahead of use would outlive its bound there by as long as that takes. The wall clock goes on,
//! but may be set, back or forth. So whatever is held ends by the one that says so first: a process that stood still
//! grants nothing that is over, and a clock that is set ends it too early at worst.
//!
//! The wall clock here is the machine's own, not the one that is [held to the store's](super::store_clock): that one
//! moves by the monotonic clock between two answers.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use tokio::time::Instant;

use crate::clock::Clock;

/// An instant by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// By tokio's clock, which stands still where the machine does.
    pub(crate) monotonic: Instant,
    /// By the machine's wall clock, in epoch ms.
    pub(crate) wall: i64,
}

impl Moment {
    /// The current one.
    #[inline]
    pub(crate) fn now(wall: &dyn Clock) -> Self {
        Self { monotonic: Instant::now(), wall: wall.now_ms() }
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self { monotonic: self.monotonic + time, wall: self.wall.saturating_add(ms(time)) }
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        let monotonic = self.monotonic.checked_sub(time).unwrap_or(self.monotonic);
        Self { monotonic, wall: self.wall.saturating_sub(ms(time)) }
    }
}

/// A time in ms, a started one left out: what ends by it ends a little too early.
fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The end of something, which comes when either clock has reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End(Moment);

impl End {
    /// The end of what lasts for `time` from `start` on.
    pub(crate) fn after(start: Moment, time: Duration) -> Self {
        Self(start + time)
    }

    /// The same, `time` later.
    pub(crate) fn later_by(self, time: Duration) -> Self {
        Self(self.0 + time)
    }

    /// Returns true while it has not come.
    #[inline]
    pub(crate) fn is_ahead(self, now: Moment) -> bool {
        now.monotonic < self.0.monotonic && now.wall < self.0.wall
    }

    /// Returns true if it has come before `now`, not just then.
    pub(crate) fn is_past(self, now: Moment) -> bool {
        now.monotonic > self.0.monotonic || now.wall > self.0.wall
    }

    /// The time until then; `None` if it has come.
    pub(crate) fn left(self, now: Moment) -> Option<Duration> {
        self.is_ahead(now).then(|| self.0.monotonic.saturating_duration_since(now.monotonic))
    }

    /// When to look for it, as far as can be known: a clock that stands still is noticed afterwards.
    pub(crate) fn monotonic(self) -> Instant {
        self.0.monotonic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_ends_by_whichever_clock_says_so_first() {
        const SECOND: Duration = Duration::from_secs(1);
        let start = Moment { monotonic: Instant::now(), wall: 1_000_000 };
        let end = End::after(start, SECOND);
        let frozen = Moment { monotonic: start.monotonic, wall: start.wall + 600_000 };
        let set_back = Moment { monotonic: start.monotonic + SECOND, wall: start.wall - 3_600_000 };
        assert!(end.is_ahead(start + SECOND / 2));
        assert_eq!(end.left(start + SECOND / 2), Some(SECOND / 2));
        for over in [start + SECOND, frozen, set_back] {
            assert!(!end.is_ahead(over), "{over:?}");
            assert_eq!(end.left(over), None);
        }
        assert!(!end.is_past(start + SECOND) && end.is_past(frozen));
        assert!(end.later_by(SECOND).is_ahead(start + SECOND));
    }
}
