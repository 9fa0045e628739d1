//! Taking more on an open lease, under the conditions of an acquire.
//!
//! More is asked of the same shards that the lease holds tokens of, so that one settlement can give back all of it. The
//! table decides each time, never a reserve.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Lease, LeasePhase, Whose};
use crate::{
    engine::{
        acquire::{
            self,
            denied::{Denied, NotTaken},
            resolve::ResolvedTargets,
        },
        lane::{Lane, hold::Holds},
        runtime::deadlines::after,
    },
    error::{AcquireError, LeaseError, RepositoryError, Unavailable, UnavailableReason},
    model::cost::Cost,
};

impl Lease {
    /// Takes more, under the same conditions as the acquire: from the entity and its parent, or from neither. Always
    /// decided by the table.
    ///
    /// Units: whole tokens. Cancel-safe: if it is dropped early, it takes nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("tpm", 1_000)?).build();
    /// let lease = limiter.acquire("key-1", "gpt-4", Cost::of("tpm", 100)).await?;
    /// lease.consume(Cost::of("tpm", 50)).await?; // another round of the same conversation
    /// assert_eq!(lease.consumed()["tpm"], 150);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`RateLimiter::acquire_with`](crate::RateLimiter::acquire_with); the lease is then unchanged.
    /// [`AcquireError::Lease`] with [`LeaseError::Settled`] after commit or rollback.
    pub async fn consume(&self, cost: Cost) -> Result<(), AcquireError> {
        let Whose::Buckets(resolved) = &self.whose else {
            cost.check()?;
            return if self.is_settled() { Err(LeaseError::Settled.into()) } else { Ok(()) };
        };
        // Computed before more is taken.
        self.statuses();
        let deadline = after(Instant::now(), self.limiter.deadline());
        let more = match tokio::time::timeout_at(deadline, self.take_more(resolved, cost, deadline)).await {
            Ok(Ok(more)) => more,
            Ok(Err(Denied::Error(error))) => return Err(error),
            Ok(Err(Denied::Outage(reason, source))) => return Err(self.unavailable(reason, source)),
            Err(_) => return Err(self.unavailable(UnavailableReason::DeadlineExceeded, None)),
        };
        let mut state = self.lock();
        if state.phase == LeasePhase::Settled {
            // The lease was settled during the call: dropping the new holds gives back their tokens.
            return Err(LeaseError::Settled.into());
        }
        for hold in more {
            if let Some(held) = state.holds.iter_mut().find(|held| Arc::ptr_eq(held.lane(), hold.lane())) {
                held.absorb(hold);
            }
        }
        Ok(())
    }

    /// Takes from the shards whose tokens the lease holds; under different limits if they have changed since.
    async fn take_more(&self, resolved: &Arc<ResolvedTargets>, cost: Cost, deadline: Instant) -> Result<Holds, Denied> {
        let lanes: Option<Vec<Arc<Lane>>> = {
            let state = self.lock();
            (state.phase == LeasePhase::Open).then(|| state.holds.iter().map(|hold| Arc::clone(hold.lane())).collect())
        };
        let lanes = lanes.ok_or_else(|| AcquireError::from(LeaseError::Settled))?;
        let mut now = Arc::clone(resolved);
        loop {
            let mut asked = cost.resolve(now.child.limits())?;
            // The lease holds nothing of a limit that was added since, and could give nothing back.
            asked.retain(|(name, _)| resolved.child.limits().iter().any(|limit| limit.name() == name));
            let asks = lanes.iter().filter_map(|lane| {
                let mut targets = std::iter::once(&now.child).chain(&now.parent);
                let target = targets.find(|target| *target.entity() == lane.key.entity)?;
                Some((Arc::new(target.in_lane(Arc::clone(lane))), target.amounts(&asked)))
            });
            let asks = asks.filter(|(_, amounts)| amounts.iter().any(|amount| *amount > 0)).collect();
            match acquire::take_more(asks, deadline).await {
                Ok(more) => return Ok(more),
                Err(NotTaken::Denied(denied)) => return Err(denied),
                Err(NotTaken::Outdated) => self.limiter.forget(&now),
            }
            now = self.limiter.resolve(&now.wish(cost.clone(), deadline)).await?;
        }
    }

    /// Builds the error of a store that was unavailable for the request.
    pub(super) fn unavailable(&self, reason: UnavailableReason, source: Option<Arc<RepositoryError>>) -> AcquireError {
        let error = Unavailable::new(reason, self.entity().clone(), self.resource().clone());
        match source {
            Some(source) => error.with_source(source).into(),
            None => error.into(),
        }
    }
}
