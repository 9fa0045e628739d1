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
    append(headers, RATELIMIT_POLICY, &list(limits, |limit| policy(limit)));
    append(headers, RATELIMIT, &list(limits, |limit| state(limit, answer)));
}

fn policy(limit: &Standing<'_>) -> String {
    // `tokens` is not registered, but leaving the unit out would claim requests.
    let unit = if limit.unit() == Unit::Tokens { ";qu=\"tokens\"" } else { "" };
    format!("{};q={}{unit};w={}", string(limit.name), integer(limit.capacity), integer(limit.window_seconds()))
}

fn state(limit: &Standing<'_>, answer: Answer) -> String {
    let mut text = format!("{};r={}", string(limit.name), integer(limit.remaining()));
    if let Some(seconds) = limit.effective_seconds(answer) {
        let _ = write!(text, ";t={}", integer(seconds));
    }
    text
}

pub(super) fn integer(value: u64) -> u64 {
    value.min(MAX_INTEGER)
}

/// A structured-field string: printable ASCII in quotes, with `"` and `\` escaped. Limit names have nothing else; a
/// character that the grammar lacks would become `?` rather than spoil the field.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}
