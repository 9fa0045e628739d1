//! Buckets that DynamoDB throttles because one item is written too often, and what is asked of their shards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use zae_limiter::{AcquireError, Cost, Lease, RateLimiter, Repository, Shards};
use zae_testkit::{Bench, Fault, START, Wire, limits, raw, rpm};

/// Capacity and refill a minute, in mt.
const C: i64 = 100_000;

async fn take(limiter: &RateLimiter, tokens: u64) -> Result<Lease, AcquireError> {
    limiter.acquire("e", "gpt-4", Cost::of("rpm", tokens)).await
}

/// The existing items of the bucket.
async fn items(r: &Repository) -> Vec<Value> {
    let mut items = Vec::new();
    for shard in 0..8 {
        items.push(raw::get(r, &format!("{}/BUCKET#e#gpt-4#{shard}", r.namespace_id()), "#STATE").await);
    }
    items.retain(|item| !item.is_null());
    items
}

fn sum(items: &[Value], attribute: &str) -> i64 {
    items.iter().map(|item| raw::number(item, attribute).unwrap()).sum()
}

fn counts(items: &[Value]) -> Vec<Option<i64>> {
    items.iter().map(|item| raw::number(item, "shard_count")).collect()
}

/// Throttles the `writes` next updates of buckets, and has `fault` for transactions.
fn heat(wire: &Wire, writes: u64, fault: Fault) {
    let left = Arc::new(AtomicU64::new(writes));
    wire.fail(move |operation, _| match operation {
        "UpdateItem" if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() => {
            Fault::HotItem
        }
        "TransactWriteItems" => fault,
        _ => Fault::None,
    });
}

