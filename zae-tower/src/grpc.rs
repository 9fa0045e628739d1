//! Refusals for gRPC clients, which do not read JSON: trailers-only answers.
//!
//! A gRPC client reads trailers instead of HTTP statuses. A trailers-only answer has them in its headers:
//!
//! ```text
//! HTTP/2 200
//! content-type: application/grpc
//! grpc-status: 8
//! grpc-message: Not enough left of rpm. Try again in 12 s.
//! grpc-retry-pushback-ms: 11204
//! ```
//!
//! Sources: "gRPC over HTTP/2" (Responses, Trailers-Only; percent-encoding of `grpc-message`), the list of status
//! codes, and gRFC A6 for the pushback, which retrying clients use instead of their own backoff.

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};

use crate::{Problem, headers::millis_up};

/// The content type of gRPC, to which message formats are appended.
const GRPC: &str = "application/grpc";
/// The status code, a number.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// A human-readable sentence, percent-encoded.
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The wait in ms, or -1.
const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Returns true for a gRPC call: `application/grpc`, alone or with a message format (`+proto`). gRPC-Web is excluded:
/// its clients understand HTTP statuses.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return false };
    let bytes = content_type.as_bytes();
    let Some((start, rest)) = bytes.split_at_checked(GRPC.len()) else { return false };
    start.eq_ignore_ascii_case(GRPC.as_bytes()) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// Converts the problem to a trailers-only answer (gRPC over HTTP/2, "Responses"): HTTP 200, no body, everything in the
/// headers.
///
/// `grpc-retry-pushback-ms` (gRFC A6) is the wait, or `-1`, which forbids a retry, if waiting does not help. Rate-limit
/// headers are not copied: the caller adds them to the response.
pub(crate) fn refusal(problem: &Problem) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(GRPC_STATUS, HeaderValue::from(code(problem.status())));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(problem.detail())) {
        headers.insert(GRPC_MESSAGE, message);
    }
    let pushback = match problem.retry_after() {
        Some(wait) => HeaderValue::from(millis_up(wait).clamp(1, i32::MAX.unsigned_abs().into())),
        None => HeaderValue::from_static("-1"),
    };
    headers.insert(GRPC_RETRY_PUSHBACK, pushback);
    if let Some(challenge) = problem.headers().get(WWW_AUTHENTICATE) {
        headers.insert(WWW_AUTHENTICATE, challenge.clone());
    }
    (StatusCode::OK, headers)
}

/// Returns the gRPC status code that corresponds to the HTTP status.
fn code(status: StatusCode) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const DEADLINE_EXCEEDED: u16 = 4;
    const NOT_FOUND: u16 = 5;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    const UNKNOWN: u16 = 2;
    match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => INVALID_ARGUMENT,
        StatusCode::REQUEST_TIMEOUT => DEADLINE_EXCEEDED,
        StatusCode::NOT_FOUND => NOT_FOUND,
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::TOO_MANY_REQUESTS => RESOURCE_EXHAUSTED,
        StatusCode::INTERNAL_SERVER_ERROR => INTERNAL,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// Encodes the message: printable ASCII except `%` stays; every other byte of the UTF-8 form becomes `%XX`.
fn percent_encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for &byte in message.as_bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::problem;

    #[test]
    fn only_grpc_is_grpc() {
        for (content_type, expected) in [
            (&b"application/grpc"[..], true),
            (b"application/grpc+proto", true),
            (b"Application/gRPC+json", true),
            (b"application/grpc;charset=utf-8", true),
            (b"application/grpc ; x", true),
            (b"application/grpc-web", false),
            (b"application/grpc-web+proto", false),
            (b"application/grpcx", false),
            (b"application/json", false),
            (b"", false),
            (b"\xff\xfe application/grpc", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_bytes(content_type).unwrap());
            assert_eq!(is_grpc(&headers), expected, "{content_type:?}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn statuses_and_pushback() {
        for (problem, status, pushback) in [
            (problem::unavailable(Duration::from_micros(1_500)), "14", "2"),
            (problem::unavailable(Duration::ZERO), "14", "1"),
            (problem::unavailable(Duration::MAX), "14", "2147483647"),
            (problem::bad_request("x", "y"), "3", "-1"),
            (problem::unauthorized("y"), "16", "-1"),
            (problem::disabled(), "7", "-1"),
            (problem::misconfigured(), "13", "-1"),
        ] {
            let (http, headers) = refusal(&problem);
            assert_eq!(http, 200);
            assert_eq!(headers["content-type"], "application/grpc");
            assert_eq!(headers["grpc-status"], status);
            assert_eq!(headers["grpc-retry-pushback-ms"], pushback);
            assert!(headers.contains_key("grpc-message"));
        }
        assert_eq!(code(StatusCode::TOO_MANY_REQUESTS), 8);
        assert_eq!(code(StatusCode::IM_A_TEAPOT), 2);
    }

    #[test]
    fn messages_are_percent_encoded() {
        for (message, encoded) in [
            ("Try again in 2 s.", "Try again in 2 s."),
            ("100%", "100%25"),
            ("a\r\nb: c", "a%0D%0Ab: c"),
            ("é", "%C3%A9"),
            ("\u{7f}\u{0}", "%7F%00"),
        ] {
            assert_eq!(percent_encoded(message), encoded);
            assert_eq!(refusal(&problem::bad_request("x", message)).1["grpc-message"], encoded);
        }
    }
}
