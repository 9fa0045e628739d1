//! The layer: [`RouteLimitLayer`].

use std::{any::type_name, fmt, marker::PhantomData};

use tower_layer::Layer;
use zae_tower::{
    Cost, EntityId, Limits, RateLimiter, ResourceName, ZaeLimitService,
    entity::DefaultEntity,
    extract::{Extractor, Or},
    resource::DefaultResource,
};

use super::{
    extract::{Charged, Verdict},
    service::RouteLimitService,
};
use crate::OnAxum;

type Who = Or<Charged<EntityId>, OnAxum<DefaultEntity>>;
type What = Or<Charged<ResourceName>, OnAxum<DefaultResource>>;

/// The settings of a [`RouteLimitLayer`], as passed by [`RouteLimitLayer::configure`].
pub type RouteLimit = zae_tower::ZaeLimit<Who, What, Charged<Cost>, Charged<Limits>>;

/// A service limited by [`RouteLimit`].
type Limited<I> = ZaeLimitService<I, Who, What, Charged<Cost>, Charged<Limits>>;

/// Limits a route by the result of `charge` for each request: an async function of extractors, in the manner of
/// [`axum::middleware::from_fn`], that returns a [`Charge`](crate::Charge), a [`Cost`], an [`Option`] or a [`Result`]
/// of them; see [`IntoCharge`](crate::IntoCharge).
///
/// ```
/// use axum::{Extension, Router, extract::Path, routing::get};
/// use zae_axum::{Charge, Cost, EntityId, LimitError, RateLimiter, limit_route};
///
/// #[derive(Clone)]
/// struct User { id: u64, is_admin: bool }
///
/// async fn charge(Extension(user): Extension<User>, Path(count): Path<u64>) -> Result<Option<Charge>, LimitError> {
///     if user.is_admin {
///         return Ok(None);
///     }
///     let who = EntityId::new(format!("user:{}", user.id))?;
///     Ok(Some(Charge::new().entity(who).cost(Cost::of("pages", count))))
/// }
///
/// # fn example(limiter: RateLimiter) -> Router {
/// Router::new().route("/pages/{count}", get(|| async { "…" }).layer(limit_route(limiter, charge)))
/// # }
/// ```
///
/// Cancel safety: a request that is dropped while the function runs has taken nothing.
pub fn limit_route<F, T>(limiter: impl Into<RateLimiter>, charge: F) -> RouteLimitLayer<F, (), T> {
    limit_route_with_state(limiter, (), charge)
}

/// Like [`limit_route`], with a state for extractors such as [`State`](axum::extract::State).
pub fn limit_route_with_state<F, S, T>(
    limiter: impl Into<RateLimiter>,
    state: S,
    charge: F,
) -> RouteLimitLayer<F, S, T> {
    let limit = zae_tower::ZaeLimit::new(limiter)
        .entity(Charged::new().or(OnAxum::default()))
        .resource(Charged::new().or(OnAxum::default()))
        .cost(Charged::new())
        .limits(Charged::new())
        .skip(Verdict::frees);
    RouteLimitLayer { limit, charge, state, extractors: PhantomData }
}

/// Created by [`limit_route`].
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use zae_axum::{Cost, RateLimiter, limit_route};
///
/// # fn example(limiter: RateLimiter) -> Router {
/// let layer = limit_route(limiter, || async { Cost::of("pages", 1) })
///     .configure(|limit| limit.deadline(Duration::from_millis(100)));
/// Router::new().route("/page", get(|| async { "…" }).layer(layer))
/// # }
/// ```
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RouteLimitLayer<F, S, T> {
    limit: RouteLimit,
    charge: F,
    state: S,
    extractors: PhantomData<fn() -> T>,
}

impl<F, S, T> RouteLimitLayer<F, S, T> {
    /// Changes the rest of the settings.
    ///
    /// ```
    /// # use zae_axum::{Cost, HeaderDialect, RateLimiter, limit_route};
    /// # fn example(limiter: RateLimiter) {
    /// let layer = limit_route(limiter, || async { Cost::of("rpm", 1) })
    ///     .configure(|limit| limit.require_entity().headers(HeaderDialect::XRateLimit));
    /// # let _: zae_axum::RouteLimitLayer<_, (), ()> = layer;
    /// # }
    /// ```
    pub fn configure(self, change: impl FnOnce(RouteLimit) -> RouteLimit) -> Self {
        Self { limit: change(self.limit), ..self }
    }

    /// Returns the limiter that decides.
    pub fn limiter(&self) -> &RateLimiter {
        self.limit.limiter()
    }

    /// Writes all pending settlements and waits until they are stored; see
    /// [`ZaeLimit::shutdown`](zae_tower::ZaeLimit::shutdown). Call it after the server has stopped.
    ///
    /// Cancel-safe: if it is dropped early, the writing continues.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<F, S, T> {
        self.limit.shutdown()
    }
}

impl<F: Clone, S: Clone, T, I> Layer<I> for RouteLimitLayer<F, S, T> {
    type Service = RouteLimitService<F, S, T, Limited<I>>;

    fn layer(&self, inner: I) -> Self::Service {
        RouteLimitService::new(self.limit.layer(inner), self.charge.clone(), self.state.clone())
    }
}

impl<F: Clone, S: Clone, T> Clone for RouteLimitLayer<F, S, T> {
    fn clone(&self) -> Self {
        let (limit, charge, state) = (self.limit.clone(), self.charge.clone(), self.state.clone());
        Self { limit, charge, state, extractors: PhantomData }
    }
}

impl<F, S: fmt::Debug, T> fmt::Debug for RouteLimitLayer<F, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteLimitLayer")
            .field("limit", &self.limit)
            .field("charge", &type_name::<F>())
            .field("state", &self.state)
            .finish()
    }
}
