//! Calendar quotas that the package's operators have set.

use serde_json::json;
use zae_limiter::{Acquire, AcquireError, Cost, RateLimiter, Reserve};

use super::{change, id, shard, take};
use zae_testkit::{Bench, START, Wire, limits, raw, rpm};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// A process under a quota of five a day, restored at midnight UTC, beside a generous rate.
async fn process(bench: &Bench) -> (Wire, RateLimiter) {
    let (wire, limiter) = bench.limiter(&limits([rpm(1_000)])).await;
    let r = limiter.repository().clone();
    let mut config = raw::get(&r, &format!("{}/SYSTEM#", r.namespace_id()), "#CONFIG").await;
    let quota = json!({
        "l_day_cp": {"N": "5"}, "l_day_ra": {"N": "0"}, "l_day_rp": {"N": "1"}, "l_day_rsched": {"S": "1m0h0"},
        "sched_tz": {"S": "UTC"},
    });
    config.as_object_mut().unwrap().extend(quota.as_object().unwrap().clone());
    raw::put(&r, &config).await;
    wire.take();
    (wire, limiter)
}

async fn day(limiter: &RateLimiter, tokens: u64) -> Result<(), AcquireError> {
    take(limiter, "day", tokens).await
}

/// The writes since the last time; limits are read again every minute.
fn writes(wire: &Wire) -> u64 {
    wire.take().get("UpdateItem").copied().unwrap_or(0)
}

fn wait_ms(answer: Result<(), AcquireError>) -> u128 {
    match answer {
        Err(AcquireError::Exceeded(exceeded)) => exceeded.retry_after().as_millis(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_calendar_quota_grants_its_capacity_a_day_and_refuses_until_midnight() {
    let bench = Bench::new();
    let (wire, limiter) = process(&bench).await;
    let r = limiter.repository().clone();
    day(&limiter, 1).await.unwrap();
    for number in 1..5 {
        // The clock begins at midnight.
        let midnight = START + i64::try_from(DAY * number).unwrap();
        bench.advance(HOUR);
        wire.take();
        day(&limiter, 3).await.unwrap();
        assert_eq!(writes(&wire), 1, "one write an acquire");
        assert_eq!(wait_ms(day(&limiter, 2).await), u128::from(DAY - HOUR));
        day(&limiter, 1).await.unwrap();
        let bucket = shard(&r, 0).await;
        assert_eq!((raw::number(&bucket, "b_day_tk"), raw::number(&bucket, "b_day_gc")), (Some(0), Some(1)));
        assert_eq!(raw::number(&bucket, "vu"), Some(midnight));
        bench.advance(DAY - HOUR - 1);
        assert_eq!(wait_ms(day(&limiter, 1).await), 1);
        // The image of a moment ago ends with the day.
        bench.advance(1);
        wire.take();
        day(&limiter, 1).await.unwrap();
        assert_eq!(writes(&wire), 1, "one write at the reset");
        let bucket = shard(&r, 0).await;
        assert_eq!((raw::number(&bucket, "b_day_tk"), raw::number(&bucket, "rf")), (Some(4_000), Some(midnight)));
    }
}

#[tokio::test]
async fn a_lease_gives_a_quota_back_in_its_own_period_alone() {
    let bench = Bench::new();
    let (_, limiter) = process(&bench).await;
    let r = limiter.repository().clone();
    let lease = limiter.acquire("e", "gpt-4", Cost::of("day", 3)).await.unwrap();
    bench.advance(1_000);
    lease.roll_back().await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "b_day_tk"), Some(5_000));

    let lease = limiter.acquire("e", "gpt-4", Cost::of("day", 3)).await.unwrap();
    bench.advance(DAY);
    day(&limiter, 4).await.unwrap();
    lease.roll_back().await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!((raw::number(&bucket, "b_day_tk"), raw::number(&bucket, "b_day_tc")), (Some(1_000), Some(4_000)));
    assert_eq!(limiter.available(&id("e"), "gpt-4").await.unwrap()["day"], 1);
}

#[tokio::test]
async fn what_a_schedule_makes_of_a_limit_is_still_left_to_others() {
    let bench = Bench::new();
    let (_, limiter) = process(&bench).await;
    let r = limiter.repository().clone();
    day(&limiter, 1).await.unwrap();
    for (stamp, attribute) in [
        (json!({"b_day_sched": {"S": "1h9s500"}}), "b_day_sched"),
        (json!({"b_day_sched": null, "b_day_rsched": {"S": "2m0h0"}}), "b_day_rsched"),
        (json!({"b_day_rsched": {"S": "1m0h0"}, "sched_tz": {"S": "Mars/Olympus"}}), "b_day_rsched"),
        (json!({"sched_tz": {"S": "UTC"}, "shard_count": {"N": "2"}}), "b_day_rsched"),
    ] {
        change(&r, &stamp).await;
        change(&r, &json!({"vu": {"N": "0"}})).await;
        let before = shard(&r, 0).await;
        let answer = day(&limiter, 1).await;
        assert!(
            matches!(&answer, Err(AcquireError::Unsupported(u)) if u.attribute == attribute),
            "{stamp}: {answer:?}"
        );
        assert_eq!(shard(&r, 0).await, before, "nothing was taken");
    }
}

#[tokio::test]
async fn a_reserve_takes_nothing_over_a_reset() {
    let bench = Bench::new();
    let (_, limiter) = process(&bench).await;
    let r = limiter.repository().clone();
    let mut config = raw::get(&r, &format!("{}/SYSTEM#", r.namespace_id()), "#CONFIG").await;
    config["l_day_cp"] = json!({"N": "100000"});
    config["l_rpm_cp"] = json!({"N": "1000000"});
    config["l_rpm_ra"] = json!({"N": "1000000"});
    raw::put(&r, &config).await;
    let reserved = async || {
        let acquire = Acquire::new("e", "gpt-4", Cost::of("day", 1)).unwrap().reserve(Reserve::All);
        limiter.acquire_with(acquire).await.unwrap().commit().await.unwrap();
    };
    bench.advance(DAY / 2);
    for _ in 0..200 {
        reserved().await;
    }
    let taken = raw::number(&shard(&r, 0).await, "b_day_tc").unwrap();
    assert!(taken > 200_000, "{taken} mt: nothing was debited ahead");
    // Half a second before midnight.
    bench.clock.set(START + i64::try_from(DAY).unwrap() - 500);
    let before = raw::number(&shard(&r, 0).await, "b_day_tc").unwrap();
    let mut granted = 0;
    for _ in 0..200 {
        reserved().await;
        granted += 1_000;
    }
    let ahead = raw::number(&shard(&r, 0).await, "b_day_tc").unwrap() - before - granted;
    assert!(ahead <= 0, "{ahead} mt were debited ahead of a reset");
}
