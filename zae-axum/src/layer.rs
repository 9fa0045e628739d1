//! The layer with axum's defaults: [`ZaeLimit`].

use zae_tower::{Cost, RateLimiter, extract::StoredLimits};

use crate::{
    entity::DefaultEntity,
    resource::{self, DefaultResource},
};

/// The layer that [`ZaeLimit::new`] makes: [`zae_tower::ZaeLimit`], with extractors that know axum.
pub type AxumLimit<E = DefaultEntity, Rs = DefaultResource, C = Cost, L = StoredLimits> =
    zae_tower::ZaeLimit<E, Rs, C, L>;

/// Entry point to limits for axum: [`ZaeLimit::new`].
///
/// See the [crate](crate) for an example.
#[derive(Debug)]
#[non_exhaustive]
pub struct ZaeLimit;

impl ZaeLimit {
    /// A layer for [`Router::layer`](axum::Router::layer), [`Router::route_layer`](axum::Router::route_layer) and
    /// [`MethodRouter::layer`](axum::routing::MethodRouter::layer), with these defaults:
    ///
    /// - entity: an [`EntityId`](zae_tower::EntityId) in the request's extensions; else the peer's address, where the
    ///   app is served with [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo); else all requests share one
    ///   entity, and the log warns;
    /// - resource: the route that matched; `default` where none did;
    /// - cost: 1 of each limit that counts requests;
    /// - limits: those stored in the table. Without any, and without
    ///   [`default_limits`](zae_tower::ZaeLimit::default_limits), every request is answered with 500, and the log names
    ///   the command that stores some.
    ///
    /// Everything can be changed: see the methods of [`zae_tower::ZaeLimit`]. With `layer` unmatched paths are limited
    /// too; with `route_layer` they are 404s that cost nothing.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use zae_axum::{Cost, RateLimiter, ZaeLimit, entity};
    /// # fn example(limiter: RateLimiter) -> Router {
    /// Router::new()
    ///     .route("/v1/chat", get(|| async { "hello" }))
    ///     .route_layer(
    ///         ZaeLimit::new(limiter).entity(entity::extension()).require_entity().cost(Cost::of("rpm", 1).and("tpm", 500)),
    ///     )
    /// # }
    /// ```
    #[expect(clippy::new_ret_no_self, reason = "the name under which every adapter has its layer")]
    pub fn new(limiter: impl Into<RateLimiter>) -> AxumLimit {
        zae_tower::ZaeLimit::new(limiter).entity(DefaultEntity).resource(resource::matched_route())
    }
}
