//! Errors, one type per kind of answer.
//!
//! An acquire has four kinds of "no": **not yet** ([`RateLimitExceeded`], with a time), **never** ([`NeverFits`],
//! without one), **switched off** ([`Disabled`]) and **the store is away** ([`Unavailable`]). [`AcquireError`] keeps
//! them apart, because each asks for another reaction:
//!
//! | variant | HTTP | waiting helps | usual cause |
//! |---|---|---|---|
//! | [`AcquireError::Exceeded`] | 429 with `Retry-After` | yes, for as long as it says | the limit |
//! | [`AcquireError::NeverFits`] | 429 without `Retry-After` | no | a request larger than the capacity |
//! | [`AcquireError::Disabled`] | 403 | no | an operator |
//! | [`AcquireError::Unavailable`] | 503 with `Retry-After` | probably | an outage, or too short a deadline |
//! | all others | 500 | no | setup: no limits, a wrong name, a missing permission |
//!
//! Conventions in this module: every error names what failed and on what, ends with a next step where there is one, and
//! has its cause as [`source`](std::error::Error::source) instead of in its text. Values that callers pass in are not
//! printed, because secrets get pasted into the wrong field. Large or rare variants are boxed, so that a `Result` on
//! the hot path stays small.
//!
//! Errors are values that one write may give to many waiters. Where that can happen they are `Clone`, or shared in an
//! `Arc`.

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
