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

use super::{Acquire, RateLimiter, several};
use crate::{
    engine::{
        acquire::{self, denied::Denied},
        telemetry::{self, Ending},
    },
    error::AcquireError,
    model::{cost::Cost, name::ResourceName},
};

/// The answer of memory about one resource.
enum Recollection {
    /// Its limits are not known here.
    Unknown,
    /// Nothing known refuses it.
    Passes,
    /// It is refused.
    Refuses(Denied),
}

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
        let parts = std::iter::once((&request.resource, &request.cost));
        let parts = parts.chain(request.also.iter().map(|(resource, cost)| (resource, cost)));
        let mut refusals = Vec::new();
        for (resource, cost) in parts {
            match self.recall(request, resource, cost) {
                // There may be worse to tell of it: that it is disabled, or has no limits.
                Recollection::Unknown => return None,
                Recollection::Passes => {}
                Recollection::Refuses(denied) => refusals.push(denied),
            }
        }
        let Some(Denied::Error(error)) = several::heaviest(refusals, &[]) else { return None };
        telemetry::acquires(Ending::Refused, 1);
        telemetry::acquire_refused(&request.entity, several::refusing(&error).unwrap_or(&request.resource), &error);
        Some(error)
    }

    /// Tells what memory says of one of its resources.
    fn recall(&self, request: &Acquire, resource: &ResourceName, cost: &Cost) -> Recollection {
        let inner = &self.inner;
        let default_limits = request.default_limits.as_ref().or(inner.default_limits.as_ref());
        let known = inner.front.get(&request.entity, resource, default_limits);
        let known = known.filter(|resolved| resolved.still_holds(&inner.repository, Instant::now()));
        let Some(resolved) = known else { return Recollection::Unknown };
        let Some(amounts) = cost.amounts(resolved.child.limits()) else { return Recollection::Unknown };
        let reserve = request.reserve.unwrap_or(inner.reserve);
        acquire::refused_from_memory(&resolved, amounts, reserve).map_or(Recollection::Passes, Recollection::Refuses)
    }
}
