//! What axum knows about a request, told to extractors of [`zae_tower`]: [`OnAxum`].

use std::{future::Future, net::SocketAddr};

use axum::extract::{ConnectInfo, MatchedPath, connect_info::MockConnectInfo};
use http::{Extensions, Request};
use zae_tower::{
    MatchedRoute, PeerIp,
    extract::{Extract, Extracted, Extractor},
};

/// An extractor that finds the peer's address and the matched route where axum keeps them.
///
/// Before the extractor looks, [`PeerIp`] is there if the server provides
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo) (or a test
/// [`MockConnectInfo`]), and [`MatchedRoute`] if a route matched. A [`PeerIp`] that is there already stays.
///
/// The functions of [`entity`](crate::entity) and [`resource`](crate::resource) return it; an extractor of your own is
/// wrapped with [`OnAxum::new`].
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
    fn extract(&self, request: &mut Request<B>) -> impl Future<Output = Extracted<X::Output>> + Send {
        tell(request.extensions_mut());
        self.0.extract(request)
    }
}

fn tell(extensions: &mut Extensions) {
    if extensions.get::<PeerIp>().is_none() {
        let real = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let peer = real.or_else(|| extensions.get::<MockConnectInfo<SocketAddr>>().map(|info| info.0));
        if let Some(peer) = peer {
            extensions.insert(PeerIp(peer.ip()));
        }
    }
    // Nested routers match again, so the last match counts.
    let told = extensions.get::<MatchedRoute>().map(MatchedRoute::as_str);
    if let Some(route) = extensions.get::<MatchedPath>().filter(|route| told != Some(route.as_str())) {
        let route = MatchedRoute::new(route.as_str());
        extensions.insert(route);
    }
}
