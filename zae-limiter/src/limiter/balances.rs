//! Reads buckets without taking tokens.
//!
//! A bucket that does not exist counts as full. For a sharded bucket, the available tokens are the sum over its shards,
//! and the wait is that of the best shard, because one acquire takes from a single shard. Nothing is cached or
//! guaranteed: other processes may take the tokens before the result is used.

use std::time::{Duration, SystemTime};

use crate::{
    bucket::{
        MILLI,
        image::{Balance, Image},
        kind::{Enforcement, Kind},
        quota::grant,
    },
    error::{AcquireError, Disabled, DisabledLevel, RepositoryError, ValidationError},
    limiter::RateLimiter,
    model::{
        availability::Availability,
        cost::Cost,
        limit::{Limit, Limits},
        name::{EntityId, LimitName, ResourceName},
        status::{LimitStatus, instant},
    },
    wire,
};

/// The balance of one limit over all shards of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct LimitBalance {
    /// The limit.
    pub(crate) name: LimitName,
    /// One balance per shard, in order.
    shards: Vec<Balance>,
    /// When they were computed, in epoch ms.
    at: i64,
}

impl LimitBalance {
    /// Returns the whole tokens in all shards.
    pub(crate) fn available(&self) -> i64 {
        self.shards.iter().fold(0_i64, |sum, shard| sum.saturating_add(shard.tokens)).div_euclid(MILLI)
    }

    /// When the first shard of a quota is restored, in epoch ms.
    pub(super) fn resets_at(&self) -> Option<i64> {
        self.shards.iter().filter_map(|shard| shard.resets_at(self.at)).min()
    }

    /// Returns true if a shard can hold `needed` tokens at some time.
    fn can_hold(&self, needed: u64) -> bool {
        let amount = i64::try_from(needed).unwrap_or(i64::MAX).saturating_mul(MILLI);
        self.shards.iter().any(|shard| shard.highest() >= amount)
    }

    /// Ms until the first shard has `needed` tokens.
    pub(super) fn wait(&self, needed: u64) -> u128 {
        let amount = i64::try_from(needed).unwrap_or(i64::MAX).saturating_mul(MILLI);
        self.shards.iter().map(|shard| shard.wait_ms(amount)).min().unwrap_or(0)
    }
}

/// The balances of an entity's bucket, and what applies to it.
pub(crate) struct BucketBalances {
    /// The limits that apply.
    pub(super) limits: Limits,
    /// Their balances, in the same order.
    pub(super) balances: Vec<LimitBalance>,
    /// True if an operator lets everything through.
    pub(super) bypassed: bool,
}

/// Reads the balances of an entity's bucket, with refill up to now.
///
/// Takes nothing and caches nothing. A disabled entity, resource or bucket is an error, as for an acquire, because the
/// remaining tokens are irrelevant.
pub(crate) async fn balances(
    limiter: &RateLimiter,
    entity: &EntityId,
    resource: &ResourceName,
) -> Result<BucketBalances, AcquireError> {
    let repository = limiter.repository();
    let resolution = repository.resolve(entity, resource).await.map_err(AcquireError::Repository)?.resolution;
    if let Some(level) = resolution.disabled {
        return Err(Disabled { entity: entity.clone(), resource: resource.clone(), level }.into());
    }
    let bypassed = resolution.bypassed;
    let limits = limiter.limits_for(entity, resource).await?;
    let none = || AcquireError::NoLimits { entity: entity.clone(), resource: resource.clone() };
    let limits = limits.ok_or_else(none)?;
    match read(repository, entity, resource, &limits).await {
        Ok(balances) => Ok(BucketBalances { limits, balances, bypassed }),
        Err(RepositoryError::Unsupported(unsupported)) => Err(unsupported.into()),
        Err(RepositoryError::Disabled(disabled)) => Err(disabled.into()),
        Err(other) => Err(AcquireError::Repository(other.into())),
    }
}

