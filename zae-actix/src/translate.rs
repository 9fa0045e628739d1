//! Conversions between `http` 0.2, which actix-web uses, and `http` 1, which the shared parts use.

use std::panic::{self, AssertUnwindSafe};

use actix_web::{
    HttpMessage, HttpResponse,
    dev::ServiceRequest,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue},
    },
};
use bytes::Bytes;
use zae_tower::{Decision, EntityId, MatchedRoute, PeerIp, extract::Peeked};

use crate::{Head, RequestBody};

/// Builds the request head that the extractors of [`zae_tower`] see.
pub(crate) fn head(request: &ServiceRequest) -> Head {
    let mut head = Head::new(RequestBody::of(request));
    // Both versions accept the same methods, targets and headers. If they did not, the extractors would see less,
    // with no other effect.
    *head.method_mut() = http::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or_default();
    *head.uri_mut() = request.uri().to_string().parse().unwrap_or_default();
    *head.headers_mut() = new_headers(request.headers());
    let theirs = request.extensions();
    if let Some(entity) = theirs.get::<EntityId>() {
        head.extensions_mut().insert(entity.clone());
    }
    let peer = theirs.get::<PeerIp>().copied().or_else(|| request.peer_addr().map(|peer| PeerIp(peer.ip())));
    if let Some(peer) = peer {
        head.extensions_mut().insert(peer);
    }
    let route = theirs.get::<MatchedRoute>().cloned();
    if let Some(route) = route.or_else(|| request.match_pattern().map(MatchedRoute::new)) {
        head.extensions_mut().insert(route);
    }
    head
}

/// Passes the decision, and the body that was read for it, to the handler and to outer middleware.
pub(crate) fn tell(request: &mut ServiceRequest, head: Head) {
    let (head, body) = head.into_parts();
    if let Some(decision) = head.extensions.get::<Decision>() {
        request.extensions_mut().insert(decision.clone());
    }
    let Some(body) = body.replacement() else { return };
    // An extractor may have replaced it with a longer body.
    let length = head.headers.get(http::header::CONTENT_LENGTH).map(http::HeaderValue::as_bytes);
    let length =
        length.filter(|length| request.headers().get(CONTENT_LENGTH).is_none_or(|old| old.as_bytes() != *length));
    let body = match length.map(HeaderValue::from_bytes) {
        Some(Ok(length)) if set_length(request, &length).is_err() => as_it_came(&head.extensions, body),
        _ => body,
    };
    request.set_payload(body.into());
}

/// The request has another owner, and actix-web does not change a shared head.
#[derive(Clone, Copy, Debug)]
struct Shared;

fn set_length(request: &mut ServiceRequest, length: &HeaderValue) -> Result<(), Shared> {
    // actix-web panics before it changes anything, and offers no way to ask first.
    let set = AssertUnwindSafe(|| {
        request.headers_mut().insert(CONTENT_LENGTH, length.clone());
    });
    panic::catch_unwind(set).map_err(|_| Shared)
}

/// Returns the body that matches the request's declared length, if it is still known.
fn as_it_came(extensions: &http::Extensions, body: Bytes) -> Bytes {
    tracing::warn!(
        "a request's body is handed on unchanged, without asking for its stream's usage: a middleware around the limit \
         holds a clone of the HttpRequest, so that its content-length cannot be set; drop the clone before calling on"
    );
    extensions.get::<Peeked>().map_or(body, |peeked| peeked.bytes().clone())
}

/// Converts the head of a response for settle rules and headers.
pub(crate) fn response_head<B>(response: &HttpResponse<B>) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(response.status().as_u16()).unwrap_or_default();
    *head.headers_mut() = new_headers(response.headers());
    if let Some(decision) = response.extensions().get::<Decision>() {
        head.extensions_mut().insert(decision.clone());
    }
    head
}

/// Converts a refusal for sending.
pub(crate) fn response(refusal: http::Response<Bytes>) -> HttpResponse {
    let (head, body) = refusal.into_parts();
    let mut response = HttpResponse::new(status(head.status)).set_body(body).map_into_boxed_body();
    write(&changes(&head.headers, response.headers()), response.headers_mut());
    if let Some(decision) = head.extensions.get::<Decision>() {
        response.extensions_mut().insert(decision.clone());
    }
    response
}

pub(crate) fn status(status: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Headers to set to new values.
pub(crate) type Changes = Vec<(HeaderName, Vec<HeaderValue>)>;

pub(crate) fn changes(wanted: &http::HeaderMap, present: &HeaderMap) -> Changes {
    let mut changes = Changes::new();
    for name in wanted.keys() {
        let values = wanted.get_all(name);
        let same = values
            .iter()
            .map(http::HeaderValue::as_bytes)
            .eq(present.get_all(name.as_str()).map(HeaderValue::as_bytes));
        if let (false, Ok(name)) = (same, HeaderName::from_bytes(name.as_str().as_bytes())) {
            let values = values.iter().flat_map(|value| HeaderValue::from_bytes(value.as_bytes()));
            changes.push((name, values.collect()));
        }
    }
    changes
}

pub(crate) fn write(changes: &Changes, headers: &mut HeaderMap) {
    for (name, values) in changes {
        headers.remove(name);
        values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
    }
}

fn new_headers(headers: &HeaderMap) -> http::HeaderMap {
    // The capacity is bounded by the usual number at first: a map is limited in size, and clients may send too many
    // headers.
    let mut new = http::HeaderMap::with_capacity(headers.len().min(64));
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_bytes(value.as_bytes())) {
            let _full = new.try_append(name, value);
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn more_headers_than_a_map_holds_lose_some_and_nothing_else() {
        let mut request = TestRequest::get().uri("/a?b=c");
        for number in 0..40_000 {
            request = request.append_header((format!("x-{number}"), "value"));
        }
        let head = head(&request.to_srv_request());
        assert!(head.headers().len() > 10_000);
        assert_eq!(head.uri(), "/a?b=c");
    }
}
