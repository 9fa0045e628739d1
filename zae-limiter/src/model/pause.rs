//! A pause that somebody outside asked for: [`Pause`].

use std::time::Duration;

/// A time until which nobody should call, because the other side said so. Shared by all processes on the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pause {
    /// When it ends, in milliseconds since 1970.
    pub until_ms: i64,
    /// How much of it was left, by the repository's clock, when it was read; never zero.
    pub left: Duration,
    /// Why, for people: `429`, say.
    pub reason: String,
}
