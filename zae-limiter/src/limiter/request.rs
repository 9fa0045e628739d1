//! One acquire with all its options: [`Acquire`].
//!
//! A builder that needs no `build`: [`Acquire::new`] validates names, everything else is valid by its type, and the
//! cost is checked on use. Omitted options default to the limiter's, so a request only specifies its peculiarities.

use std::time::Duration;

use crate::{
    error::{ValidationError, ValidationReason},
    model::{
        cost::Cost,
        limit::Limits,
        name::{EntityId, IntoName, ResourceName},
        reserve::Reserve,
        status::OnUnavailable,
    },
};

/// The most resources that one acquire may take from.
pub const MAX_RESOURCES: usize = 16;

/// One acquire with all its options.
///
/// ```
/// use std::time::Duration;
/// use zae_limiter::{Acquire, Cost, OnUnavailable};
/// let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1))?
///     .deadline(Duration::from_millis(100))
///     .on_unavailable(OnUnavailable::Allow);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
///
/// It is `Clone`; acquiring twice with the same value takes twice.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "nothing is taken until `RateLimiter::acquire_with` is given the request"]
pub struct Acquire {
    /// The entity to limit.
    pub(super) entity: EntityId,
    /// The requested resource.
    pub(super) resource: ResourceName,
    /// The amount to take, not yet validated.
    pub(super) cost: Cost,
    /// Further resources, each with the amount to take from it.
    pub(super) also: Vec<(ResourceName, Cost)>,
    /// Limits of this call alone, instead of stored ones.
    pub(super) limits: Option<Limits>,
    /// Limits to use if none are stored; `None` for the limiter's own.
    pub(super) default_limits: Option<Limits>,
    /// The policy for outages; `None` for the limiter's own or the stored one.
    pub(super) on_unavailable: Option<OnUnavailable>,
    /// The setting for tokens debited ahead; `None` for the limiter's own.
    pub(super) reserve: Option<Reserve>,
    /// Maximum duration; `None` for the limiter's own.
    pub(super) deadline: Option<Duration>,
}

impl Acquire {
    /// Creates a request for `cost` from the buckets of `entity` for `resource`.
    ///
    /// # Errors
    /// [`ValidationError`] if the entity's id or the resource's name is invalid.
    pub fn new(
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        cost: Cost,
    ) -> Result<Self, ValidationError> {
        Ok(Self::of(entity.into_name()?, resource.into_name()?, cost))
    }

    /// Creates a request with names that are valid: in place, where a `Result` would be moved once more.
    #[inline]
    pub(super) fn of(entity: EntityId, resource: ResourceName, cost: Cost) -> Self {
        Self {
            entity,
            resource,
            cost,
            also: Vec::new(),
            limits: None,
            default_limits: None,
            on_unavailable: None,
            reserve: None,
            deadline: None,
        }
    }

    /// Returns the entity to limit.
    pub fn entity(&self) -> &EntityId {
        &self.entity
    }

    /// Returns the requested resource.
    pub fn resource(&self) -> &ResourceName {
        &self.resource
    }

    /// Takes `cost` from the entity's buckets for `resource` too: from all resources of the request, or from none.
    ///
    /// The lease then has a part for each resource ([`Lease::part`](crate::Lease::part)), and is settled as a whole.
    /// For a call that uses several things at once, such as a model and a search index. No reserve is used.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Acquire, Cost, Limit, Limits, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_resource_defaults("gpt-4", Limit::per_minute("tpm", 10_000)?).await?;
    /// repository.set_resource_defaults("search", Limit::per_minute("rpm", 5)?).await?;
    /// let limiter = RateLimiter::new(repository);
    /// let request = Acquire::new("key-1", "gpt-4", Cost::of("tpm", 800))?.also("search", Cost::of("rpm", 1))?;
    /// let lease = limiter.acquire_with(request).await?;
    /// lease.adjust("tpm", 120)?; // of the model
    /// assert_eq!(lease.part("search").map(|part| part.consumed()["rpm"]), Some(1));
    /// lease.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ValidationError`] on `also` if the request has this resource already, or [`MAX_RESOURCES`] others; on
    /// `resource` if the name is invalid. With [`limits`](Acquire::limits), the acquire fails.
    pub fn also(mut self, resource: impl IntoName<ResourceName>, cost: Cost) -> Result<Self, ValidationError> {
        let resource = resource.into_name()?;
        let fail = |reason| Err(ValidationError::new("also", resource.as_str(), reason));
        if resource == self.resource || self.also.iter().any(|(other, _)| *other == resource) {
            return fail(ValidationReason::Duplicate);
        }
        if self.also.len() + 1 >= MAX_RESOURCES {
            return fail(ValidationReason::TooMany { max: MAX_RESOURCES });
        }
        self.also.push((resource, cost));
        Ok(self)
    }

    /// Checks everything that can be wrong about it.
    pub(super) fn check(&self) -> Result<(), ValidationError> {
        self.cost.check()?;
        self.also.iter().try_for_each(|(_, cost)| cost.check())?;
        if self.also.is_empty() || self.limits.is_none() {
            return Ok(());
        }
        let reason = "several resources have limits of their own: leave `limits` out";
        Err(ValidationError::new("also", self.also[0].0.as_str(), ValidationReason::Other(reason.to_owned())))
    }

    /// Splits it into one request for each resource, its own first.
    pub(super) fn parts(mut self) -> impl Iterator<Item = Self> {
        let also = std::mem::take(&mut self.also);
        let first = self.clone();
        let others = also.into_iter().map(move |(resource, cost)| Self { resource, cost, ..self.clone() });
        std::iter::once(first).chain(others)
    }

    /// Sets limits for this call, replacing the stored ones, for the entity and its parent.
    ///
    /// The buckets are updated to them: their parameters are written with this acquire. Use the same limits for every
    /// call with the same entity and resource; two callers with different limits would keep rewriting each other's, a
    /// write each time, and neither would be granted from memory. Limits that rarely change belong in the table. Such a
    /// call uses neither the cache of limits nor a reserve.
    pub fn limits(mut self, limits: impl Into<Limits>) -> Self {
        self.limits = Some(limits.into());
        self
    }

    /// Sets limits to use if none are stored; they take precedence over the limiter's own defaults.
    pub fn default_limits(mut self, limits: impl Into<Limits>) -> Self {
        self.default_limits = Some(limits.into());
        self
    }

    /// Sets the policy for when DynamoDB is unreachable, overriding the limiter's own and the stored one.
    pub fn on_unavailable(mut self, policy: OnUnavailable) -> Self {
        self.on_unavailable = Some(policy);
        self
    }

    /// Selects if tokens debited ahead of use may be granted, overriding the limiter's own setting. With
    /// [`Reserve::Off`] the table decides, whatever other calls on the same bucket hold.
    pub fn reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = Some(reserve);
        self
    }

    /// Bounds its duration, including resolving its limits; overrides the limiter's own deadline, shorter or longer. If
    /// the limits have to be read, the client's own timeouts apply too.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}
