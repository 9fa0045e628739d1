//! Explains a decision before it is made.
//!
//! Reads the levels and the buckets as they are now, bypassing every cache, and decides as an acquire would: disabled
//! before unsupported before missing limits, the entity before its parent, never before not yet. Nothing is taken or
//! guaranteed: other processes may take the tokens before the result is used.

use std::time::Duration;

use crate::{
    bucket::{
        MILLI,
        kind::{AppliedLimit, Enforcement},
    },
    error::{AcquireError, Disabled, DisabledLevel, RepositoryError},
    limiter::{RateLimiter, balances},
    model::{
        cost::Cost,
        explain::{ConfiguredLevel, ExplainedBucket, Explanation, LimitsLevel, Verdict},
        limit::Limits,
        name::{EntityId, IntoName, LimitName, ResourceName},
        status::LimitStatus,
    },
    repository::resolution::{ConfigSource, Resolution},
    wire::config::StoredConfig,
};

impl From<ConfigSource> for LimitsLevel {
    fn from(source: ConfigSource) -> Self {
        match source {
            ConfigSource::Entity => Self::Entity,
            ConfigSource::EntityDefault => Self::EntityDefault,
            ConfigSource::Resource => Self::Resource,
            ConfigSource::System => Self::System,
        }
    }
}

