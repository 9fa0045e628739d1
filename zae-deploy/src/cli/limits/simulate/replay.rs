//! Replays requests with the limiter itself, on an embedded store, in driven time.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use zae_limiter::{
    AcquireError, EntityId, ManualClock, NewEntity, RateLimiter, Repository, RepositoryError, Reserve, ResourceName,
};

use super::log::Request;
use crate::{
    cli::{CliError, error::Doing, output::Meter},
    manifest::Manifest,
    provisioner::Provisioner,
};

/// Number of bars in the timeline.
const PARTS: i64 = 48;
/// Longer than any acquire takes, unless it is stuck.
const DEADLINE: Duration = Duration::from_secs(30);

/// The result of a replay.
#[derive(Debug, Default, Serialize)]
pub(super) struct Replay {
    pub(super) requests: u64,
    pub(super) granted: u64,
    pub(super) refused: u64,
    /// Number of requests larger than a limit's capacity, which are never granted.
    pub(super) never: u64,
    /// Number of requests without any limits, which a limiter refuses unless it has defaults of its own.
    pub(super) without_limits: u64,
    /// By entity and resource, most refusals first.
    pub(super) callers: Vec<Caller>,
    pub(super) timeline: Vec<LogSlice>,
}

/// One entity's requests for one resource.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Caller {
    pub(super) entity_id: EntityId,
    pub(super) resource: ResourceName,
    pub(super) requests: u64,
    pub(super) refused: u64,
    /// Epoch ms.
    pub(super) first_refused_at_ms: Option<i64>,
    /// The longest `retry_after` of its refusals.
    pub(super) longest_wait_seconds: f64,
    /// The maximum use of any of its buckets, in per cent of the capacity.
    pub(super) fullest_percent: f64,
}

/// A part of the log's time span.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct LogSlice {
    pub(super) start_ms: i64,
    pub(super) requests: u64,
    pub(super) refused: u64,
}

/// The outcome of one request.
#[derive(Clone, Copy, Debug)]
enum RequestOutcome {
    Granted,
    Refused(Duration),
    Never,
    NoLimits,
}

pub(super) async fn run(manifest: &Manifest, requests: &[Request]) -> Result<Replay, CliError> {
    let (Some(first), Some(last)) = (requests.first(), requests.last()) else { return Ok(Replay::default()) };
    let clock = Arc::new(ManualClock::at(first.at_ms));
    let stage = "make the store to replay on";
    let repository = Repository::builder().embedded().clock(clock.clone()).build().await.doing(stage)?;
    let applied = Provisioner::new(repository.clone()).apply(manifest).await;
    let applied = applied.map_err(|error| CliError::failed("apply the limits to the replay", error))?;
    if let Some(error) = applied.errors.first() {
        return Err(CliError::problem(format!("The limits cannot be applied to the replay: {error}")));
    }
    register(&repository, requests).await.doing("make the entities to replay")?;
    let limiter = RateLimiter::builder(repository).reserve(Reserve::Off).deadline(DEADLINE).build();
    let mut tally = ReplayCounts::new(first.at_ms, last.at_ms);
    let (meter, mut now) = (Meter::new(), first.at_ms);
    for (done, request) in (0_u64..).zip(requests) {
        clock.advance(Duration::from_millis((request.at_ms - now).unsigned_abs()));
        now = request.at_ms;
        let outcome = replayed(&limiter, request, &mut tally).await?;
        tally.count(request, outcome);
        meter.tell("Replaying", u8::try_from((done + 1) * 100 / requests.len() as u64).unwrap_or(100));
    }
    limiter.shutdown().await;
    Ok(tally.into_replay())
}

/// Creates the entities that have a parent.
async fn register(repository: &Repository, requests: &[Request]) -> Result<(), RepositoryError> {
    let mut made = HashSet::new();
    for request in requests {
        let Some(parent) = &request.parent else { continue };
        if made.insert(parent.clone()) {
            repository.create_entity(NewEntity::new(parent.clone())).await?;
        }
        if made.insert(request.entity.clone()) {
            let entity = NewEntity::new(request.entity.clone()).parent(parent.clone()).cascading();
            repository.create_entity(entity).await?;
        }
    }
    Ok(())
}

