//! draft-ietf-httpapi-ratelimit-headers-11: lists of strings with parameters, as structured fields (RFC 9651).
//!
//! `RateLimit-Policy` names each limit with its quota (`q`), its unit (`qu`, for tokens) and the time in which it fills
//! (`w`). `RateLimit` has the remaining tokens (`r`), and the seconds (`t`) until the bucket is full, or until a
//! refused request fits. Both are lists, so nested layers append their members, and a client sees all of them.
//!
//! For 3 of 5 requests a minute left: `RateLimit: "rpm";r=3;t=24` and `RateLimit-Policy: "rpm";q=5;w=60`. 24 s is when
//! the bucket is full again: two tokens at one in 12 s. A bucket is no window that starts over, so `t` is the time for
//! which a client should not expect more than `r`.

use std::fmt::Write as _;

use http::HeaderMap;

use super::{
    RATELIMIT, RATELIMIT_POLICY, append, list, policy,
    standing::{Disposition, Standing, Unit},
    value_of,
};
use crate::line::Line;

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// Appends both fields.
pub(super) fn write(headers: &mut HeaderMap, limits: &[&Standing<'_>], answer: Disposition) {
    if limits.is_empty() {
        return;
    }
    let policy = policy::line(limits, || value_of(&list(limits, |line, limit| push_policy(line, limit))));
    append(headers, RATELIMIT_POLICY, policy);
    append(headers, RATELIMIT, value_of(&list(limits, |line, limit| push_state(line, limit, answer))));
}

/// Appends a limit's parameters.
fn push_policy(line: &mut Line, limit: &Standing<'_>) {
    push_string(line, limit.name);
    push_parameter(line, ";q=", limit.capacity);
    // `tokens` is not registered, but leaving the unit out would claim requests.
    if limit.unit() == Unit::Tokens {
        line.push_str(";qu=\"tokens\"");
    }
    push_parameter(line, ";w=", limit.window_seconds());
}

/// Appends the state of a limit.
fn push_state(line: &mut Line, limit: &Standing<'_>, answer: Disposition) {
    push_string(line, limit.name);
    push_parameter(line, ";r=", limit.remaining());
    if let Some(seconds) = limit.effective_seconds(answer) {
        push_parameter(line, ";t=", seconds);
    }
}

/// Appends a parameter with an integer.
fn push_parameter(line: &mut Line, name: &str, value: u64) {
    line.push_str(name);
    line.push_number(integer(value));
}

/// Clamps a number to the range of a structured field.
pub(super) fn integer(value: u64) -> u64 {
    value.min(MAX_INTEGER)
}

/// Appends a structured-field string: printable ASCII in quotes, with `"` and `\` escaped. Limit names contain nothing
/// else; a character outside the grammar would become `?` instead of breaking the field.
pub(super) fn push_string(quoted: &mut Line, text: &str) {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    quoted.push_str("\"");
    if text.bytes().all(is_plain) {
        quoted.push_str(text);
    } else {
        for character in text.chars() {
            // Writing to a `Line` cannot fail.
            let _ = match character {
                '"' | '\\' => write!(quoted, "\\{character}"),
                ' '..='~' => write!(quoted, "{character}"),
                _ => write!(quoted, "?"),
            };
        }
    }
    quoted.push_str("\"");
}
