//! The `x-ratelimit-*` headers of LLM providers, and their `retry-after-ms`.
//!
//! SDKs of model providers pace themselves by these headers, so a gateway in front of a provider should send them. The
//! names end in `requests` or `tokens` by the limit's unit, and in the limit's own name otherwise. `reset` is a
//! duration in Go's notation, as OpenAI sends it.

use http::{HeaderMap, HeaderName};

use super::{
    Present,
    duration::{go_duration, millis_up},
    number, replace,
    standing::{Disposition, Standing, Unit},
};

/// The wait in ms, which OpenAI's clients read before `Retry-After`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Writes three fields for each kind of limit.
pub(super) fn write(headers: &mut HeaderMap, limits: &[&Standing<'_>], answer: Disposition) {
    for (suffix, limit) in by_suffix(limits) {
        let name = |part: &str| HeaderName::try_from(format!("x-ratelimit-{part}-{suffix}"));
        let (Ok(limit_name), Ok(remaining_name), Ok(reset_name)) = (name("limit"), name("remaining"), name("reset"))
        else {
            continue;
        };
        if present(headers, &remaining_name).outranks(limit, headers, answer) {
            continue;
        }
        replace(headers, limit_name, &number(limit.capacity));
        replace(headers, remaining_name, &number(limit.remaining()));
        replace(headers, reset_name, &go_duration(limit.full_in_millis()));
    }
    if let Disposition::Refused(wait) = answer {
        replace(headers, RETRY_AFTER_MS, &number(millis_up(wait).max(1)));
    }
}

/// Returns the most constrained limit per suffix of the header names, in the order in which the suffixes first appear.
fn by_suffix<'s, 'a>(limits: &[&'s Standing<'a>]) -> Vec<(String, &'s Standing<'a>)> {
    let mut chosen: Vec<(String, &Standing<'a>)> = Vec::new();
    for &limit in limits {
        let suffix = match limit.unit() {
            Unit::Requests => "requests".to_owned(),
            Unit::Tokens => "tokens".to_owned(),
            Unit::Other => limit.name.to_ascii_lowercase(),
        };
        match chosen.iter_mut().find(|(known, _)| *known == suffix) {
            Some((_, other)) if limit.rank() < other.rank() => *other = limit,
            Some(_) => {}
            None => chosen.push((suffix, limit)),
        }
    }
    chosen
}

/// Reads the remaining tokens from the existing field.
fn present(headers: &HeaderMap, name: &HeaderName) -> Present {
    match headers.get(name).and_then(|value| value.to_str().ok()).and_then(|value| value.trim().parse().ok()) {
        Some(remaining) => Present::Remaining(remaining),
        None => Present::Nothing,
    }
}