async fn replayed(
    limiter: &RateLimiter,
    request: &Request,
    tally: &mut ReplayCounts,
) -> Result<RequestOutcome, CliError> {
    match limiter.acquire(&request.entity, &request.resource, request.cost()).await {
        Ok(lease) => {
            for status in lease.statuses() {
                let used = status.limit.capacity() as f64 - status.available as f64;
                tally.fill(request, used / status.limit.capacity() as f64 * 100.0);
            }
            lease.commit().await.map_err(|error| CliError::failed("replay a request", error))?;
            Ok(RequestOutcome::Granted)
        }
        Err(AcquireError::Exceeded(refused)) => Ok(RequestOutcome::Refused(refused.retry_after())),
        Err(AcquireError::NeverFits(_)) => Ok(RequestOutcome::Never),
        Err(AcquireError::NoLimits { .. }) => Ok(RequestOutcome::NoLimits),
        Err(AcquireError::Invalid(error)) => {
            let problem = format!("A request of '{}' for '{}': {error}", request.entity, request.resource);
            Err(CliError::problem(problem).next("the log's amounts must be for limits that the file declares"))
        }
        Err(error) => Err(CliError::failed("replay a request", error)),
    }
}

/// Collects counts during the replay.
struct ReplayCounts {
    replay: Replay,
    callers: BTreeMap<(EntityId, ResourceName), Caller>,
    start_ms: i64,
    part_ms: i64,
}

impl ReplayCounts {
    fn new(first_ms: i64, last_ms: i64) -> Self {
        let part_ms = ((last_ms - first_ms) / PARTS + 1).max(1);
        let parts = (last_ms - first_ms) / part_ms + 1;
        let part = |index| LogSlice { start_ms: first_ms + index * part_ms, ..LogSlice::default() };
        let replay = Replay { timeline: (0..parts).map(part).collect(), ..Replay::default() };
        Self { replay, callers: BTreeMap::new(), start_ms: first_ms, part_ms }
    }

    fn caller(&mut self, request: &Request) -> &mut Caller {
        let key = (request.entity.clone(), request.resource.clone());
        self.callers.entry(key).or_insert_with(|| Caller {
            entity_id: request.entity.clone(),
            resource: request.resource.clone(),
            requests: 0,
            refused: 0,
            first_refused_at_ms: None,
            longest_wait_seconds: 0.0,
            fullest_percent: 0.0,
        })
    }

    fn fill(&mut self, request: &Request, percent: f64) {
        let caller = self.caller(request);
        caller.fullest_percent = caller.fullest_percent.max(percent);
    }

    fn count(&mut self, request: &Request, outcome: RequestOutcome) {
        let refused = !matches!(outcome, RequestOutcome::Granted);
        let index = usize::try_from((request.at_ms - self.start_ms) / self.part_ms).unwrap_or(0);
        if let Some(part) = self.replay.timeline.get_mut(index) {
            part.requests += 1;
            part.refused += u64::from(refused);
        }
        let caller = self.caller(request);
        caller.requests += 1;
        if refused {
            caller.refused += 1;
            caller.first_refused_at_ms.get_or_insert(request.at_ms);
        }
        if let RequestOutcome::Refused(wait) = outcome {
            caller.longest_wait_seconds = caller.longest_wait_seconds.max(wait.as_secs_f64());
        }
        let replay = &mut self.replay;
        replay.requests += 1;
        match outcome {
            RequestOutcome::Granted => replay.granted += 1,
            RequestOutcome::Refused(_) => replay.refused += 1,
            RequestOutcome::Never => {
                replay.refused += 1;
                replay.never += 1;
            }
            RequestOutcome::NoLimits => {
                replay.refused += 1;
                replay.without_limits += 1;
            }
        }
    }

    fn into_replay(mut self) -> Replay {
        self.replay.callers = self.callers.into_values().collect();
        self.replay.callers.sort_by_key(|caller| std::cmp::Reverse(caller.refused));
        self.replay
    }
}
