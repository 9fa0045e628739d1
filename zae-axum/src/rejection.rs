//! The rejection of extractors used on a route that is not limited: [`NotLimited`].

use axum::response::{IntoResponse, Response};
use zae_tower::Problem;

/// The request did not pass a limiting layer, so there is nothing to extract. This is a programming error; it is logged
/// and answered with a bare 500. If a route may be unlimited, extract an [`Option`].
///
/// ```
/// use zae_axum::Lease;
///
/// async fn handler(lease: Option<Lease>) -> &'static str {
///     if lease.is_some() { "limited" } else { "not limited" }
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(handler));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the handler extracts {extractor}, but its route has no limit: add `.layer(ZaeLimit::new(…))` around it, or \
     extract an Option"
)]
#[non_exhaustive]
pub struct NotLimited {
    extractor: &'static str,
}

impl NotLimited {
    pub(crate) fn new(extractor: &'static str) -> Self {
        Self { extractor }
    }
}

impl IntoResponse for NotLimited {
    fn into_response(self) -> Response {
        tracing::error!(target: "zae_axum", "{self}");
        Problem::internal().into_response()
    }
}
