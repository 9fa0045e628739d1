//! The tokens that a request takes: [`zae_tower::cost`], with closures over actix-web's request. A [`Cost`] is an
//! extractor itself.
//!
//! ```
//! use zae_actix::{Cost, cost};
//! let by_method = cost::from_fn(|request| {
//!     Cost::of("rpm", if request.method() == actix_web::http::Method::GET { 1 } else { 5 })
//! });
//! ```

use std::future::Future;

use actix_web::dev::ServiceRequest;
pub use zae_tower::cost::*;
use zae_tower::{
    Cost, cost as plain,
    extract::{Extract, IntoExtracted},
};

use crate::{Head, current};

/// Extracts the cost that `function` finds in the request; see [`IntoExtracted`] for the types that it may return.
pub fn from_fn<F, O>(function: F) -> impl Extract<Head, Output = Cost>
where
    F: Fn(&ServiceRequest) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = Cost> + 'static,
{
    plain::from_fn(current::look(function))
}

/// Extracts the cost that the future returned by `function` finds; see
/// [`entity::from_async_fn`](crate::entity::from_async_fn).
pub fn from_async_fn<F, W>(function: F) -> impl Extract<Head, Output = Cost>
where
    F: Fn(&ServiceRequest) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = Cost>> + Send + 'static,
{
    plain::from_async_fn(current::look_async(function))
}
