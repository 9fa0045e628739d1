//! The meaning of an acquire: the limits that apply, and the lanes of the buckets that they are kept in.
//!
//! The repository says what is stored; the request and the limiter add what they override. The order is: limits of the
//! call, else stored ones, else defaults of the call, else the limiter's. From them follow the stored units, the
//! bucket's lifetime, and the lane.
//!
//! | limits come from | the bucket is kept |
//! |---|---|
//! | the entity's own record for the resource | for ever |
//! | any level above it, or defaults, or the call | a multiple of the time to fill |
//! | anywhere, with a multiplier of 0 | as it is |
//!
//! A bucket that was read along with the limits becomes the lane's image if the lane has none. It may plan a write, and
//! never refuse: the read is eventually consistent.
//!
//! A parent's own parent is not followed. Three buckets would make an acquire three round trips deep in its refunds,
//! and the Python package charges two.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    bucket::{key::BucketKey, limit_set::LimitSet, owner::Owner},
    engine::{
        acquire::denied::Denied,
        lane::{lanes::Lanes, target::Target},
    },
    error::{AcquireError, Disabled},
    model::{
        cost::Cost,
        limit::Limits,
        name::{EntityId, ResourceName},
        reserve::{Exactness, Reserve},
        status::OnUnavailable,
    },
    repository::{Repository, validity::ResolutionValidity},
    wire,
};

/// The request of an acquire.
#[derive(Clone, Debug)]
pub(crate) struct AcquireSpec {
    /// The entity that asks.
    pub(crate) entity: EntityId,
    /// The resource that it asks for.
    pub(crate) resource: ResourceName,
    /// The amounts, checked already.
    pub(crate) cost: Cost,
    /// Limits that the caller gave.
    pub(crate) said: Overrides,
    /// Tells which buckets may be granted from a reserve.
    pub(crate) reserve: Reserve,
    /// Sets the policy for when the store cannot be asked; `None` for the stored policy.
    pub(crate) on_unavailable: Option<OnUnavailable>,
    /// When the caller stops waiting.
    pub(crate) deadline: Instant,
}

/// The result of resolving.
#[derive(Debug)]
pub(crate) struct ResolvedTargets {
    /// The entity's own bucket.
    pub(crate) child: Arc<Target>,
    /// The parent's, if the entity cascades.
    pub(crate) parent: Option<Arc<Target>>,
    /// Until when it may be believed.
    pub(crate) validity: ResolutionValidity,
    /// The caller's overrides of limits.
    said: Overrides,
}

/// An acquire's overrides of limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// Replace the stored limits, for the entity and its parent.
    pub(crate) limits: Option<Limits>,
    /// Hold where nothing is stored.
    pub(crate) default_limits: Option<Limits>,
}

impl ResolvedTargets {
    /// Returns true while it can still be believed.
    pub(crate) fn still_holds(&self, repository: &Repository, now: Instant) -> bool {
        let entities = std::iter::once(&self.child).chain(&self.parent).map(|target| target.entity());
        repository.still_holds(&self.validity, entities, now)
    }

    /// Makes the next acquires of the entities involved read their limits again.
    pub(crate) fn forget(&self, repository: &Repository) {
        for target in std::iter::once(&self.child).chain(&self.parent) {
            repository.forget_limits_of(target.entity());
        }
    }

    /// The same question, for taking `cost` more.
    pub(crate) fn wish(&self, cost: Cost, deadline: Instant) -> AcquireSpec {
        let (entity, resource) = (self.child.entity().clone(), self.child.resource().clone());
        AcquireSpec {
            entity,
            resource,
            cost,
            said: self.said.clone(),
            reserve: Reserve::Off,
            on_unavailable: None,
            deadline,
        }
    }

    /// Child before parent, each with the way it is to be asked.
    pub(crate) fn targets(&self, reserve: Reserve) -> impl Iterator<Item = (&Arc<Target>, Exactness)> {
        let parent = self.parent.as_ref().map(|target| (target, reserve.parent()));
        let all = std::iter::once((&self.child, reserve.child())).chain(parent);
        // Under a bypass nothing is debited, and so nothing ahead.
        all.map(|(target, exactness)| (target, if target.limit_set().bypassed { Exactness::Strict } else { exactness }))
    }
}

/// Finds the limits of the entity and, if it cascades, of its parent.
pub(crate) async fn resolve(
    repository: &Repository,
    lanes: &Lanes,
    wish: &AcquireSpec,
) -> Result<ResolvedTargets, Denied> {
    let (child, owner, mut validity) = target(repository, lanes, wish, &wish.entity).await?;
    let parent = match owner.charged() {
        // Two targets, never three: the parent's own cascade is not followed.
        Some(parent) => {
            let parent = EntityId::new(&**parent)?;
            let (parent, above, also) = target(repository, lanes, wish, &parent).await?;
            if let Some(grandparent) = above.charged() {
                lanes.warn_of_third_level(&wish.entity, parent.entity(), grandparent);
            }
            validity = validity.and(&also);
            Some(parent)
        }
        None => None,
    };
    Ok(ResolvedTargets { child, parent, validity, said: wish.said.clone() })
}

/// Finds limits and lane of one entity, with its owner's facts.
async fn target(
    repository: &Repository,
    lanes: &Lanes,
    wish: &AcquireSpec,
    entity: &EntityId,
) -> Result<(Arc<Target>, Owner, ResolutionValidity), Denied> {
    let resolved = repository.resolve(entity, &wish.resource).await?;
    let resolution = resolved.resolution;
    if let Some(level) = resolution.disabled {
        if resolved.bucket.is_some_and(|bucket| !wire::switch::is_off(&bucket)) {
            // Writes of other clients look at the bucket alone.
            repository.check_switch(entity, &wish.resource).await;
        }
        let (entity, resource) = (entity.clone(), wish.resource.clone());
        return Err(AcquireError::from(Disabled { entity, resource, level }).into());
    }
    if let Some(unsupported) = &resolution.unsupported {
        return Err(AcquireError::from(unsupported.clone()).into());
    }
    let stored = resolution.limits.as_ref().filter(|_| wish.said.limits.is_none());
    let limits = wish.said.limits.as_ref().or(stored).or(wish.said.default_limits.as_ref());
    let Some(limits) = limits.cloned() else {
        let (entity, resource) = (entity.clone(), wish.resource.clone());
        return Err(AcquireError::NoLimits { entity, resource }.into());
    };
    if wish.said.limits.as_ref().is_some_and(|own| own.iter().any(|limit| limit.session().is_some())) {
        repository.check_session_quotas().await?;
    }
    let lifetime = repository.lifetime(stored.and(resolution.source), &limits);
    let owner = resolution.owner.clone();
    let lane = lanes.lane(BucketKey { entity: entity.clone(), resource: wish.resource.clone(), shard: 0 });
    let limit_set = LimitSet::new(limits, lifetime, owner.clone());
    let limit_set = if resolution.bypassed { limit_set.bypassed() } else { limit_set };
    let limit_set = lane.intern(lanes.intern(limit_set));
    if let Some(image) = resolved.bucket.map(|item| wire::bucket::decode(&item)).transpose()?.flatten() {
        let shards = image.shards();
        if lane.offer(image) {
            lanes.distrust_shards(&lane.key, shards);
        }
    }
    let target = Target::new(limit_set, lane, resolved.read_at);
    // Limits that a caller brings itself do not apply to others.
    let target = if stored.is_some() { target.configured() } else { target };
    Ok((Arc::new(target), owner, resolved.validity))
}
