//! Stripe, whose 429 may be a lock on an object.
//!
//! Source: <https://docs.stripe.com/rate-limits>.

use super::table::{LimitWords, Provider, Unrelated};

pub(super) const PROVIDER: Provider = Provider {
    limits: LimitWords {
        should_retry: &["stripe-should-retry"],
        unrelated: &[Unrelated { code: "lock_timeout", unless: "stripe-rate-limited-reason" }],
        ..LimitWords::NONE
    },
    ..Provider::NONE
};
