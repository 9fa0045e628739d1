//! One acquire: resolve limits, ask child and parent buckets at once, take from both or from none.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::{
    ask::{Answer, Ask, Failure, Refusal},
    denied::{Denied, NotTaken, nothing},
    hold::Hold,
    image::{Image, Owner},
    lane::{FromStock, Lane},
    lanes::Lanes,
    plan::Lifetime,
    refuse::{self, Remembered},
    round::Terms,
    send::BucketKey,
    telemetry::{self, Refuser},
};
use crate::{
    bucket::{self, Amounts, MILLI, Params},
    error::{AcquireError, NeverFits, RateLimitExceeded, UnavailableReason},
    model::{
        cost::Cost,
        limit::Limits,
        name::{EntityId, LimitName, ResourceName},
        reserve::{Exactness, Reserve},
        status::{LimitStatus, OnUnavailable},
    },
    repository::{
        Repository,
        resolution::{ConfigSource, Validity},
    },
    wire,
};

/// What an acquire asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) entity: EntityId,
    pub(crate) resource: ResourceName,
    pub(crate) cost: Cost,
    pub(crate) said: Said,
    pub(crate) reserve: Reserve,
    /// What happens when the store cannot be asked, unless the stored policy is to say.
    pub(crate) on_unavailable: Option<OnUnavailable>,
    pub(crate) deadline: Instant,
}

/// The limits of one level and the bucket they are kept in.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    terms: Arc<Terms>,
    /// Of shard 0, where everybody asks unless a neighbour has sharded the bucket.
    lane: Arc<Lane>,
}

/// What resolving found.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) child: Level,
    pub(crate) parent: Option<Level>,
    /// Until when it may be believed.
    pub(crate) validity: Validity,
    /// What was said about limits by whoever asked.
    said: Said,
}

/// What an acquire says about limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Replace the stored limits, for the entity and its parent.
    pub(crate) limits: Option<Limits>,
    /// Hold where nothing is stored.
    pub(crate) default_limits: Option<Limits>,
}

impl Resolved {
    /// Whether it can still be believed.
    pub(crate) fn still_holds(&self, repository: &Repository) -> bool {
        let entities = std::iter::once(&self.child).chain(&self.parent).map(Level::entity);
        repository.still_holds(&self.validity, entities)
    }

    /// Makes the next acquires of those involved read their limits anew.
    pub(crate) fn forget(&self, repository: &Repository) {
        for level in std::iter::once(&self.child).chain(&self.parent) {
            repository.forget_limits_of(level.entity());
        }
    }

    /// The same question, for taking `cost` more.
    pub(crate) fn wish(&self, cost: Cost, deadline: Instant) -> Wish {
        let (entity, resource) = (self.child.entity().clone(), self.child.resource().clone());
        Wish { entity, resource, cost, said: self.said.clone(), reserve: Reserve::Off, on_unavailable: None, deadline }
    }

    /// Child before parent, each with the way it is to be asked.
    pub(crate) fn levels(&self, reserve: Reserve) -> impl Iterator<Item = (&Level, Exactness)> {
        let parent = self.parent.as_ref().map(|level| (level, reserve.parent()));
        std::iter::once((&self.child, reserve.child())).chain(parent)
    }
}

/// Finds the limits of the entity and, if it cascades, of its parent.
pub(crate) async fn resolve(repository: &Repository, lanes: &Lanes, wish: &Wish) -> Result<Resolved, Denied> {
    let (child, owner, mut validity) = level(repository, lanes, wish, &wish.entity).await?;
    let parent = match owner.parent.filter(|_| owner.cascade) {
        // Two levels, never three: the parent's own cascade is not followed.
        Some(parent) => {
            let parent = EntityId::new(&*parent)?;
            let (parent, _, also) = level(repository, lanes, wish, &parent).await?;
            validity = validity.and(&also);
            Some(parent)
        }
        None => None,
    };
    Ok(Resolved { child, parent, validity, said: wish.said.clone() })
}

