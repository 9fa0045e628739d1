//! Refill stamps in the future: the wait of a refusal, and how far ahead a stamp is accepted.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use zae_limiter::{AcquireError, Clock, Cost, RateLimiter, Repository, ResourceName, SystemClock};

use super::{change, id, shard, take};
use zae_testkit::{Bench, START, Wire, limits, raw, rpm};

const HOUR: i64 = 3_600_000;
/// The tolerated difference between clocks.
const SKEW: i64 = 10_000;
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

/// Creates a bucket of 60 a minute, emptied by a process whose clock is fast by `ahead`.
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
    let (limiter, _) = emptied(&bench, SKEW).await;
    let expected = Duration::from_secs(11);
    assert_eq!((refused(&limiter).await, until_available(&limiter).await), (expected, expected));
    bench.advance(10_999);
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
    // One full refill of a minute, ten seconds of skew, and the second that a token takes.
    let most = Duration::from_secs(60 + 10 + 1);
    assert_eq!(refused(&limiter).await, most);
    bench.advance(50_000);
    // Later processes continue from the observation of the first.
    let (_, other) = bench.limiter(&limits([rpm(60)])).await;
    let left = most - Duration::from_secs(50);
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
        // The process with the wrong clock still refills the bucket by it, and takes its gain.
        change(&r, &json!({"rf": {"N": (START + YEARS + turn * 2_000_000).to_string()}})).await;
        let (_, other) = bench.limiter(&limits([rpm(60)])).await;
        assert_eq!(refused(&other).await, Duration::from_secs(71), "watched anew");
    }
    change(&r, &json!({"b_rpm_tk": {"N": "60000"}})).await;
    let (_, other) = bench.limiter(&limits([rpm(60)])).await;
    take(&other, "rpm", 60).await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "rf"), Some(START + YEARS + 8_000_000));
}

/// This machine's clock, wrong by this many ms.
#[derive(Debug)]
struct Wrong(i64);

impl Clock for Wrong {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0
    }

    fn follows_store(&self) -> bool {
        true
    }
}

/// Clocks that are wrong by up to a year refill a bucket by the time of the store.
pub(crate) async fn holds_clocks(bench: Bench) {
    for (index, wrong) in [0, 60_000, -60_000, HOUR * 24, -HOUR * 24, HOUR * 24 * 365].into_iter().enumerate() {
        let (wire, client) = Wire::tap(&bench.store.client());
        wire.date(0);
        let builder = Repository::builder().client(client).clock(Arc::new(Wrong(wrong))).create_table();
        let repository = builder.build().await.unwrap();
        repository.set_system_defaults(&limits([rpm(6)])).await.unwrap();
        let limiter = RateLimiter::builder(repository.clone()).deadline(zae_testkit::DEADLINE).build();
        let entity = format!("user-{index}");
        let take = |tokens| limiter.acquire(entity.as_str(), "gpt-4", Cost::of("rpm", tokens));
        take(6).await.unwrap().commit().await.unwrap();
        let Err(AcquireError::Exceeded(refused)) = take(1).await else { panic!("it is empty") };
        // Ten seconds for the token, long enough for a slow machine, and the uncertainty of a `Date`.
        assert!(refused.retry_after() <= Duration::from_secs(13), "{wrong}: {:?}", refused.retry_after());
        let namespace = repository.namespace_id().as_str();
        let bucket = raw::get(&repository, &format!("{namespace}/BUCKET#{entity}#gpt-4#0"), "#STATE").await;
        let ahead = raw::number(&bucket, "rf").unwrap() - SystemClock.now_ms();
        assert!((-3_000..=3_000).contains(&ahead), "{wrong}: refilled {ahead} ms from now");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_held_to_the_time_of_the_store() {
    holds_clocks(Bench::new()).await;
}
