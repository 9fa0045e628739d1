//! Predicates for [`ZaeLimit::skip`](crate::ZaeLimit::skip).

use http::{
    Method,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};

use crate::request::RequestHead;

/// Skips a browser's preflight request: it carries no credentials, and should not cost a second token.
///
/// Use it only if a CORS layer answers preflight requests; otherwise they would reach a handler without a limit.
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
