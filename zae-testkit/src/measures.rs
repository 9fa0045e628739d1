//! The cost of acquires, in calls, writes and write units. It is counted on the wire in driven time, so the numbers are
//! exact and the same in the tests that bound them and in the benchmark that prints them.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use zae_limiter::{
    Acquire, AcquireError, Cost, EntityId, Limit, Limits, NewEntity, RateLimiter, RateLimiterBuilder, Reserve,
};

use crate::{Units, Wire, driven::Fleet, limits, rpm, tpm};

/// Time that the store takes to answer.
pub const ROUND_TRIP: Duration = Duration::from_millis(5);
/// Number of concurrent tasks.
pub const TASKS: u64 = 64;

const ENDLESS: u64 = 1_000_000_000;

fn strict(builder: RateLimiterBuilder) -> RateLimiterBuilder {
    builder
}

async fn cascade(limiter: &RateLimiter, keys: u64) {
    for key in 0..keys {
        let child = NewEntity::new(EntityId::new(format!("key-{key}")).unwrap());
        let child = child.parent(EntityId::new("proj-1").unwrap()).cascading();
        limiter.repository().create_entity(child).await.unwrap();
    }
}

/// Takes `cost` and keeps it. Returns true if it was granted.
pub async fn spend(limiter: &RateLimiter, entity: &str, cost: Cost) -> bool {
    match limiter.acquire(entity, "gpt-4", cost).await {
        Ok(lease) => {
            drop(lease.commit());
            true
        }
        Err(AcquireError::Exceeded(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Makes every task acquire `turns` times in sequence, for the entity that `entity` returns.
async fn tasks(limiter: &RateLimiter, turns: u64, entity: impl Fn(u64) -> String) {
    let tasks = (0..TASKS).map(|task| {
        let (limiter, entity) = (limiter.clone(), entity(task));
        tokio::spawn(async move {
            for _ in 0..turns {
                assert!(spend(&limiter, &entity, Cost::of("rpm", 1)).await);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Measures writes per acquire on one hot bucket.
pub async fn hot_bucket(turns: u64) -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([rpm(ENDLESS)]), strict).await;
    tasks(&limiter, turns, |_| "user-1".to_owned()).await;
    wire.units().writes as f64 / (TASKS * turns) as f64
}

/// Measures writes per acquire of distinct children of one hot parent.
pub async fn hot_parent(turns: u64) -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([rpm(ENDLESS)]), strict).await;
    cascade(&limiter, TASKS).await;
    wire.reset();
    tasks(&limiter, turns, |task| format!("key-{task}")).await;
    wire.units().writes as f64 / (TASKS * turns) as f64
}

/// Measures the calls of a new entity's first acquire: alone, and with a new parent.
pub async fn first_acquire() -> (u64, u64) {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([rpm(ENDLESS)]), strict).await;
    assert!(spend(&limiter, "user-1", Cost::of("rpm", 1)).await);
    let alone = wire.count();
    cascade(&limiter, 1).await;
    // Long enough that a read of any replica returns it.
    tokio::time::sleep(Duration::from_secs(10)).await;
    wire.reset();
    assert!(spend(&limiter, "key-0", Cost::of("rpm", 1)).await);
    (alone, wire.count())
}

/// Measures the calls of an acquire of so many resources at once: of the first one, and of the next.
pub async fn several(resources: usize) -> (u64, u64) {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([rpm(ENDLESS)]), strict).await;
    let mut request = Acquire::new("user-1", "r-0", Cost::of("rpm", 1)).unwrap();
    for resource in 1..resources {
        request = request.also(format!("r-{resource}"), Cost::of("rpm", 1)).unwrap();
    }
    wire.reset();
    limiter.acquire_with(request.clone()).await.unwrap().commit().await.unwrap();
    let first = wire.count();
    wire.reset();
    limiter.acquire_with(request).await.unwrap().commit().await.unwrap();
    (first, wire.count())
}

/// Measures calls per refused acquire: 10 000 of them in five seconds.
pub async fn refusals() -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let limit = Limit::per_hour("rpm", 1).unwrap().with_burst(5).unwrap();
    let (wire, limiter) = fleet.process(&limits([limit]), strict).await;
    assert!(spend(&limiter, "user-1", Cost::of("rpm", 5)).await);
    wire.reset();
    let start = Instant::now();
    for turn in 0..10_000_u32 {
        assert!(!spend(&limiter, "user-1", Cost::of("rpm", 1)).await);
        tokio::time::sleep_until(start + Duration::from_micros(500) * (turn + 1)).await;
    }
    wire.count() as f64 / 10_000.0
}

/// Measures writes per pair of an acquire and its adjustment, whose commit is awaited.
pub async fn adjusted(turns: u64) -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([tpm(ENDLESS)]), strict).await;
    let tasks = (0..TASKS).map(|_| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            for _ in 0..turns {
                let lease = limiter.acquire("user-1", "gpt-4", Cost::of("tpm", 500)).await.unwrap();
                lease.adjust("tpm", -120).unwrap();
                lease.commit().await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    wire.units().writes as f64 / (TASKS * turns) as f64
}

/// Measures the round trips of an acquire that a refill makes possible: with a fresh image, and with one that a
/// neighbour made stale.
pub async fn refill() -> (u64, u64) {
    let fleet = Fleet::new(ROUND_TRIP);
    let limits = limits([rpm(60)]);
    let (wire, limiter) = fleet.process(&limits, strict).await;
    let (other_wire, other) = fleet.process(&limits, strict).await;
    assert!(spend(&limiter, "user-1", Cost::of("rpm", 60)).await);
    assert!(!spend(&other, "user-1", Cost::of("rpm", 60)).await);
    wire.reset();
    other_wire.reset();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(spend(&limiter, "user-1", Cost::of("rpm", 10)).await);
    assert!(spend(&other, "user-1", Cost::of("rpm", 10)).await);
    (wire.count(), other_wire.count())
}

/// Writes of an acquire of a limit that changes with time: within a period, at the beginning of the next one a day
/// later, and by a process that does not know yet that a neighbour has begun it.
pub async fn edge(limit: Limit) -> (u64, u64, u64) {
    let fleet = Fleet::new(ROUND_TRIP);
    let limits = limits([limit]);
    let (wire, limiter) = fleet.process(&limits, strict).await;
    let (other_wire, other) = fleet.process(&limits, strict).await;
    let cost = || Cost::of("rpm", 1);
    assert!(spend(&limiter, "user-1", cost()).await);
    assert!(spend(&other, "user-1", cost()).await);
    // Limits are read again every minute, which is no write.
    let writes = |wire: &Wire| wire.take().get("UpdateItem").copied().unwrap_or(0);
    writes(&wire);
    assert!(spend(&limiter, "user-1", cost()).await);
    let within = writes(&wire);
    writes(&other_wire);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert!(spend(&limiter, "user-1", cost()).await);
    assert!(spend(&other, "user-1", cost()).await);
    (within, writes(&wire), writes(&other_wire))
}

/// Measures write units per LLM call (estimate taken from key and project, adjusted when the response is complete) on
/// busy keys: 4 processes with 4 keys each, 25 calls a second per key of 300 ms each.
pub async fn llm_call(reserve: Reserve, time: Duration) -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let limits = limits([rpm(600_000), tpm(600_000_000)]);
    let (mut wires, mut running) = (Vec::new(), Vec::new());
    for process in 0..4_u64 {
        let (wire, limiter) = fleet.process(&limits, |b| b.reserve(reserve)).await;
        if process == 0 {
            cascade(&limiter, 16).await;
        }
        for key in process * 4..process * 4 + 4 {
            // Busy keys exist already.
            assert!(spend(&limiter, &format!("key-{key}"), Cost::of("rpm", 1)).await);
        }
        wire.reset();
        for key in process * 4..process * 4 + 4 {
            running.push(tokio::spawn(calls(limiter.clone(), key, time)));
        }
        wires.push((wire, limiter));
    }
    // Counts until then: after the traffic, the last adjustments cannot share writes.
    tokio::time::sleep(time).await;
    let units: f64 = wires.iter().map(|(wire, _)| wire.units().units).sum();
    let mut calls = 0;
    for task in running {
        calls += task.await.unwrap();
    }
    units / calls as f64
}

async fn calls(limiter: RateLimiter, key: u64, time: Duration) -> u64 {
    let start = Instant::now();
    // Spreads them over time.
    tokio::time::sleep(Duration::from_micros(key * 2_503)).await;
    let mut calls = Vec::new();
    while start.elapsed() < time {
        let limiter = limiter.clone();
        calls.push(tokio::spawn(async move {
            let cost = Cost::of("rpm", 1).and("tpm", 800);
            let lease = limiter.acquire(format!("key-{key}"), "gpt-4", cost).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            lease.adjust("tpm", -350).unwrap();
            drop(lease.commit());
        }));
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let count = calls.len() as u64;
    for call in calls {
        call.await.unwrap();
    }
    count
}

/// The results of many processes on one bucket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crowd {
    pub asked: u64,
    pub granted: u64,
    pub units: Units,
    pub seconds: f64,
    /// The longest duration of an acquire.
    pub longest: Duration,
}

/// Makes `processes` ask one bucket `per_second` times a second in total, evenly, for `time`.
pub async fn crowd(
    fleet: &Fleet,
    limit: &Limits,
    processes: u64,
    per_second: u64,
    reserve: Reserve,
    time: Duration,
) -> Crowd {
    let mut members: Vec<(Wire, RateLimiter)> = Vec::new();
    for _ in 0..processes {
        members.push(fleet.process(limit, |b| b.reserve(reserve)).await);
    }
    let gap = Duration::from_secs(processes).div_f64(per_second as f64);
    let start = Instant::now();
    let running = members.iter().enumerate().map(|(index, (_, limiter))| {
        let limiter = Arc::new(limiter.clone());
        tokio::spawn(async move {
            let mut next = start + gap.mul_f64(index as f64 / processes as f64);
            let mut asks = Vec::new();
            while next < start + time {
                tokio::time::sleep_until(next).await;
                next += gap;
                let limiter = Arc::clone(&limiter);
                asks.push(tokio::spawn(async move {
                    let asked_at = Instant::now();
                    (spend(&limiter, "proj-1", Cost::of("rpm", 1)).await, asked_at.elapsed())
                }));
            }
            let mut own = Crowd { asked: asks.len() as u64, ..Crowd::default() };
            for ask in asks {
                let (granted, took) = ask.await.unwrap();
                own.granted += u64::from(granted);
                own.longest = own.longest.max(took);
            }
            own
        })
    });
    let mut crowd = Crowd::default();
    for task in running.collect::<Vec<_>>() {
        let own = task.await.unwrap();
        crowd.asked += own.asked;
        crowd.granted += own.granted;
        crowd.longest = crowd.longest.max(own.longest);
    }
    crowd.seconds = start.elapsed().as_secs_f64();
    for (wire, _) in &members {
        let units = wire.units();
        crowd.units.writes += units.writes;
        crowd.units.units += units.units;
    }
    crowd
}

/// Measures strict processes on a bucket that is always full.
pub async fn contended(processes: u64, per_second: u64, time: Duration) -> Crowd {
    let fleet = Fleet::new(ROUND_TRIP);
    crowd(&fleet, &limits([rpm(600_000_000)]), processes, per_second, Reserve::Off, time).await
}

/// Measures the writes per second on one project's item: 32 processes, 10 000 acquires a second in total.
pub async fn project(time: Duration) -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let crowd = crowd(&fleet, &limits([rpm(1_200_000)]), 32, 10_000, Reserve::All, time).await;
    assert_eq!(crowd.granted, crowd.asked, "half of the limit");
    crowd.units.writes as f64 / crowd.seconds
}

/// Measures twice the permitted load by many processes, from an empty bucket: writes per request, and granted /
/// permitted.
pub async fn overload(processes: u64, per_second: u64, time: Duration) -> (f64, f64) {
    let limit = limits([Limit::per_second("rpm", per_second).unwrap().with_burst(per_second * 60).unwrap()]);
    let fleet = Fleet::new(ROUND_TRIP);
    let (_, drain) = fleet.process(&limit, strict).await;
    assert!(spend(&drain, "proj-1", Cost::of("rpm", per_second * 60)).await);
    let crowd = crowd(&fleet, &limit, processes, per_second * 2, Reserve::All, time).await;
    let permitted = per_second as f64 * crowd.seconds;
    (crowd.units.writes as f64 / crowd.asked as f64, crowd.granted as f64 / permitted)
}

/// Measures writes per acquire from a reserve: one task after another on one hot bucket, `acquires` in total, 1 000 per
/// millisecond.
pub async fn reserved(acquires: u64) -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([rpm(ENDLESS)]), |b| b.reserve(Reserve::All)).await;
    for turn in 0..acquires {
        assert!(spend(&limiter, "user-1", Cost::of("rpm", 1)).await);
        if turn % 100 == 99 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    wire.units().writes as f64 / acquires as f64
}
