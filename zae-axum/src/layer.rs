//! The layer with axum's defaults: [`ZaeLimit`].

use std::fmt;

use axum::body::Bytes;
use http::Response;
use tower_layer::Layer;
use zae_tower::{
    Cost, EntityId, Limits, RateLimiter, Refusal, RequestHead, ResourceName, Settings, ZaeLimitService,
    extract::{Extractor, StoredLimits},
    llm::{Accounting, LlmCost},
    standing::StandingHandler,
};

use crate::{
    entity::DefaultEntity,
    resource::{self, DefaultResource},
};

/// Limits the requests of a router or a route: [`zae_tower::ZaeLimit`] with extractors for axum.
///
/// It is a layer for [`Router::layer`](axum::Router::layer), [`Router::route_layer`](axum::Router::route_layer) and
/// [`MethodRouter::layer`](axum::routing::MethodRouter::layer). With `layer`, unmatched paths are limited too; with
/// `route_layer`, they are 404s that cost nothing. The clones share all state (the limiter, its caches, the record of
/// what was logged).
///
/// ```
/// use axum::{Router, routing::get};
/// use zae_axum::ZaeLimit;
///
/// struct App {
///     limit: ZaeLimit, // as `ZaeLimit::new` makes it; what replaces an extractor is named in the parameters
/// }
///
/// fn router(app: &App) -> Router {
///     Router::new().route("/v1/chat", get(|| async { "hello" })).route_layer(app.limit.clone())
/// }
/// ```
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ZaeLimit<E = DefaultEntity, Rs = DefaultResource, C = Cost, L = StoredLimits> {
    limit: zae_tower::ZaeLimit<E, Rs, C, L>,
}

impl ZaeLimit {
    /// Creates a limit with these defaults, all of which can be changed; takes a [`Repository`](zae_tower::Repository)
    /// or a [`RateLimiter`] with your own settings.
    ///
    /// - entity: an [`EntityId`] in the request's extensions; otherwise the peer's address, if the app is served with
    ///   [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo); otherwise one entity shared by all requests, with a
    ///   warning in the log;
    /// - resource: the matched route, or `default` if there is none;
    /// - cost: 1 of each limit that counts requests;
    /// - limits: those stored in the table. Without any, and without [`default_limits`](ZaeLimit::default_limits),
    ///   every request is answered with 500, and the log names the command that stores some.
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
    pub fn new(limiter: impl Into<RateLimiter>) -> Self {
        zae_tower::ZaeLimit::new(limiter).entity(DefaultEntity).resource(resource::matched_route()).into()
    }
}

impl<E, Rs, C, L> From<zae_tower::ZaeLimit<E, Rs, C, L>> for ZaeLimit<E, Rs, C, L> {
    fn from(limit: zae_tower::ZaeLimit<E, Rs, C, L>) -> Self {
        Self { limit }
    }
}

impl<E, Rs, C, L> ZaeLimit<E, Rs, C, L> {
    /// Sets the extractor of the entity to limit; see [`entity`](crate::entity). Requests in which it finds none share
    /// one entity, or are refused with [`require_entity`](ZaeLimit::require_entity).
    pub fn entity<X: Extractor<Output = EntityId>>(self, extractor: X) -> ZaeLimit<X, Rs, C, L> {
        self.limit.entity(extractor).into()
    }

    /// Sets the extractor of the resource to limit; see [`resource`](crate::resource). If it finds nothing, the
    /// resource is `default`.
    pub fn resource<X: Extractor<Output = ResourceName>>(self, extractor: X) -> ZaeLimit<E, X, C, L> {
        self.limit.resource(extractor).into()
    }

    /// Sets the tokens that a request takes: a [`Cost`], or an extractor of one; see [`cost`](crate::cost). If it finds
    /// nothing, the cost is 1 of each limit that counts requests.
    pub fn cost<X: Extractor<Output = Cost>>(self, extractor: X) -> ZaeLimit<E, Rs, X, L> {
        self.limit.cost(extractor).into()
    }

    /// Replaces the stored limits with a [`Limits`], or with the result of an extractor; see [`limits`](crate::limits).
    /// If it finds nothing, the stored limits apply.
    pub fn limits<X: Extractor<Output = Limits>>(self, extractor: X) -> ZaeLimit<E, Rs, C, X> {
        self.limit.limits(extractor).into()
    }

    zae_tower::limit_settings!();

    /// Changes several settings at once, for example those that a program keeps in one place; see [`Settings`].
    pub fn configure(self, change: impl FnOnce(Settings) -> Settings) -> Self {
        self.limit.configure(change).into()
    }

    /// Exempts requests for which `predicate` is true. If it is set several times, one matching predicate suffices.
    pub fn skip<F>(self, predicate: F) -> Self
    where
        F: Fn(&dyn RequestHead) -> bool + Send + Sync + 'static,
    {
        self.limit.skip(predicate).into()
    }

    /// Customises the response to a refused request, given the reason and the default response; see
    /// [`zae_tower::ZaeLimit::refusal`].
    pub fn refusal<F>(self, render: F) -> Self
    where
        F: Fn(&Refusal, Response<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    {
        self.limit.refusal(render).into()
    }

    /// Enables accounting for calls to language models: takes an estimate from the request's JSON body instead of
    /// [`cost`](ZaeLimit::cost), and settles it by the usage in the response, streamed or not. Takes an [`Accounting`],
    /// or a [`Tariff`](crate::llm::Tariff) if its defaults will do; see [`llm`](crate::llm) and
    /// [`zae_tower::ZaeLimit::llm`].
    pub fn llm(self, accounting: impl Into<Accounting>) -> ZaeLimit<E, Rs, LlmCost, L> {
        self.limit.llm(accounting).into()
    }

    /// Returns a handler that answers with the limits and the usage of the caller's own entity; see
    /// [`standing`](crate::standing()), which makes a route of it.
    pub fn standing(&self) -> StandingHandler<E> {
        self.limit.standing()
    }

    /// Returns the limiter that decides.
    pub fn limiter(&self) -> &RateLimiter {
        self.limit.limiter()
    }

    /// Writes all pending settlements and waits until they are stored; see [`zae_tower::ZaeLimit::shutdown`]. Call it
    /// after the server has stopped.
    ///
    /// Cancel-safe: if it is dropped early, the writing continues.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<E, Rs, C, L> {
        self.limit.shutdown()
    }
}

impl<S, E, Rs, C, L> Layer<S> for ZaeLimit<E, Rs, C, L> {
    type Service = ZaeLimitService<S, E, Rs, C, L>;

    fn layer(&self, inner: S) -> Self::Service {
        self.limit.layer(inner)
    }
}

impl<E, Rs, C, L> Clone for ZaeLimit<E, Rs, C, L> {
    fn clone(&self) -> Self {
        Self { limit: self.limit.clone() }
    }
}

impl<E: fmt::Debug, Rs: fmt::Debug, C: fmt::Debug, L: fmt::Debug> fmt::Debug for ZaeLimit<E, Rs, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)
    }
}
