//! A whole fleet on one hot bucket, in driven time: [`Fleet`]. The table throttles what one partition cannot serve.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    runtime::Builder,
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use zae_limiter::{
    AcquireError, Clock, Cost, EntityId, RateLimiter, Reserve, ResourceName, Shards, ValidationError,
    sim::{self, Answering, Fault, ItemKey, Names, Request},
};

use crate::{
    dice::Dice,
    schedule::Limit,
    table::{Table, key_of, load::Partition, number},
    world::{EPOCH, limit_name, limits},
};

/// Latency of one direction to the table, in ms; a round trip is twice that, and half-milliseconds are rounded up.
const THERE_MS: u64 = 2;
const BACK_MS: u64 = 3;
/// The longest that tokens may be held ahead of use, in reserve mode.
const LONGEST_RESERVE: Duration = Duration::from_secs(20);
/// Write units of a bucket's write: an item of less than a KiB.
const UNITS: u64 = 1;
/// Demand as a multiple of the limit, where nothing else is said.
const USUAL: f64 = 0.5;

/// A fleet.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// Number of processes.
    pub processes: usize,
    /// Total acquires per second.
    pub rate: u64,
    /// True if the processes debit ahead.
    pub reserve: bool,
    /// Duration, in seconds.
    pub seconds: u64,
    /// Demand as a multiple of the limit; by default, the limit is twice the demand.
    pub overload: Option<f64>,
    /// The seed of arrivals and all other randomness.
    pub seed: u64,
}

/// Figures of a fleet, all of the second half of its time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Figures {
    /// Acquires that failed because of the store.
    pub failed: u64,
    /// Acquires that were refused.
    pub refused: u64,
    /// Acquires that were granted.
    pub granted: u64,
    /// Median duration of answered acquires, in round trips, rounded up.
    pub p50_round_trips: f64,
    /// 99th percentile of their durations, in round trips, rounded up.
    pub p99_round_trips: f64,
    /// Accepted writes per second, those whose condition failed included.
    pub writes_per_second: f64,
    /// Writes per second whose condition failed.
    pub lost_per_second: f64,
    /// Items read per second.
    pub reads_per_second: f64,
    /// Maximum writes of one item in one second.
    pub item_writes_per_second_max: u64,
    /// Throttled writes per second.
    pub throttled_per_second: f64,
    /// Number of items that the bucket has at the end.
    pub items: usize,
    /// The part of what the limit permits in all of the time that was taken from the bucket. Never more than 1 where
    /// the bucket is not full again.
    pub taken_of_permitted: f64,
}

#[derive(Debug, Default)]
struct Counts {
    failed: u64,
    refused: u64,
    granted: u64,
    /// Durations of answers, in ms.
    took: Vec<u64>,
    writes: u64,
    lost: u64,
    reads: u64,
    /// By item and second.
    by_second: BTreeMap<(ItemKey, u64), u64>,
    throttled: u64,
}

#[derive(Debug)]
struct Store {
    table: Table,
    partitions: BTreeMap<ItemKey, Partition>,
    counts: Counts,
    started: Instant,
    half_ms: u64,
}

#[derive(Clone, Debug)]
struct Way(Arc<Mutex<Store>>);

impl Way {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn answer(&mut self, request: &Request) -> Result<sim::Answer, Fault> {
        let now = self.now();
        let keys = written(request);
        let units = if matches!(request, Request::Transact { .. }) { 2 * UNITS } else { UNITS };
        let counts = (self.half_ms..2 * self.half_ms).contains(&now);
        let is_hot = |key: &ItemKey| !self.partitions.get(key).copied().unwrap_or_default().takes(units, now);
        if keys.iter().any(is_hot) {
            self.counts.throttled += u64::from(counts);
            let code = "ProvisionedThroughputExceededException".to_owned();
            return Err(Fault::Throttled { code, message: "TableWriteKeyRangeThroughputExceeded".to_owned() });
        }
        for key in keys {
            self.partitions.entry(key.clone()).or_default().takes(units, now);
            self.counts.writes += if counts { units } else { 0 };
            if counts {
                *self.counts.by_second.entry((key, now / 1_000)).or_default() += units;
            }
        }
        let answer = self.table.apply(request, now, 0).map_err(|_| Fault::Failed)?.answer;
        match &answer {
            sim::Answer::Read(items) if counts => self.counts.reads += items.len() as u64,
            sim::Answer::Refused(_) | sim::Answer::Cancelled(_) if counts => self.counts.lost += 1,
            _ => {}
        }
        Ok(answer)
    }
}

/// Returns the items that a request writes.
fn written(request: &Request) -> Vec<ItemKey> {
    match request {
        Request::Put { item, .. } => key_of(item).into_iter().collect(),
        Request::Update { key, .. } => vec![key.clone()],
        Request::Transact { parts } => parts.iter().flat_map(written).collect(),
        _ => Vec::new(),
    }
}

impl sim::Table for Way {
    fn call(&self, request: Request) -> Answering {
        let (way, (reply, answer)) = (self.clone(), oneshot::channel());
        tokio::spawn(async move {
            sleep(Duration::from_millis(THERE_MS)).await;
            let answer = way.lock().answer(&request);
            sleep(Duration::from_millis(BACK_MS)).await;
            // A sender that has stopped waiting is not notified.
            let _ = reply.send(answer);
        });
        Box::pin(async move { answer.await.unwrap_or(Err(Fault::Broken)) })
    }
}