async fn level(
    repository: &Repository,
    lanes: &Lanes,
    wish: &Wish,
    entity: &EntityId,
) -> Result<(Level, Owner, Validity), Denied> {
    let resolved = repository.resolve(entity, &wish.resource).await?;
    let resolution = resolved.resolution;
    if let Some(unsupported) = &resolution.unsupported {
        return Err(AcquireError::from(unsupported.clone()).into());
    }
    let stored = resolution.limits.as_ref().filter(|_| wish.said.limits.is_none());
    let limits = wish.said.limits.as_ref().or(stored).or(wish.said.default_limits.as_ref());
    let Some(limits) = limits.cloned() else {
        let (entity, resource) = (entity.clone(), wish.resource.clone());
        return Err(AcquireError::NoLimits { entity, resource }.into());
    };
    let lifetime =
        match (stored.and(resolution.source), bucket::ttl_seconds(&limits, repository.bucket_ttl_multiplier())) {
            (Some(ConfigSource::Entity), _) => Lifetime::Unlimited,
            (_, None) => Lifetime::AsIs,
            // A bucket that fills in no time is not worth removing (and the reference reads 0 as "keep").
            (_, Some(0)) => Lifetime::Unlimited,
            (_, Some(seconds)) => Lifetime::Seconds(seconds),
        };
    let owner =
        Owner { cascade: resolution.cascade, parent: resolution.parent.as_ref().map(|parent| parent.as_str().into()) };
    let lane = lanes.lane(BucketKey { entity: entity.clone(), resource: wish.resource.clone(), shard: 0 });
    let terms = lane.intern(lanes.intern(Terms::new(limits, lifetime, owner.clone())));
    if let Some(image) = resolved.bucket.as_ref().map(wire::bucket::decode).transpose()?.flatten() {
        lane.offer(image);
    }
    Ok((Level { terms, lane }, owner, resolved.validity))
}

impl Level {
    fn shard(&self, lanes: &Lanes, shard: u32) -> Arc<Lane> {
        if shard == 0 { Arc::clone(&self.lane) } else { lanes.lane(BucketKey { shard, ..self.lane.key.clone() }) }
    }

    pub(crate) fn entity(&self) -> &EntityId {
        &self.lane.key.entity
    }

    pub(crate) fn resource(&self) -> &ResourceName {
        &self.lane.key.resource
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    pub(crate) fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// The amounts in the order of the limits, in mt; names that this level does not limit are left out.
    pub(crate) fn amounts(&self, cost: &[(LimitName, u64)]) -> Amounts {
        let amount = |name: &LimitName| {
            let tokens = cost.iter().find(|(named, _)| named == name).map_or(0, |(_, tokens)| *tokens);
            i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MILLI)
        };
        self.terms.params.iter().map(|(name, _)| amount(name)).collect()
    }

    /// The amounts that `child` asks, in the order of this level's own limits; names that it does not limit are left out.
    pub(crate) fn amounts_like(&self, child: &Self, amounts: &[i64]) -> Amounts {
        if self.terms.limits.same(&child.terms.limits) {
            return amounts.into();
        }
        let asked = |name: &LimitName| {
            let index = child.terms.params.iter().position(|(known, _)| known == name);
            index.and_then(|index| amounts.get(index)).copied().unwrap_or(0)
        };
        self.terms.params.iter().map(|(name, _)| asked(name)).collect()
    }

    /// The limits whose capacity is smaller than what is asked.
    fn too_large(&self, amounts: &[i64]) -> Vec<LimitStatus> {
        let limits = self.terms.limits.iter().zip(amounts);
        let too_large = limits.filter(|(limit, amount)| **amount > Params::from(*limit).capacity);
        too_large
            .map(|(limit, amount)| LimitStatus {
                entity_id: self.entity().clone(),
                resource: self.resource().clone(),
                limit: limit.clone(),
                available: i64::try_from(limit.capacity()).unwrap_or(i64::MAX),
                requested: u64::try_from(amount / MILLI).unwrap_or(0),
                exceeded: true,
                retry_after: std::time::Duration::ZERO,
            })
            .collect()
    }

