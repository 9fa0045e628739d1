//! The decision about the current request: [`RateLimited`].

use std::{convert::Infallible, ops::Deref};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use zae_tower::Decision;

use crate::NotLimited;

/// Extracts the [`Decision`] of the layer around the handler; with several, the innermost one's.
///
/// ```
/// use zae_axum::RateLimited;
/// async fn handler(limited: RateLimited) -> String {
///     match limited.remaining("rpm") {
///         Some(left) => format!("{left} more this minute"),
///         None => "as often as you like".to_owned(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
///
/// # Rejection
/// [`NotLimited`] if no layer limits the route; `Option<RateLimited>` is then `None`.
#[derive(Clone, Debug)]
pub struct RateLimited(pub Decision);

impl Deref for RateLimited {
    type Target = Decision;
    fn deref(&self) -> &Decision {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RateLimited {
    type Rejection = NotLimited;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotLimited> {
        parts.extensions.get().cloned().map(Self).ok_or(NotLimited::new("RateLimited"))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for RateLimited {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned().map(Self))
    }
}
