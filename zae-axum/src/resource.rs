//! What is limited: [`zae_tower::resource`], with the matched route as axum has it.
//!
//! ```
//! use zae_axum::{ResourceName, extract::Extractor, resource};
//! let what = resource::matched_route().or(resource::fixed(ResourceName::new("other")?));
//! # Ok::<(), zae_axum::ValidationError>(())
//! ```

use std::future::Future;

pub use zae_tower::resource::*;
use zae_tower::{
    RequestHead, ResourceName,
    extract::{FromAsyncFn, FromFn, IntoExtracted},
    resource as plain,
};

use crate::OnAxum;

/// The route that matched, as [`route_name`] writes it: `users/:id` for `/users/{id}`. Nothing in a fallback, where no
/// route did.
pub fn matched_route() -> OnAxum<Route> {
    OnAxum::new(plain::matched_route())
}

/// What `function` finds in the head of the request; see [`zae_tower::resource::from_fn`].
/// [`PeerIp`](zae_tower::PeerIp) and [`MatchedRoute`](zae_tower::MatchedRoute) are among its extensions.
pub fn from_fn<F, O>(function: F) -> OnAxum<FromFn<F, O>>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = ResourceName> + 'static,
{
    OnAxum::new(plain::from_fn(function))
}

/// What the future that `function` makes finds; see [`zae_tower::resource::from_async_fn`], and [`from_fn`].
pub fn from_async_fn<F, W>(function: F) -> OnAxum<FromAsyncFn<F, W>>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = ResourceName>> + Send + 'static,
{
    OnAxum::new(plain::from_async_fn(function))
}
