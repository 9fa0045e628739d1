//! The interface through which extractors see a request, [`RequestHead`], and the facts that server adapters add:
//! [`PeerIp`], [`MatchedRoute`].

use std::{net::IpAddr, sync::Arc};

use http::{Extensions, HeaderMap, Method, Request};

/// The head of a request, whatever its type and body. [`http::Request`] implements it for every body.
///
/// The layer works for each request type that implements this trait.
///
/// ```
/// use zae_tower::RequestHead;
/// fn is_upload(request: &dyn RequestHead) -> bool {
///     request.method() == http::Method::POST && request.path().starts_with("/upload/")
/// }
/// let request = http::Request::post("/upload/cat.png?size=1").body(())?;
/// assert!(is_upload(&request));
/// # Ok::<(), http::Error>(())
/// ```
pub trait RequestHead {
    /// Returns the method.
    fn method(&self) -> &Method;
    /// Returns the path, without the query.
    fn path(&self) -> &str;
    /// Returns the header fields.
    fn headers(&self) -> &HeaderMap;
    /// Returns the values that the server and earlier layers left for later ones.
    fn extensions(&self) -> &Extensions;
    /// Returns the [`extensions`](RequestHead::extensions) for modification.
    fn extensions_mut(&mut self) -> &mut Extensions;
}

impl<B> RequestHead for Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }

    fn path(&self) -> &str {
        self.uri().path()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}

/// The address at the other end of the connection. Servers put it into the request's extensions; `zae-axum` derives it
/// from axum's `ConnectInfo`.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
/// use zae_tower::PeerIp;
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerIp(IpAddr::V4(Ipv4Addr::LOCALHOST)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerIp(pub IpAddr);

/// The route that the framework matched, as written in the program (`/users/{id}`), never the path that the client
/// chose. Frameworks' adapters put it into the request's extensions.
///
/// ```
/// use zae_tower::MatchedRoute;
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(MatchedRoute::new("/users/{id}"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchedRoute(Arc<str>);

impl MatchedRoute {
    /// Wraps the route's text.
    pub fn new(route: impl Into<Arc<str>>) -> Self {
        Self(route.into())
    }

    /// Returns the route's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
