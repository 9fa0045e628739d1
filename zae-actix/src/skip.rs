//! Predicates for [`ZaeLimit::skip`](crate::ZaeLimit::skip).

use actix_web::{
    dev::ServiceRequest,
    http::{
        Method,
        header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
    },
};

/// Skips a browser's preflight request; see [`zae_tower::skip::cors_preflight`].
///
/// Use it only if a CORS middleware answers preflight requests; otherwise they would reach a handler without a limit.
pub fn cors_preflight(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
