//! Reads the JSON body of a refusal: Gemini's `RetryInfo`, OpenAI's `insufficient_quota`, Stripe's `lock_timeout`.
//!
//! A refusal's headers often contain no time, but its body does, in one of four forms: a detail (`retryDelay`), a
//! member beside the error (`retry_after`), the headers of a provider behind a gateway, or a human-readable message
//! (`please try again in 1.5s`). They are tried in this order. The tables of the providers name the members and phrases
//! ([`LimitWords`](crate::providers::table::LimitWords)).
//!
//! An unreadable body yields nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::time;
use crate::providers::{
    table::{Unrelated, Untimed},
    tables,
};

/// The content of a refusal's body.
#[derive(Clone, Debug, Default)]
pub(super) struct ErrorBody {
    /// The reason, if the refusal is permanent.
    pub(super) permanent: Option<String>,
    /// Set if it is not about a limit.
    pub(super) unrelated: Option<Unrelated>,
    /// Time until a retry makes sense.
    pub(super) retry_after: Option<Duration>,
    /// Set if refusals of its kind contain no time.
    pub(super) untimed: Option<Untimed>,
}

/// Parses an error's body; anything that is not JSON, or has an unknown form, yields nothing.
pub(super) fn read(body: &[u8]) -> ErrorBody {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return ErrorBody::default() };
    // Gemini's streams wrap the error in an array.
    let value = value.get(0).unwrap_or(&value);
    let error = value.get("error").unwrap_or(value);
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = text("message");
    let codes = [text("code"), text("type")];
    let limits = &tables().limits;
    let is_permanent = |code: &&str| limits.iter().any(|words| words.permanent.contains(code));
    let lower = message.to_ascii_lowercase();
    let too_large = limits.iter().flat_map(|words| words.too_large).find(|phrase| lower.contains(**phrase));
    let permanent = codes.into_iter().find(is_permanent).or(too_large.copied());
    ErrorBody {
        permanent: permanent.map(str::to_owned),
        unrelated: limits.iter().flat_map(|words| words.unrelated).find(|known| codes.contains(&known.code)).copied(),
        retry_after: detail(error).or_else(|| in_metadata(error)).or_else(|| in_words(&lower)),
        untimed: limits.iter().flat_map(|words| words.untimed).find(|known| lower.contains(known.phrase)).copied(),
    }
}

/// Finds a duration in the details of an error, in protobuf's JSON form: Gemini's `google.rpc.RetryInfo`.
fn detail(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let kind = |detail: &Value| detail.get("@type").and_then(Value::as_str).unwrap_or_default().to_owned();
    tables().limits.iter().flat_map(|words| words.retry_details).find_map(|known| {
        let detail = details.iter().find(|detail| kind(detail).ends_with(known.kind))?;
        let member = known.member.split('.').try_fold(detail, |value, name| value.get(name))?;
        time::go_duration(member.as_str()?)
    })
}

/// Finds a time beside the error, where gateways put it: seconds, or an instant in milliseconds since 1970 in the
/// headers of the provider behind them.
fn in_metadata(error: &Value) -> Option<Duration> {
    let metadata = error.get("metadata").unwrap_or(error);
    let number = |value: &Value| value.as_f64().map(|number| number.to_string()).or(value.as_str().map(str::to_owned));
    let seconds = ["retry_after", "retry_after_seconds"].into_iter().find_map(|name| metadata.get(name));
    if let Some(seconds) = seconds.and_then(number) {
        return time::seconds(&seconds);
    }
    let headers = metadata.get("headers")?.as_object()?;
    let header = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, it)| it);
    let after = header("retry-after").and_then(number).and_then(|text| time::seconds(&text));
    after.or_else(|| time::reset(&number(header("x-ratelimit-reset")?)?, Timestamp::now()))
}

