//! Passes axum's knowledge about a request to extractors of [`zae_tower`]: [`OnAxum`].

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
};

use axum::extract::{ConnectInfo, MatchedPath, connect_info::MockConnectInfo};
use http::{Extensions, Request};
use zae_tower::{
    MatchedRoute, PeerIp,
    extract::{Extract, Extracted, Extractor},
};

/// An extractor that takes the peer's address and the matched route from axum's extensions.
///
/// When the extractor runs, [`PeerIp`] is set if the server provides
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo) (or a test [`MockConnectInfo`]), and [`MatchedRoute`] if a
/// route matched. An existing [`PeerIp`] is kept.
///
/// The functions of [`entity`](crate::entity) and [`resource`](crate::resource) return it; wrap an extractor of your
/// own with [`OnAxum::new`].
///
/// ```
/// use zae_axum::{OnAxum, zae_tower::entity};
/// let who = OnAxum::new(entity::peer_ip());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OnAxum<X>(X);

impl<X: Extractor> OnAxum<X> {
    /// Wraps `extractor`.
    pub fn new(extractor: X) -> Self {
        Self(extractor)
    }
}

impl<X: Extractor> Extractor for OnAxum<X> {
    type Output = X::Output;
}

impl<B, X> Extract<Request<B>> for OnAxum<X>
where
    B: Send,
    X: Extract<Request<B>>,
{
    const AT_ONCE: bool = X::AT_ONCE;

    fn extract(&self, request: &mut Request<B>) -> impl Future<Output = Extracted<X::Output>> + Send {
        tell(request.extensions_mut());
        self.0.extract(request)
    }
}

/// The address at the other end of the connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let told = extensions.get::<PeerIp>().map(|peer| peer.0);
    let connected = || extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let pretended = || extensions.get::<MockConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    told.or_else(connected).or_else(pretended)
}

fn tell(extensions: &mut Extensions) {
    if extensions.get::<PeerIp>().is_none()
        && let Some(peer) = peer(extensions)
    {
        extensions.insert(PeerIp(peer));
    }
    // Nested routers match again, so the last match counts.
    let told = extensions.get::<MatchedRoute>().map(MatchedRoute::as_str);
    if let Some(route) = extensions.get::<MatchedPath>().filter(|route| told != Some(route.as_str())) {
        let route = MatchedRoute::new(route.as_str());
        extensions.insert(route);
    }
}
