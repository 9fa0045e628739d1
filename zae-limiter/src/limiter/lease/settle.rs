//! The end of a lease: what its owner notes until then, and the one settlement.
//!
//! All of it is synchronous. An adjustment is a sum in memory, and an end books what it comes to in the lanes, which
//! write it with their next write. The returned [`Settlement`] only waits for that.

use super::{Lease, LeasePhase, LeaseState};
use crate::{
    engine::lane::hold::{Bookings, Hold},
    error::{LeaseError, ValidationError, ValidationReason},
    limiter::settlement::Settlement,
    model::{limit::MAX_TOKENS, name::LimitName},
};

impl Lease {
    /// Records that `delta` whole tokens more (or, if negative, fewer) of `limit` were consumed than taken. Never
    /// refused for capacity: the work is done, and a balance may go into debt. Written by [`commit`](Lease::commit); a
    /// lease never gives back more than it took.
    ///
    /// `delta` is in whole tokens, between −[`MAX_TOKENS`] and [`MAX_TOKENS`] in sum. Adjustments of one limit add up.
    /// They are local until the commit: no call, no await.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("tpm", 1_000)?).build();
    /// let lease = limiter.acquire("key-1", "gpt-4", Cost::of("tpm", 500)).await?;
    /// lease.adjust("tpm", 120)?; // the prompt was longer than estimated
    /// lease.adjust("tpm", -300)?; // and the answer shorter
    /// assert_eq!(lease.consumed()["tpm"], 320);
    /// lease.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LeaseError::Settled`] after commit or rollback, [`LeaseError::UnknownLimit`] for a name that does not apply,
    /// [`LeaseError::Invalid`] for adjustments that add up to more than [`MAX_TOKENS`].
    pub fn adjust(&self, limit: impl AsRef<str>, delta: i64) -> Result<(), LeaseError> {
        let mut state = self.lock();
        let LeaseState { phase: LeasePhase::Open, holds, deltas } = &mut *state else {
            return Err(LeaseError::Settled);
        };
        let limit = limit.as_ref();
        let taken = || holds.iter().flat_map(Hold::taken).map(|(name, _)| name);
        let known = || taken().chain(self.granted_blindly().iter().map(|(name, _)| name));
        let Some(name) = known().find(|name| name.as_str() == limit).cloned() else {
            let mut names: Vec<&str> = known().map(LimitName::as_str).collect();
            names.dedup();
            return Err(LeaseError::UnknownLimit { name: limit.chars().take(64).collect(), known: names.join(", ") });
        };
        let known = deltas.iter_mut().find(|(known, _)| *known == name);
        let sum = known.as_ref().map_or(0, |(_, sum)| *sum).saturating_add(delta);
        if sum.unsigned_abs() > MAX_TOKENS {
            let reason = ValidationReason::TooLarge { max: MAX_TOKENS };
            return Err(ValidationError::new("adjustment", delta.to_string(), reason).into());
        }
        match known {
            Some((_, known)) => *known = sum,
            None => deltas.push((name, sum)),
        }
        Ok(())
    }

    /// Records that `tokens` whole tokens fewer of `limit` were consumed than taken: `adjust` by the negative.
    ///
    /// # Errors
    /// See [`adjust`](Lease::adjust).
    pub fn release(&self, limit: impl AsRef<str>, tokens: u64) -> Result<(), LeaseError> {
        self.adjust(limit, i64::try_from(tokens).map_or(i64::MIN + 1, |tokens| -tokens))
    }

    /// Keeps the consumption and writes the adjustments, if there are any. The write is queued by the call: awaiting
    /// the [`Settlement`] only waits until it is stored, and dropping it does not cancel the write. Further calls do
    /// nothing.
    ///
    /// The write is combined with the bucket's next one, or sent on its own after the limiter's
    /// [`flush_delay`](crate::RateLimiterBuilder::flush_delay); immediately if the [`Settlement`] is awaited. Without
    /// adjustments there is nothing to write, and it resolves immediately.
    pub fn commit(&self) -> Settlement {
        self.settle(Hold::keep)
    }

    /// Gives everything back and discards adjustments. The write is queued by the call, as with
    /// [`commit`](Lease::commit). Does nothing on a settled lease.
    ///
    /// A refund is limited to the room that the bucket had since the tokens were taken: if it has refilled meanwhile,
    /// the refund is smaller than the amount taken (see [`guide::engine`](crate::guide::engine)).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 10)?).build();
    /// let lease = limiter.acquire("key-1", "api", Cost::of("rpm", 5)).await?;
    /// lease.roll_back().await?; // as dropping it does, but this waits until it is stored
    /// assert!(limiter.available("key-1", "api").await?["rpm"] >= 9, "all but what refilled meanwhile");
    /// # Ok(())
    /// # }
    /// ```
    pub fn roll_back(&self) -> Settlement {
        self.settle(|hold, _| hold.give_back())
    }

    /// Ends the lease once, all parts of it, applying `end` to each hold.
    fn settle(&self, end: impl Fn(&mut Hold, &[(LimitName, i64)]) -> Bookings) -> Settlement {
        let mut all = Vec::new();
        for part in std::iter::once(self).chain(&self.also) {
            let mut state = part.lock();
            let LeaseState { phase, holds, deltas, .. } = &mut *state;
            if std::mem::replace(phase, LeasePhase::Settled) == LeasePhase::Settled {
                continue;
            }
            all.extend(holds.iter_mut().flat_map(|hold| end(hold, deltas)));
        }
        Settlement::of(all)
    }

    /// Returns true once the lease is committed or rolled back.
    pub fn is_settled(&self) -> bool {
        self.lock().phase == LeasePhase::Settled
    }
}
