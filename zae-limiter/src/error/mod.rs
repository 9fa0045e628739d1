//! Errors, one type per kind of answer.
//!
//! An acquire has four kinds of "no": **not yet** ([`RateLimitExceeded`], with a time), **never** ([`NeverFits`],
//! without one), **switched off** ([`Disabled`]) and **the store is away** ([`Unavailable`]). [`AcquireError`] keeps
//! them apart.

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
