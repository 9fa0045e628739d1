//! One acquire: resolve limits, ask child and parent buckets at once, take from both or from none.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::{
    hold::Hold,
    image::Owner,
    lane::{Answer, Ask, Failure, Lane, Refusal},
    lanes::Lanes,
    plan::Lifetime,
    refuse::{self, Remembered},
    round::Terms,
    send::BucketKey,
};
use crate::{
    bucket::{self, MILLI, Params},
    error::{AcquireError, NeverFits, RateLimitExceeded, RepositoryError, UnavailableReason, ValidationError},
    model::{
        cost::Cost,
        limit::Limits,
        name::{EntityId, LimitName, ResourceName},
        status::LimitStatus,
    },
    repository::{Repository, resolution::ConfigSource},
    wire,
};

/// What an acquire asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) entity: EntityId,
    pub(crate) resource: ResourceName,
    pub(crate) cost: Cost,
    /// Replace the stored limits, for the entity and its parent.
    pub(crate) limits: Option<Limits>,
    /// Hold where nothing is stored.
    pub(crate) default_limits: Option<Limits>,
    pub(crate) deadline: Instant,
}

/// The limits of one level and the bucket they are kept in.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    entity: EntityId,
    resource: ResourceName,
    terms: Arc<Terms>,
}

/// Why an acquire gave nothing: a policy may turn an outage into something else, and nothing but an outage.
#[derive(Debug)]
pub(crate) enum Denied {
    Outage(UnavailableReason, Option<Arc<RepositoryError>>),
    Error(AcquireError),
}

impl From<AcquireError> for Denied {
    fn from(error: AcquireError) -> Self {
        Self::Error(error)
    }
}

impl From<ValidationError> for Denied {
    fn from(error: ValidationError) -> Self {
        Self::Error(error.into())
    }
}

impl From<Arc<RepositoryError>> for Denied {
    fn from(error: Arc<RepositoryError>) -> Self {
        if super::drive::is_outage(&error) {
            return Self::Outage(UnavailableReason::StoreFailed, Some(error));
        }
        Self::Error(hard(error))
    }
}

impl From<RepositoryError> for Denied {
    fn from(error: RepositoryError) -> Self {
        Arc::new(error).into()
    }
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(reason, source) => Self::Outage(reason, source),
            Failure::Hard(error) => Self::Error(hard(error)),
        }
    }
}

fn hard(error: Arc<RepositoryError>) -> AcquireError {
    match &*error {
        RepositoryError::Unsupported(unsupported) => unsupported.clone().into(),
        _ => AcquireError::Repository(error),
    }
}

/// What resolving found.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) child: Level,
    pub(crate) parent: Option<Level>,
}

/// Finds the limits of the entity and, if it cascades, of its parent.
pub(crate) async fn resolve(repository: &Repository, lanes: &Lanes, wish: &Wish) -> Result<Resolved, Denied> {
    let (child, owner) = level(repository, lanes, wish, &wish.entity).await?;
    let parent = match owner.parent.filter(|_| owner.cascade) {
        // Two levels, never three: the parent's own cascade is not followed.
        Some(parent) => {
            let parent = EntityId::new(&*parent)?;
            Some(level(repository, lanes, wish, &parent).await?.0)
        }
        None => None,
    };
    Ok(Resolved { child, parent })
}

async fn level(
    repository: &Repository,
    lanes: &Lanes,
    wish: &Wish,
    entity: &EntityId,
) -> Result<(Level, Owner), Denied> {
    let resolved = repository.resolve(entity, &wish.resource).await?;
    let resolution = resolved.resolution;
    if let Some(unsupported) = &resolution.unsupported {
        return Err(AcquireError::from(unsupported.clone()).into());
    }
    let stored = resolution.limits.as_ref().filter(|_| wish.limits.is_none());
    let limits = wish.limits.as_ref().or(stored).or(wish.default_limits.as_ref());
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
    let level = Level {
        entity: entity.clone(),
        resource: wish.resource.clone(),
        terms: Arc::new(Terms::new(limits, lifetime, owner.clone())),
    };
    if let Some(image) = resolved.bucket.as_ref().map(wire::bucket::decode).transpose()?.flatten() {
        level.lane(lanes, 0).offer(image);
    }
    Ok((level, owner))
}

