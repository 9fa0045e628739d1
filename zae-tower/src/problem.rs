//! The response to a refused client: [`Problem`].
//!
//! There are a dozen answers, each built here by a function of its own, so that status, type, title and wait are side
//! by side. Two rules hold for all: they contain no entity, key or internal name, because clients may be untrusted; and
//! caches must not store them.
//!
//! The type `quota-exceeded` and its member `violated-policies` are those of draft-ietf-httpapi-ratelimit-headers-11.
//! Waits are given in milliseconds beside the whole seconds of `Retry-After`, because a client that sleeps up to a
//! second too long for each call loses throughput.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use zae_limiter::error::{NeverFits, RateLimitExceeded};

use crate::{
    HeaderDialect, Refusal,
    headers::{Standing, millis_up, retry_seconds},
};

/// The registered problem type of a request that a limit refused.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
/// Read by the official OpenAI clients and others modelled on them.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A refusal as problem details (RFC 9457): status, headers and an `application/problem+json` body.
///
/// The layer builds it; a custom refusal receives it, and may answer with it or with something else. It never names an
/// entity: it only describes the limits that the client exceeded, and the wait. Caches must not store it.
///
/// A refusal of type `quota-exceeded` (draft-ietf-httpapi-ratelimit-headers-11) reads:
///
/// ```json
/// {
///   "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
///   "title": "Quota exceeded",
///   "status": 429,
///   "detail": "Not enough left of tpm. Try again in 12 s.",
///   "violated-policies": ["tpm"],
///   "retry-after-ms": 11204,
///   "limits": [{"policy": "tpm", "available": 120, "requested": 2000, "capacity": 10000, "retry-after-ms": 11204}]
/// }
/// ```
///
/// A limit that is a quota has `resets-in-ms` too: the time until all of it is there again.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Problem {
    /// The HTTP status.
    status: StatusCode,
    /// Headers, without the rate-limit headers of a dialect.
    headers: HeaderMap,
    /// JSON.
    body: Bytes,
    /// A human-readable sentence.
    detail: String,
    /// The wait, if one helps.
    retry_after: Option<Duration>,
}

impl Problem {
    /// Builds the layer's answer for that reason, rate-limit headers included, for a handler that calls the limiter
    /// itself.
    ///
    /// ```
    /// use zae_tower::{AcquireError, HeaderDialect, Problem, Refusal};
    /// fn answer(error: AcquireError) -> http::Response<Vec<u8>> {
    ///     Problem::of(&Refusal::from(error), HeaderDialect::default()).into_response()
    /// }
    /// ```
    pub fn of(refusal: &Refusal, dialect: HeaderDialect) -> Self {
        let mut problem = refusal.problem();
        dialect.write(&mut problem.headers, refusal.statuses(), problem.retry_after);
        problem
    }

    /// Returns a 500 without details, for faults of the program or its configuration; the details belong in the log.
    pub fn internal() -> Self {
        misconfigured()
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers: content type, `Cache-Control`, and, if a wait helps, `Retry-After` in whole seconds.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the body, UTF-8 JSON.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns one or two human-readable sentences, the body's `detail`.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the time until a retry makes sense; `None` when no wait helps.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Converts the refusal into a response, with any body type that implements `From<Bytes>`.
    pub fn into_response<B: From<Bytes>>(self) -> http::Response<B> {
        let mut response = http::Response::new(B::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Body<'a> {
    #[serde(rename = "type")]
    problem_type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<Violation<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Violation<'a> {
    policy: &'a str,
    available: u64,
    requested: u64,
    capacity: u64,
    /// Until a quota is restored; rates have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// The parts that differ from problem to problem.
struct Draft<'a> {
    status: StatusCode,
    problem_type: &'a str,
    title: &'a str,
    detail: String,
    kind: Option<&'a str>,
    violations: &'a [Standing<'a>],
    retry_after: Option<Duration>,
}

impl<'a> Draft<'a> {
    /// Creates a problem that adds nothing to its status (RFC 9457, section 4.2.1).
    fn plain(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Refused");
        let detail = detail.into();
        Self { status, problem_type: "about:blank", title, detail, kind: None, violations: &[], retry_after: None }
    }

    /// Writes the body and the headers.
    fn finish(self) -> Problem {
        let waits = self.retry_after.is_some();
        let limits = self.violations.iter().map(|violation| Violation {
            policy: violation.name,
            available: violation.remaining(),
            requested: violation.requested,
            capacity: violation.capacity,
            resets_in_ms: violation.restored_in.map(millis_up),
            retry_after_ms: waits.then(|| millis_up(violation.retry_after)),
        });
        let body = Body {
            problem_type: self.problem_type,
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            kind: self.kind,
            violated_policies: self.violations.iter().map(|violation| violation.name).collect(),
            retry_after_ms: self.retry_after.map(millis_up),
            limits: limits.collect(),
        };
        // Contains only strings and integers, which JSON can always represent.
        let body = serde_json::to_vec(&body).unwrap_or_default().into();
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_seconds(wait)));
        }
        Problem { status: self.status, headers, body, detail: self.detail, retry_after: self.retry_after }
    }
}

