//! Explicit limits per request: extractors of [`Limits`]. A [`Limits`] is an extractor itself.
//!
//! ```
//! use zae_tower::{Limit, Limits, limits};
//! #[derive(Clone)]
//! struct Plan { requests_per_minute: u64 }
//!
//! let by_plan = limits::from_fn(|request| {
//!     let plan = request.extensions().get::<Plan>()?;
//!     Some(Limit::per_minute("rpm", plan.requests_per_minute).map(Limits::from))
//! });
//! ```

use std::future::Future;

use zae_limiter::Limits;

use crate::{
    extract::{FromAsyncFn, FromFn, IntoExtracted},
    request::RequestHead,
};

pub use crate::extract::StoredLimits;

/// Always returns the same limits.
pub fn fixed(limits: Limits) -> Limits {
    limits
}

/// Extracts what `function` finds in the head of the request; see [`IntoExtracted`] for what it may return. Where it
/// finds none, the stored limits apply.
pub fn from_fn<F, O>(function: F) -> FromFn<F, O>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = Limits> + 'static,
{
    FromFn::new(function)
}

/// Extracts what the future returned by `function` finds; works like
/// [`entity::from_async_fn`](crate::entity::from_async_fn).
pub fn from_async_fn<F, W>(function: F) -> FromAsyncFn<F, W>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = Limits>> + Send + 'static,
{
    FromAsyncFn::new(function)
}
