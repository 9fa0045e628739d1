//! The age of timestamps in words.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The mean lengths, which are precise enough for "3 months ago".
const MONTH: i64 = 30 * DAY;
const YEAR: i64 = 365 * DAY;

/// Formats the age of a timestamp at `now_ms`; `None` if it is not a timestamp.
pub(super) fn ago(timestamp: &str, now_ms: i64) -> Option<String> {
    let then: Timestamp = timestamp.parse().ok()?;
    let seconds = now_ms.div_euclid(1000) - then.as_second();
    let (unit, name) = match seconds.abs() {
        0..MINUTE => return Some("just now".to_owned()),
        MINUTE..HOUR => (MINUTE, "minute"),
        HOUR..DAY => (HOUR, "hour"),
        DAY..MONTH => (DAY, "day"),
        MONTH..YEAR => (MONTH, "month"),
        _ => (YEAR, "year"),
    };
    let count = seconds.abs() / unit;
    let plural = if count == 1 { "" } else { "s" };
    Some(if seconds > 0 { format!("{count} {name}{plural} ago") } else { format!("in {count} {name}{plural}") })
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn the_largest_whole_unit_is_told() {
        let now = 1_767_225_600_000; // 2026-01-01T00:00:00Z
        for (then, expected) in [
            ("2026-01-01T00:00:00Z", "just now"),
            ("2025-12-31T23:59:01Z", "just now"),
            ("2025-12-31T23:59:00Z", "1 minute ago"),
            ("2025-12-31T21:30:00Z", "2 hours ago"),
            ("2025-12-30T00:00:00Z", "2 days ago"),
            ("2025-10-15T00:00:00Z", "2 months ago"),
            ("2023-01-01T00:00:00Z", "3 years ago"),
            ("2026-01-01T02:00:00Z", "in 2 hours"),
        ] {
            assert_eq!(ago(then, now).as_deref(), Some(expected), "{then}");
        }
        assert_eq!(ago("yesterday", now), None);
    }
}
