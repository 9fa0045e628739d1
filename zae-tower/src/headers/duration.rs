//! Waits in header values. All of them round up: a wait that is too short sends the client into a loop.
//!
//! Buckets count in milliseconds, `Retry-After` in seconds, Go's clients in their own notation.

use std::{fmt::Write as _, time::Duration};

use crate::line::Line;

/// Whole milliseconds, rounded up.
pub(crate) fn millis_up(wait: Duration) -> u64 {
    let millis = wait.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// Whole seconds, rounded up.
pub(super) fn seconds_up(millis: u64) -> u64 {
    millis.div_ceil(1_000)
}

/// The value of `Retry-After` (RFC 9110, section 10.2.3): whole seconds, rounded up, at least 1.
pub(crate) fn retry_seconds(wait: Duration) -> u64 {
    seconds_up(millis_up(wait)).max(1)
}

/// A duration as Go prints it: `0s`, `12ms`, `7.66s`, `6m0s`, `1h0m0.5s`.
pub(super) fn go_duration(millis: u64) -> Line {
    let mut text = Line::default();
    // Writing to a `Line` cannot fail.
    if millis == 0 || millis >= 1_000 {
        push_seconds(&mut text, millis);
    } else {
        let _ = write!(text, "{millis}ms");
    }
    text
}

fn push_seconds(text: &mut Line, millis: u64) {
    let (seconds, fraction) = (millis / 1_000, millis % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if seconds >= 60 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{}", seconds % 60);
    if fraction > 0 {
        text.push_str(format!(".{fraction:03}").trim_end_matches('0'));
    }
    text.push_str("s");
}
