//! Refusals that are known before anything else is computed.
//!
//! A layer that charges by the size of a body has to read the body before it knows the cost. A client over its limit
//! could thereby make it read megabytes only to be refused. The layer may therefore check here first, with the minimum
//! cost of the call: if the bucket was seen within the last second and had less, the result is the refusal that
//! [`acquire_with`](RateLimiter::acquire_with) would have returned.
//!
//! Nothing is granted here, and `None` guarantees nothing. The path is synchronous, takes two short locks, and counts a
//! refusal exactly as the full path does.

use tokio::time::Instant;

use super::{Acquire, RateLimiter};
use crate::{
    engine::{
        acquire::{self, denied::Denied},
        telemetry::{self, Ending},
    },
    error::AcquireError,
    model::{cost::Cost, name::ResourceName},
};

impl RateLimiter {
    /// Refuses `request` if that takes neither a call nor waiting: one of its buckets was seen a moment ago and had too
    /// few tokens. `None` only means that [`acquire_with`](RateLimiter::acquire_with) has to decide. `acquire_with`
    /// itself checks this first; call it separately if an early answer saves work, such as reading a request's body.
    ///
    /// ```
    /// # use zae_limiter::{Acquire, AcquireError, Lease, RateLimiter};
    /// async fn receive(limiter: &RateLimiter, request: Acquire) -> Result<Lease, AcquireError> {
    ///     if let Some(refusal) = limiter.refused_at_once(&request) {
    ///         return Err(refusal);
    ///     }
    ///     // …read a large body…
    ///     limiter.acquire_with(request).await
    /// }
    /// ```
    pub fn refused_at_once(&self, request: &Acquire) -> Option<AcquireError> {
        if request.check().is_err() || request.limits.is_some() || self.inner.lanes.shared.closing.has_begun() {
            return None;
        }
        let others = || request.also.iter().find_map(|(resource, cost)| self.refused_part(request, resource, cost));
        self.refused_part(request, &request.resource, &request.cost).or_else(others)
    }

    /// The refusal of one of its resources.
    fn refused_part(&self, request: &Acquire, resource: &ResourceName, cost: &Cost) -> Option<AcquireError> {
        let inner = &self.inner;
        let default_limits = request.default_limits.as_ref().or(inner.default_limits.as_ref());
        let resolved = inner.front.get(&request.entity, resource, default_limits)?;
        if !resolved.still_holds(&inner.repository, Instant::now()) {
            return None;
        }
        let amounts = cost.amounts(resolved.child.limits())?;
        match acquire::refused_from_memory(&resolved, amounts, request.reserve.unwrap_or(inner.reserve))? {
            Denied::Error(error) => {
                telemetry::acquires(Ending::Refused, 1);
                telemetry::acquire_refused(&request.entity, resource, &error);
                Some(error)
            }
            Denied::Outage(..) => None,
        }
    }
}
