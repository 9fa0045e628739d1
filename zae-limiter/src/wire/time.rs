//! Timestamps in the table's format: `YYYY-MM-DDTHH:MM:SSZ`, UTC.

use jiff::Timestamp;

/// Formats `now` (epoch ms).
pub(crate) fn timestamp(now_ms: i64) -> String {
    // Outside the years 1 to 9999 there is no such text; the clock is then broken, and the nearest limit is used.
    let whole = now_ms.div_euclid(1_000);
    let at = Timestamp::from_second(whole).unwrap_or(if whole < 0 { Timestamp::MIN } else { Timestamp::MAX });
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the epoch seconds of `now` (epoch ms).
pub(crate) fn epoch_seconds(now_ms: i64) -> i64 {
    now_ms.div_euclid(1_000)
}

/// Formats the first whole second at or after `at` (epoch ms).
pub(crate) fn timestamp_from(at_ms: i64) -> String {
    timestamp(at_ms.saturating_add(999))
}
