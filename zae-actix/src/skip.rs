//! Predicates for [`ZaeLimit::skip`](crate::ZaeLimit::skip).

use actix_web::{
    dev::ServiceRequest,
    http::{
        Method,
        header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
    },
};

/// A browser's question before the real request, as [`zae_tower::skip::cors_preflight`] knows it.
///
/// Skip these only where a CORS middleware answers them; a handler would be reached without a limit.
pub fn cors_preflight(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
