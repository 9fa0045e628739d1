//! Taking more on an open lease than its buckets hold.
//!
//! A large cost among many small ones may never fit: whenever a little is refilled, a small one takes it. So a caller
//! that holds a small part may take the rest into debt. One write tells all processes, in whichever language: nothing
//! fits until refill has paid the debt back, which takes as long as the cost is worth. It grants no more tokens in any
//! interval than waiting does, if the caller begins its work only once the debt is paid.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::{Lease, LeasePhase, Whose};
use crate::{
    engine::{lane::hold::Hold, runtime::deadlines::after},
    error::{AcquireError, LeaseError, UnavailableReason},
    limiter::settlement::Settlement,
    model::cost::Cost,
};

impl Lease {
    /// Takes more even if the entity's bucket or its parent's has too little: the balance goes into debt, and other
    /// calls do not fit until refill has paid it back. For a large cost that smaller ones of other processes keep
    /// overtaking. The debt is stored when this returns; [`consume`](Lease::consume) of one more token succeeds once it
    /// is paid.
    ///
    /// Units: whole tokens. A refund counts as if all had been taken with the first part, so it may be smaller if the
    /// bucket held much then. Cancel safety: if it is dropped early, the tokens may stay charged until refill has paid
    /// them back.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_hour("tpm", 1_000)?).build();
    /// limiter.acquire("key-1", "gpt-4", Cost::of("tpm", 990)).await?.commit().await?;
    /// let lease = limiter.acquire("key-1", "gpt-4", Cost::of("tpm", 10)).await?;
    /// lease.overdraw(Cost::of("tpm", 300)).await?; // of an empty bucket
    /// assert!(limiter.acquire("key-1", "gpt-4", Cost::of("tpm", 1)).await.is_err());
    /// lease.roll_back().await?; // gives all of it back
    /// assert!(limiter.available("key-1", "gpt-4").await?["tpm"] >= 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AcquireError::Invalid`] if the cost names a limit that does not apply, [`AcquireError::Lease`] with
    /// [`LeaseError::Settled`] after commit or rollback, [`AcquireError::Unavailable`] if the store does not confirm it
    /// within the limiter's deadline. The tokens then may be charged, and are not given back with the lease.
    pub async fn overdraw(&self, cost: Cost) -> Result<(), AcquireError> {
        let Whose::Buckets(resolved) = &self.whose else {
            cost.check()?;
            return if self.is_settled() { Err(LeaseError::Settled.into()) } else { Ok(()) };
        };
        let more = cost.resolve(resolved.child.limits())?;
        // Computed before more is taken.
        self.statuses();
        let booked = {
            let mut state = self.lock();
            if state.phase == LeasePhase::Settled {
                return Err(LeaseError::Settled.into());
            }
            let holds = state.holds.iter_mut();
            holds.filter_map(|hold| Some((Arc::clone(hold.lane()), hold.overdraw(&more)?))).collect()
        };
        let deadline = after(Instant::now(), self.limiter.deadline());
        match timeout_at(deadline, Settlement::of(booked)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.unavailable(UnavailableReason::StoreFailed, Some(error.source))),
            Err(_) => return Err(self.unavailable(UnavailableReason::DeadlineExceeded, None)),
        }
        let mut state = self.lock();
        if state.phase == LeasePhase::Settled {
            // The lease was settled during the call: nothing else gives back these tokens.
            state.holds.iter().for_each(|hold| hold.withdraw(&more));
            return Err(LeaseError::Settled.into());
        }
        state.holds.iter_mut().for_each(|hold: &mut Hold| hold.owe(&more));
        Ok(())
    }
}
