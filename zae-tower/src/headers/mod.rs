//! Rate-limit headers of a response, in one of several dialects: [`HeaderDialect`].
//!
//! A response reports the remaining tokens and the wait for each limit. Three dialects are in use; the numbers behind
//! them are the same ([`standing`]). Limit names are public; entity and resource names are never written.

mod draft07;
mod draft11;
mod duration;
mod policy;
mod standing;
mod x_ratelimit;

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};
use zae_limiter::{Lease, LimitStatus};

use crate::line::Line;

pub(crate) use duration::{millis_up, retry_seconds};
pub(crate) use standing::Standing;
use standing::{Disposition, Standings, most_constrained};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The rate-limit headers that a response carries.
///
/// For each limit name, the headers show the most constrained bucket, the entity's or its parent's. With nested layers,
/// [`Draft11`](Self::Draft11) accumulates, because its fields are lists. The fields of the other dialects have one
/// value, and the most constrained layer's survives (a refusing layer's before any other). Nested layers should use the
/// same dialect: the drafts give the same field names different grammars.
///
/// A client with 3 of 5 requests left in a minute sees one of these:
///
/// ```text
/// ratelimit-policy: "rpm";q=5;w=60                     Draft11
/// ratelimit: "rpm";r=3;t=24
///
/// ratelimit-policy: 5;w=60                             Draft07
/// ratelimit: limit=5, remaining=3, reset=24
///
/// x-ratelimit-limit-requests: 5                        XRateLimit
/// x-ratelimit-remaining-requests: 3
/// x-ratelimit-reset-requests: 24s
/// ```
///
/// ```
/// use zae_tower::HeaderDialect;
/// assert_eq!(HeaderDialect::default(), HeaderDialect::Draft11);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderDialect {
    /// `RateLimit-Policy: "rpm";q=100;w=60` and `RateLimit: "rpm";r=42;t=35`, of
    /// draft-ietf-httpapi-ratelimit-headers-11. `t` is in whole seconds, rounded up.
    #[default]
    Draft11,
    /// `RateLimit: limit=100, remaining=42, reset=35` and `RateLimit-Policy: 100;w=60`, of
    /// draft-ietf-httpapi-ratelimit-headers-07. Only the most constrained limit is in `RateLimit`.
    Draft07,
    /// `x-ratelimit-limit-requests`, `x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests` (like `6m0s`), the
    /// same for `-tokens`, as LLM providers send them; refusals also have `retry-after-ms`. A limit that counts neither
    /// requests nor tokens has its own name in place of them.
    XRateLimit,
    /// No headers; `Retry-After` of a refusal stays.
    Off,
}

impl HeaderDialect {
    /// Adds the headers for `statuses`. `retry_after` is the wait that a refusal announces in its `Retry-After`; `None`
    /// if the request was admitted or no wait helps.
    pub(crate) fn write(self, headers: &mut HeaderMap, statuses: &[LimitStatus], retry_after: Option<Duration>) {
        // A soft limit never refuses.
        let hard = statuses.iter().filter(|status| !status.limit.is_soft());
        let standings: Standings<'_> = hard.map(Standing::from).collect();
        self.write_standings(headers, &standings, retry_after);
    }

    /// Adds the headers for the state after `lease` was granted.
    pub(crate) fn write_granted(self, headers: &mut HeaderMap, lease: &Lease) {
        if self == Self::Off {
            return;
        }
        // Only the bucket knows the end of a session.
        if lease.left(|mut limits| Iterator::any(&mut limits, |(limit, _)| limit.session().is_some())) {
            return self.write(headers, lease.statuses(), None);
        }
        lease.left(|limits| {
            let hard = limits.filter(|(limit, _)| !limit.is_soft());
            let standings: Standings<'_> = hard.map(Standing::granted).collect();
            self.write_standings(headers, &standings, None);
        });
    }

    fn write_standings(self, headers: &mut HeaderMap, standings: &[Standing<'_>], retry_after: Option<Duration>) {
        let answer = match retry_after {
            Some(wait) => Disposition::Refused(wait),
            None => Disposition::Passed,
        };
        let limits = most_constrained(standings);
        match self {
            Self::Draft11 => draft11::write(headers, &limits, answer),
            Self::Draft07 => draft07::write(headers, &limits, answer),
            Self::XRateLimit => x_ratelimit::write(headers, &limits, answer),
            Self::Off => {}
        }
    }
}

/// The existing value of a single-valued field of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Present {
    /// Absent or unreadable.
    Nothing,
    /// Another layer's or the handler's value, with that many tokens remaining.
    Remaining(u64),
}

impl Present {
    /// Returns true if the existing value is more important to the client than `ours`.
    fn outranks(self, ours: &Standing<'_>, headers: &HeaderMap, answer: Disposition) -> bool {
        match (self, answer) {
            (Self::Nothing, _) | (Self::Remaining(_), Disposition::Refused(_)) => false,
            (Self::Remaining(_), Disposition::Passed) if headers.contains_key(RETRY_AFTER) => true,
            (Self::Remaining(theirs), Disposition::Passed) => theirs <= ours.remaining(),
        }
    }
}

/// Adds a line. If the map is full (32 768 lines) or the value is invalid, the line is lost instead of the response.
fn append(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        let _full = headers.try_append(name, value);
    }
}

/// Replaces all lines of that name, with the same exceptions as [`append`].
fn replace(headers: &mut HeaderMap, name: HeaderName, value: &Line) {
    if let Some(value) = value_of(value) {
        let _full = headers.try_insert(name, value);
    }
}

fn value_of(line: &Line) -> Option<HeaderValue> {
    HeaderValue::from_bytes(line.as_bytes()).ok()
}

/// Joins the members that `push` appends with commas.
fn list<T>(items: &[T], push: impl Fn(&mut Line, &T)) -> Line {
    let mut line = Line::default();
    for item in items {
        if !line.is_empty() {
            line.push_str(", ");
        }
        push(&mut line, item);
    }
    line
}

/// Formats a single number.
fn number(number: u64) -> Line {
    let mut line = Line::default();
    line.push_number(number);
    line
}
