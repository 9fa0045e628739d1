//! The lease of the current request: [`Lease`].

use std::{convert::Infallible, ops::Deref};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{Extensions, request::Parts};
use zae_tower::adapter::Held;

use crate::NotLimited;

/// Extracts the lease of the request, to correct the layer's estimate.
///
/// Its methods are those of [`Held`]. The layer settles it when the response's body has ended. For a request that was
/// admitted without a lease (skipped, or in shadow mode), it holds nothing and adjustments do nothing, so handlers need
/// no special case.
///
/// ```
/// use zae_axum::{Lease, LimitError};
/// # async fn ask_the_model() -> i64 { 730 }
/// async fn chat(lease: Lease) -> Result<String, LimitError> {
///     let tokens = ask_the_model().await;
///     lease.adjust("tpm", tokens - 500)?; // the layer's estimate was 500
///     Ok("…".to_owned())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(chat));
/// ```
///
/// It can be cloned and moved, for example into the stream that produces a response.
///
/// # Rejection
/// [`NotLimited`] if no layer limits the route; `Option<Lease>` is then `None`, and also if nothing is held.
#[derive(Clone, Debug)]
pub struct Lease(Held);

impl Deref for Lease {
    type Target = Held;
    fn deref(&self) -> &Held {
        &self.0
    }
}

fn held(extensions: &Extensions) -> Option<Held> {
    Held::find(extensions.get())
}

impl<S: Send + Sync> FromRequestParts<S> for Lease {
    type Rejection = NotLimited;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotLimited> {
        held(&parts.extensions).map(Self).ok_or(NotLimited::new("Lease"))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Lease {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(held(&parts.extensions).filter(|held| held.handle().is_some()).map(Self))
    }
}
