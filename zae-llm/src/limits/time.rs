//! Parses the notations of times in use by providers: seconds, Go durations, dates, instants since 1970.

use std::time::Duration;

use jiff::{
    Timestamp,
    fmt::{rfc2822, strtime},
    tz::TimeZone,
};

/// Numbers from here on are instants since 1970 instead of durations: 2001-09-09, or 31 years.
const EPOCH_FROM: f64 = 1_000_000_000.0;
/// Instants since 1970 in milliseconds, as sent by some gateways.
const EPOCH_MILLIS_FROM: f64 = 1_000_000_000_000.0;
/// Maximum length of a time's text.
const MAX_LEN: usize = 64;

/// Parses a duration in seconds, possibly fractional; not negative, and only numbers.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text)?).ok()
}

/// Parses a duration in milliseconds, possibly fractional.
pub(super) fn milliseconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text)? / 1000.0).ok()
}

/// Parses digits with at most one point: no sign, no exponent, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain || text.is_empty() || text.len() > MAX_LEN {
        return None;
    }
    text.parse().ok()
}

/// Parses a duration in Go's notation: `1s`, `6m0s`, `12ms`, `1h2m3.5s`, `250µs`; also protobuf's `38.5s`.
///
/// Source: <https://pkg.go.dev/time#ParseDuration>; OpenAI and Groq use it for their resets. Days, which Go does not
/// have, are accepted as well. `None` for a sign, a number without a unit, or a sum beyond the range of [`Duration`].
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() || rest.len() > MAX_LEN {
        return None;
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.checked_add(Duration::try_from_secs_f64(decimal(number)? * seconds).ok()?)?;
        rest = tail;
    }
    Some(sum)
}

/// Returns the duration from `now` until an HTTP date; zero if it is past.
pub(super) fn until_http_date(text: &str, now: Timestamp) -> Option<Duration> {
    Some(until(http_date(text)?, now))
}

/// Parses an HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT`, or an obsolete form: `Sunday, 06-Nov-94 08:49:37 GMT`,
/// `Sun Nov 6 08:49:37 1994`.
///
/// Source: RFC 9110, section 5.6.7, which requires recipients to accept all three. Two-digit years are those of the
/// format `%y`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > MAX_LEN {
        return None;
    }
    let in_utc = |format: &str| {
        let date = strtime::parse(format, text).ok()?.to_datetime().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let today = rfc2822::parse(text).ok().map(|date| date.timestamp());
    today.or_else(|| in_utc("%A, %d-%b-%y %H:%M:%S GMT")).or_else(|| in_utc("%a %b %e %H:%M:%S %Y"))
}

/// Parses the end of a window: a Go duration, seconds, an instant since 1970, or an RFC 3339 date.
///
/// `None` for anything else, and for instants outside of the calendar. A past instant is a reset of zero: the window is
/// over.
pub(super) fn reset(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if text.len() > MAX_LEN {
        return None;
    }
    match decimal(text) {
        Some(number) if number >= EPOCH_FROM => {
            let millis = if number >= EPOCH_MILLIS_FROM { number } else { number * 1000.0 };
            // Below 2^53, so nothing is lost; beyond, the instant is out of range.
            (millis < 9.0e15)
                .then_some(millis as i64)
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                .map(|at| until(at, now))
        }
        Some(number) => Duration::try_from_secs_f64(number).ok(),
        None => go_duration(text).or_else(|| Some(until(text.parse().ok()?, now))),
    }
}

/// Returns true if a reset is given as an instant, on which clocks may disagree.
pub(super) fn is_instant(text: &str) -> bool {
    match decimal(text) {
        Some(number) => number >= EPOCH_FROM,
        None => text.trim().parse::<Timestamp>().is_ok(),
    }
}

/// Returns the duration from `now` until `instant`; zero if it is past.
fn until(instant: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(instant.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn durations_as_providers_write_them() {
        for (text, millis) in [
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("12ms", 12),
            ("1h2m3s", 3_723_000),
            ("2m59.56s", 179_560),
            ("7.66s", 7_660),
            ("38s", 38_000),
            ("1d", 86_400_000),
            ("1500µs", 1),
            ("0s", 0),
        ] {
            assert_eq!(go_duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for text in
            ["", "s", "1", "-1s", "1x", "1s2", "1..5s", "NaNs", "infs", "1e9s", "9999999999999999999999h", "1 s", "é"]
        {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }

    #[test]
    fn dates_in_all_three_forms() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(http_date(text).unwrap().to_string(), "1994-11-06T08:49:37Z", "{text}");
        }
        for text in ["", "Sun", "06-Nov-94", "Sun Nov 99 08:49:37 1994", "Someday, 06-Nov-94 08:49:37 GMT"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn resets_are_spans_or_instants() {
        for (text, millis) in [
            ("33011.382867", 33_011_382),
            ("0", 0),
            ("30", 30_000),
            ("1767225660", 60_000),
            ("1767225660000", 60_000),
            ("1767225600", 0),
            ("1600000000", 0),
            ("2026-01-01T00:01:00Z", 60_000),
            ("2026-01-01T01:00:30.5+01:00", 30_500),
            ("2025-08-21T12:40:59Z", 0),
            ("1m30s", 90_000),
        ] {
            assert_eq!(reset(text, now()).unwrap().as_millis(), millis, "{text}");
        }
        for text in ["", "-1", "-1s", "soon", "1e400", "99999999999999999999999999", "inf", "nan", "0x10", "+5"] {
            assert_eq!(reset(text, now()), None, "{text}");
        }
    }

    #[test]
    fn dates_are_http_dates() {
        assert_eq!(until_http_date("Thu, 01 Jan 2026 00:01:30 GMT", now()), Some(Duration::from_secs(90)));
        assert_eq!(until_http_date("Wed, 31 Dec 2025 00:00:00 GMT", now()), Some(Duration::ZERO));
        assert_eq!(until_http_date("tomorrow", now()), None);
    }

    #[test]
    fn seconds_are_plain_numbers() {
        assert_eq!(seconds(" 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(milliseconds("250"), Some(Duration::from_millis(250)));
        for text in ["-1", "NaN", "inf", "1e3", "", ".", "1,5", "99999999999999999999999999999999"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