#[derive(Debug)]
struct FleetClock(Instant);

impl Clock for FleetClock {
    fn now_ms(&self) -> i64 {
        EPOCH + i64::try_from(self.0.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn keeps_pace(&self) -> bool {
        true
    }
}

impl Fleet {
    /// Runs it.
    ///
    /// # Errors
    /// If the runtime cannot be built, or the limit is not valid.
    pub fn run(self) -> Result<Figures, String> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        runtime.block_on(self.drive()).map_err(|error| error.to_string())
    }

    fn limit(self) -> Limit {
        let rate = self.rate as f64;
        let limit = rate / self.overload.unwrap_or(USUAL);
        let limit = (limit as u64).max(1);
        Limit { capacity: limit, refill: limit, period: 1 }
    }

    async fn drive(self) -> Result<Figures, ValidationError> {
        let names = Names::new()?;
        let (entity, resource) = (EntityId::new("hot")?, ResourceName::new("r")?);
        let mut table = Table::default();
        for item in [names.record(), names.entity(&entity, None), names.limits(&entity, &limits(&[self.limit()])?)] {
            if let Some(key) = key_of(&item) {
                table.set(key, Some(item), 0);
            }
        }
        let started = Instant::now();
        let (partitions, counts) = (BTreeMap::new(), Counts::default());
        let store = Store { table, partitions, counts, started, half_ms: self.seconds * 500 };
        let way = Way(Arc::new(Mutex::new(store)));
        let mut fleet = Vec::new();
        for process in 0..self.processes {
            let mut dice = Dice::aside(self.seed, 3, process as u64);
            let clock: Arc<dyn Clock> = Arc::new(FleetClock(started));
            let reserve = if self.reserve { Reserve::All } else { Reserve::Off };
            let builder = RateLimiter::builder(names.repository(Arc::new(way.clone()), clock));
            let builder = builder.reserve(reserve).longest_reserve_life(LONGEST_RESERVE).shards(Shards::OnDemand);
            let limiter = sim::build(builder, dice.bits());
            fleet.push(tokio::spawn(self.process(way.clone(), limiter, entity.clone(), resource.clone(), dice)));
        }
        for process in fleet {
            // A process that panicked counts as failed from then on.
            let _ = process.await;
        }
        let store = &mut *way.lock();
        let (mut items, mut taken) = (0, 0);
        for (_, item) in store.table.items() {
            if let Some(consumed) = number(item, &format!("b_{}_tc", limit_name(0))) {
                (items, taken) = (items + 1, taken + consumed);
            }
        }
        let limit = self.limit();
        let permitted = limit.capacity as f64 + limit.refill as f64 * store.now() as f64 / 1_000.0;
        let taken_of_permitted = taken as f64 / 1_000.0 / permitted;
        Ok(Figures { items, taken_of_permitted, ..self.figures(&mut store.counts) })
    }

    async fn process(self, way: Way, limiter: RateLimiter, entity: EntityId, resource: ResourceName, mut dice: Dice) {
        let started = way.lock().started;
        let end = started + Duration::from_secs(self.seconds);
        let mean = self.processes as f64 / self.rate as f64;
        let mut at = started;
        let mut clients = Vec::new();
        loop {
            // Poisson arrivals: neither synchronised nor evenly spread.
            let even = (dice.bits() >> 11) as f64 / (1_u64 << 53) as f64;
            at += Duration::from_secs_f64(-mean * (1.0 - even).ln());
            if at >= end {
                break;
            }
            sleep_until(at).await;
            let (way, limiter, entity, resource) = (way.clone(), limiter.clone(), entity.clone(), resource.clone());
            clients.push(tokio::spawn(async move {
                let asked = Instant::now();
                let answer = limiter.acquire(entity, resource, Cost::of(limit_name(0), 1)).await;
                let took = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
                if let Ok(lease) = &answer {
                    drop(lease.commit());
                }
                let store = &mut *way.lock();
                if store.now() < store.half_ms {
                    return;
                }
                let counts = &mut store.counts;
                match answer {
                    Ok(_) => counts.granted += 1,
                    Err(AcquireError::Exceeded(_)) => counts.refused += 1,
                    Err(_) => {
                        counts.failed += 1;
                        return;
                    }
                }
                counts.took.push(took);
            }));
        }
        for client in clients {
            let _ = client.await;
        }
        // Nobody stops while others are measured.
        sleep_until(end).await;
        limiter.shutdown().await;
    }

    fn figures(self, counts: &mut Counts) -> Figures {
        counts.took.sort_unstable();
        let trips = |percent: usize| {
            let index = (counts.took.len().saturating_sub(1)) * percent / 100;
            counts.took.get(index).map_or(0.0, |took| *took as f64 / (THERE_MS + BACK_MS) as f64)
        };
        let seconds = self.seconds as f64 / 2.0;
        Figures {
            failed: counts.failed,
            refused: counts.refused,
            granted: counts.granted,
            p50_round_trips: trips(50),
            p99_round_trips: trips(99),
            writes_per_second: counts.writes as f64 / seconds,
            item_writes_per_second_max: counts.by_second.values().copied().max().unwrap_or(0),
            lost_per_second: counts.lost as f64 / seconds,
            reads_per_second: counts.reads as f64 / seconds,
            throttled_per_second: counts.throttled as f64 / seconds,
            ..Figures::default()
        }
    }
}