impl Level {
    pub(crate) fn lane(&self, lanes: &Lanes, shard: u32) -> Arc<Lane> {
        lanes.lane(BucketKey { entity: self.entity.clone(), resource: self.resource.clone(), shard })
    }

    pub(crate) fn entity(&self) -> &EntityId {
        &self.entity
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// The amounts in the order of the limits, in mt; names that this level does not limit are left out.
    pub(crate) fn amounts(&self, cost: &[(LimitName, u64)]) -> Vec<i64> {
        let amount = |name: &LimitName| {
            let tokens = cost.iter().find(|(named, _)| named == name).map_or(0, |(_, tokens)| *tokens);
            i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MILLI)
        };
        self.terms.params.iter().map(|(name, _)| amount(name)).collect()
    }

    /// The limits whose capacity is smaller than what is asked.
    fn too_large(&self, amounts: &[i64]) -> Vec<LimitStatus> {
        let limits = self.terms.limits.iter().zip(amounts);
        let too_large = limits.filter(|(limit, amount)| **amount > Params::from(*limit).capacity);
        too_large
            .map(|(limit, amount)| LimitStatus {
                entity_id: self.entity.clone(),
                resource: self.resource.clone(),
                limit: limit.clone(),
                available: i64::try_from(limit.capacity()).unwrap_or(i64::MAX),
                requested: u64::try_from(amount / MILLI).unwrap_or(0),
                exceeded: true,
                retry_after: std::time::Duration::ZERO,
            })
            .collect()
    }

    /// Asks this level's bucket, shard after shard where a neighbour has sharded it.
    async fn ask(&self, lanes: &Lanes, amounts: &[i64], deadline: Instant) -> Answer {
        let mut shards = self.lane(lanes, 0).image().map_or(1, |image| image.shards());
        let start = if shards > 1 { rand::random_range(0..shards) } else { 0 };
        let mut best: Option<Refusal> = None;
        let mut tried = 0;
        while tried < shards {
            let shard = (start + tried) % shards;
            match self.ask_shard(lanes, shard, shards, amounts, deadline).await {
                Answer::Refused(refusal) => best = Some(sooner(best, refusal)),
                other => return other,
            }
            tried += 1;
            // What the bucket looked like before the first ask may be out of date.
            shards = shards.max(self.lane(lanes, 0).image().map_or(1, |image| image.shards()));
        }
        best.map_or(Answer::Failed(Failure::Unavailable(UnavailableReason::StoreFailed, None)), Answer::Refused)
    }

    async fn ask_shard(&self, lanes: &Lanes, shard: u32, shards: u32, amounts: &[i64], deadline: Instant) -> Answer {
        let lane = self.lane(lanes, shard);
        let first_shard = if shard > 0 { self.lane(lanes, 0).image() } else { None };
        ask_lane(&lane, &self.terms, amounts.to_vec(), (shards, first_shard), deadline).await
    }
}

