//! Extractors of the resource to limit: [`zae_tower::resource`], with the matched route from axum.
//!
//! ```
//! use zae_axum::{ResourceName, extract::Extractor, resource};
//! let what = resource::matched_route().or(resource::fixed(ResourceName::new("other")?));
//! # Ok::<(), zae_axum::ValidationError>(())
//! ```

use std::future::{Future, ready};

use axum::extract::MatchedPath;
use http::Request;
pub use zae_tower::resource::*;
use zae_tower::{
    RequestHead, ResourceName,
    adapter::RouteNames,
    extract::{Extract, Extracted, Extractor, FromAsyncFn, FromFn, IntoExtracted},
    resource as plain,
};

use crate::OnAxum;

/// The extractor used by [`ZaeLimit::new`](crate::ZaeLimit::new): [`matched_route`].
pub type DefaultResource = Route;

/// The matched route. Created by [`matched_route`].
///
/// See the [module](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct Route {
    names: RouteNames,
}

impl Extractor for Route {
    type Output = ResourceName;
}

impl<B: Send> Extract<Request<B>> for Route {
    const AT_ONCE: bool = true;

    fn extract(&self, request: &mut Request<B>) -> impl Future<Output = Extracted<ResourceName>> + Send {
        // Nested routers match repeatedly; this is the last match, the whole route.
        let route = request.extensions().get::<MatchedPath>();
        ready(route.map(|route| self.names.name(route.as_str())).transpose().map_err(Into::into))
    }
}

/// Uses the matched route, converted by [`route_name`]: `users/:id` for `/users/{id}`. Finds nothing in a fallback,
/// where no route matched.
pub fn matched_route() -> Route {
    Route::default()
}

/// Extracts what `function` finds in the head of the request; see [`zae_tower::resource::from_fn`].
/// [`PeerIp`](zae_tower::PeerIp) and [`MatchedRoute`](zae_tower::MatchedRoute) are among its extensions.
pub fn from_fn<F, O>(function: F) -> OnAxum<FromFn<F, O>>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = ResourceName> + 'static,
{
    OnAxum::new(plain::from_fn(function))
}

/// Extracts what the future returned by `function` finds; see [`zae_tower::resource::from_async_fn`], and [`from_fn`].
pub fn from_async_fn<F, W>(function: F) -> OnAxum<FromAsyncFn<F, W>>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = ResourceName>> + Send + 'static,
{
    OnAxum::new(plain::from_async_fn(function))
}
