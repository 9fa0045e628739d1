//! Extractors of an [`EntityId`], the entity to limit.
//!
//! A client that can choose its identity is not limited. Use an identity that an earlier layer verified
//! ([`extension`]), that the network guarantees ([`peer_ip`], [`client_ip`] behind proxies you run), or that is
//! verified later anyway and hard to invent ([`api_key`], [`bearer`]: stored as keyed hashes, never in the clear).
//! [`header`] is for headers that a proxy of yours sets and strips from incoming requests.
//!
//! ```
//! use zae_tower::{EntityId, entity, extract::Extractor};
//! // A login if there is one, else the address.
//! let who = entity::extension().or(entity::peer_ip());
//!
//! // What an earlier layer of this program left behind.
//! #[derive(Clone)]
//! struct User { id: u64 }
//! let who = entity::from_fn(|request| {
//!     request.extensions().get::<User>().map(|user| EntityId::new(format!("user:{}", user.id)))
//! });
//! ```

use std::{future::Future, net::IpAddr};

use http::{HeaderName, header::AUTHORIZATION};
use zae_limiter::EntityId;

pub use crate::{
    api_key::{ApiKeyHasher, MIN_SECRET_BYTES, SecretTooShort},
    client_ip::{BadForwarded, ForwardingHeader, InvalidProxy, TrustedProxies, ip_entity},
};
use crate::{
    extract::{
        Extract, ExtractError, Extracted, Extractor, FromAsyncFn, FromFn, Header, IntoExtracted, found, header_name,
        header_text,
    },
    request::{PeerIp, RequestHead},
};

/// The entity shared by all requests without an identity.
pub const ANONYMOUS: &str = "anonymous";

/// The extractor used by [`ZaeLimit::new`](crate::ZaeLimit::new): [`extension`], otherwise [`peer_ip`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultEntity;

/// The [`EntityId`] that an earlier layer put into the request's extensions.
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Extension;

/// The address at the other end of the connection, from [`PeerIp`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Peer;

/// The address of the client behind trusted proxies.
///
/// See the [module](self) for an example.
#[derive(Clone, Debug)]
pub struct Client {
    proxies: TrustedProxies,
}

/// The keyed hash of a secret in a header.
///
/// ```
/// use zae_tower::entity::{self, ApiKeyHasher};
/// let hasher = ApiKeyHasher::new("0123456789abcdef0123456789abcdef")?; // from your secret store
/// let who = entity::bearer(hasher);
/// # let _ = who;
/// # Ok::<(), zae_tower::entity::SecretTooShort>(())
/// ```
#[derive(Clone, Debug)]
pub struct Secret {
    header: HeaderName,
    form: Form,
    hasher: ApiKeyHasher,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Whole,
    Bearer,
}

/// The [`EntityId`] that an earlier layer put into the request's extensions; see the [module](self).
pub fn extension() -> Extension {
    Extension
}

/// Uses the value of header `name` as the entity id.
///
/// Only for headers that a proxy of yours sets: a client that reaches the server directly can choose its own value. A
/// header that occurs twice, is empty, or is not an [`EntityId`] is a 400.
///
/// ```
/// let who = zae_tower::entity::header("x-user-id");
/// ```
///
/// # Panics
/// If `name` is not a valid header name; it is a constant of the program.
pub fn header(name: &'static str) -> Header<EntityId> {
    Header::new(header_name(name))
}

/// Uses the keyed hash of the token in `Authorization: Bearer …`.
///
/// The token is not verified here. Put the layer behind authentication, or accept that invented tokens get buckets of
/// their own.
///
/// ```
/// use zae_tower::entity::{self, ApiKeyHasher};
/// let who = entity::bearer(ApiKeyHasher::new("a secret of at least 32 bytes, from the environment")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn bearer(hasher: ApiKeyHasher) -> Secret {
    Secret { header: AUTHORIZATION, form: Form::Bearer, hasher }
}

/// Uses the keyed hash of the API key in header `name`, like [`bearer`].
///
/// # Panics
/// If `name` is not a valid header name; it is a constant of the program.
pub fn api_key(name: &'static str, hasher: ApiKeyHasher) -> Secret {
    Secret { header: header_name(name), form: Form::Whole, hasher }
}

