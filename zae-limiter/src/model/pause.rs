//! A pause that somebody outside asked for: [`Pause`].

use std::time::Duration;

/// A time until which nobody should call, because the other side said so. Shared by all processes on the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pause {
    /// When it ends, in milliseconds since 1970.
    pub until_ms: i64,
    /// Why, for people: `429`, say.
    pub reason: String,
}

impl Pause {
    /// How much of it is left at `now_ms` milliseconds since 1970; `None` when it is over.
    pub fn left(&self, now_ms: i64) -> Option<Duration> {
        let left = u64::try_from(self.until_ms.saturating_sub(now_ms)).ok()?;
        (left > 0).then(|| Duration::from_millis(left))
    }
}
