//! draft-ietf-httpapi-ratelimit-headers-11: lists of strings with parameters, as structured fields (RFC 9651).

use std::fmt::Write as _;

use http::HeaderMap;

use super::{
    RATELIMIT, RATELIMIT_POLICY, append, list,
    standing::{Answer, Standing, Unit},
};

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

pub(super) fn write(headers: &mut HeaderMap, limits: &[&Standing<'_>], answer: Answer) {
    if limits.is_empty() {
        return;
    }
    append(headers, RATELIMIT_POLICY, list(limits, |text, limit| push_policy(text, limit)));
    append(headers, RATELIMIT, list(limits, |text, limit| push_state(text, limit, answer)));
}

fn push_policy(text: &mut String, limit: &Standing<'_>) {
    // `tokens` is not registered, but leaving the unit out would claim requests.
    let unit = if limit.unit() == Unit::Tokens { ";qu=\"tokens\"" } else { "" };
    push_string(text, limit.name);
    // Writing to a string cannot fail.
    let _ = write!(text, ";q={}{unit};w={}", integer(limit.capacity), integer(limit.window_seconds()));
}

fn push_state(text: &mut String, limit: &Standing<'_>, answer: Answer) {
    push_string(text, limit.name);
    let _ = write!(text, ";r={}", integer(limit.remaining()));
    if let Some(seconds) = limit.effective_seconds(answer) {
        let _ = write!(text, ";t={}", integer(seconds));
    }
}

pub(super) fn integer(value: u64) -> u64 {
    value.min(MAX_INTEGER)
}

/// Appends a structured-field string: printable ASCII in quotes, with `"` and `\` escaped. Limit names have nothing else; a
/// character that the grammar lacks would become `?` rather than spoil the field.
pub(super) fn push_string(quoted: &mut String, text: &str) {
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
}
