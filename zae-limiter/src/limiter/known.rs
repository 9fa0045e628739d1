//! The limits and lanes of whoever asks: known from before, or resolved.

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
    /// The limits and lanes of who asks, where they are known without a call.
    pub(super) fn known(&self, wish: &AcquireSpec) -> Option<Arc<ResolvedTargets>> {
        self.inner.front.get(&wish.entity, &wish.resource, wish.said.default_limits.as_ref())
    }

    pub(super) fn health_of(&self, wish: &AcquireSpec) -> BucketHealth {
        let fails = |resolved: Arc<ResolvedTargets>| resolved.child.lane().is_failing();
        if self.known(wish).is_none_or(fails) { BucketHealth::Doubtful } else { BucketHealth::Good }
    }

    /// Makes the next acquires of those in `resolved` read their limits again.
    pub(crate) fn forget(&self, resolved: &ResolvedTargets) {
        resolved.forget(&self.inner.repository);
    }

    pub(crate) async fn resolve(&self, wish: &AcquireSpec) -> Result<Arc<ResolvedTargets>, Denied> {
        let inner = &self.inner;
        let defaults = wish.said.default_limits.as_ref();
        // Limits given with the call are only this call's.
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
