//! Explicit limits per request: [`zae_tower::limits`], with closures over actix-web's request. A [`Limits`] is an
//! extractor itself.
//!
//! ```
//! use actix_web::HttpMessage;
//! use zae_actix::{Limit, Limits, limits};
//! struct Plan { requests_per_minute: u64 }
//!
//! let by_plan = limits::from_fn(|request| {
//!     let extensions = request.extensions();
//!     let plan = extensions.get::<Plan>()?;
//!     Some(Limit::per_minute("rpm", plan.requests_per_minute).map(Limits::from))
//! });
//! ```

use std::future::Future;

use actix_web::dev::ServiceRequest;
pub use zae_tower::limits::*;
use zae_tower::{
    Limits,
    extract::{Extract, IntoExtracted},
    limits as plain,
};

use crate::{Head, current};

/// Extracts the limits that `function` finds in the request; see [`IntoExtracted`] for the types that it may return.
pub fn from_fn<F, O>(function: F) -> impl Extract<Head, Output = Limits>
where
    F: Fn(&ServiceRequest) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = Limits> + 'static,
{
    plain::from_fn(current::look(function))
}

/// Extracts the limits that the future returned by `function` finds; see
/// [`entity::from_async_fn`](crate::entity::from_async_fn).
pub fn from_async_fn<F, W>(function: F) -> impl Extract<Head, Output = Limits>
where
    F: Fn(&ServiceRequest) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = Limits>> + Send + 'static,
{
    plain::from_async_fn(current::look_async(function))
}
