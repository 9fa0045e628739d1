//! draft-ietf-httpapi-ratelimit-headers-07: one limit in a dictionary, policies as a list of integers.
//!
//! Older clients and gateways read this one. Its `RateLimit` has room for one limit only, so it shows the most
//! constrained; `RateLimit-Policy` lists the policies of all of them.
//!
//! For 3 of 5 requests a minute left: `RateLimit: limit=5, remaining=3, reset=24` and `RateLimit-Policy: 5;w=60`. Of
//! nested layers, the most constrained one keeps the field, unless another refused: a refusal always takes precedence.

use std::fmt::Write as _;

use http::HeaderMap;

use super::{
    Present, RATELIMIT, RATELIMIT_POLICY, append,
    draft11::integer,
    list, replace,
    standing::{Disposition, Standing},
    value_of,
};
use crate::line::Line;

/// Writes both fields.
pub(super) fn write(headers: &mut HeaderMap, limits: &[&Standing<'_>], answer: Disposition) {
    let Some(tightest) = limits.iter().min_by_key(|limit| limit.rank()) else { return };
    let policies = list(limits, |text, limit| {
        let _ = write!(text, "{};w={}", integer(limit.capacity), integer(limit.window_seconds()));
    });
    append(headers, RATELIMIT_POLICY, value_of(&policies));
    if present(headers).outranks(tightest, headers, answer) {
        return;
    }
    // `reset` is required, so it is written even if it exceeds `Retry-After`.
    let reset =
        tightest.effective_seconds(answer).or_else(|| tightest.effective_seconds(Disposition::Passed)).unwrap_or(1);
    let (limit, remaining, reset) = (integer(tightest.capacity), integer(tightest.remaining()), integer(reset));
    let mut line = Line::default();
    // Writing to a `Line` cannot fail.
    let _ = write!(line, "limit={limit}, remaining={remaining}, reset={reset}");
    replace(headers, RATELIMIT, &line);
}

/// Reads the remaining tokens from the existing dictionary; of repeated members the last counts, as in any structured
/// dictionary.
fn present(headers: &HeaderMap) -> Present {
    let lines = headers.get_all(RATELIMIT).iter().filter_map(|value| value.to_str().ok());
    let members = lines.flat_map(|line| line.split(','));
    let mut values = members.filter_map(|member| member.trim().strip_prefix("remaining="));
    match values.next_back().and_then(|value| value.parse().ok()) {
        Some(remaining) => Present::Remaining(remaining),
        None => Present::Nothing,
    }
}
