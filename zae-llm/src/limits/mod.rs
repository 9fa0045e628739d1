//! Reports of providers about their limits: [`Answer`].
//!
//! Nothing here is about one provider: each header and each form of body is read wherever it turns up, because gateways
//! and compatible servers mix them.
//!
//! | read | from | as |
//! |---|---|---|
//! | `retry-after-ms` | Azure OpenAI, OpenAI SDKs | milliseconds |
//! | `retry-after` | all | seconds, whole or not, or an HTTP date |
//! | `x-should-retry`, `stripe-should-retry` | OpenAI, Anthropic, Stripe | `false`: for good |
//! | `x-ratelimit-{limit,remaining,reset}-{name}` | OpenAI, Groq, Cerebras | Go durations, seconds |
//! | `x-ratelimit-{limit,remaining,reset}` | GitHub and others | an instant since 1970, or seconds |
//! | `anthropic-ratelimit-{name}-{limit,remaining,reset}` | Anthropic | RFC 3339, or an instant since 1970 |
//! | `ratelimit`, `ratelimit-{limit,remaining,reset}` | IETF draft 6 to 11 and its successor | seconds |
//! | `stripe-rate-limited-reason` | Stripe | a limit was met; without it a 429 may be a lock |
//! | `error.details[].retryDelay` | Gemini | a duration |
//! | `error.details[].metadata.quotaResetDelay` | Gemini's code assistants | a duration |
//! | `error.metadata.headers`, `retry_after` | OpenRouter, gateways | an instant, or seconds |
//! | `error.code`, `error.type`, `error.message` | OpenAI, Stripe, GitHub | `insufficient_quota`, `lock_timeout`, `try again in 1.5s` |
//!
//! If several say something, the first in this order wins: `retry-after-ms`, `retry-after`, the body, the longest
//! window of which nothing is left.
//!
//! Sources: OpenAI's, Groq's, Cerebras's, Anthropic's, Gemini's, GitHub's and Stripe's documentation of their rate
//! limits; draft-ietf-httpapi-ratelimit-headers-11 and the editors' copy after it; RFC 9110, 10.2.3.

mod body;
mod draft;
mod time;
mod window;

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
pub use window::{Refill, Window};

use crate::providers::tables;

/// The report of a provider's answer about its limits. In the response's extensions.
///
/// ```
/// use zae_llm::limits::{Answer, Verdict};
/// use std::time::Duration;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("retry-after-ms", "1500".parse()?);
/// let answer = Answer::read(http::StatusCode::TOO_MANY_REQUESTS, &headers, b"");
/// assert_eq!(answer.verdict, Verdict::NotYet { retry_after: Some(Duration::from_millis(1500)) });
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The verdict on whether a limit was met.
    pub verdict: Verdict,
    /// The limits that it reports.
    pub windows: Vec<Window>,
}

/// An answer's verdict on whether a limit was met.
///
/// See [`Answer`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It says nothing of the kind.
    Served,
    /// A limit was met; later it will be served.
    NotYet {
        /// Time until then, as far as the provider gives it: more than zero, and not capped.
        retry_after: Option<Duration>,
    },
    /// It will not be served however long one waits: a quota is used up, or the provider says not to retry.
    Never {
        /// The provider's word for it, such as `insufficient_quota`.
        reason: String,
    },
}

impl Answer {
    /// Reads a response's status, headers, and, for errors, what is known of the body (it may be empty or cut off).
    ///
    /// Whatever is malformed, negative or out of range is ignored.
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        Self::read_at(status, headers, body, Timestamp::now())
    }

    /// Reads a response as [`Answer::read`] does. Instants are compared with its own `Date`, and with `local` if it has
    /// none.
    pub(crate) fn read_at(status: StatusCode, headers: &HeaderMap, body: &[u8], local: Timestamp) -> Self {
        // Instants are by the provider's clock, which the answer tells.
        let now = text(headers, header::DATE.as_str()).and_then(time::http_date).unwrap_or(local);
        let windows = window::windows(headers, now);
        let verdict = verdict(status, headers, body, &windows, now);
        Self { verdict, windows }
    }

    /// Returns true if the status may be that of a refusal that only the body explains.
    pub fn body_matters(status: StatusCode) -> bool {
        matches!(status.as_u16(), 403 | 429 | 503 | 529)
    }

    /// Returns the time until there is a point in calling again, however it is said; `None` when that is now, or it is
    /// not said.
    ///
    /// ```
    /// use std::time::Duration;
    /// use http::{HeaderMap, HeaderValue, StatusCode};
    /// use zae_llm::limits::Answer;
    /// let mut headers = HeaderMap::new();
    /// headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
    /// headers.insert("x-ratelimit-reset", HeaderValue::from_static("30"));
    /// // Served, but the next call will not be.
    /// let answer = Answer::read(StatusCode::OK, &headers, b"");
    /// assert_eq!(answer.pause(), Some(Duration::from_secs(30)));
    /// ```
    pub fn pause(&self) -> Option<Duration> {
        match &self.verdict {
            Verdict::NotYet { retry_after } => *retry_after,
            Verdict::Served => self.windows.iter().filter_map(Window::pause).max(),
            Verdict::Never { .. } => None,
        }
    }
}