/// Reads shard 0, which stores the number of shards, and then the others, one by one.
pub(super) async fn read(
    repository: &crate::repository::Repository,
    entity: &EntityId,
    resource: &ResourceName,
    limits: &Limits,
) -> Result<Vec<LimitBalance>, RepositoryError> {
    let now = repository.clock().now_ms();
    let mut images: Vec<Option<Image>> = Vec::new();
    let (mut shard, mut shards) = (0, 1);
    while shard < shards {
        let item = repository.bucket_item(entity, resource, shard).await?;
        let image = item.map(|item| wire::bucket::decode(&item)).transpose()?.flatten();
        if image.as_ref().is_some_and(|image| image.disabled) {
            let (entity, resource) = (entity.clone(), resource.clone());
            return Err(Disabled { entity, resource, level: DisabledLevel::Bucket }.into());
        }
        if shard == 0 {
            shards = image.as_ref().map_or(1, Image::shards);
        }
        images.push(image);
        shard += 1;
    }
    Ok(limits.iter().map(|limit| of_limit(limit, &images, shards, now)).collect())
}

/// The balance of one limit in the shards of a bucket, as they were read.
fn of_limit(limit: &Limit, images: &[Option<Image>], shards: u32, now: i64) -> LimitBalance {
    let whole = Kind::from(limit);
    let share = whole.share(shards);
    let known = (0..).zip(images).filter_map(|(shard, image)| Some((shard, image.as_ref()?)));
    let siblings = grant::siblings(known, limit.name(), &whole, now);
    let balance = |(shard, image): (u32, &Option<Image>)| {
        let seen = image.as_ref().map(|image| {
            let stored = image.limit(limit.name().as_str());
            Balance::at(image, stored, &whole, shards, now)
        });
        seen.unwrap_or_else(|| {
            // A bucket that does not exist is full; a further shard of a rate that does not exist will start empty.
            let full = shard == 0 || whole.is_quota();
            let share_now = share.at(now).ceiling();
            let tokens = if full { grant::unclaimed(shard, share_now, &siblings) } else { 0 };
            Balance::opening(tokens, &share, now)
        })
    };
    LimitBalance { name: limit.name().clone(), shards: (0..).zip(images).map(balance).collect(), at: now }
}

/// Returns the status of a limit that `requested` whole tokens are asked of.
pub(super) fn status(
    (entity, resource): (&EntityId, &ResourceName),
    limit: &Limit,
    balance: &LimitBalance,
    requested: u64,
    enforcement: Enforcement,
) -> LimitStatus {
    let refuses = requested > 0 && enforcement == Enforcement::Hard;
    let wait = if refuses { in_time(balance.wait(requested)) } else { Duration::ZERO };
    LimitStatus {
        entity_id: entity.clone(),
        resource: resource.clone(),
        limit: limit.clone(),
        available: balance.available(),
        requested,
        exceeded: wait > Duration::ZERO,
        retry_after: wait,
        resets_at: balance.resets_at().and_then(instant),
    }
}

impl BucketBalances {
    /// Looks at them as an acquire of `cost` would.
    pub(super) fn availability(
        &self,
        entity: EntityId,
        resource: ResourceName,
        cost: &Cost,
    ) -> Result<Availability, ValidationError> {
        let cost = cost.resolve(&self.limits)?;
        let (mut statuses, mut never_fits) = (Vec::new(), false);
        for (limit, balance) in self.limits.iter().zip(&self.balances) {
            let requested = cost.iter().find(|(name, _)| name == limit.name()).map_or(0, |(_, tokens)| *tokens);
            let enforcement = if self.bypassed { Enforcement::Bypassed } else { Enforcement::of(limit) };
            never_fits |= enforcement == Enforcement::Hard && !balance.can_hold(requested);
            statuses.push(status((&entity, &resource), limit, balance, requested, enforcement));
        }
        let read_at = self.balances.first().and_then(|balance| instant(balance.at));
        let checked_at = read_at.unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Availability { entity_id: entity, resource, checked_at, statuses, is_bypassed: self.bypassed, never_fits })
    }
}

/// Returns the time until `cost` would fit.
pub(crate) fn wait(limits: &Limits, balances: &[LimitBalance], cost: &Cost) -> Result<Duration, ValidationError> {
    let cost = cost.resolve(limits)?;
    let waits = cost.iter().filter_map(|(name, tokens)| {
        let balance = balances.iter().find(|balance| balance.name == *name)?;
        let refuses = limits.get(name.as_str()).is_none_or(|limit| !limit.is_soft());
        refuses.then(|| balance.wait(*tokens))
    });
    Ok(in_time(waits.max().unwrap_or(0)))
}

/// Converts ms to a duration.
pub(super) fn in_time(ms: u128) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}
