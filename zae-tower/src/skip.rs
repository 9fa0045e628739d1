//! Predicates for [`ZaeLimit::skip`](crate::ZaeLimit::skip).

use http::{
    Method,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};

use crate::request::RequestHead;

/// A browser's question before the real request: it carries no credentials, and should not cost a second token.
///
/// Skip these only where a CORS layer answers them; a handler would be reached without a limit.
///
/// ```
/// let request = http::Request::options("/")
///     .header("origin", "https://example.com")
///     .header("access-control-request-method", "POST")
///     .body(())?;
/// assert!(zae_tower::skip::cors_preflight(&request));
/// # Ok::<(), http::Error>(())
/// ```
pub fn cors_preflight(request: &dyn RequestHead) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
