//! Reserve mode: its savings, its cost, and its bound (invariant I1 in reserve mode).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;
use zae_limiter::{
    Acquire, AcquireError, Cost, EntityId, LeaseOrigin, Limit, NewEntity, OnUnavailable, RateLimiter,
    RateLimiterBuilder, Reserve,
};
use zae_testkit::{Fault, driven::Fleet, limits, rpm, tpm};

const LIFE: Duration = Duration::from_secs(1);
const ROUND_TRIP: Duration = Duration::from_millis(5);

fn all(builder: RateLimiterBuilder) -> RateLimiterBuilder {
    builder.reserve(Reserve::All)
}

/// Takes one token and keeps it. Returns true if it was granted.
async fn spend(limiter: &RateLimiter, entity: &str) -> bool {
    match limiter.acquire(entity, "gpt-4", Cost::of("rpm", 1)).await {
        Ok(lease) => {
            drop(lease.commit());
            true
        }
        Err(AcquireError::Exceeded(exceeded)) => {
            assert!(exceeded.retry_after() > Duration::ZERO, "a refusal says when to come back");
            false
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Spends at `per_second` for `time`; returns the number of grants.
async fn stream(limiter: &RateLimiter, per_second: u32, time: Duration) -> u64 {
    let (start, gap) = (Instant::now(), Duration::from_secs(1) / per_second);
    let mut granted = 0;
    while start.elapsed() < time {
        granted += u64::from(spend(limiter, "user-1").await);
        tokio::time::sleep(gap).await;
    }
    granted
}

/// Returns the whole tokens stored for the bucket, without refill.
async fn stored(fleet: &Fleet, entity: &str) -> i64 {
    let items = fleet.store.client().scan().table_name("limiter").send().await.unwrap();
    let of = format!("/BUCKET#{entity}#");
    let item = items.items().iter().find(|item| item["PK"].as_s().is_ok_and(|pk| pk.contains(&of))).expect("a bucket");
    item["b_rpm_tk"].as_n().unwrap().parse::<i64>().unwrap().div_euclid(1_000)
}

/// A limit that does not refill during the test.
fn slow(capacity: u64) -> Limit {
    Limit::per("rpm", 1, Duration::from_secs(10_000_000)).unwrap().with_burst(capacity).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hot_bucket_is_written_a_few_times_a_second() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([rpm(6_000_000)]), all).await;
    let granted = stream(&limiter, 1_000, Duration::from_secs(10)).await;
    let writes = wire.units().writes;
    assert!(granted > 9_000, "{granted}");
    assert!(writes < 80, "{writes} writes for {granted} acquires");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_back_when_idle_and_at_shutdown() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (_, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    let mut granted = stream(&limiter, 1_000, LIFE * 3).await;
    assert!(stored(&fleet, "user-1").await < 1_000_000 - i64::try_from(granted).unwrap(), "some is held");
    tokio::time::sleep(LIFE).await;
    assert_eq!(stored(&fleet, "user-1").await, 1_000_000 - i64::try_from(granted).unwrap(), "idle");
    granted += stream(&limiter, 1_000, LIFE).await;
    limiter.shutdown().await;
    assert_eq!(stored(&fleet, "user-1").await, 1_000_000 - i64::try_from(granted).unwrap(), "shut down");
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_gives_back_what_is_held() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (_, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    let granted = stream(&limiter, 1_000, LIFE).await;
    drop(limiter);
    tokio::time::sleep(ROUND_TRIP * 4).await;
    assert_eq!(stored(&fleet, "user-1").await, 1_000_000 - i64::try_from(granted).unwrap());
}

#[tokio::test(start_paused = true)]
async fn rare_asks_and_small_buckets_are_decided_by_the_table() {
    let fleet = Fleet::new(ROUND_TRIP);
    // One ask a second; and a bucket whose half percent is less than a token.
    for (limit, per_second) in [(slow(1_000_000), 1), (slow(199), 20)] {
        let (wire, limiter) = fleet.process(&limits([limit]), all).await;
        let granted = stream(&limiter, per_second, Duration::from_secs(8)).await;
        assert_eq!(wire.units().writes, granted);
        limiter.repository().delete_entity(&EntityId::new("user-1").unwrap()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_strict_call_is_decided_by_the_table_whatever_is_held() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    stream(&limiter, 1_000, LIFE).await;
    wire.reset();
    let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
    let writes = async |request: Acquire| {
        limiter.acquire_with(request).await.unwrap().commit().await.unwrap();
        wire.units().writes
    };
    assert_eq!(writes(request.clone()).await, 0);
    assert_eq!(writes(request.clone().reserve(Reserve::Off)).await, 1);
    assert_eq!(writes(request.reserve(Reserve::Parents)).await, 1, "it has no parent");
}

#[tokio::test(start_paused = true)]
async fn a_grant_at_once_takes_from_what_is_held_or_nothing() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
    assert!(limiter.try_acquire(&request).is_none(), "nothing is held yet");
    let spent = i64::try_from(stream(&limiter, 1_000, LIFE).await).unwrap();
    wire.reset();
    let lease = limiter.try_acquire(&request).expect("there is a reserve");
    assert_eq!(wire.units().writes, 0);
    drop(lease.commit());
    drop(limiter.try_acquire(&request).expect("it gives this one back when it is dropped"));
    assert!(limiter.try_acquire(&request.clone().reserve(Reserve::Off)).is_none());
    let unknown = Acquire::new(request.entity().clone(), request.resource().clone(), Cost::of("tpm", 1)).unwrap();
    assert!(limiter.try_acquire(&unknown).is_none(), "for `acquire_with` to say why");
    limiter.shutdown().await;
    assert!(limiter.try_acquire(&request).is_none());
    assert_eq!(stored(&fleet, "user-1").await, 1_000_000 - spent - 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_in_two_ways_goes_back_to_the_table() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    stream(&limiter, 1_000, LIFE).await;
    let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
    let lease = limiter.try_acquire(&request).expect("there is a reserve");
    lease.consume(Cost::of("rpm", 5)).await.unwrap();
    wire.reset();
    // A reserve would always take its own token back; of these six, five are younger than it.
    lease.roll_back().await.unwrap();
    assert_eq!(wire.units().writes, 1);
}

#[tokio::test(start_paused = true)]
async fn who_was_only_served_from_a_reserve_has_a_local_share_too() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), |builder| all(builder).local_share(0.1)).await;
    stream(&limiter, 1_000, LIFE).await;
    let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
    let request = request.on_unavailable(OnUnavailable::Local);
    let lease = limiter.try_acquire(&request).expect("there is a reserve");
    drop(lease.commit());
    wire.fail(|_, _| Fault::LostBefore);
    let lease = limiter.acquire_with(request.reserve(Reserve::Off)).await.unwrap();
    assert_eq!(lease.origin(), LeaseOrigin::Local);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_keys_of_one_project_share_its_reserve() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), |b| b.reserve(Reserve::Parents)).await;
    for key in 0..20 {
        let child = NewEntity::new(EntityId::new(format!("key-{key}")).unwrap());
        let child = child.parent(EntityId::new("proj-1").unwrap()).cascading();
        limiter.repository().create_entity(child).await.unwrap();
    }
    wire.reset();
    let mut granted = 0;
    for turn in 0..1_000 {
        granted += u64::from(spend(&limiter, &format!("key-{}", turn % 20)).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let writes = wire.units().writes;
    assert_eq!(granted, 1_000);
    assert!((1_000..1_100).contains(&writes), "{writes} writes: one for each child, and a few for the parent");
    limiter.shutdown().await;
    assert_eq!(stored(&fleet, "proj-1").await, 999_000);
}

#[tokio::test(start_paused = true)]
async fn adjustments_are_settled_with_what_is_held() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    stream(&limiter, 1_000, LIFE).await;
    wire.reset();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 10)).await.unwrap();
    lease.adjust("rpm", 20).unwrap();
    lease.commit().await.unwrap();
    let rolled_back = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 50)).await.unwrap();
    rolled_back.roll_back().await.unwrap();
    drop(limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 50)).await.unwrap());
    assert_eq!(wire.units().writes, 0);
    let before = stored(&fleet, "user-1").await;
    // After its lot's expiry, a refund goes to the table.
    let late = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 40)).await.unwrap();
    tokio::time::sleep(LIFE * 2).await;
    let held_until_now = stored(&fleet, "user-1").await;
    assert!(held_until_now > before, "what was held has gone back");
    late.roll_back().await.unwrap();
    assert_eq!(stored(&fleet, "user-1").await, held_until_now + 40);
}

