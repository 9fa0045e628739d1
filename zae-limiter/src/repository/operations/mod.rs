//! Top-ups and resets of buckets: all shards, the operation's record and its audit event in one transaction.
//!
//! Buckets are read consistently, the amounts that they are to hold are computed from that, and the transaction goes
//! through only if nobody has credited a shard in between. The record makes an operation count once: whoever repeats it
//! under the same key, because the answer was lost, gets the first result.

mod attempt;

use std::{collections::BTreeMap, time::Duration};

use super::Repository;
use crate::{
    error::{RepositoryError, StoreError, StoreErrorKind, ValidationError, ValidationReason},
    model::{
        cost::Cost,
        name::{EntityId, IntoName, LimitName, ResourceName},
        operation::{Asked, OperationKey, OperationReport, ResetLimits},
    },
    store::Consistency,
    wire::{Item, expression::Key, keys, operation},
};

/// Number of tries against others that change the bucket.
const TRIES: u32 = 4;
/// Bounds the random pause before another try, in ms, doubled with each.
const PAUSE_MS: u64 = 50;

/// An operation under way.
struct Call<'a> {
    entity: &'a EntityId,
    resource: &'a ResourceName,
    key: &'a OperationKey,
    asked: &'a Asked,
    /// Identifies this call in the record.
    writer: &'a str,
    /// The record of the entity.
    meta: Option<Item>,
    /// The creation of the entity.
    incarnation: String,
}

impl Call<'_> {
    fn report(&self, shards: u32, amounts: BTreeMap<LimitName, i64>) -> OperationReport {
        OperationReport {
            entity_id: self.entity.clone(),
            resource: self.resource.clone(),
            operation_id: self.key.clone(),
            shards,
            amounts,
        }
    }
}

impl Repository {
    /// Adds tokens to limits of a bucket, as after a purchase. Under the same `key` it counts once: within three days,
    /// a repeated call returns the result of the first.
    ///
    /// A quota's ceiling rises by what was added until its period ends. A rate takes no more than the room below its
    /// capacity, which the result says. Without a bucket one is created where a quota is among the limits named; rates
    /// start full anyway.
    ///
    /// Not cancel safe, but repeatable under the same key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository, operation::OperationKey};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_system_defaults(Limit::quota("month", 1_000).every("0 0 1 * *").build()?).await?;
    /// let limiter = RateLimiter::new(repository.clone());
    /// limiter.acquire("user-1", "gpt-4", Cost::of("month", 1_000)).await?.commit().await?;
    ///
    /// let key = OperationKey::new("invoice-17")?;
    /// for _ in 0..2 {
    ///     let report = repository.top_up("user-1", "gpt-4", &Cost::of("month", 500), &key).await?;
    ///     assert_eq!(report.amounts["month"], 500);
    /// }
    /// limiter.acquire("user-1", "gpt-4", Cost::of("month", 500)).await?.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] for amounts that make no sense, limits that do not apply, a session quota among
    /// them, and a key under which something else was asked; [`RepositoryError::Disabled`] where a bucket would be
    /// created for somebody disabled;
    /// [`RepositoryError::FunctionsTooOld`] where functions are deployed that do not know top-ups of quotas;
    /// [`RepositoryError::Store`] when the table cannot be read or written, or others keep changing the bucket.
    pub async fn top_up(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        amounts: &Cost,
        key: &OperationKey,
    ) -> Result<OperationReport, RepositoryError> {
        let (entity, resource) = (&entity.into_name()?, &resource.into_name()?);
        self.operate(entity, resource, key, &Asked::top_up(amounts)?).await
    }

    /// Restores limits of a bucket: rates are full, and a quota begins its period again. Under the same `key` it counts
    /// once, as [`Repository::top_up`] does. Nothing happens without a bucket, which starts full anyway.
    ///
    /// Leases from before settle as always, but for what they give back to a quota: that belongs to a period which is
    /// over.
    ///
    /// Not cancel safe, but repeatable under the same key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{
    ///     Cost, Limit, RateLimiter, Repository,
    ///     operation::{OperationKey, ResetLimits},
    /// };
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_system_defaults(Limit::per_hour("rph", 10)?).await?;
    /// let limiter = RateLimiter::new(repository.clone());
    /// limiter.acquire("user-1", "gpt-4", Cost::of("rph", 10)).await?.commit().await?;
    /// let report = repository.reset_bucket("user-1", "gpt-4", &ResetLimits::All, &OperationKey::draw()).await?;
    /// assert_eq!((report.shards, report.amounts["rph"]), (1, 10));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Repository::top_up`].
    pub async fn reset_bucket(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        limits: &ResetLimits,
        key: &OperationKey,
    ) -> Result<OperationReport, RepositoryError> {
        let (entity, resource) = (&entity.into_name()?, &resource.into_name()?);
        self.operate(entity, resource, key, &Asked::reset(limits)?).await
    }

    /// Carries out what is asked, unless it was before.
    ///
    /// All that an operation changes is one transaction with its record, which must not be there yet. So whatever else
    /// fails, before or after, the record tells if it was carried out.
    async fn operate(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
        key: &OperationKey,
        asked: &Asked,
    ) -> Result<OperationReport, RepositoryError> {
        let writer = format!("{:024x}", rand::random::<u128>() >> 32);
        let meta_key = Key::new(keys::pk_entity(self.ns(), entity.as_str()), keys::sk_meta());
        let mut failed = None;
        for attempt in 0..=TRIES {
            if attempt > 0 {
                let most = PAUSE_MS << attempt;
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..=most))).await;
            }
            let meta = self.store().get(&meta_key, Consistency::Strong).await?;
            let incarnation = operation::incarnation(meta.as_ref());
            let call = Call { entity, resource, key, asked, writer: &writer, meta, incarnation };
            let known = self.reported(&call).await?;
            let report = match known {
                Some(report) => Ok(Some(report)),
                None if attempt == TRIES || failed.is_some() => break,
                None => self.attempt(&call).await,
            };
            match report {
                Ok(Some(report)) => {
                    // Whoever was refused from memory is to ask again.
                    self.forget_limits_of(entity);
                    return Ok(report);
                }
                Ok(None) => {}
                // An answer that was lost may have been a yes: the record knows.
                Err(error @ RepositoryError::Store(_)) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(busy))
    }

    /// The result under the same key, if there is one.
    async fn reported(&self, call: &Call<'_>) -> Result<Option<OperationReport>, RepositoryError> {
        let key = operation::key(self.ns(), call.entity, call.resource, call.key.as_str());
        let item = self.store().get(&key, Consistency::Strong).await?;
        let Some(found) = item.and_then(|item| operation::found(&item, &call.incarnation)) else { return Ok(None) };
        if !found.is_of(call.asked) {
            let reason = ValidationReason::Other("was used for another operation: take another key".to_owned());
            return Err(ValidationError::new("idempotency_key", call.key.as_str(), reason).into());
        }
        Ok(Some(call.report(found.shards, found.amounts)))
    }
}

/// The error of an operation that others kept overtaking.
fn busy() -> RepositoryError {
    let problem = "others keep changing this bucket; repeat the operation under the same key";
    StoreError::new("TransactWriteItems", StoreErrorKind::NotApplied, problem).into()
}