/// Finds a duration after a phrase: `please try again in 1.5s.`, or in 17 seconds. Some providers report it nowhere
/// else.
fn in_words(message: &str) -> Option<Duration> {
    tables().limits.iter().flat_map(|words| words.retry_phrases).find_map(|phrase| {
        let (_, rest) = message.split_once(phrase)?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(rest.len());
        let first = rest[..end].trim_end_matches('.');
        let unit = rest[end..].trim_start_matches(' ').split(|c: char| !c.is_ascii_alphabetic()).next()?;
        let unit = match unit {
            "milliseconds" | "millisecond" | "ms" => "ms",
            "seconds" | "second" | "secs" | "sec" | "s" => "s",
            "minutes" | "minute" | "mins" | "min" | "m" => "m",
            "hours" | "hour" | "h" => "h",
            _ => "",
        };
        time::go_duration(first).or_else(|| time::go_duration(&format!("{first}{unit}")))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(body: &Value) -> ErrorBody {
        read(body.to_string().as_bytes())
    }

    #[test]
    fn gemini_says_when() {
        let error = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota", "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38.5s"},
        ]}});
        assert_eq!(said(&error).retry_after, Some(Duration::from_millis(38_500)));
        assert_eq!(said(&json!([error])).retry_after, Some(Duration::from_millis(38_500)));
    }

    #[test]
    fn openai_says_for_good_or_in_words() {
        let quota = json!({"error": {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "code": "insufficient_quota"
        }});
        assert_eq!(said(&quota).permanent.as_deref(), Some("insufficient_quota"));
        for (message, millis) in [
            ("Limit 3, Used 3. Please try again in 20s. Visit https://…", Some(20_000)),
            ("Please try again in 1.242s.", Some(1_242)),
            ("Please try again in 6ms", Some(6)),
            ("Please try again in 1m2s.", Some(62_000)),
            ("Rate limit exceeded. Try again in 17 seconds.", Some(17_000)),
            ("You exceeded your quota. Please retry in 54.3s.", Some(54_300)),
            ("Please retry after 7 seconds. To increase", Some(7_000)),
            ("Please try again in 2 minutes", Some(120_000)),
            ("Please try again in 500 milliseconds", Some(500)),
            ("Please try again in 12 parsecs", None),
            ("Please try again in a while.", None),
            ("Please try again in ", None),
        ] {
            let said = said(&json!({"error": {"message": message, "type": "tokens", "code": "rate_limit_exceeded"}}));
            assert_eq!(said.retry_after.map(|after| after.as_millis()), millis, "{message}");
            assert_eq!(said.permanent, None);
        }
    }

    #[test]
    fn metadata_says_when() {
        let reset = Timestamp::now().as_millisecond() + 40_000;
        let header = json!({"error": {"code": 429, "message": "Provider returned error",
            "metadata": {"headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Reset": reset.to_string()}}}});
        let after = said(&header).retry_after.unwrap();
        assert!(after > Duration::from_secs(30) && after <= Duration::from_secs(40), "{after:?}");
        let seconds = json!({"error": {"message": "slow down", "metadata": {"retry_after_seconds": 1.5}}});
        assert_eq!(said(&seconds).retry_after, Some(Duration::from_millis(1_500)));
        let detail = json!({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "metadata": {"quotaResetDelay": "12.5s"}}]}});
        assert_eq!(said(&detail).retry_after, Some(Duration::from_millis(12_500)));
    }

    #[test]
    fn what_is_too_large_never_fits() {
        let message = "Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 40000. The input or \
            output tokens must be reduced in order to run successfully.";
        let error = json!({"error": {"message": message, "type": "tokens", "code": "rate_limit_exceeded"}});
        assert_eq!(said(&error).permanent.as_deref(), Some("request too large"));
    }

    #[test]
    fn stripe_locks_and_github_secondary_limits() {
        assert!(said(&json!({"error": {"code": "lock_timeout", "type": "invalid_request_error"}})).unrelated.is_some());
        assert!(said(&json!({"message": "You have exceeded a secondary rate limit."})).untimed.is_some());
    }

    #[test]
    fn anything_else_says_nothing() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "[[]]",
            "{\"error\":null}",
            "{\"error\":{\"code\":429,\"details\":{}}}",
            "\u{0}",
            "<html>",
            "{\"error\":{\"details\":[1,{\"@type\":\"google.rpc.RetryInfo\",\"retryDelay\":\"-3s\"}]}}",
        ] {
            let said = read(body.as_bytes());
            assert_eq!((said.permanent, said.retry_after), (None, None), "{body}");
            assert!(said.unrelated.is_none() && said.untimed.is_none(), "{body}");
        }
    }
}
