//! The records of fan-outs that are owed, and the work itself.
//!
//! [`model::fanout`](crate::model::fanout) says what they are for.

use super::{Repository, fanout::Copies};
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::{
        access::ConfigTarget,
        fanout::{Fanout, FanoutKind, FanoutLease, PendingFanout},
    },
    store::{ConditionalWrite, Query, TransactPart},
    wire::{
        config::ConfigLevel,
        keys,
        pending::{self, Owners},
    },
};

/// Number of tries of a promise beside others who promise the same.
const TRIES: u32 = 4;

impl Repository {
    /// Returns the fan-outs that somebody owes in this namespace.
    ///
    /// Cancel safe: it only reads. [`PendingFanout`] has an example of this and the following calls.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn pending_fanouts(&self) -> Result<Vec<PendingFanout>, RepositoryError> {
        let query = Query::table(keys::pk_system(self.ns())).prefix(pending::prefix()).strong();
        Ok(self.store().query_all(query).await?.iter().map(pending::decode).collect())
    }

    /// Records that `lease` owes `fanout`, beside all others who owe it. May be repeated.
    ///
    /// Cancel safe: a dropped call has written all or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn promise_fanout(&self, fanout: &Fanout, lease: &FanoutLease) -> Result<(), RepositoryError> {
        let key = pending::key(self.ns(), fanout);
        for _ in 0..TRIES {
            for others in [Owners::Absent, Owners::Present] {
                let promise = pending::promise(self.ns(), fanout, lease, self.now_ms(), others);
                if self.store().update(&key, promise).await? == ConditionalWrite::Done {
                    return Ok(());
                }
            }
        }
        Err(super::configs::busy(&key))
    }

    /// Takes the fan-out of `seen` over from those whose lease has run out. Returns false if it is not to be had:
    /// others still owe it, or somebody else was faster.
    ///
    /// Cancel safe: a dropped call has written all or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn claim_fanout(&self, seen: &PendingFanout, lease: &FanoutLease) -> Result<bool, RepositoryError> {
        let (Some(fanout), now) = (&seen.fanout, self.now_ms()) else { return Ok(false) };
        if !seen.is_claimable(now) {
            return Ok(false);
        }
        let claimed = self.store().update(&pending::key(self.ns(), fanout), pending::claim(seen, lease, now)).await?;
        Ok(claimed == ConditionalWrite::Done)
    }

    /// Brings all buckets that `fanout` is about in line with what the table says now.
    ///
    /// Not cancel safe, but repeatable: a dropped call has told some of the buckets.
    ///
    /// # Errors
    /// [`RepositoryError::FanoutIncomplete`] or [`RepositoryError::Store`] when not all buckets could be told,
    /// [`RepositoryError::Invalid`] for a combination of kind and level that there is not.
    pub async fn finish_fanout(&self, fanout: &Fanout) -> Result<(), RepositoryError> {
        match (fanout.kind, &fanout.target) {
            (FanoutKind::Disabled, Some(target)) => self.restamp_access(target).await.map(drop),
            (FanoutKind::Cascade, Some(target)) => self.fan_out(target, Copies::Owner).await.map(drop),
            (FanoutKind::Soft, None) => self.tell_limits(ConfigLevel::System).await,
            (FanoutKind::Soft, Some(ConfigTarget::Resource(resource))) => {
                self.tell_limits(ConfigLevel::Resource(resource)).await
            }
            (FanoutKind::Sync, Some(ConfigTarget::Entity(entity, scope))) => {
                self.apply_limits(entity, scope, None).await
            }
            _ => {
                let reason = ValidationReason::Other("is a fan-out that no change owes".to_owned());
                Err(ValidationError::new("fanout", fanout.to_string(), reason).into())
            }
        }
    }

    /// Takes the token of `lease` off the record of `fanout`, and removes it once nobody owes it. May be repeated.
    ///
    /// Cancel safe: a dropped call may leave a record without owners, which the next apply takes over.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn release_fanout(&self, fanout: &Fanout, lease: &FanoutLease) -> Result<(), RepositoryError> {
        let key = pending::key(self.ns(), fanout);
        self.store().update(&key, pending::release(lease)).await?;
        self.store().transact(&[TransactPart::Delete(key, pending::unowned())]).await.map(drop)
    }

    /// Ends `lease` on the record of `fanout`, so that the next apply need not wait for it. May be repeated.
    ///
    /// Cancel safe: a dropped call has written all or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn expire_fanout(&self, fanout: &Fanout, lease: &FanoutLease) -> Result<(), RepositoryError> {
        let expired = pending::expire(lease, self.now_ms());
        self.store().update(&pending::key(self.ns(), fanout), expired).await.map(drop)
    }
}
