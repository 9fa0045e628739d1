//! The format that a request's body claims to have: [`claim`].

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

/// The apparent format of a body. See [`claim`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// JSON, by its content type or its first bytes. Servers check either.
    Json,
    /// JSON that is not readable as it is: compressed, or in UTF-16 or UTF-32.
    Encoded,
    /// Anything else.
    Other,
}

/// Determines from the headers and the first bytes of a request's body if it is meant to be JSON.
///
/// ```
/// use http::HeaderMap;
/// use zae_llm::json::{Claim, claim};
/// assert_eq!(claim(&HeaderMap::new(), b" {\"model\":\"gpt-5\"}"), Claim::Json);
/// assert_eq!(claim(&HeaderMap::new(), b"hello"), Claim::Other);
/// ```
pub fn claim(headers: &HeaderMap, body: &[u8]) -> Claim {
    let plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Claim::Encoded;
    }
    claim_decoded(headers, body)
}

/// As [`claim`], of a body whose content codings were removed, whatever the headers say of them.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use zae_llm::json::{Claim, claim, claim_decoded};
/// let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
/// assert_eq!(claim(&headers, b"{}"), Claim::Encoded);
/// assert_eq!(claim_decoded(&headers, b"{}"), Claim::Json);
/// ```
pub fn claim_decoded(headers: &HeaderMap, body: &[u8]) -> Claim {
    // A byte order mark or the zero bytes of UTF-16 and UTF-32 precede the significant byte.
    let mark = |byte: &u8| matches!(byte, 0 | 0xFE | 0xFF);
    let unmarked = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let first = |body: &[u8]| body.iter().copied().find(|byte| !mark(byte) && !byte.is_ascii_whitespace());
    if !matches!(first(unmarked), Some(b'{' | b'[')) {
        return if says_json(headers) { Claim::Json } else { Claim::Other };
    }
    let wide = unmarked.iter().take(8).any(mark);
    if wide { Claim::Encoded } else { Claim::Json }
}

/// Returns true for a JSON content type: `application/json`, `text/json`, or any that ends in `+json`.
fn says_json(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().any(|value| {
        let value = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let ends_with =
            |end: &[u8]| value.len() >= end.len() && value[value.len() - end.len()..].eq_ignore_ascii_case(end);
        ends_with(b"/json") || ends_with(b"+json")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_by_its_type_or_its_beginning() {
        let of = |header: Option<(&'static str, &'static str)>, body: &[u8]| {
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = header {
                headers.insert(name, http::HeaderValue::from_static(value));
            }
            claim(&headers, body)
        };
        let content_type = |value| Some(("content-type", value));
        for (header, body, expected) in [
            (None, &b"{"[..], Claim::Json),
            (None, b" \n[1]", Claim::Json),
            (None, b"\xEF\xBB\xBF {}", Claim::Json),
            (None, b"hello", Claim::Other),
            (None, b"", Claim::Other),
            (content_type("text/plain"), b"{}", Claim::Json),
            (content_type("Application/JSON; charset=utf-8"), b"hello", Claim::Json),
            (content_type("application/problem+json"), b"hello", Claim::Json),
            (content_type("application/jsonp"), b"hello", Claim::Other),
            (content_type("multipart/form-data; boundary=json"), b"--json", Claim::Other),
            (None, b"\xFF\xFE{\0}\0", Claim::Encoded),
            (None, b"\0{\0}", Claim::Encoded),
            (None, b"{\0}\0", Claim::Encoded),
            (None, b"{\0\0\0}\0\0\0", Claim::Encoded),
            (None, b"\0\0\0 ftypmp42", Claim::Other),
            (Some(("content-encoding", "gzip")), b"\x1f\x8b", Claim::Encoded),
            (Some(("content-encoding", "identity")), b"{}", Claim::Json),
        ] {
            assert_eq!(of(header, body), expected, "{header:?} {}", String::from_utf8_lossy(body));
        }
    }
}