/// Not yet: 429 with a wait.
pub(crate) fn quota_exceeded(exceeded: &RateLimitExceeded) -> Problem {
    exceeded_now(&Standing::violations(exceeded.statuses()), exceeded.retry_after())
}

fn exceeded_now(violations: &[Standing<'_>], wait: Duration) -> Problem {
    let detail = format!("Not enough left of {}. Try again in {} s.", names(violations), retry_seconds(wait));
    let plain = Draft::plain(StatusCode::TOO_MANY_REQUESTS, detail);
    let (problem_type, title) = (QUOTA_EXCEEDED, "Quota exceeded");
    Draft { problem_type, title, violations, retry_after: Some(wait), ..plain }.finish()
}

/// Never: 429 without a wait, because no wait helps, and with a hint for clients that retry every 429.
pub(crate) fn never_fits(error: &NeverFits) -> Problem {
    exceeded_forever(&Standing::violations(error.violations()))
}

fn exceeded_forever(violations: &[Standing<'_>]) -> Problem {
    let asked = violations
        .iter()
        .map(|limit| format!("{} of {} requested, at most {} at once", limit.requested, limit.name, limit.capacity));
    let asked = asked.collect::<Vec<_>>().join("; ");
    let detail =
        format!("The request is too large for its limits: {asked}. Waiting does not help; send a smaller request.");
    let plain = Draft::plain(StatusCode::TOO_MANY_REQUESTS, detail);
    let (problem_type, title) = (QUOTA_EXCEEDED, "Request larger than its quota");
    let mut problem = Draft { problem_type, title, violations, ..plain }.finish();
    problem.headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    problem
}

/// The store is unreachable: 503 with a wait.
pub(crate) fn unavailable(retry_after: Duration) -> Problem {
    let detail = format!("The rate limiter cannot answer now. Try again in {} s.", retry_seconds(retry_after));
    let plain = Draft::plain(StatusCode::SERVICE_UNAVAILABLE, detail);
    Draft { retry_after: Some(retry_after), ..plain }.finish()
}

/// The request itself is invalid: 400. `kind` is machine-readable, `detail` a sentence for people.
pub(crate) fn bad_request(kind: &str, detail: &str) -> Problem {
    Draft { kind: Some(kind), ..Draft::plain(StatusCode::BAD_REQUEST, detail) }.finish()
}

/// Creates a problem that adds nothing to its status.
pub(crate) fn plain(status: StatusCode, detail: &str) -> Problem {
    Draft::plain(status, detail).finish()
}

/// The sender is unknown: 401. RFC 9110 (section 15.5.2) requires a challenge; without another layer's challenge, a
/// service most likely expects a bearer token.
pub(crate) fn unauthorized(detail: &str) -> Problem {
    let mut problem = Draft::plain(StatusCode::UNAUTHORIZED, detail).finish();
    problem.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    problem
}

/// An operator has disabled it: 403. No retry helps, and the reason is not disclosed.
pub(crate) fn disabled() -> Problem {
    let mut problem = Draft::plain(StatusCode::FORBIDDEN, "This is disabled at the moment.").finish();
    problem.headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    problem
}

/// Misconfigured by the operator: 500, without details.
pub(crate) fn misconfigured() -> Problem {
    Draft::plain(StatusCode::INTERNAL_SERVER_ERROR, "The server is not set up to answer this request.").finish()
}

fn names(violations: &[Standing<'_>]) -> String {
    violations.iter().map(|violation| violation.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn violation(name: &str, available: i64, requested: u64, wait: Duration) -> Standing<'_> {
        let (capacity, refill_amount, refill_period_seconds, exceeded) = (10_000, 10_000, 60, true);
        let (retry_after, restored_in) = (wait, None);
        Standing {
            name,
            capacity,
            refill_amount,
            refill_period_seconds,
            available,
            requested,
            exceeded,
            retry_after,
            restored_in,
        }
    }

    fn json_of(problem: &Problem) -> Value {
        let body: Value = serde_json::from_slice(problem.body()).unwrap();
        assert_eq!(problem.headers()["content-type"], "application/problem+json");
        assert_eq!(problem.headers()["cache-control"], "no-store");
        assert_eq!(body["status"], problem.status().as_u16());
        assert_eq!(body["detail"], problem.detail());
        body
    }

    #[test]
    fn not_yet() {
        let wait = Duration::from_micros(11_203_001);
        let short = Duration::from_millis(600);
        let problem = exceeded_now(&[violation("rpm", 0, 1, short), violation("tpm", -120, 2_000, wait)], wait);
        assert_eq!(problem.headers()["retry-after"], "12");
        assert_eq!(
            json_of(&problem),
            json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Quota exceeded",
                "status": 429,
                "detail": "Not enough left of rpm, tpm. Try again in 12 s.",
                "violated-policies": ["rpm", "tpm"],
                "retry-after-ms": 11_204,
                "limits": [
                    {"policy": "rpm", "available": 0, "requested": 1, "capacity": 10_000, "retry-after-ms": 600},
                    {"policy": "tpm", "available": 0, "requested": 2_000, "capacity": 10_000, "retry-after-ms": 11_204},
                ],
            })
        );
        assert!(problem.body().starts_with(b"{\"type\":"), "people read the type first");
    }

    #[test]
    fn a_quota_says_when_it_is_restored() {
        let wait = Duration::from_millis(7_200_000);
        let day = Standing { restored_in: Some(wait), ..violation("day", 0, 1, wait) };
        let problem = exceeded_now(&[day], wait);
        assert_eq!(problem.headers()["retry-after"], "7200");
        let body = json_of(&problem);
        assert_eq!(body["limits"][0]["resets-in-ms"], 7_200_000);
        assert_eq!(body["limits"][0]["retry-after-ms"], 7_200_000);
    }

    #[test]
    fn never() {
        let problem = exceeded_forever(&[violation("tpm", 9_000, 20_000, Duration::ZERO)]);
        assert_eq!(problem.status(), 429);
        assert!(!problem.headers().contains_key("retry-after"));
        assert_eq!(problem.headers()["x-should-retry"], "false");
        let body = json_of(&problem);
        assert_eq!(body["violated-policies"], json!(["tpm"]));
        assert_eq!(
            body["limits"][0],
            json!({"policy": "tpm", "available": 9_000, "requested": 20_000, "capacity": 10_000})
        );
        assert!(!String::from_utf8_lossy(problem.body()).contains("retry-after"));
    }

    #[test]
    fn retry_after_is_at_least_a_second_and_rounded_up() {
        for (wait, expected) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let problem = unavailable(Duration::from_millis(wait));
            assert_eq!(problem.headers()["retry-after"], expected);
            assert_eq!(problem.status(), 503);
            assert_eq!(json_of(&problem)["retry-after-ms"], wait);
        }
        assert_eq!(unavailable(Duration::MAX).headers()["retry-after"], u64::MAX.div_ceil(1_000).to_string());
    }

    #[test]
    fn the_rest_says_what_it_is_and_has_no_wait() {
        let hostile = "a \"quote\", a \r\n line, <script>, \u{0} and \u{1f4a9}";
        for (problem, status, title) in [
            (bad_request("bad-entity", hostile), 400, "Bad Request"),
            (unauthorized(hostile), 401, "Unauthorized"),
            (disabled(), 403, "Forbidden"),
            (misconfigured(), 500, "Internal Server Error"),
        ] {
            let body = json_of(&problem);
            assert_eq!((problem.status().as_u16(), &body["title"]), (status, &json!(title)));
            assert_eq!(body["type"], "about:blank");
            assert!(!problem.headers().contains_key("retry-after"));
            assert_eq!(problem.headers().contains_key("www-authenticate"), status == 401);
            assert!(body.get("limits").is_none() && body.get("violated-policies").is_none());
        }
        assert_eq!(json_of(&bad_request("bad-entity", hostile))["kind"], "bad-entity");
        assert_eq!(json_of(&bad_request("bad-entity", hostile))["detail"], hostile);
    }
}
