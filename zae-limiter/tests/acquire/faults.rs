//! Many tasks and processes on one bucket with a faulty store: nothing is granted that the bucket does not have, and
//! the accounts balance (invariants I1 to I4 and I6).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use zae_limiter::{AcquireError, Cost, EntityId, Limit, NewEntity, RateLimiter, Repository};
use zae_testkit::{Bench, DEADLINE, Fault, Wire, limits, rpm, tpm};

/// A cheap deterministic mixer: the same seed fails the same requests.
fn mix(seed: u64, number: u64) -> u64 {
    let mut x = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Ten percent of all writes fail one way or another.
fn misbehave(wire: &Wire, seed: u64) {
    wire.fail(move |operation, number| match (operation, mix(seed, number) % 100) {
        ("BatchGetItem", _) => Fault::None,
        (_, 0..=2) => Fault::LostBefore,
        (_, 3..=5) => Fault::LostAfter,
        (_, 6..=9) => Fault::Throttled,
        (_, 10..=29) => Fault::Slow(3),
        _ => Fault::None,
    });
}

/// Tokens and net consumption as stored, in mt.
async fn stored(bench: &Bench, entity: &str, limit: &str) -> (i64, i64) {
    let client = bench.store.client();
    let items = client.scan().table_name("limiter").send().await.unwrap();
    let item = items
        .items()
        .iter()
        .find(|item| item["PK"].as_s().is_ok_and(|pk| pk.contains(&format!("/BUCKET#{entity}#"))))
        .expect("a bucket");
    let number = |field: &str| item[&format!("b_{limit}_{field}")].as_n().unwrap().parse().unwrap();
    (number("tk"), number("tc"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_and_processes_grant_exactly_the_capacity() {
    let bench = Bench::new();
    let limits = limits([rpm(500), tpm(100_000)]);
    let granted = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (wire, limiter) = bench.limiter(&limits).await;
        wire.fail(|_, number| if number % 3 == 0 { Fault::Slow(2) } else { Fault::None });
        for _ in 0..64 {
            let (limiter, granted) = (limiter.clone(), Arc::clone(&granted));
            tasks.push(tokio::spawn(async move {
                for _ in 0..4 {
                    match limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1).and("tpm", 7)).await {
                        Ok(lease) => {
                            lease.commit().await.unwrap();
                            granted.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(AcquireError::Exceeded(_)) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(granted.load(Ordering::SeqCst), 500, "1024 asked");
    assert_eq!(stored(&bench, "user-1", "rpm").await, (0, 500_000));
    assert_eq!(stored(&bench, "user-1", "tpm").await, (96_500_000, 3_500_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_err_towards_granting_less() {
    for seed in 0..4 {
        let bench = Bench::new();
        let limits = limits([rpm(300)]);
        let granted = Arc::new(AtomicU64::new(0));
        let mut limiters = Vec::new();
        let mut tasks = Vec::new();
        for process in 0..3 {
            let (wire, limiter) = bench.limiter(&limits).await;
            misbehave(&wire, seed * 10 + process);
            limiters.push((wire, limiter.clone()));
            for task in 0..16_u64 {
                let (limiter, granted) = (limiter.clone(), Arc::clone(&granted));
                tasks.push(tokio::spawn(async move {
                    for turn in 0..8 {
                        let acquire = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1));
                        // Some give up before the response arrives.
                        let patience =
                            Duration::from_millis(if mix(task, turn).is_multiple_of(4) { 1 } else { 10_000 });
                        let Ok(Ok(lease)) = tokio::time::timeout(patience, acquire).await else { continue };
                        if mix(task, turn).is_multiple_of(5) {
                            drop(lease);
                        } else {
                            drop(lease.commit());
                            granted.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        for (wire, limiter) in limiters {
            wire.fail(|_, _| Fault::None);
            limiter.shutdown().await;
        }
        let granted = i64::try_from(granted.load(Ordering::SeqCst)).unwrap();
        let (tokens, consumed) = stored(&bench, "user-1", "rpm").await;
        // A write that finds a shared bucket full leaves room below its limit, one per cent at the most.
        let conserved = 297_000..=300_000;
        assert!(conserved.contains(&(tokens + consumed)), "seed {seed}: {tokens} and {consumed} consumed");
        assert!(consumed >= granted * 1_000, "seed {seed}: {granted} granted of {consumed} consumed");
    }
}

/// Drops acquires at different points, or after the grant without a commit, beside 3 tokens that are kept.
async fn drop_many(wire: &Wire, limiter: &RateLimiter) {
    let child = NewEntity::new(EntityId::new("key-1").unwrap()).parent(EntityId::new("proj-1").unwrap()).cascading();
    limiter.repository().create_entity(child).await.unwrap();
    let committed = limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 3)).await.unwrap();
    committed.commit().await.unwrap();
    wire.fail(|_, number| Fault::Slow(number % 4));
    let tasks = (0..200_u64).map(|task| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            let patience = Duration::from_micros(mix(7, task) % 6_000);
            let _ = tokio::time::timeout(patience, limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 2))).await;
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    limiter.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_acquires_and_leases_leave_nothing_taken() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(1_000)])).await;
    drop_many(&wire, &limiter).await;
    for entity in ["key-1", "proj-1"] {
        assert_eq!(stored(&bench, entity, "rpm").await, (997_000, 3_000), "{entity}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_they_in_real_time() {
    let bench = Bench::new();
    let (wire, client) = Wire::tap(&bench.store.client());
    let repository = Repository::builder().client(client).create_table().build().await.unwrap();
    // A thousand tokens that refill by one a day: the refill during the test is well below one.
    let slow = Limit::per_day("rpm", 1).unwrap().with_burst(1_000).unwrap();
    repository.set_system_defaults(slow).await.unwrap();
    drop_many(&wire, &RateLimiter::builder(repository).deadline(DEADLINE).build()).await;
    for entity in ["key-1", "proj-1"] {
        let (tokens, consumed) = stored(&bench, entity, "rpm").await;
        assert_eq!(consumed, 3_000, "{entity}");
        assert!((997_000..998_000).contains(&tokens), "{entity}: {tokens}");
    }
}

async fn exhaust(limiter: &RateLimiter, entity: &str, tokens: u64) {
    limiter.acquire(entity, "gpt-4", Cost::of("rpm", tokens)).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn what_the_parent_refuses_the_child_gets_back() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let repository = limiter.repository().clone();
    for key in ["key-1", "key-2"] {
        let child = NewEntity::new(EntityId::new(key).unwrap()).parent(EntityId::new("proj-1").unwrap()).cascading();
        repository.create_entity(child).await.unwrap();
    }
    // By another process, because this one's memory would refuse the child without a call.
    exhaust(&bench.limiter(&limits([rpm(100)])).await.1, "key-1", 90).await;
    let refused = limiter.acquire("key-2", "gpt-4", Cost::of("rpm", 20)).await.unwrap_err();
    let AcquireError::Exceeded(exceeded) = refused else { panic!("{refused}") };
    assert_eq!(exceeded.primary().entity_id.as_str(), "proj-1");
    assert_eq!(exceeded.statuses().len(), 2, "both levels report");
    limiter.shutdown().await;
    assert_eq!(stored(&bench, "key-2", "rpm").await, (100_000, 0));
    assert_eq!(stored(&bench, "proj-1", "rpm").await, (10_000, 90_000));
}

#[tokio::test]
async fn a_late_refund_does_not_reach_a_bucket_that_was_made_anew() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let entity = EntityId::new("user-1").unwrap();
    let late = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 50)).await.unwrap();
    limiter.repository().delete_entity(&entity).await.unwrap();
    let (_, other) = bench.limiter(&limits([rpm(100)])).await;
    exhaust(&other, "user-1", 80).await;
    late.roll_back().await.unwrap();
    assert_eq!(stored(&bench, "user-1", "rpm").await, (20_000, 80_000));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_outlasts_a_store_that_is_busy_for_a_moment() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 50)).await.unwrap();
    wire.take();
    let tries = AtomicU64::new(0);
    wire.fail(move |_, _| if tries.fetch_add(1, Ordering::SeqCst) < 3 { Fault::Throttled } else { Fault::None });
    lease.roll_back().await.unwrap();
    assert_eq!(wire.count(), 4);
    assert_eq!(stored(&bench, "user-1", "rpm").await, (100_000, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_for_who_gives_up_between_two_attempts() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100)])).await;
    exhaust(&limiter, "user-1", 1).await;
    wire.fail(|_, _| Fault::Throttled);
    let acquire = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1));
    assert!(tokio::time::timeout(Duration::from_millis(20), acquire).await.is_err());
    assert!(wire.count() > 1, "it was tried more than once");
    wire.fail(|_, _| Fault::None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(wire.count(), 0);
}

#[tokio::test]
async fn a_lease_gives_back_what_it_took_from_the_bucket_that_is_there() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 50)).await.unwrap();
    limiter.repository().delete_entity(&EntityId::new("user-1").unwrap()).await.unwrap();
    let (_, other) = bench.limiter(&limits([rpm(100)])).await;
    exhaust(&other, "user-1", 80).await;
    lease.consume(Cost::of("rpm", 5)).await.unwrap();
    assert_eq!(stored(&bench, "user-1", "rpm").await, (15_000, 85_000));
    lease.roll_back().await.unwrap();
    assert_eq!(stored(&bench, "user-1", "rpm").await, (20_000, 80_000));
}
