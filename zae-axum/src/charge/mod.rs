//! Limits per route, by an async function that determines the charge: [`limit_route`].

mod extract;
mod function;
mod layer;
mod service;

use axum::response::{IntoResponse, Response};
use zae_tower::{Cost, EntityId, Limits, ResourceName};

pub use extract::Charged;
pub use function::ChargeFn;
pub use layer::{RouteLimit, RouteLimitLayer, limit_route, limit_route_with_state};
pub use service::{RouteLimitFuture, RouteLimitService};

/// The charge of one request. Anything that is not set uses the defaults of [`ZaeLimit::new`](crate::ZaeLimit::new).
///
/// ```
/// use zae_axum::{Charge, Cost, Limit, EntityId};
/// let charge = Charge::new()
///     .entity(EntityId::new("team-7")?)
///     .cost(Cost::of("rpm", 1).and("tpm", 500))
///     .limits(Limit::per_minute("rpm", 60)?);
/// # Ok::<(), zae_axum::ValidationError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Charge {
    entity: Option<EntityId>,
    resource: Option<ResourceName>,
    cost: Option<Cost>,
    limits: Option<Limits>,
}

impl Charge {
    /// Creates a charge with nothing set: entity, resource and cost are the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the entity to charge.
    pub fn entity(self, entity: EntityId) -> Self {
        Self { entity: Some(entity), ..self }
    }

    /// Sets the resource to charge.
    pub fn resource(self, resource: ResourceName) -> Self {
        Self { resource: Some(resource), ..self }
    }

    /// Sets the cost, in whole tokens per limit.
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost: Some(cost), ..self }
    }

    /// Replaces the stored limits.
    pub fn limits(self, limits: impl Into<Limits>) -> Self {
        Self { limits: Some(limits.into()), ..self }
    }
}

impl From<Cost> for Charge {
    fn from(cost: Cost) -> Self {
        Self::new().cost(cost)
    }
}

/// Return types of a function for [`limit_route`]: a [`Charge`] or a [`Cost`], an [`Option`] of it (`None` exempts the
/// request), or a [`Result`] of either, whose error is the response.
///
/// See [`limit_route`] for an example.
pub trait IntoCharge {
    /// Converts the return value; `None` exempts the request.
    ///
    /// # Errors
    /// The response with which to answer the request.
    #[expect(clippy::result_large_err, reason = "the response is handed on at once, as axum's own middleware does")]
    fn into_charge(self) -> Result<Option<Charge>, Response>;
}

impl IntoCharge for Charge {
    fn into_charge(self) -> Result<Option<Charge>, Response> {
        Ok(Some(self))
    }
}

impl IntoCharge for Cost {
    fn into_charge(self) -> Result<Option<Charge>, Response> {
        Ok(Some(self.into()))
    }
}

impl<T: IntoCharge> IntoCharge for Option<T> {
    fn into_charge(self) -> Result<Option<Charge>, Response> {
        self.map_or(Ok(None), T::into_charge)
    }
}

impl<T: IntoCharge, E: IntoResponse> IntoCharge for Result<T, E> {
    fn into_charge(self) -> Result<Option<Charge>, Response> {
        self.map_err(E::into_response)?.into_charge()
    }
}
