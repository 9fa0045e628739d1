//! Both sides acquiring from one bucket at the same time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use zae_limiter::{AcquireError, Cost, RateLimiter, Reserve};

use super::{
    ours::Ours,
    side::{Side, read},
    table::{By, Table},
};

const TASKS: usize = 16;

fn rows(capacity: u64, per_second: u64) -> Value {
    json!([{ "name": "rps", "capacity": capacity, "refill_amount": per_second, "refill_period_seconds": 1 }])
}

fn burst(seconds: Option<f64>) -> Value {
    json!({
        "entity_id": "shared", "resource": "gpt-4", "consume": { "rps": 1 }, "tasks": TASKS, "seconds": seconds,
    })
}

/// Our half: many tasks acquire until `end`, and at the latest until each was refused (without an `end`).
async fn our_burst(limiter: &RateLimiter, end: Option<Instant>) -> u64 {
    let granted = Arc::new(AtomicU64::new(0));
    let tasks = (0..TASKS).map(|_| {
        let (limiter, granted) = (limiter.clone(), Arc::clone(&granted));
        tokio::spawn(async move {
            while end.is_none_or(|end| Instant::now() < end) {
                match limiter.acquire("shared", "gpt-4", Cost::of("rps", 1)).await {
                    Ok(lease) => {
                        lease.commit().await.unwrap();
                        granted.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(AcquireError::Exceeded(_)) if end.is_none() => break,
                    Err(AcquireError::Exceeded(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    granted.load(Ordering::SeqCst)
}

fn ours(table: &Table) -> &Ours {
    let Side::Ours(ours) = &table.ours else { unreachable!("`ours` is ours") };
    ours
}

/// While time stands still nothing refills: the grants are the content of the bucket, to the token. After idle time the
/// Python package grants too much (its plain writes leave accrued refill for later), within the bound.
#[tokio::test(flavor = "multi_thread")]
async fn at_a_standstill_the_sum_is_bounded_and_our_part_exact() {
    let capacity = 1_000;
    let Some(table) = Table::open(By::Us).await else { return };
    table.theirs.ok("set_system_defaults", json!({ "rows": rows(capacity, 10), "principal": "ops" })).await;
    let limiter = ours(&table).limiter("default").await.unwrap();

    // A full bucket, nothing hidden: together exactly its content. The package opens the table before the race.
    table.theirs.ok("get_system_defaults", json!({})).await;
    let (mine, yours) = tokio::join!(our_burst(&limiter, None), table.theirs.ok("burst", burst(None)));
    let yours = yours.as_u64().unwrap();
    assert_eq!(mine + yours, capacity, "{mine} + {yours}");
    assert!(mine > 0 && yours > 0, "both sides took part: {mine} + {yours}");

    // We alone after idle time: exactly one full bucket, however long it was idle.
    table.advance(3_600);
    assert_eq!(our_burst(&limiter, None).await, capacity);

    // Both after an idle time: at most one hidden bucket more.
    table.advance(3_600);
    let (mine, yours) = tokio::join!(our_burst(&limiter, None), table.theirs.ok("burst", burst(None)));
    let yours = yours.as_u64().unwrap();
    assert!((capacity..=2 * capacity).contains(&(mine + yours)), "{mine} + {yours}");
    let total = 2 * capacity + mine + yours;
    assert_eq!(table.bucket("shared", "gpt-4").await["rps"].1, i64::try_from(total).unwrap() * 1_000);
}

/// In driven time, three times the rate for ten minutes, by turns: everything permitted is granted, and the Python
/// package adds at most the one bucket that it can hide.
#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_of_overload_grant_what_is_permitted_and_at_most_one_bucket_more() {
    let (capacity, per_second, seconds) = (20, 1, 600);
    let Some(table) = Table::open(By::Them).await else { return };
    table.theirs.ok("set_system_defaults", json!({ "rows": rows(capacity, per_second), "principal": "ops" })).await;
    let ask = json!({ "entity_id": "shared", "resource": "gpt-4", "consume": { "rps": 1 } });
    let (mut granted, mut lowest, mut level) = ([0_u64; 2], f64::MAX, capacity as f64);
    for turn in 0..3 * per_second * seconds {
        table.clock.advance(Duration::from_millis(if turn % 3 == 0 { 334 } else { 333 }));
        level = (level + if turn % 3 == 0 { 0.334 } else { 0.333 } * per_second as f64).min(capacity as f64);
        // Two of three asks are Python's.
        let (side, number) = if turn % 3 == 0 { (&table.ours, 0) } else { (&table.theirs, 1) };
        match side.call("acquire", ask.clone()).await {
            Ok(_) => {
                granted[number] += 1;
                level -= 1.0;
                lowest = f64::min(lowest, level);
            }
            Err(failure) => assert!(failure.map.is_some(), "{failure:?}"),
        }
    }
    let (sum, permitted) = (granted[0] + granted[1], capacity + per_second * seconds);
    assert!(sum as f64 >= 0.99 * permitted as f64, "{granted:?} of {permitted}");
    assert!(lowest >= -(capacity as f64) - 1e-6, "{granted:?}: {lowest} in some interval");
    assert!(granted.iter().all(|part| *part > 0), "both sides took part: {granted:?}");
}

/// In real time: granted ≤ 2·C + r·τ, and the bucket's counter is the sum of both sides' grants.
#[tokio::test(flavor = "multi_thread")]
async fn in_real_time_the_sum_is_bounded_and_accounted_for() {
    race(100, 50, Reserve::Off).await;
}

/// The same with our side debiting ahead: the bound of reserve mode is added.
#[tokio::test(flavor = "multi_thread")]
async fn in_real_time_reserves_add_no_more_than_their_bound() {
    race(2_000, 200, Reserve::All).await;
}

async fn race(capacity: u64, per_second: u64, reserve: Reserve) {
    let Some(table) = Table::open(By::Them).await else { return };
    table.theirs.ok("set_system_defaults", json!({ "rows": rows(capacity, per_second), "principal": "ops" })).await;
    let limiter = ours(&table).limiter_in_real_time(reserve).await;
    let Side::Theirs(python, _) = &table.theirs else { unreachable!("`theirs` is theirs") };

    // Both have opened the table, and the bucket exists and is empty, before the measurement starts.
    let mut take = burst(None);
    take["op"] = "acquire".into();
    take["consume"] = json!({ "rps": capacity });
    take["ns"] = "default".into();
    for field in ["tasks", "seconds"] {
        take.as_object_mut().unwrap().remove(field);
    }
    let started = Instant::now();
    read(python.ask(&take).await).unwrap();
    let seconds = 3.0;
    let mut request = burst(Some(seconds));
    request["op"] = "burst".into();
    request["ns"] = "default".into();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    // Python remembers a refusal for a second, in which our tasks would take every refill: ours join once Python has a
    // part.
    let ours = async {
        while table.bucket("shared", "gpt-4").await["rps"].1 <= i64::try_from(capacity).unwrap() * 1_000 {
            assert!(Instant::now() < end, "they were granted nothing while they were alone");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        our_burst(&limiter, Some(end)).await
    };
    let (mine, yours) = tokio::join!(ours, python.ask(&request));
    let yours = read(yours).unwrap().as_u64().unwrap();
    let granted = capacity + mine + yours;
    let refilled = per_second as f64 * started.elapsed().as_secs_f64();
    // One process of ours, whose share is half a percent less a token.
    let ahead = if reserve == Reserve::All { (capacity / 200 - 1) as f64 } else { 0.0 };
    assert!(
        granted as f64 <= 2.0 * capacity as f64 + refilled + ahead,
        "{capacity} + {mine} + {yours} with {refilled} refilled"
    );
    assert!(mine > 0 && yours > 0, "both sides took part: {mine} + {yours}");

    // Returns the tokens that are still held.
    limiter.shutdown().await;
    let consumed = table.bucket("shared", "gpt-4").await["rps"].1;
    assert_eq!(consumed, i64::try_from(granted).unwrap() * 1_000);
}