    /// Asks this level's bucket, shard after shard where a neighbour has sharded it.
    async fn ask(&self, lanes: &Lanes, amounts: &[i64], exactness: Exactness, deadline: Instant) -> Answer {
        let mut shards = self.lane.image().map_or(1, |image| image.shards());
        let start = if shards > 1 { rand::random_range(0..shards) } else { 0 };
        let mut best: Option<Refusal> = None;
        let mut tried = 0;
        while tried < shards {
            let shard = (start + tried) % shards;
            let first_shard = if shard > 0 { self.lane.image() } else { None };
            let asking = Asking { terms: &self.terms, exactness, shards, first_shard, deadline };
            match ask_lane(&self.shard(lanes, shard), amounts.into(), asking).await {
                Answer::Refused(refusal) => best = Some(sooner(best, refusal)),
                other => return other,
            }
            tried += 1;
            // What the bucket looked like before the first ask may be out of date.
            shards = shards.max(self.lane.image().map_or(1, |image| image.shards()));
        }
        best.map_or(Answer::Failed(Failure::Unavailable(UnavailableReason::StoreFailed, None)), Answer::Refused)
    }
}

/// How a lane is asked.
struct Asking<'a> {
    terms: &'a Arc<Terms>,
    exactness: Exactness,
    shards: u32,
    first_shard: Option<Arc<Image>>,
    deadline: Instant,
}

/// Puts one ask into a lane's queue and waits for the answer. Dropped before that, whatever was granted goes back.
async fn ask_lane(lane: &Arc<Lane>, amounts: Amounts, asking: Asking<'_>) -> Answer {
    let Asking { terms, exactness, shards, first_shard, deadline } = asking;
    let (reply, answer) = oneshot::channel();
    lane.submit(Ask { terms: Arc::clone(terms), amounts, exactness, shards, first_shard, deadline, reply });
    answer.await.unwrap_or(Answer::Failed(Failure::Unavailable(UnavailableReason::ShuttingDown, None)))
}

fn sooner(best: Option<Refusal>, other: Refusal) -> Refusal {
    let wait = |refusal: &Refusal| refusal.statuses.iter().map(|status| status.retry_after).max();
    match best {
        Some(best) if best.never == other.never && wait(&best) <= wait(&other) => best,
        Some(best) if other.never && !best.never => best,
        _ => other,
    }
}

/// One level of an acquire under way.
struct Part<'a> {
    level: &'a Level,
    exactness: Exactness,
    amounts: Amounts,
    /// What its stock gave.
    hold: Option<Hold>,
}

impl Part<'_> {
    async fn ask(self, lanes: &Lanes, deadline: Instant) -> Answer {
        match self.hold {
            Some(hold) => Answer::Granted(hold),
            None => self.level.ask(lanes, &self.amounts, self.exactness, deadline).await,
        }
    }
}

/// Takes from child and parent: from both, or from none once the refund of the other has settled.
pub(crate) async fn take(
    lanes: &Lanes,
    resolved: &Resolved,
    cost: &[(LimitName, u64)],
    reserve: Reserve,
    deadline: Instant,
) -> Result<Vec<Hold>, NotTaken> {
    let parts = resolved.levels(reserve).map(|(level, exactness)| {
        let amounts = level.amounts(cost);
        Part { level, exactness, amounts, hold: None }
    });
    let mut parts: Vec<Part<'_>> = parts.collect();
    // A parent that limits nothing of what is asked has nothing to say.
    parts.retain(|part| part.amounts.iter().any(|amount| *amount > 0));
    let too_large = parts.iter().flat_map(|part| part.level.too_large(&part.amounts)).collect();
    if let Some(never) = NeverFits::new(too_large) {
        return Err(Denied::from(AcquireError::from(never)).into());
    }
    for part in parts.iter_mut().filter(|part| part.exactness == Exactness::Reserved) {
        match part.level.lane.ask_stock(&part.level.terms, &part.amounts) {
            FromStock::Granted(hold) => part.hold = Some(hold),
            FromStock::Refused(refusal) => return Err(refused(refusal.by, refusal.statuses).into()),
            FromStock::Ask => {}
        }
    }
    if let Some(denied) = remembered_refusal(&parts) {
        return Err(denied.into());
    }
    let answers = match (parts.pop(), parts.pop()) {
        (Some(parent), Some(child)) => {
            // Boxed: two of them would make the future of those who ask one bucket large.
            let both = async { tokio::join!(child.ask(lanes, deadline), parent.ask(lanes, deadline)) };
            let (child, parent) = Box::pin(both).await;
            vec![child, parent]
        }
        (Some(only), None) => vec![only.ask(lanes, deadline).await],
        (None, _) => Vec::new(),
    };
    all_or_nothing(answers)
}