/// Uses the address at the other end of the connection, IPv6 by /64, if the server provides [`PeerIp`].
pub fn peer_ip() -> Peer {
    Peer
}

/// Uses the client's address behind `proxies`, IPv6 by /64. Only these proxies are believed.
///
/// Needs [`PeerIp`], as [`peer_ip`] does. A malformed chain of addresses from a trusted proxy is a 400.
///
/// ```
/// use zae_tower::entity::{self, TrustedProxies};
/// let who = entity::client_ip("10.0.0.0/8, fd00::/8".parse::<TrustedProxies>()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn client_ip(proxies: TrustedProxies) -> Client {
    Client { proxies }
}

/// Always returns the same entity: the whole service shares one set of buckets.
pub fn fixed(entity: EntityId) -> EntityId {
    entity
}

/// Extracts what `function` finds in the head of the request; see [`IntoExtracted`] for what it may return.
///
/// ```
/// use zae_tower::{EntityId, entity};
/// let who = entity::from_fn(|request| {
///     let host = request.headers().get(http::header::HOST)?.to_str().ok()?;
///     Some(EntityId::new(host))
/// });
/// ```
pub fn from_fn<F, O>(function: F) -> FromFn<F, O>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = EntityId> + 'static,
{
    FromFn::new(function)
}

/// Extracts what the future returned by `function` finds. The future owns what it needs of the request.
///
/// ```
/// use zae_tower::{EntityId, entity, extract::ExtractError};
/// # async fn look_up(session: String) -> Option<u64> { session.parse().ok() }
/// let who = entity::from_async_fn(|request| {
///     let session = request.headers().get("x-session").and_then(|value| value.to_str().ok()).map(str::to_owned);
///     async move {
///         let session = session.ok_or_else(|| ExtractError::unauthorized("log in first"))?;
///         let user = look_up(session).await.ok_or_else(|| ExtractError::unauthorized("the session has ended"))?;
///         Ok::<_, ExtractError>(EntityId::new(format!("user:{user}"))?)
///     }
/// });
/// ```
pub fn from_async_fn<F, W>(function: F) -> FromAsyncFn<F, W>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = EntityId>> + Send + 'static,
{
    FromAsyncFn::new(function)
}

fn peer(request: &impl RequestHead) -> Option<IpAddr> {
    request.extensions().get::<PeerIp>().map(|peer| peer.0)
}

macro_rules! entity_extractor {
    ($type:ty, |$this:ident, $request:ident| $find:expr) => {
        impl Extractor for $type {
            type Output = EntityId;
        }

        impl<R: RequestHead> Extract<R> for $type {
            const AT_ONCE: bool = true;

            fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<EntityId>> + Send {
                let ($this, $request) = (self, &*request);
                found($find)
            }
        }
    };
}

entity_extractor!(DefaultEntity, |_this, request| Ok(request
    .extensions()
    .get::<EntityId>()
    .cloned()
    .or_else(|| peer(request).map(ip_entity))));

entity_extractor!(Extension, |_this, request| Ok(request.extensions().get::<EntityId>().cloned()));

entity_extractor!(Peer, |_this, request| Ok(peer(request).map(ip_entity)));

entity_extractor!(Client, |this, request| this
    .proxies
    .client_ip(peer(request), request.headers())
    .map(|address| address.map(ip_entity))
    .map_err(|error| ExtractError::bad_request(error.to_string())));

entity_extractor!(Secret, |this, request| this.find(request));

impl Secret {
    fn find(&self, request: &impl RequestHead) -> Extracted<EntityId> {
        let Some(value) = header_text(request.headers(), &self.header)? else { return Ok(None) };
        let secret = match self.form {
            Form::Whole => value,
            Form::Bearer => match value.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_matches(' '),
                // Another scheme, which this extractor ignores.
                _ => return Ok(None),
            },
        };
        if secret.is_empty() {
            return Err(ExtractError::bad_request(format!("header {} holds no key", self.header)));
        }
        Ok(Some(self.hasher.entity(secret)))
    }
}
