//! The resource to limit: [`zae_tower::resource`], with closures over actix-web's request.
//!
//! The matched route is the pattern from [`match_pattern`](actix_web::dev::ServiceRequest::match_pattern), scopes
//! included: `v1/users/:id` for `/v1/users/{id}`. If no route matches, the resource is `default`.
//!
//! ```
//! use zae_actix::{ResourceName, extract::Extractor, resource};
//! let what = resource::matched_route().or(resource::fixed(ResourceName::new("other")?));
//!
//! // The model that the route names.
//! let what = resource::from_fn(|request| request.match_info().get("model").map(ResourceName::new));
//! # Ok::<(), zae_actix::ValidationError>(())
//! ```

use std::future::Future;

use actix_web::dev::ServiceRequest;
pub use zae_tower::resource::*;
use zae_tower::{
    ResourceName,
    extract::{Extract, IntoExtracted},
    resource as plain,
};

use crate::{Head, current};

/// Extracts the resource that `function` finds in the request; see [`IntoExtracted`] for the types that it may return.
pub fn from_fn<F, O>(function: F) -> impl Extract<Head, Output = ResourceName>
where
    F: Fn(&ServiceRequest) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = ResourceName> + 'static,
{
    plain::from_fn(current::look(function))
}

/// Extracts the resource that the future returned by `function` finds; see
/// [`entity::from_async_fn`](crate::entity::from_async_fn).
pub fn from_async_fn<F, W>(function: F) -> impl Extract<Head, Output = ResourceName>
where
    F: Fn(&ServiceRequest) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = ResourceName>> + Send + 'static,
{
    plain::from_async_fn(current::look_async(function))
}