/// A limiter whose bucket has been throttled, after it had the time to do something about it.
async fn throttled(bench: &Bench, shards: Shards, fault: Fault) -> RateLimiter {
    let (wire, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
    let limiter = RateLimiter::builder(repository).shards(shards).build();
    take(&limiter, 1).await.unwrap().commit().await.unwrap();
    heat(&wire, 1, fault);
    take(&limiter, 1).await.unwrap().commit().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    wire.fail(|_, _| Fault::None);
    limiter
}

#[tokio::test(start_paused = true)]
async fn a_bucket_whose_item_is_written_too_often_is_split_and_loses_nothing() {
    let bench = Bench::new();
    let limiter = throttled(&bench, Shards::OnDemand, Fault::None).await;
    let shards = items(limiter.repository()).await;
    assert_eq!(counts(&shards), [Some(2), Some(2)]);
    assert_eq!(sum(&shards, "b_rpm_tk"), 98_000, "{shards:?}");
    assert!(shards.iter().all(|shard| raw::number(shard, "b_rpm_tk") <= Some(C / 2)), "{shards:?}");
    assert!(shards.iter().all(|shard| shard.get("ttl").is_none()), "no shard ends before the others");
    let whole: i64 = shards.iter().map(|shard| raw::number(shard, "b_rpm_tk").unwrap() / 1_000).sum();
    assert!(whole >= 97, "at most a started token in each of them: {shards:?}");
    for _ in 0..whole {
        take(&limiter, 1).await.unwrap().commit().await.unwrap();
    }
    assert!(matches!(take(&limiter, 1).await, Err(AcquireError::Exceeded(_))));
    assert_eq!(sum(&items(limiter.repository()).await, "b_rpm_tc"), (2 + whole) * 1_000);
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_one_item_keeps_one() {
    let bench = Bench::new();
    let limiter = throttled(&bench, Shards::Never, Fault::None).await;
    assert_eq!(counts(&items(limiter.repository()).await), [Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_split_that_meets_trouble_is_done_or_not() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::Twice, Fault::Conflict, Fault::Denied] {
        let bench = Bench::new();
        let limiter = throttled(&bench, Shards::OnDemand, fault).await;
        let shards = items(limiter.repository()).await;
        let count = i64::try_from(shards.len()).unwrap();
        assert!([1, 2].contains(&count) && counts(&shards).iter().all(|counted| *counted == Some(count)), "{fault:?}");
        assert_eq!(sum(&shards, "b_rpm_tk"), 98_000, "{fault:?}: {shards:?}");
        take(&limiter, 1).await.unwrap().commit().await.unwrap();
    }
}

/// A limiter whose bucket has these tokens in its shards.
async fn sharded(bench: &Bench, tokens: &[i64]) -> RateLimiter {
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let count = u32::try_from(tokens.len()).unwrap();
    for (shard, tokens) in (0..).zip(tokens) {
        let limits = [("rpm", tokens * 1_000, C, C, 60_000)];
        raw::put(
            limiter.repository(),
            &raw::bucket(limiter.repository(), ("e", "gpt-4"), (shard, count), START, &limits),
        )
        .await;
    }
    limiter
}

#[tokio::test]
async fn what_no_shard_can_hold_is_gathered_and_given_back_whole() {
    let bench = Bench::new();
    let limiter = sharded(&bench, &[40, 10, 20, 25]).await;
    let r = limiter.repository().clone();
    let lease = take(&limiter, 70).await.unwrap();
    assert_eq!((lease.statuses()[0].requested, lease.statuses()[0].available), (70, 10));
    assert_eq!(sum(&items(&r).await, "b_rpm_tk"), 10_000, "shard 0 was cut to its share");
    lease.roll_back().await.unwrap();
    let shards = items(&r).await;
    assert_eq!((sum(&shards, "b_rpm_tk"), sum(&shards, "b_rpm_tc")), (80_000, 0));
}

#[tokio::test]
async fn of_what_was_gathered_a_difference_is_booked_once() {
    for (difference, left) in [(-65, 80_000), (-80, 85_000), (5, 10_000)] {
        let bench = Bench::new();
        let limiter = sharded(&bench, &[25, 15, 20, 25]).await;
        let lease = take(&limiter, 70).await.unwrap();
        lease.adjust("rpm", difference).unwrap();
        lease.commit().await.unwrap();
        limiter.shutdown().await;
        let shards = items(limiter.repository()).await;
        assert_eq!((sum(&shards, "b_rpm_tk"), sum(&shards, "b_rpm_tc")), (left, 85_000 - left), "{difference}");
    }
}

#[tokio::test]
async fn what_all_shards_together_lack_is_refused_and_nothing_is_kept() {
    let bench = Bench::new();
    let limiter = sharded(&bench, &[20, 10, 20, 25]).await;
    let Err(AcquireError::Exceeded(exceeded)) = take(&limiter, 90).await else { panic!("refused") };
    assert_eq!(exceeded.statuses()[0].available, 75);
    // 15 tokens of 100 a minute.
    assert_eq!(exceeded.retry_after(), Duration::from_secs(9));
    limiter.shutdown().await;
    let shards = items(limiter.repository()).await;
    assert_eq!((sum(&shards, "b_rpm_tk"), sum(&shards, "b_rpm_tc")), (75_000, 0));
}

#[tokio::test]
async fn nobody_creates_a_shard_of_a_bucket_that_was_folded() {
    let bench = Bench::new();
    let limiter = sharded(&bench, &[25, 25, 25, 25]).await;
    let r = limiter.repository().clone();
    // Each process begins with a shard of its own.
    let limiters: Vec<RateLimiter> = (0..16).map(|_| RateLimiter::new(r.clone())).collect();
    for limiter in &limiters {
        take(limiter, 1).await.unwrap().commit().await.unwrap();
    }
    assert_eq!(r.fold_bucket("e", "gpt-4").await.unwrap().unwrap().available["rpm"], 84);
    for limiter in &limiters {
        take(limiter, 1).await.unwrap().commit().await.unwrap();
        limiter.shutdown().await;
    }
    let shards = items(&r).await;
    assert_eq!((counts(&shards), sum(&shards, "b_rpm_tk")), (vec![Some(1)], 68_000));
}

#[tokio::test(start_paused = true)]
async fn shards_that_the_first_does_not_count_any_more_are_left_alone_within_seconds() {
    let bench = Bench::new();
    let limiter = sharded(&bench, &[25, 25, 25, 25]).await;
    let r = limiter.repository().clone();
    let limiters: Vec<RateLimiter> = (0..16).map(|_| RateLimiter::new(r.clone())).collect();
    for limiter in &limiters {
        take(limiter, 1).await.unwrap().commit().await.unwrap();
    }
    let limits = [("rpm", 50_000, C, C, 60_000)];
    raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (0, 1), START, &limits)).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    for limiter in &limiters {
        take(limiter, 1).await.unwrap().commit().await.unwrap();
    }
    assert_eq!(raw::number(&items(&r).await[0], "b_rpm_tc"), Some(16_000));
}