/// Puts one ask into a lane's queue and waits for the answer. Dropped before that, whatever was granted goes back.
async fn ask_lane(
    lane: &Arc<Lane>,
    terms: &Arc<Terms>,
    amounts: Vec<i64>,
    (shards, first_shard): (u32, Option<Arc<super::image::Image>>),
    deadline: Instant,
) -> Answer {
    let (reply, answer) = oneshot::channel();
    lane.submit(Ask { terms: Arc::clone(terms), amounts, shards, first_shard, deadline, reply });
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

/// Asks child and parent at once: tokens from both, or from none once the refund of the other has settled.
pub(crate) async fn take(
    lanes: &Lanes,
    resolved: &Resolved,
    cost: &[(LimitName, u64)],
    deadline: Instant,
) -> Result<Vec<Hold>, Denied> {
    let child = resolved.child.amounts(cost);
    let parent = resolved.parent.as_ref().map(|level| (level, level.amounts(cost)));
    // A parent that limits nothing of what is asked has nothing to say.
    let parent = parent.filter(|(_, amounts)| amounts.iter().any(|amount| *amount > 0));
    let mut too_large = resolved.child.too_large(&child);
    too_large.extend(parent.iter().flat_map(|(level, amounts)| level.too_large(amounts)));
    if let Some(never) = NeverFits::new(too_large) {
        return Err(AcquireError::from(never).into());
    }
    if let Some(exceeded) = remembered_refusal(lanes, &resolved.child, &child, parent.as_ref()) {
        metrics::counter!("zae_refusals_total", "by" => "memory").increment(1);
        return Err(exceeded.into());
    }
    let answers = match &parent {
        Some((level, amounts)) => {
            let both = tokio::join!(resolved.child.ask(lanes, &child, deadline), level.ask(lanes, amounts, deadline));
            vec![both.0, both.1]
        }
        None => vec![resolved.child.ask(lanes, &child, deadline).await],
    };
    all_or_nothing(answers)
}

/// A no that needs no call: one of the levels was seen a moment ago and had too little. Then the other is not asked either.
fn remembered_refusal(
    lanes: &Lanes,
    child: &Level,
    amounts: &[i64],
    parent: Option<&(&Level, Vec<i64>)>,
) -> Option<AcquireError> {
    let ask = |level: &Level, amounts: &[i64]| refuse::from_memory(&level.lane(lanes, 0), &level.terms, amounts);
    let answers = [ask(child, amounts), parent.and_then(|(level, amounts)| ask(level, amounts))];
    let statuses = answers.into_iter().flatten().flat_map(|answer| match answer {
        Remembered::No(refusal) => refusal.statuses,
        Remembered::Perhaps(statuses) => statuses,
    });
    RateLimitExceeded::new(statuses.collect()).map(AcquireError::from)
}

/// Takes more from buckets that a lease holds tokens of: from the same shards, or from none.
pub(crate) async fn take_more(
    holds: Vec<(Arc<Lane>, Arc<Terms>, Vec<i64>)>,
    deadline: Instant,
) -> Result<Vec<Hold>, Denied> {
    let asks = holds.iter().map(|(lane, terms, amounts)| {
        let shards = lane.image().map_or(1, |image| image.shards());
        ask_lane(lane, terms, amounts.clone(), (shards, None), deadline)
    });
    let mut answers = Vec::new();
    for ask in asks.map(Box::pin).collect::<Vec<_>>() {
        answers.push(ask.await);
    }
    all_or_nothing(answers)
}

fn all_or_nothing(answers: Vec<Answer>) -> Result<Vec<Hold>, Denied> {
    let (mut holds, mut refused, mut failure, mut never) = (Vec::new(), Vec::new(), None, false);
    let mut any_refused = false;
    for answer in answers {
        match answer {
            Answer::Granted(hold) => {
                refused.extend_from_slice(hold.statuses());
                holds.push(hold);
            }
            Answer::Refused(refusal) => {
                any_refused = true;
                never |= refusal.never;
                refused.extend(refusal.statuses);
            }
            Answer::Failed(failed) => failure = Some(failed),
        }
    }
    // Leaving early drops the holds, which gives back what the other level granted.
    if any_refused {
        if never {
            let violations = refused.into_iter().filter(|status| status.exceeded).collect();
            return Err(NeverFits::new(violations).map_or_else(nothing, |never| AcquireError::from(never).into()));
        }
        return Err(
            RateLimitExceeded::new(refused).map_or_else(nothing, |exceeded| AcquireError::from(exceeded).into())
        );
    }
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(holds),
    }
}

/// A refusal without a violation: cannot be, and must not be granted if it is.
fn nothing() -> Denied {
    Denied::Outage(UnavailableReason::StoreFailed, None)
}
