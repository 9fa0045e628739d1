//! Finds the limits and lanes of an acquire, in memory or in the table.
//!
//! Three sources are tried in order, each slower and larger than the previous: the front (one comparison, no wait), the
//! repository's resolutions (a hash lookup), and the table (one BatchGetItem). The result is stored in the front, so a
//! busy caller only reaches the first.
//!
//! Limits passed with a call never enter the front: they apply to that call alone.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    engine::{
        acquire::{
            denied::Denied,
            resolve::{self, AcquireSpec, ResolvedTargets},
        },
        runtime::breaker::BucketHealth,
    },
    limiter::RateLimiter,
};

impl RateLimiter {
    /// Returns the caller's limits and lanes, if they are known without a call.
    pub(super) fn known(&self, wish: &AcquireSpec) -> Option<Arc<ResolvedTargets>> {
        self.inner.front.get(&wish.entity, &wish.resource, wish.said.default_limits.as_ref())
    }

    /// Tells if the requested bucket failed recently. During an outage, the breaker lets buckets without failures try
    /// more often.
    pub(super) fn health_of(&self, wish: &AcquireSpec) -> BucketHealth {
        let fails = |resolved: Arc<ResolvedTargets>| resolved.child.lane().is_failing();
        if self.known(wish).is_none_or(fails) { BucketHealth::Doubtful } else { BucketHealth::Good }
    }

    /// Makes the next acquires of the targets in `resolved` read their limits again.
    pub(crate) fn forget(&self, resolved: &ResolvedTargets) {
        resolved.forget(&self.inner.repository);
    }

    /// Finds limits and lanes, and stores them in the front and, for outages, in the local shares.
    pub(crate) async fn resolve(&self, wish: &AcquireSpec) -> Result<Arc<ResolvedTargets>, Denied> {
        let inner = &self.inner;
        let defaults = wish.said.default_limits.as_ref();
        // Limits passed with the call apply to this call only.
        let known = || inner.front.get(&wish.entity, &wish.resource, defaults);
        if let Some(resolved) = wish.said.limits.is_none().then(known).flatten()
            && resolved.still_holds(&inner.repository, Instant::now())
        {
            inner.repository.hit();
            inner.local.learn(wish.on_unavailable, &resolved);
            return Ok(resolved);
        }
        // Boxed: it is rare, and its calls would make every acquire's future large.
        let resolved = Box::pin(resolve::resolve(&inner.repository, &inner.lanes, wish)).await?;
        let resolved = Arc::new(resolved);
        inner.local.learn(wish.on_unavailable, &resolved);
        if wish.said.limits.is_none() {
            inner.front.put(Arc::clone(&resolved), wish.said.default_limits.clone());
        }
        Ok(resolved)
    }
}
