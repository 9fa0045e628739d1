//! The instant of a read, by both clocks: [`ReadAt`].
//!
//! The wall clock is what tests drive, and it goes on while a machine is suspended. But it may be set: an entry that
//! was read before a clock was set back by two minutes would otherwise be believed for two minutes more. tokio's clock
//! is never set. So what was read is old as soon as either of them says so.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// An instant by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadAt {
    /// By the repository's clock, in epoch ms.
    pub(crate) wall: i64,
    /// By tokio's clock.
    pub(crate) monotonic: Instant,
}

impl ReadAt {
    /// Returns the current instant.
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.now_ms(), monotonic: Instant::now() }
    }

    /// Returns true if less than `time` has passed until `now`. After the wall clock was set back beyond the read, it
    /// counts as old.
    pub(crate) fn is_within(self, time: Duration, now: Self) -> bool {
        let by_wall = u128::try_from(now.wall.saturating_sub(self.wall)).is_ok_and(|age| age < time.as_millis());
        by_wall && now.monotonic.saturating_duration_since(self.monotonic) < time
    }

    /// Returns the earlier of both, by each clock.
    pub(crate) fn earlier(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), monotonic: self.monotonic.min(other.monotonic) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_read_is_old_as_soon_as_either_clock_says_so() {
        let read = ReadAt { wall: 1_000_000, monotonic: Instant::now() };
        let later = |wall: i64, seconds: u64| ReadAt {
            wall: read.wall + wall,
            monotonic: read.monotonic + Duration::from_secs(seconds),
        };
        for (wall, seconds, is_young) in [
            (0, 0, true),
            (59_999, 59, true),
            (60_000, 59, false),
            (14_000, 134, false),
            (-1, 1, false),
            (i64::MIN + 2_000_000, 1, false),
        ] {
            assert_eq!(read.is_within(MINUTE, later(wall, seconds)), is_young, "{wall} ms, {seconds} s");
        }
    }
}
