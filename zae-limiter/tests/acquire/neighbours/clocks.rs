//! Refill stamps that lie ahead: how long a refusal says to wait, and how far ahead a stamp is believed.

use std::time::Duration;

use serde_json::json;
use zae_limiter::{AcquireError, Cost, RateLimiter, Repository, ResourceName};

use super::{change, id, shard, take};
use zae_testkit::{Bench, START, limits, raw, rpm};

const HOUR: i64 = 3_600_000;
const YEARS: i64 = 5 * 365 * 24 * HOUR;

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

async fn refused(limiter: &RateLimiter) -> Duration {
    match take(limiter, "rpm", 1).await {
        Err(AcquireError::Exceeded(exceeded)) => exceeded.retry_after(),
        other => panic!("{other:?}"),
    }
}

async fn until_available(limiter: &RateLimiter) -> Duration {
    let gpt = ResourceName::new("gpt-4").unwrap();
    limiter.time_until_available(&id("e"), &gpt, &Cost::of("rpm", 1)).await.unwrap()
}

/// A bucket of 60 a minute that a process whose clock is `ahead` has emptied.
async fn emptied(bench: &Bench, ahead: i64) -> (RateLimiter, Repository) {
    let (_, limiter) = bench.limiter(&limits([rpm(60)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    change(&r, &json!({"rf": {"N": (START + ahead).to_string()}, "b_rpm_tk": {"N": "0"}})).await;
    (limiter, r)
}

#[tokio::test]
async fn a_refusal_lasts_until_a_stamp_that_lies_ahead_and_then_until_enough_is_refilled() {
    let bench = Bench::new();
    let (limiter, _) = emptied(&bench, HOUR).await;
    let expected = Duration::from_secs(3_601);
    assert_eq!((refused(&limiter).await, until_available(&limiter).await), (expected, expected));
    bench.advance(3_600_999);
    let (_, other) = bench.limiter(&limits([rpm(60)])).await;
    assert_eq!(refused(&other).await, Duration::from_millis(1));
    bench.advance(1);
    let (_, other) = bench.limiter(&limits([rpm(60)])).await;
    take(&other, "rpm", 1).await.unwrap();
}

#[tokio::test]
async fn a_stamp_years_ahead_is_reset_after_a_full_refill_and_the_largest_skew() {
    let bench = Bench::new();
    let (limiter, r) = emptied(&bench, YEARS).await;
    // One full refill of a minute, an hour of skew, and the second that a token takes.
    let most = Duration::from_secs(60 + 3_600 + 1);
    assert_eq!(refused(&limiter).await, most);
    bench.advance(100_000);
    // Whoever comes later goes on from what the first one saw.
    let (_, other) = bench.limiter(&limits([rpm(60)])).await;
    let left = most - Duration::from_secs(100);
    assert_eq!((refused(&other).await, until_available(&other).await), (left, left));
    let before = shard(&r, 0).await;
    assert_eq!(raw::number(&before, "rf"), Some(START + YEARS), "it is watched, not turned back");
    bench.advance(u64::try_from(ms(left)).unwrap());
    let (_, last) = bench.limiter(&limits([rpm(60)])).await;
    take(&last, "rpm", 1).await.unwrap();
    assert!(take(&last, "rpm", 1).await.is_err(), "no tokens are made");
    let bucket = shard(&r, 0).await;
    assert_eq!(raw::number(&bucket, "rf"), Some(START + ms(most)));
    assert_eq!(raw::number(&bucket, "b_rpm_tk"), Some(0));
    bench.advance(2_000);
    let (_, last) = bench.limiter(&limits([rpm(60)])).await;
    take(&last, "rpm", 2).await.unwrap();
}

#[tokio::test]
async fn a_stamp_years_ahead_that_moves_on_is_not_reset() {
    let bench = Bench::new();
    let (limiter, r) = emptied(&bench, YEARS).await;
    refused(&limiter).await;
    for turn in 1..=4 {
        bench.advance(2_000_000);
        // The process whose clock is wrong still refills the bucket by it, and takes what it gains.
        change(&r, &json!({"rf": {"N": (START + YEARS + turn * 2_000_000).to_string()}})).await;
        let (_, other) = bench.limiter(&limits([rpm(60)])).await;
        assert_eq!(refused(&other).await, Duration::from_secs(3_661), "watched anew");
    }
    change(&r, &json!({"b_rpm_tk": {"N": "60000"}})).await;
    let (_, other) = bench.limiter(&limits([rpm(60)])).await;
    take(&other, "rpm", 60).await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "rf"), Some(START + YEARS + 8_000_000));
}