#[tokio::test(start_paused = true)]
async fn changed_limits_end_what_was_held_under_the_old_ones() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (_, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    let mut granted = stream(&limiter, 1_000, LIFE).await;
    limiter.repository().set_system_defaults(&limits([slow(1_100_000), tpm(10)])).await.unwrap();
    granted += u64::from(spend(&limiter, "user-1").await);
    limiter.shutdown().await;
    assert_eq!(stored(&fleet, "user-1").await, 1_000_000 - i64::try_from(granted).unwrap());
}

/// The worst case for the bound: every process holds its maximum, the bucket refills meanwhile, and then everything is
/// spent at once, from the reserves and from the bucket.
async fn burst(processes: usize, limit: &Limit, life: Duration) -> (f64, f64) {
    let fleet = Fleet::new(ROUND_TRIP);
    let mut fleet_limiters = Vec::new();
    for _ in 0..processes {
        let with = |b: RateLimiterBuilder| b.reserve(Reserve::All).reserve_life(life);
        fleet_limiters.push(fleet.process(&limits([limit.clone()]), with).await.1);
    }
    // Demand that makes the processes hold their maximum.
    let warm = Instant::now();
    while warm.elapsed() < life {
        for limiter in &fleet_limiters {
            for _ in 0..4 {
                spend(limiter, "user-1").await;
            }
        }
        tokio::time::sleep(life / 100).await;
    }
    // The bucket fills up while the reserves live.
    tokio::time::sleep(life / 3).await;
    let start = Instant::now();
    let tasks = fleet_limiters.iter().flat_map(|limiter| (0..64).map(|_| tokio::spawn(until_refused(limiter.clone()))));
    let mut granted = 0_u64;
    for task in tasks.collect::<Vec<_>>() {
        granted += task.await.unwrap();
    }
    let (capacity, rate) = (limit.capacity() as f64, limit.refill_rate());
    let excess = granted as f64 - capacity - rate * start.elapsed().as_secs_f64();
    let share = (limit.capacity() / 200) as f64;
    (excess, (rate * life.as_secs_f64()).min(processes as f64 * (share - 1.0)))
}