/// Returns a header's value; `None` for one that is no text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Decides what a status means, in this order of sources for the time: milliseconds in a header, `Retry-After`, the
/// body, windows that are empty, and the provider's documentation.
fn verdict(status: StatusCode, headers: &HeaderMap, body: &[u8], windows: &[Window], now: Timestamp) -> Verdict {
    // "Again at once" beside a refusal is a time that was rounded down, or no time at all.
    let some = |span: &Duration| !span.is_zero();
    let limits = &tables().limits;
    let in_millis = limits.iter().flat_map(|words| words.retry_after_millis);
    let in_millis = in_millis.filter_map(|name| text(headers, name)).find_map(time::milliseconds);
    let told = in_millis.filter(some).or_else(|| {
        let text = text(headers, header::RETRY_AFTER.as_str())?;
        time::seconds(text).or_else(|| time::until_http_date(text, now)).filter(some)
    });
    let exhausted = || {
        let empty = windows.iter().filter(|window| window.remaining == Some(0));
        empty.filter_map(|window| window.pause().or(window.reset)).max().filter(some)
    };
    match status.as_u16() {
        429 => {
            let said = body::read(body);
            if let Some(reason) = said.permanent {
                return Verdict::Never { reason };
            }
            if said.unrelated.is_some_and(|code| !headers.contains_key(code.unless)) {
                return Verdict::Served;
            }
            let mut should_retry = limits.iter().flat_map(|words| words.should_retry);
            let no = should_retry.find(|name| text(headers, name) == Some("false"));
            if let (Some(name), None) = (no, told) {
                return Verdict::Never { reason: format!("{name}: false") };
            }
            let untimed = said.untimed.map(|limit| limit.wait);
            Verdict::NotYet { retry_after: told.or(said.retry_after.filter(some)).or_else(exhausted).or(untimed) }
        }
        // GitHub refuses with 403; one that has nothing to do with limits says none of this.
        403 => {
            let untimed = body::read(body).untimed.filter(|limit| headers.contains_key(limit.header));
            let retry_after = told.or_else(exhausted).or(untimed.map(|limit| limit.wait));
            retry_after.map_or(Verdict::Served, |after| Verdict::NotYet { retry_after: Some(after) })
        }
        // Overloaded; some say until when.
        503 | 529 => Verdict::NotYet { retry_after: told.or_else(|| body::read(body).retry_after.filter(some)) },
        _ => Verdict::Served,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Answer {
        let pairs = pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let status = StatusCode::from_u16(status).unwrap();
        Answer::read_at(status, &pairs.collect(), body.as_bytes(), "2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn not_yet(millis: u64) -> Verdict {
        Verdict::NotYet { retry_after: Some(Duration::from_millis(millis)) }
    }

    #[test]
    fn milliseconds_come_before_seconds_before_dates() {
        assert_eq!(read(429, &[("retry-after-ms", "250"), ("retry-after", "9")], "").verdict, not_yet(250));
        assert_eq!(read(429, &[("retry-after-ms", "-5"), ("retry-after", "1.5")], "").verdict, not_yet(1_500));
        assert_eq!(read(429, &[("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT")], "").verdict, not_yet(30_000));
        assert_eq!(read(429, &[], "").verdict, Verdict::NotYet { retry_after: None });
    }

    #[test]
    fn no_time_is_not_at_once() {
        let nothing = Verdict::NotYet { retry_after: None };
        for (name, value) in [
            ("retry-after", "0"),
            ("retry-after", "0.0"),
            ("retry-after-ms", "0"),
            ("retry-after", "Wed, 31 Dec 2025 23:59:59 GMT"),
        ] {
            assert_eq!(read(429, &[(name, value)], "").verdict, nothing, "{name}: {value}");
            assert_eq!(read(503, &[(name, value)], "").verdict, nothing, "{name}: {value}");
        }
        assert_eq!(read(429, &[("retry-after-ms", "0"), ("retry-after", "2")], "").verdict, not_yet(2_000));
        let window = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "0")];
        assert_eq!(read(429, &window, "").verdict, nothing);
    }

    #[test]
    fn instants_are_by_the_providers_clock() {
        let skewed = [("date", "Thu, 01 Jan 2026 01:00:00 GMT"), ("retry-after", "Thu, 01 Jan 2026 01:00:05 GMT")];
        assert_eq!(read(429, &skewed, "").verdict, not_yet(5_000));
    }

    #[test]
    fn an_empty_window_says_when_where_nothing_else_does() {
        let window = [
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-limit-tokens", "9"),
            ("x-ratelimit-reset-tokens", "4s"),
        ];
        assert_eq!(read(429, &window, "").verdict, not_yet(4_000));
        assert_eq!(read(200, &window, "").pause(), None, "tokens may be there long before the window is full");
        let fixed = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225604")];
        assert_eq!(read(200, &fixed, "").pause(), Some(Duration::from_secs(4)));
    }

    #[test]
    fn some_refusals_are_for_good() {
        let quota = r#"{"error":{"code":"insufficient_quota"}}"#;
        assert_eq!(
            read(429, &[("retry-after", "1")], quota).verdict,
            Verdict::Never { reason: "insufficient_quota".into() }
        );
        let never = Verdict::Never { reason: "x-should-retry: false".into() };
        assert_eq!(read(429, &[("x-should-retry", "false")], "").verdict, never);
        assert_eq!(read(429, &[("x-should-retry", "true"), ("retry-after", "2")], "").verdict, not_yet(2_000));
    }

    #[test]
    fn github_refuses_with_403_too() {
        let primary = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225660")];
        assert_eq!(read(403, &primary, "").verdict, not_yet(60_000));
        assert_eq!(read(403, &[("retry-after", "17")], "").verdict, not_yet(17_000));
        let secondary = r#"{"message":"You have exceeded a secondary rate limit"}"#;
        assert_eq!(read(403, &[("x-github-request-id", "1")], secondary).verdict, not_yet(60_000));
        assert_eq!(read(403, &[("x-ratelimit-remaining", "4999")], "").verdict, Verdict::Served);
    }

    #[test]
    fn a_stripe_lock_is_no_limit() {
        let lock = r#"{"error":{"code":"lock_timeout"}}"#;
        assert_eq!(read(429, &[], lock).verdict, Verdict::Served);
        let limit = read(429, &[("stripe-rate-limited-reason", "global-rate")], lock).verdict;
        assert_eq!(limit, Verdict::NotYet { retry_after: None });
    }

    #[test]
    fn other_statuses_are_about_other_things() {
        assert_eq!(read(503, &[("retry-after", "3")], "").verdict, not_yet(3_000));
        assert_eq!(read(529, &[], "").verdict, Verdict::NotYet { retry_after: None }, "overloaded");
        let later = r#"{"error":{"message":"The model is overloaded. Please try again in 12 seconds."}}"#;
        assert_eq!(read(503, &[], later).verdict, not_yet(12_000));
        assert_eq!(read(500, &[("retry-after", "3")], "").verdict, Verdict::Served);
        assert_eq!(read(200, &[("retry-after", "3")], "").pause(), None);
    }

    #[test]
    fn absurd_values_are_ignored() {
        for value in
            ["-1", "1e309", "NaN", "inf", "99999999999999999999999999999999999999", "", "soon", "1;drop", "\u{fffd}"]
        {
            let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) else { continue };
            let names = [
                "retry-after",
                "retry-after-ms",
                "x-ratelimit-reset",
                "ratelimit",
                "anthropic-ratelimit-tokens-reset",
                "date",
            ];
            let headers: HeaderMap =
                names.iter().map(|name| (http::HeaderName::from_static(name), value.clone())).collect();
            let answer = Answer::read(StatusCode::TOO_MANY_REQUESTS, &headers, b"\xff");
            assert_eq!(answer.verdict, Verdict::NotYet { retry_after: None }, "{value:?}");
        }
    }
}
