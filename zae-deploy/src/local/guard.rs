//! Protects the port, which any program on this machine may use, from web pages.

use std::net::IpAddr;

use axum::{
    Json,
    extract::Request,
    http::{
        HeaderMap, StatusCode,
        header::{HOST, ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Rejects requests that a browser sends on behalf of a foreign web page, and those whose host name is not this
/// machine's. Responses do not permit any page to read them.
pub(super) async fn guard(mut request: Request, next: Next) -> Response {
    if !is_from_here(request.headers()) {
        let message = "a local stack answers programs on this machine, at localhost, and no web page from elsewhere";
        let answer = Json(json!({ "__type": "AccessDeniedException", "message": message }));
        return (StatusCode::FORBIDDEN, [("x-amzn-errortype", "AccessDeniedException")], answer).into_response();
    }
    // The database would permit any page to read its response.
    request.headers_mut().remove(ORIGIN);
    next.run(request).await
}

fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or_default());
    let mut hosts = text(HOST.as_str()).peekable();
    hosts.peek().is_some()
        && hosts.all(is_this_machine)
        && text(ORIGIN.as_str()).all(|origin| origin.split_once("://").is_some_and(|(_, host)| is_this_machine(host)))
        && text("sec-fetch-site").all(|site| site != "cross-site")
}

/// Returns true if `authority`, a host with an optional port, is one of this machine's own names.
fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        is_from_here(&headers)
    }

    #[test]
    fn programs_on_this_machine_are_answered() {
        for host in ["localhost", "LocalHost:4566", "127.0.0.1:4566", "[::1]:4566"] {
            assert!(asked(&[("host", host)]), "{host}");
        }
        assert!(asked(&[("host", "localhost"), ("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn web_pages_from_elsewhere_are_not() {
        for host in ["evil.example", "localhost.evil.example", "evil.example:4566", "10.0.0.1", "", "[::2]", "0.0.0.0"]
        {
            assert!(!asked(&[("host", host)]), "{host}");
        }
        assert!(!asked(&[]));
        for origin in ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost@evil.example"]
        {
            assert!(!asked(&[("host", "localhost"), ("origin", origin)]), "{origin}");
        }
        assert!(!asked(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]));
        assert!(!asked(&[("host", "localhost"), ("host", "evil.example")]));
    }
}
