//! Errors, one type per outcome.
//!
//! An acquire can fail in four ways: **not yet** ([`RateLimitExceeded`], with a time), **never** ([`NeverFits`],
//! without one), **disabled** ([`Disabled`]) and **store unavailable** ([`Unavailable`]). [`AcquireError`] keeps them
//! apart, because each requires a different reaction:
//!
//! | variant | HTTP | waiting helps | usual cause |
//! |---|---|---|---|
//! | [`AcquireError::Exceeded`] | 429 with `Retry-After` | yes, for as long as it says | the limit |
//! | [`AcquireError::NeverFits`] | 429 without `Retry-After` | no | a request larger than the capacity |
//! | [`AcquireError::Disabled`] | 403 | no | an operator |
//! | [`AcquireError::Unavailable`] | 503 with `Retry-After` | probably | an outage, or too short a deadline |
//! | all others | 500 | no | setup: no limits, a wrong name, a missing permission |
//!
//! Conventions in this module: every error names the operation and the item concerned, ends with a next step if there
//! is one, and provides its cause as [`source`](std::error::Error::source) instead of in its text. Values passed by
//! callers are not printed, because secrets get pasted into the wrong field. Large or rare variants are boxed, so that
//! a `Result` on the hot path stays small.
//!
//! One write may fail many waiters with the same error. Such errors are `Clone`, or shared in an `Arc`.

mod acquire;
mod connect;
mod disabled;
mod exceeded;
mod repository;
mod validation;

pub use acquire::{AcquireError, LeaseError, SettleError, SettleOutlook, Unavailable, UnavailableReason};
pub use connect::{ConnectError, NoCredentials};
pub use disabled::{Disabled, DisabledLevel};
pub use exceeded::{NeverFits, RateLimitExceeded};
pub(crate) use repository::{Heard, ServiceMessage};
pub use repository::{NamespaceState, RepositoryError, StoreError, StoreErrorKind, Unsupported};
pub use validation::{ValidationError, ValidationReason};

/// Any error, boxed; used as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
