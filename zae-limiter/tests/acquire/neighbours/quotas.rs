//! Calendar quotas, also on buckets that clients of the package have sharded.

use serde_json::json;
use zae_limiter::{Acquire, AcquireError, Cost, Limit, RateLimiter, Reserve, usage::CapacityScope};

use super::{change, id, scope, shard, take};
use zae_testkit::{Bench, START, Wire, limits, raw, rpm};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// Creates a process with a daily quota, restored at midnight UTC, and a generous rate.
async fn process_of(bench: &Bench, amount: u64) -> (Wire, RateLimiter) {
    let quota = Limit::quota("day", amount).daily().build().unwrap();
    let (wire, limiter) = bench.limiter(&limits([quota, rpm(1_000)])).await;
    wire.take();
    (wire, limiter)
}

/// Creates such a process with five a day.
async fn process(bench: &Bench) -> (Wire, RateLimiter) {
    process_of(bench, 5).await
}

/// Acquires until nothing more is granted, and returns the number of tokens.
async fn drain(limiter: &RateLimiter) -> u64 {
    let mut granted = 0;
    while day(limiter, 1).await.is_ok() {
        granted += 1;
        assert!(granted < 100);
    }
    granted
}

async fn day(limiter: &RateLimiter, tokens: u64) -> Result<(), AcquireError> {
    take(limiter, "day", tokens).await
}

/// Returns the writes since the last time; limits are read again every minute.
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
        // The image from a moment ago expires with the day.
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
async fn a_schedule_that_cannot_be_read_stops_us() {
    let bench = Bench::new();
    let (_, limiter) = process(&bench).await;
    let r = limiter.repository().clone();
    day(&limiter, 1).await.unwrap();
    for (stamp, attribute) in [
        (json!({"b_day_sched": {"S": "2h9s500"}}), "b_day_sched"),
        (json!({"b_day_sched": null, "b_day_rsched": {"S": "2m0h0"}}), "b_day_rsched"),
        (json!({"b_day_rsched": {"S": "1m0h0"}, "sched_tz": {"S": "Mars/Olympus"}}), "b_day_rsched"),
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
    let quota = Limit::quota("day", 100_000).daily().build().unwrap();
    r.set_system_defaults(limits([quota, rpm(1_000_000)])).await.unwrap();
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

#[tokio::test]
async fn a_quota_that_a_neighbour_shards_grants_exactly_its_amount_in_each_period() {
    let bench = Bench::new();
    let (_, limiter) = process_of(&bench, 10).await;
    let r = limiter.repository().clone();
    day(&limiter, 2).await.unwrap();
    // The grant stays that of a single shard, which has all of it.
    change(&r, &json!({"shard_count": {"N": "2"}})).await;
    assert_eq!(drain(&limiter).await, 8);
    for _ in 0..3 {
        bench.advance(DAY);
        assert_eq!(drain(&limiter).await, 10);
        for number in [0, 1] {
            let bucket = shard(&r, number).await;
            assert_eq!((raw::number(&bucket, "b_day_tk"), raw::number(&bucket, "b_day_gc")), (Some(0), Some(2)));
        }
    }
}

#[tokio::test]
async fn a_missing_shard_of_a_quota_has_its_share_unless_another_was_granted_it() {
    // A grant that was not recorded is derived from the balance.
    for (count, tokens, expected) in [(Some(1), 10, 10), (Some(1), 7, 7), (Some(2), 5, 10), (None, 2, 7)] {
        let bench = Bench::new();
        let (_, limiter) = process_of(&bench, 10).await;
        let r = limiter.repository().clone();
        let held = [("day", tokens * 1_000, 10_000, 0, 1_000)];
        let mut bucket = raw::bucket(&r, ("e", "gpt-4"), (0, 2), START, &held);
        bucket["b_day_rsched"] = json!({"S": "1m0h0"});
        if let Some(count) = count {
            bucket["b_day_gc"] = json!({"N": i32::to_string(&count)});
        }
        raw::put(&r, &bucket).await;
        let capacity = r.resource_capacity("gpt-4", "day", CapacityScope::All).await.unwrap();
        assert_eq!(capacity.total_available, i64::try_from(expected).unwrap(), "{count:?}, {tokens}");
        assert_eq!(drain(&limiter).await, expected, "{count:?}, {tokens}");
    }
}

#[tokio::test]
async fn a_lease_of_a_shard_gives_a_quota_back_to_it() {
    let bench = Bench::new();
    let (_, limiter) = process_of(&bench, 10).await;
    let r = limiter.repository().clone();
    day(&limiter, 1).await.unwrap();
    change(&r, &json!({"shard_count": {"N": "2"}})).await;
    bench.advance(DAY);
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(limiter.acquire("e", "gpt-4", Cost::of("day", 2)).await.unwrap());
    }
    for lease in leases {
        lease.roll_back().await.unwrap();
    }
    assert_eq!(drain(&limiter).await, 10);
}

#[tokio::test]
async fn a_changed_quota_holds_with_the_next_acquire_and_keeps_what_was_used() {
    let bench = Bench::new();
    let (_, limiter) = process_of(&bench, 10).await;
    let r = limiter.repository().clone();
    day(&limiter, 4).await.unwrap();
    let weekly = Limit::quota("day", 8).weekly().zone("Europe/Berlin").build().unwrap();
    r.set_limits(&id("e"), &scope(), &limits([weekly.clone(), rpm(1_000)])).await.unwrap();
    // 2026 begins on a Thursday; midnight in Berlin is at 23:00 UTC.
    let monday = 4 * DAY - HOUR;
    let bucket = shard(&r, 0).await;
    assert_eq!((&bucket["b_day_rsched"]["S"], &bucket["sched_tz"]["S"]), (&json!("1m0h0w1"), &json!("Europe/Berlin")));
    assert_eq!(raw::number(&bucket, "vu"), Some(START + i64::try_from(monday).unwrap()));
    assert_eq!(drain(&limiter).await, 6);
    assert_eq!(wait_ms(day(&limiter, 1).await), u128::from(monday));
    bench.advance(DAY);
    assert_eq!(drain(&limiter).await, 0, "no longer every day");
    bench.advance(monday - DAY);
    assert_eq!(drain(&limiter).await, 8);
    // It is a rate again, and nothing of the quota is left.
    r.set_limits(&id("e"), &scope(), &limits([Limit::per_day("day", 24).unwrap()])).await.unwrap();
    bench.advance(HOUR);
    assert_eq!(drain(&limiter).await, 1);
    let bucket = shard(&r, 0).await;
    assert_eq!((bucket.get("b_day_gc"), raw::number(&bucket, "vu")), (None, None));
}
