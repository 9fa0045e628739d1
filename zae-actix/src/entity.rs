//! The entity to limit: [`zae_tower::entity`], with closures over actix-web's request.
//!
//! The peer's address is the one that the server sees. `Forwarded` and similar headers (which
//! [`ConnectionInfo::realip_remote_addr`](actix_web::dev::ConnectionInfo::realip_remote_addr) believes) count only
//! behind the proxies given to [`client_ip`].
//!
//! ```
//! use actix_web::HttpMessage;
//! use zae_actix::{EntityId, entity, extract::Extractor};
//! // Who an authentication middleware found, else the client's address behind our load balancers.
//! let who = entity::extension().or(entity::client_ip("10.0.0.0/8".parse()?));
//!
//! // What it left behind in a form of its own.
//! struct User { id: u64 }
//! let who = entity::from_fn(|request| {
//!     request.extensions().get::<User>().map(|user| EntityId::new(format!("user:{}", user.id)))
//! });
//! # Ok::<(), entity::InvalidProxy>(())
//! ```

use std::future::Future;

use actix_web::dev::ServiceRequest;
pub use zae_tower::entity::*;
use zae_tower::{
    EntityId, entity as plain,
    extract::{Extract, IntoExtracted},
};

use crate::{Head, current};

/// Extracts the entity that `function` finds in the request; see [`IntoExtracted`] for the types that it may return.
pub fn from_fn<F, O>(function: F) -> impl Extract<Head, Output = EntityId>
where
    F: Fn(&ServiceRequest) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = EntityId> + 'static,
{
    plain::from_fn(current::look(function))
}

/// Extracts the entity that the future returned by `function` finds. The future owns what it needs of the request, and
/// is [`Send`].
///
/// ```
/// use zae_actix::{EntityId, entity, extract::ExtractError};
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
pub fn from_async_fn<F, W>(function: F) -> impl Extract<Head, Output = EntityId>
where
    F: Fn(&ServiceRequest) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = EntityId>> + Send + 'static,
{
    plain::from_async_fn(current::look_async(function))
}