fn refused(by: Refuser, statuses: Vec<LimitStatus>) -> Denied {
    telemetry::refused(by);
    RateLimitExceeded::new(statuses).map_or_else(nothing, |exceeded| AcquireError::from(exceeded).into())
}

/// A no that needs no call: one of the levels was seen a moment ago and had too little. Then the other is not asked either.
fn remembered_refusal(parts: &[Part<'_>]) -> Option<Denied> {
    let asked = parts.iter().filter(|part| part.hold.is_none());
    let answers = asked.filter_map(|part| refuse::from_memory(&part.level.lane, &part.level.terms, &part.amounts));
    let statuses = answers.flat_map(|answer| match answer {
        Remembered::No(refusal) => refusal.statuses,
        Remembered::Perhaps(statuses) => statuses,
    });
    let statuses: Vec<LimitStatus> = statuses.collect();
    statuses.iter().any(|status| status.exceeded).then(|| refused(Refuser::Memory, statuses))
}

/// Takes more from buckets that a lease holds tokens of: from the same shards, or from none.
pub(crate) async fn take_more(
    holds: Vec<(Arc<Lane>, Arc<Terms>, Amounts)>,
    deadline: Instant,
) -> Result<Vec<Hold>, NotTaken> {
    let asks = holds.iter().map(|(lane, terms, amounts)| {
        let shards = lane.image().map_or(1, |image| image.shards());
        let asking = Asking { terms, exactness: Exactness::Strict, shards, first_shard: None, deadline };
        ask_lane(lane, amounts.clone(), asking)
    });
    let mut answers = Vec::new();
    for ask in asks.map(Box::pin).collect::<Vec<_>>() {
        answers.push(ask.await);
    }
    all_or_nothing(answers)
}

fn all_or_nothing(answers: Vec<Answer>) -> Result<Vec<Hold>, NotTaken> {
    if answers.iter().any(|answer| matches!(answer, Answer::Outdated)) {
        // Leaving drops the holds, here as below.
        return Err(NotTaken::Outdated);
    }
    let mut refuser = None;
    let mut never = false;
    if answers.iter().any(|answer| matches!(answer, Answer::Refused(_))) {
        let mut statuses = Vec::new();
        for answer in &answers {
            match answer {
                Answer::Granted(hold) => statuses.extend(hold.statuses()),
                Answer::Refused(refusal) => {
                    refuser = Some(refusal.by);
                    never |= refusal.never;
                    statuses.extend(refusal.statuses.iter().cloned());
                }
                Answer::Failed(_) | Answer::Outdated => {}
            }
        }
        // Leaving drops the holds, which gives back what the other level granted.
        if never {
            let violations = statuses.into_iter().filter(|status| status.exceeded).collect();
            let never = NeverFits::new(violations);
            return Err(never.map_or_else(nothing, |never| AcquireError::from(never).into()).into());
        }
        return Err(refused(refuser.unwrap_or(Refuser::Store), statuses).into());
    }
    let (mut holds, mut failure) = (Vec::new(), None);
    for answer in answers {
        match answer {
            Answer::Granted(hold) => holds.push(hold),
            Answer::Failed(failed) => failure = Some(failed),
            Answer::Refused(_) | Answer::Outdated => {}
        }
    }
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(holds),
    }
}