impl RateLimiter {
    /// Explains the outcome that an acquire of `cost` by `entity` would have now: the limits that apply, their level,
    /// their balances, and the verdict; the same for the parent if the entity cascades.
    ///
    /// Takes nothing. Makes two to four reads per bucket, strongly consistent except for the bucket itself;
    /// configuration cached by this process is dropped first, so that the result reflects the stored state.
    ///
    /// Cancel safe: it only reads, and the next acquire reads the dropped configuration again.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository, explain::Verdict};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.set_resource_defaults("gpt-4", Limit::per_minute("rpm", 10)?).await?;
    /// let limiter = RateLimiter::new(repository);
    /// let explanation = limiter.explain("key-1", "gpt-4", &Cost::of("rpm", 11)).await?;
    /// println!("{explanation:?}"); // which limits apply, from which level, and what they hold
    /// assert_eq!(explanation.verdict, Verdict::Never); // eleven never fit in ten
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AcquireError::Invalid`] if the cost names a limit that does not apply, [`AcquireError::Repository`] if the
    /// table could not be read. Everything else is a [`Verdict`].
    pub async fn explain(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        cost: &Cost,
    ) -> Result<Explanation, AcquireError> {
        let (entity, resource) = (entity.into_name()?, resource.into_name()?);
        cost.check()?;
        let repository = &self.inner.repository;
        repository.forget_limits_of(&entity);
        let mut buckets = Vec::new();
        let resolved = repository.resolve(&entity, &resource).await.map_err(AcquireError::Repository)?.resolution;
        let limits = self.limits_of(&resolved);
        let resolved_cost = limits.map(|limits| cost.resolve(&limits)).transpose();
        let (asked, invalid) = match resolved_cost {
            Ok(asked) => (asked.unwrap_or_default(), None),
            Err(invalid) => (Default::default(), Some(invalid)),
        };
        let (child, verdict) = self.explained(&entity, &resource, &resolved, &asked).await?;
        buckets.push(child);
        let mut verdicts = vec![verdict];
        if let Some(parent) = resolved.owner.charged() {
            let parent = &EntityId::new(&**parent)?;
            repository.forget_limits_of(parent);
            let resolved = repository.resolve(parent, &resource).await.map_err(AcquireError::Repository)?.resolution;
            let (above, verdict) = self.explained(parent, &resource, &resolved, &asked).await?;
            buckets.push(above);
            verdicts.push(verdict);
        }
        let verdict = strongest(verdicts);
        // Reports that an entity is disabled or unsupported even if the cost is invalid.
        match invalid.filter(|_| matches!(verdict, Verdict::Passes | Verdict::NotYet { .. } | Verdict::Never)) {
            Some(invalid) => Err(invalid.into()),
            None => Ok(Explanation { verdict, buckets }),
        }
    }

    /// Returns the limits that apply: the stored ones, otherwise the limiter's own.
    fn limits_of(&self, resolved: &Resolution) -> Option<Limits> {
        resolved.limits.clone().or_else(|| self.inner.default_limits.clone())
    }

    /// Explains one bucket: its levels, the limits that apply, and what they hold.
    async fn explained(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
        resolved: &Resolution,
        asked: &[(LimitName, u64)],
    ) -> Result<(ExplainedBucket, Verdict), AcquireError> {
        let repository = &self.inner.repository;
        let stored = repository.levels(entity, resource).await;
        let stored = stored.map_err(|error| AcquireError::Repository(error.into()))?;
        let mut bucket = ExplainedBucket {
            entity_id: entity.clone(),
            resource: resource.clone(),
            levels: stored.into_iter().map(configured).collect(),
            applies: resolved.source.map(LimitsLevel::from),
            limits: Vec::new(),
        };
        let disabled = |level| Verdict::Disabled { entity_id: entity.clone(), level };
        if let Some(level) = resolved.disabled {
            return Ok((bucket, disabled(level)));
        }
        if let Some(unsupported) = &resolved.unsupported {
            return Ok((bucket, Verdict::Unsupported { reason: unsupported.to_string() }));
        }
        let Some(limits) = self.limits_of(resolved) else {
            return Ok((bucket, Verdict::NoLimits { entity_id: entity.clone() }));
        };
        let balances = match balances::read(repository, entity, resource, &limits).await {
            Ok(balances) => balances,
            Err(RepositoryError::Unsupported(reason)) => {
                return Ok((bucket, Verdict::Unsupported { reason: reason.to_string() }));
            }
            Err(RepositoryError::Disabled(Disabled { level, .. })) => return Ok((bucket, disabled(level))),
            Err(error) => return Err(AcquireError::Repository(error.into())),
        };
        let requested =
            |name: &LimitName| asked.iter().find(|(asked, _)| asked == name).map_or(0, |(_, tokens)| *tokens);
        for (limit, balance) in limits.iter().zip(&balances) {
            let enforcement = if resolved.bypassed { Enforcement::Bypassed } else { Enforcement::of(limit) };
            let requested = requested(limit.name());
            bucket.limits.push(balances::status((entity, resource), limit, balance, requested, enforcement));
        }
        let verdict = if resolved.bypassed { Verdict::Passes } else { judged(&bucket.limits) };
        Ok((bucket, verdict))
    }
}

/// Turns a stored level into the public form.
fn configured((source, config): (ConfigSource, StoredConfig)) -> ConfiguredLevel {
    ConfiguredLevel {
        level: source.into(),
        limits: config.limits,
        access: config.access.set(),
        unsupported: config.unsupported.map(|unsupported| unsupported.attribute),
    }
}

/// Derives the verdict from the statuses of a bucket's limits.
fn judged(limits: &[LimitStatus]) -> Verdict {
    let never = |status: &LimitStatus| {
        let amount = i64::try_from(status.requested).unwrap_or(i64::MAX).saturating_mul(MILLI);
        AppliedLimit::from(&status.limit).never_lets_pass(amount)
    };
    if limits.iter().any(never) {
        return Verdict::Never;
    }
    match limits.iter().map(|status| status.retry_after).max() {
        Some(retry_after) if retry_after > Duration::ZERO => Verdict::NotYet { retry_after },
        _ => Verdict::Passes,
    }
}

/// Derives the verdict of an acquire from those of its buckets.
fn strongest(verdicts: Vec<Verdict>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Disabled { level: DisabledLevel::Bucket, .. } => 2,
        Verdict::Disabled { .. } | Verdict::Unsupported { .. } | Verdict::NoLimits { .. } => 4,
        Verdict::Never => 3,
        Verdict::NotYet { .. } => 1,
        Verdict::Passes => 0,
    };
    let wait = |verdict: &Verdict| match verdict {
        Verdict::NotYet { retry_after } => *retry_after,
        _ => Duration::ZERO,
    };
    let mut strongest = Verdict::Passes;
    for verdict in verdicts {
        if (rank(&verdict), wait(&verdict)) > (rank(&strongest), wait(&strongest)) {
            strongest = verdict;
        }
    }
    strongest
}