async fn until_refused(limiter: RateLimiter) -> u64 {
    let mut granted = 0;
    while spend(&limiter, "user-1").await {
        granted += 1;
    }
    granted
}

#[tokio::test(start_paused = true)]
async fn a_burst_stays_within_the_bound() {
    let mut most = f64::MIN;
    for (processes, capacity, rate, life) in [(1, 4_000, 400, 1_000), (8, 4_000, 400, 1_000), (8, 4_000, 4_000, 250)] {
        let limit = Limit::per_second("rpm", rate).unwrap().with_burst(capacity).unwrap();
        let (excess, bound) = burst(processes, &limit, Duration::from_millis(life)).await;
        assert!(excess <= bound + 1e-6, "{processes} processes: {excess} over, {bound} allowed");
        most = most.max(excess);
    }
    assert!(most > 0.0, "the adversary has to find something: {most}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_without_a_word_strands_little_and_for_a_while() {
    let fleet = Fleet::new(ROUND_TRIP);
    let limit = Limit::per_second("rpm", 1_000).unwrap().with_burst(20_000).unwrap();
    let (wire, crashing) = fleet.process(&limits([limit.clone()]), all).await;
    let granted = stream(&crashing, 1_000, LIFE / 2).await;
    let gone = 20_000 - stored(&fleet, "user-1").await - i64::try_from(granted).unwrap();
    assert!((1..100).contains(&gone), "{gone}: less than half a percent of the capacity");
    // From here on nothing reaches the table.
    wire.fail(|_, _| Fault::LostBefore);
    tokio::time::sleep(LIFE * 3).await;
    let (_, other) = fleet.process(&limits([limit]), |b| b).await;
    let (entity, resource) = ("user-1", "gpt-4");
    assert_eq!(other.available(entity, resource).await.unwrap()["rpm"], 20_000, "refill has replaced it");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_of_a_sharded_bucket() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    assert!(spend(&limiter, "user-1").await);
    let client = fleet.store.client();
    let items = client.scan().table_name("limiter").send().await.unwrap();
    let mut bucket = items.items().iter().find(|item| item.contains_key("b_rpm_tk")).unwrap().clone();
    bucket.insert("shard_count".to_owned(), AttributeValue::N("2".to_owned()));
    client.put_item().table_name("limiter").set_item(Some(bucket)).send().await.unwrap();
    wire.reset();
    let granted = stream(&limiter, 100, LIFE * 2).await;
    let writes = wire.units().writes;
    assert!((granted..granted + 5).contains(&writes), "{writes} writes for {granted}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_store_is_not_pressed_for_what_nobody_waits_for() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    stream(&limiter, 1_000, LIFE).await;
    wire.fail(|_, _| Fault::Throttled);
    wire.reset();
    let mut asked_for_more = 0;
    // A replenishment starts at a third, which lasts longer than this.
    for turn in 0..1_000 {
        asked_for_more += wire.count();
        if asked_for_more > 0 && turn % 100 == 99 {
            break;
        }
        assert!(spend(&limiter, "user-1").await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!((1..=2).contains(&asked_for_more), "{asked_for_more}");
}

#[tokio::test(start_paused = true)]
async fn a_reserve_ages_from_the_moment_it_was_asked_for() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    let sent = Arc::new(Mutex::new(Instant::now()));
    let last = Arc::clone(&sent);
    wire.fail(move |_, _| {
        *last.lock().unwrap() = Instant::now();
        Fault::Trip(400)
    });
    for _ in 0..300 {
        let limiter = limiter.clone();
        tokio::spawn(async move { spend(&limiter, "user-1").await });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // From here on there is none left.
    wire.fail(|_, _| Fault::LostBefore);
    let sent = *sent.lock().unwrap();
    let mut granted_at = sent;
    while sent.elapsed() < LIFE * 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Ok(lease) = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await {
            drop(lease.commit());
            granted_at = Instant::now();
        }
    }
    let age = granted_at - sent;
    assert!(age > LIFE * 3 / 4 && age < LIFE * 7 / 8, "the oldest was used {age:?} after it was asked for");
}

#[tokio::test(start_paused = true)]
async fn a_refund_into_an_empty_reserve_finds_its_way_to_the_table() {
    let fleet = Fleet::new(ROUND_TRIP);
    let long = |b: RateLimiterBuilder| b.reserve(Reserve::All).reserve_life(LIFE * 10);
    let (_, limiter) = fleet.process(&limits([slow(1_000_000)]), long).await;
    let granted = stream(&limiter, 1_000, LIFE / 2).await;
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 50)).await.unwrap();
    // Unused for half a lifetime, the rest has gone back.
    tokio::time::sleep(LIFE * 6).await;
    let left = 1_000_000 - i64::try_from(granted).unwrap();
    assert_eq!(stored(&fleet, "user-1").await, left - 50);
    drop(lease);
    tokio::time::sleep(LIFE).await;
    assert_eq!(stored(&fleet, "user-1").await, left);
}

#[tokio::test(start_paused = true)]
async fn adjustments_wait_for_the_next_filling() {
    let fleet = Fleet::new(ROUND_TRIP);
    let (wire, limiter) = fleet.process(&limits([slow(1_000_000)]), all).await;
    stream(&limiter, 1_000, LIFE).await;
    let strict = async || {
        let (entity, resource) = ("user-1", "gpt-4");
        let request = Acquire::new(entity, resource, Cost::of("rpm", 2)).unwrap().reserve(Reserve::Off);
        limiter.acquire_with(request).await.unwrap()
    };
    let leases = [strict().await, strict().await, strict().await, strict().await, strict().await, strict().await];
    wire.reset();
    for lease in leases {
        lease.adjust("rpm", -1).unwrap();
        drop(lease.commit());
        stream(&limiter, 1_000, LIFE / 10).await;
    }
    let writes = wire.units().writes;
    assert!((1..=3).contains(&writes), "{writes} in {:?}", LIFE * 6 / 10);
}
