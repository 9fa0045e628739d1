//! The headers of draft-ietf-httpapi-ratelimit-headers before revision 7: one field per number. The fields of later
//! revisions are structured and have a reader of their own.

use super::table::{HeaderRest, LimitWords, Provider, WindowHeaders};
use crate::limits::Refill;

pub(super) const PROVIDER: Provider = Provider {
    limits: LimitWords {
        windows: &[WindowHeaders {
            prefix: "ratelimit-",
            rest: HeaderRest::Field("ratelimit"),
            refill: Refill::AtOnce,
        }],
        ..LimitWords::NONE
    },
    ..Provider::NONE
};
