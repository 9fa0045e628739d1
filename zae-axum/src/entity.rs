//! Who is limited: [`zae_tower::entity`], with the peer's address as axum has it.
//!
//! ```
//! use zae_axum::{entity, extract::Extractor};
//! // Who an authentication layer found, else the client's address behind our load balancers.
//! let who = entity::extension().or(entity::client_ip("10.0.0.0/8".parse()?));
//! # Ok::<(), entity::InvalidProxy>(())
//! ```

use std::future::Future;

pub use zae_tower::entity::*;
use zae_tower::{
    EntityId, RequestHead, entity as plain,
    extract::{FromAsyncFn, FromFn, IntoExtracted},
};

use crate::OnAxum;

/// The address at the other end of the connection, IPv6 by /64. Serve with
/// [`into_make_service_with_connect_info::<SocketAddr>`](axum::Router::into_make_service_with_connect_info).
pub fn peer_ip() -> OnAxum<Peer> {
    OnAxum::new(plain::peer_ip())
}

/// The client's address behind `proxies`, IPv6 by /64; needs the peer's address, as [`peer_ip`] does.
pub fn client_ip(proxies: TrustedProxies) -> OnAxum<Client> {
    OnAxum::new(plain::client_ip(proxies))
}

/// What `function` finds in the head of the request; see [`zae_tower::entity::from_fn`].
/// [`PeerIp`](zae_tower::PeerIp) and [`MatchedRoute`](zae_tower::MatchedRoute) are among its extensions.
pub fn from_fn<F, O>(function: F) -> OnAxum<FromFn<F, O>>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = EntityId> + 'static,
{
    OnAxum::new(plain::from_fn(function))
}

/// What the future that `function` makes finds; see [`zae_tower::entity::from_async_fn`], and [`from_fn`].
pub fn from_async_fn<F, W>(function: F) -> OnAxum<FromAsyncFn<F, W>>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = EntityId>> + Send + 'static,
{
    OnAxum::new(plain::from_async_fn(function))
}
