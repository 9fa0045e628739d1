//! Counters at their limits, and amounts that exceed the range of calculations.

use serde_json::json;
use zae_limiter::{Cost, LeaseError, Limit, MAX_TOKENS};

use super::{change, id, shard, take};
use zae_testkit::{Bench, limits, raw, rpm};

#[tokio::test]
async fn the_largest_limit_is_taken_as_often_as_it_fills() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([Limit::per_second("rpm", MAX_TOKENS).unwrap()])).await;
    let r = limiter.repository().clone();
    for turn in 0..12 {
        take(&limiter, "rpm", MAX_TOKENS).await.unwrap_or_else(|error| panic!("{turn}: {error}"));
        bench.advance(1_000);
    }
    let bucket = shard(&r, 0).await;
    assert_eq!(bucket["b_rpm_tc"]["N"], "12000000000000000000");
    let resource = zae_limiter::ResourceName::new("gpt-4").unwrap();
    let left = limiter.available(&id("e"), &resource).await.unwrap();
    assert_eq!(left.into_values().collect::<Vec<_>>(), [i64::try_from(MAX_TOKENS).unwrap()]);
    let seen = r.buckets(&id("e")).await.unwrap();
    assert_eq!(seen[0].limits[0].consumed, 12 * i64::try_from(MAX_TOKENS).unwrap());
}

#[tokio::test]
async fn a_counter_of_any_width_stops_nobody() {
    for counter in ["99999999999999999999999999999999999999", "-99999999999999999999", "1E+100", "0.5"] {
        let bench = Bench::new();
        let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
        let r = limiter.repository().clone();
        take(&limiter, "rpm", 1).await.unwrap();
        change(&r, &json!({"b_rpm_tc": {"N": counter}, "b_wcu_tc": {"N": counter}})).await;
        let (_, other) = bench.limiter(&limits([rpm(10)])).await;
        let left = other.available(&id("e"), &zae_limiter::ResourceName::new("gpt-4").unwrap()).await;
        assert_eq!(left.unwrap().into_values().collect::<Vec<_>>(), [9], "{counter}");
        assert_eq!(r.buckets(&id("e")).await.unwrap()[0].limits[0].available, 9, "{counter}");
    }
}

#[tokio::test]
async fn debts_beyond_64_bits_neither_wrap_nor_stop_the_bucket() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([Limit::per_second("rpm", MAX_TOKENS).unwrap()])).await;
    let r = limiter.repository().clone();
    let most = i64::try_from(MAX_TOKENS).unwrap();
    let mut leases = Vec::new();
    for _ in 0..20 {
        leases.push(limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap());
    }
    for lease in leases {
        lease.adjust("rpm", most).unwrap();
        lease.commit().await.unwrap();
    }
    let owed = raw::number(&shard(&r, 0).await, "b_rpm_tk").unwrap();
    assert!(owed < -4 * most * 1_000, "{owed}");
    let resource = zae_limiter::ResourceName::new("gpt-4").unwrap();
    assert!(limiter.available(&id("e"), &resource).await.unwrap().into_values().all(|left| left < 0));
    // A neighbour's debt may be deeper: it is treated as the deepest possible, and paid off.
    change(&r, &json!({"b_rpm_tk": {"N": "-99999999999999999999999"}})).await;
    let (_, other) = bench.limiter(&limits([Limit::per_second("rpm", MAX_TOKENS).unwrap()])).await;
    assert!(take(&other, "rpm", 1).await.is_err());
    bench.advance(20_000_000);
    let (_, other) = bench.limiter(&limits([Limit::per_second("rpm", MAX_TOKENS).unwrap()])).await;
    take(&other, "rpm", 1).await.unwrap();
}

#[tokio::test]
async fn an_adjustment_beyond_the_largest_amount_is_refused_where_it_is_given() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    let most = i64::try_from(MAX_TOKENS).unwrap();
    for delta in [most + 1, -most - 1, i64::MAX, i64::MIN] {
        assert!(matches!(lease.adjust("rpm", delta), Err(LeaseError::Invalid(_))), "{delta}");
    }
    assert!(matches!(lease.release("rpm", u64::MAX), Err(LeaseError::Invalid(_))));
    lease.adjust("rpm", most).unwrap();
    assert!(matches!(lease.adjust("rpm", 1), Err(LeaseError::Invalid(_))), "the sum counts");
    lease.adjust("rpm", -most).unwrap();
    lease.commit().await.unwrap();
    assert_eq!(raw::number(&shard(limiter.repository(), 0).await, "b_rpm_tk"), Some(9_000));
}
