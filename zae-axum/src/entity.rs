//! Extractors of the entity to limit: [`zae_tower::entity`], with the peer's address from axum.
//!
//! ```
//! use zae_axum::{entity, extract::Extractor};
//! // The user that an authentication layer found, else the client's address behind our load balancers.
//! let who = entity::extension().or(entity::client_ip("10.0.0.0/8".parse()?));
//! # Ok::<(), entity::InvalidProxy>(())
//! ```

use std::future::{Future, ready};

use http::Request;
pub use zae_tower::entity::*;
use zae_tower::{
    EntityId, RequestHead, entity as plain,
    extract::{Extract, Extracted, Extractor, FromAsyncFn, FromFn, IntoExtracted},
};

use crate::{OnAxum, connect::peer};

/// The extractor used by [`ZaeLimit::new`](crate::ZaeLimit::new): [`extension`], otherwise [`peer_ip`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultEntity;

/// The address at the other end of the connection, from axum's connect info. Created by [`peer_ip`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Peer;

impl Extractor for DefaultEntity {
    type Output = EntityId;
}

impl<B: Send> Extract<Request<B>> for DefaultEntity {
    const AT_ONCE: bool = true;

    fn extract(&self, request: &mut Request<B>) -> impl Future<Output = Extracted<EntityId>> + Send {
        let extensions = request.extensions();
        ready(Ok(extensions.get::<EntityId>().cloned().or_else(|| peer(extensions).map(ip_entity))))
    }
}

impl Extractor for Peer {
    type Output = EntityId;
}

impl<B: Send> Extract<Request<B>> for Peer {
    const AT_ONCE: bool = true;

    fn extract(&self, request: &mut Request<B>) -> impl Future<Output = Extracted<EntityId>> + Send {
        ready(Ok(peer(request.extensions()).map(ip_entity)))
    }
}

/// Uses the address at the other end of the connection, IPv6 by /64. Serve with
/// [`into_make_service_with_connect_info::<SocketAddr>`](axum::Router::into_make_service_with_connect_info).
pub fn peer_ip() -> Peer {
    Peer
}

/// Uses the client's address behind `proxies`, IPv6 by /64; needs the peer's address, as [`peer_ip`] does.
pub fn client_ip(proxies: TrustedProxies) -> OnAxum<Client> {
    OnAxum::new(plain::client_ip(proxies))
}

/// Extracts what `function` finds in the head of the request; see [`zae_tower::entity::from_fn`].
/// [`PeerIp`](zae_tower::PeerIp) and [`MatchedRoute`](zae_tower::MatchedRoute) are among its extensions.
pub fn from_fn<F, O>(function: F) -> OnAxum<FromFn<F, O>>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = EntityId> + 'static,
{
    OnAxum::new(plain::from_fn(function))
}

/// Extracts what the future returned by `function` finds; see [`zae_tower::entity::from_async_fn`], and [`from_fn`].
pub fn from_async_fn<F, W>(function: F) -> OnAxum<FromAsyncFn<F, W>>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = EntityId>> + Send + 'static,
{
    OnAxum::new(plain::from_async_fn(function))
}
