//! Parses times as typed: instants, days, or ages.

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::cli::CliError;

/// The end of a day that a date stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Start,
    End,
}

/// Parses `text` to an instant, in epoch ms.
pub(crate) fn parse(option: &str, text: &str, edge: Edge, now_ms: i64) -> Result<i64, CliError> {
    let instant = ago(text, now_ms).or_else(|| instant(text)).or_else(|| day(text, edge));
    instant.ok_or_else(|| {
        let forms = "use an instant (2026-01-15T10:00:00Z), a day (2026-01-15), or how long ago (24h, 7d)";
        CliError::Invalid(format!("Invalid {option} '{text}': {forms}"))
    })
}

fn ago(text: &str, now_ms: i64) -> Option<i64> {
    let unit = text.chars().last()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten()?;
    now_ms.checked_sub(number.checked_mul(seconds)?.checked_mul(1_000)?)
}

/// Parses an instant with an offset, or in UTC without one.
fn instant(text: &str) -> Option<i64> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_millisecond());
    }
    // A date alone would be parsed as its midnight.
    let civil = text.contains(['T', ' ']).then(|| text.parse::<civil::DateTime>().ok()).flatten()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_millisecond())
}

fn day(text: &str, edge: Edge) -> Option<i64> {
    let date = text.parse::<civil::Date>().ok()?;
    let time = match edge {
        Edge::Start => civil::time(0, 0, 0, 0),
        Edge::End => civil::time(23, 59, 59, 999_000_000),
    };
    date.to_datetime(time).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::{Edge, parse};

    /// 2026-01-15T10:00:00Z.
    const NOW: i64 = 1_768_471_200_000;

    #[test]
    fn instants_days_and_spans_are_understood() {
        let day_start = NOW - 10 * 3_600_000;
        for (text, edge, expected) in [
            ("2026-01-15T10:00:00Z", Edge::Start, NOW),
            ("2026-01-15T11:00:00+01:00", Edge::Start, NOW),
            ("2026-01-15T10:00:00", Edge::End, NOW),
            ("2026-01-15", Edge::Start, day_start),
            ("2026-01-15", Edge::End, day_start + 86_400_000 - 1),
            ("24h", Edge::Start, NOW - 86_400_000),
            ("7d", Edge::End, NOW - 7 * 86_400_000),
            ("0m", Edge::Start, NOW),
        ] {
            assert_eq!(parse("--start", text, edge, NOW).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_forms_that_are_not() {
        for text in ["", "d", "-1d", "yesterday", "2026-13-01", "9999999999999999999d", "7 d", "ü"] {
            let error = parse("--end", text, Edge::End, NOW).unwrap_err().to_string();
            assert!(error.starts_with(&format!("Invalid --end '{text}': use an instant")), "{error}");
        }
    }
}
