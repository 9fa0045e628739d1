//! Queries that take nothing: the limits that apply, the available tokens, and the time until a cost fits.
//!
//! [`limits_for`](RateLimiter::limits_for) reads through the cache of limits. The other two read the bucket's items,
//! eventually consistent, at half a read unit each, and are not cached: they are for dashboards and scripts. To decide
//! about a call, acquire; the result of a query may already be outdated.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    error::AcquireError,
    limiter::{RateLimiter, balances},
    model::{
        availability::Availability,
        cost::Cost,
        limit::Limits,
        name::{EntityId, IntoName, LimitName, ResourceName},
    },
};

impl RateLimiter {
    /// Returns the limits that apply to `entity` and `resource`, from the four levels; `None` if nothing is stored.
    ///
    /// Cancel safe: it only reads.
    ///
    /// The first level that has any applies: the entity on this resource, the entity's default, the resource's default,
    /// the system's, and then the limiter's own [`default_limits`](crate::RateLimiterBuilder::default_limits). Levels
    /// are not merged. Results come from the cache that acquires use, so they may be a minute old after a change made
    /// elsewhere.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, Limit, RateLimiter, Repository, ResourceName};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_system_defaults(Limit::per_minute("rpm", 10)?).await?;
    /// let limiter = RateLimiter::new(repository);
    /// let limits = limiter.limits_for(&EntityId::new("key-1")?, &ResourceName::new("api")?).await?;
    /// assert_eq!(limits.map(|limits| limits.iter().count()), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AcquireError::Repository`] if the table could not be read, [`AcquireError::Unsupported`] if the configuration
    /// uses a feature of newer clients.
    pub async fn limits_for(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
    ) -> Result<Option<Limits>, AcquireError> {
        let (entity, resource) = (&entity.into_name()?, &resource.into_name()?);
        let resolved = self.inner.repository.resolve(entity, resource).await;
        let resolution = resolved.map_err(AcquireError::Repository)?.resolution;
        match &resolution.unsupported {
            Some(unsupported) => Err(unsupported.clone().into()),
            None => Ok(resolution.limits.clone().or_else(|| self.inner.default_limits.clone())),
        }
    }

    /// Returns the whole tokens that `entity` could take from each limit now; negative in debt. A bucket that does not
    /// exist yet is full. Parents are ignored.
    ///
    /// A sharded bucket is read shard by shard and summed up. Cancel-safe, because it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 10)?).build();
    /// limiter.acquire("key-1", "api", Cost::of("rpm", 3)).await?.commit().await?;
    /// assert_eq!(limiter.available("key-1", "api").await?["rpm"], 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AcquireError::NoLimits`] if none apply, [`AcquireError::Repository`] if the table could not be read.
    pub async fn available(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
    ) -> Result<BTreeMap<LimitName, i64>, AcquireError> {
        let (entity, resource) = (&entity.into_name()?, &resource.into_name()?);
        // Boxed, so that callers who await this a few futures deep stay below the compiler's bound on type depth.
        let found = Box::pin(balances::balances(self, entity, resource)).await?;
        Ok(found.balances.into_iter().map(|balance| (balance.name.clone(), balance.available())).collect())
    }

    /// Returns the time until `cost` would fit if no other call takes tokens; zero if it fits now.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use zae_limiter::{Cost, EntityId, Limit, RateLimiter, Repository, ResourceName};
    ///
    /// let repository = Repository::embedded().await?;
    /// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 10)?).build();
    /// let (key, api) = (EntityId::new("key-1")?, ResourceName::new("api")?);
    /// assert_eq!(limiter.time_until_available(&key, &api, &Cost::of("rpm", 10)).await?, Duration::ZERO);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`available`](RateLimiter::available); [`AcquireError::Invalid`] if the cost names a limit that does not
    /// apply.
    pub async fn time_until_available(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        cost: &Cost,
    ) -> Result<Duration, AcquireError> {
        let (entity, resource) = (&entity.into_name()?, &resource.into_name()?);
        let found = balances::balances(self, entity, resource).await?;
        Ok(balances::wait(&found.limits, &found.balances, cost)?)
    }

    /// Returns every limit's status for `cost`, without taking anything: what an acquire would find in the entity's own
    /// bucket.
    ///
    /// Reads as [`available`](RateLimiter::available) does and writes nothing, so other calls may take the tokens
    /// before the result is used. Parents are ignored; [`explain`](RateLimiter::explain) looks at them too.
    ///
    /// Cancel safe: it only reads. See [`Availability`] for an example.
    ///
    /// # Errors
    /// As [`available`](RateLimiter::available); [`AcquireError::Invalid`] if the cost names a limit that does not
    /// apply.
    pub async fn check_availability(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        cost: &Cost,
    ) -> Result<Availability, AcquireError> {
        let (entity, resource) = (entity.into_name()?, resource.into_name()?);
        cost.check()?;
        let found = Box::pin(balances::balances(self, &entity, &resource)).await?;
        Ok(found.availability(entity, resource, cost)?)
    }
}
