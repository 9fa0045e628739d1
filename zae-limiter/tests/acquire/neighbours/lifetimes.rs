//! The lifetime of an item: never less than the time its limits take to fill.

use serde_json::{Value, json};
use zae_limiter::{Cost, RateLimiter, Repository};

use super::{change, shard, take};
use zae_testkit::{Bench, START, limits, raw, tpm};

const NOW: i64 = START / 1_000;

async fn ttl(r: &Repository) -> Option<i64> {
    raw::number(&shard(r, 0).await, "ttl")
}

async fn owe(limiter: &RateLimiter, taken: u64, more: i64) {
    let lease = limiter.acquire("e", "gpt-4", Cost::of("tpm", taken)).await.unwrap();
    lease.adjust("tpm", more).unwrap();
    lease.commit().await.unwrap();
}

#[tokio::test]
async fn a_debt_keeps_its_bucket_until_it_is_paid() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([tpm(1_000)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "tpm", 10).await.unwrap();
    assert_eq!(ttl(&r).await, Some(NOW + 420), "seven times the minute that it takes to fill");
    owe(&limiter, 990, 49_000).await;
    assert_eq!(ttl(&r).await, Some(NOW + 7 * 3_000), "50 000 are missing at 1 000 a minute");
    // After a day without use it is gone, or as good as new.
    bench.advance(600_000);
    let lease = limiter.acquire("f", "gpt-4", Cost::of("tpm", 1)).await.unwrap();
    lease.commit().await.unwrap();
}

#[tokio::test]
async fn debts_of_processes_that_do_not_know_of_each_other_are_all_covered() {
    let bench = Bench::new();
    let mut leases = Vec::new();
    let mut processes = Vec::new();
    for _ in 0..8 {
        let (_, limiter) = bench.limiter(&limits([tpm(1_000)])).await;
        let lease = limiter.acquire("e", "gpt-4", Cost::of("tpm", 100)).await.unwrap();
        lease.adjust("tpm", 9_900).unwrap();
        leases.push(lease);
        processes.push(limiter);
    }
    let r = processes[0].repository().clone();
    for lease in leases {
        lease.commit().await.unwrap();
    }
    let bucket = shard(&r, 0).await;
    assert_eq!(raw::number(&bucket, "b_tpm_tk"), Some(-79_000_000));
    let paid = NOW + 80_000 * 60 / 1_000;
    assert!(ttl(&r).await.unwrap() >= paid, "{:?} and the debt is paid at {paid}", ttl(&r).await);
}

#[tokio::test]
async fn a_neighbours_shorter_stamp_is_made_longer_by_our_next_write_and_ours_never_shorter() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([tpm(1_000)])).await;
    let (_, other) = bench.limiter(&limits([tpm(1_000)])).await;
    let r = limiter.repository().clone();
    let late = limiter.acquire("e", "gpt-4", Cost::of("tpm", 10)).await.unwrap();
    let later = other.acquire("e", "gpt-4", Cost::of("tpm", 10)).await.unwrap();
    owe(&limiter, 100, 49_900).await;
    change(&r, &json!({"ttl": {"N": (NOW + 420).to_string()}})).await;
    // A settlement that gives back is the only write, because the bucket is in debt.
    late.adjust("tpm", -5).unwrap();
    late.commit().await.unwrap();
    let renewed = ttl(&r).await.unwrap();
    assert!(renewed >= NOW + 3_000, "{renewed}");
    // The process has not seen the debt: its write does not shorten the lifetime.
    later.adjust("tpm", 1).unwrap();
    later.commit().await.unwrap();
    assert!(ttl(&r).await.unwrap() >= renewed);
}

#[tokio::test]
async fn limits_of_an_entitys_own_keep_their_bucket_for_ever_in_debt_too() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([tpm(1_000)])).await;
    let r = limiter.repository().clone();
    r.set_limits(&super::id("e"), &super::scope(), &limits([tpm(1_000)])).await.unwrap();
    owe(&limiter, 1_000, 49_000).await;
    assert_eq!(shard(&r, 0).await.get("ttl"), None::<&Value>);
}
