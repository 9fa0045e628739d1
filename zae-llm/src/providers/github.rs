//! GitHub's REST API, which model gateways call, too.
//!
//! Source: <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use std::time::Duration;

use super::table::{HeaderRest, LimitWords, Provider, Untimed, WindowHeaders};
use crate::limits::Refill;

pub(super) const PROVIDER: Provider = Provider {
    limits: LimitWords {
        // `x-ratelimit-remaining`, as many others have it too.
        windows: &[WindowHeaders {
            prefix: "x-ratelimit-",
            rest: HeaderRest::Field("x-ratelimit"),
            refill: Refill::AtOnce,
        }],
        untimed: &[Untimed {
            phrase: "secondary rate limit",
            header: "x-github-request-id",
            wait: Duration::from_secs(60),
        }],
        ..LimitWords::NONE
    },
    ..Provider::NONE
};
