//! Partial failures: one bucket that is throttled or silent, settlements while the store is too busy, late responses,
//! refunds that are delivered twice.

mod over_http;
mod splits;

use std::time::Duration;

use tokio::time::Instant;
use zae_limiter::{AcquireError, Cost, Lease, LeaseOrigin, OnUnavailable, RateLimiter, SettleOutlook};
use zae_testkit::{Bench, Fault, Wire, limits, rpm, tpm};

const DEADLINE: Duration = Duration::from_millis(250);

async fn limiter(bench: &Bench, policy: OnUnavailable) -> (Wire, RateLimiter) {
    let (wire, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(1_000), tpm(100_000)])).await.unwrap();
    (wire, RateLimiter::builder(repository).deadline(DEADLINE).on_unavailable(policy).build())
}

async fn acquire(limiter: &RateLimiter, entity: &str) -> Result<Lease, AcquireError> {
    limiter.acquire(entity, "gpt-4", Cost::of("rpm", 1).and("tpm", 100)).await
}

/// Balance and consumption of a limit as stored, in tokens.
async fn stored(bench: &Bench, entity: &str, limit: &str) -> (i64, i64) {
    let all = bench.store.client().scan().table_name("limiter").send().await.unwrap();
    let bucket = format!("/BUCKET#{entity}#");
    let item =
        all.items().iter().find(|item| item["PK"].as_s().is_ok_and(|pk| pk.contains(&bucket))).expect("a bucket");
    let number = |field: &str| item[&format!("b_{limit}_{field}")].as_n().unwrap().parse::<i64>().unwrap() / 1_000;
    (number("tk"), number("tc"))
}

/// Cold buckets are served at once and by the store, ten seconds long, beside one with a `fault`.
async fn serves_neighbours(bench: Bench, policy: OnUnavailable, fault: Fault) {
    let (wire, limiter) = limiter(&bench, policy).await;
    for entity in ["hot", "cold-0"] {
        acquire(&limiter, entity).await.unwrap().commit().await.unwrap();
    }
    wire.fail_marked("BUCKET#hot#", fault);
    let hot = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            let mut asked = 0;
            while asked < 2_000 {
                drop(acquire(&limiter, "hot").await);
                tokio::time::sleep(Duration::from_millis(5)).await;
                asked += 1;
            }
        }
    });
    for second in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        let lease = acquire(&limiter, &format!("cold-{}", second % 3)).await;
        let lease = lease.unwrap_or_else(|error| panic!("{policy:?}, {fault:?}, second {second}: {error:?}"));
        assert_eq!(lease.origin(), LeaseOrigin::Stored, "{policy:?}, {fault:?}");
        assert!(began.elapsed() < Duration::from_millis(5), "{:?}", began.elapsed());
        lease.commit().await.unwrap();
    }
    hot.abort();
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_throttled_or_silent_costs_its_neighbours_nothing() {
    for policy in [OnUnavailable::Block, OnUnavailable::Allow] {
        for fault in [Fault::Throttled, Fault::Stalled, Fault::LostBefore] {
            serves_neighbours(Bench::new(), policy, fault).await;
        }
    }
}

/// A throttled bucket is written seldom, and those who cannot wait for it are told.
async fn raises_no_storm(bench: Bench) {
    let (wire, limiter) = limiter(&bench, OnUnavailable::Block).await;
    acquire(&limiter, "hot").await.unwrap().commit().await.unwrap();
    wire.fail(|_, _| Fault::Throttled);
    wire.take();
    let began = Instant::now();
    let (mut asked, mut at_once) = (0, 0);
    while began.elapsed() < Duration::from_secs(10) {
        let before = Instant::now();
        let error = acquire(&limiter, "hot").await.unwrap_err();
        assert!(before.elapsed() <= DEADLINE + Duration::from_millis(2));
        assert!(error.to_string().contains("throttles writes"), "{error}");
        at_once += u32::from(before.elapsed() < Duration::from_millis(2));
        asked += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let writes = wire.count();
    assert!(writes <= 25, "{writes} writes in ten seconds");
    assert!(at_once > asked / 2, "{at_once} of {asked} told at once");
    wire.fail(|_, _| Fault::None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(acquire(&limiter, "hot").await.is_ok(), "and it recovers");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_bucket_is_not_stormed_and_those_who_cannot_wait_are_told() {
    raises_no_storm(Bench::new()).await;
}

/// Nothing is lost of what 50 calls used beyond their estimates, whatever the `seconds` of a `fault`.
async fn settles_all(bench: Bench, fault: Fault, seconds: u64) {
    let (wire, limiter) = limiter(&bench, OnUnavailable::Block).await;
    let mut leases = Vec::new();
    for _ in 0..50 {
        leases.push(acquire(&limiter, "user-1").await.unwrap());
    }
    wire.fail(move |operation, _| if operation == "UpdateItem" { fault } else { Fault::None });
    let first = leases.pop().unwrap();
    for lease in &leases {
        lease.adjust("tpm", 900).unwrap();
        drop(lease.commit());
    }
    first.adjust("tpm", 900).unwrap();
    let told = first.commit().await;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    wire.fail(|_, _| Fault::None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(stored(&bench, "user-1", "tpm").await, (50_000, 50_000), "{fault:?} for {seconds} s");
    if seconds > 2 {
        assert_eq!(told.unwrap_err().outlook, SettleOutlook::Retried);
    }
}

#[tokio::test(start_paused = true)]
async fn settlements_outlast_a_store_that_is_too_busy_or_refuses_connections() {
    for fault in [Fault::Throttled, Fault::Refused] {
        for seconds in [1, 3, 30, 120] {
            settles_all(Bench::new(), fault, seconds).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_limiter_waits_half_a_minute_for_a_busy_store() {
    for (seconds, stored_in_the_end) in [(20, true), (60, false)] {
        let bench = Bench::new();
        let (wire, limiter) = limiter(&bench, OnUnavailable::Block).await;
        let lease = acquire(&limiter, "user-1").await.unwrap();
        wire.fail(|_, _| Fault::Throttled);
        lease.adjust("tpm", 900).unwrap();
        drop(lease.commit());
        let began = Instant::now();
        let recovery = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            wire.fail(|_, _| Fault::None);
        });
        limiter.shutdown().await;
        assert!(began.elapsed() < Duration::from_secs(35), "{:?}", began.elapsed());
        recovery.await.unwrap();
        assert_eq!(stored(&bench, "user-1", "tpm").await.1 == 1_000, stored_in_the_end, "{seconds} s");
    }
}

/// Whatever is taken by a write whose answer comes late goes back.
async fn burns_nothing(bench: Bench) {
    let (wire, limiter) = limiter(&bench, OnUnavailable::Block).await;
    acquire(&limiter, "user-1").await.unwrap().commit().await.unwrap();
    // 150 to 350 ms, with a deadline of 250.
    wire.fail(|_, number| Fault::Slow(150 + number * 71 % 200));
    let mut granted = 1;
    for _ in 0..200 {
        if let Ok(lease) = acquire(&limiter, "user-1").await {
            drop(lease.commit());
            granted += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (tokens, consumed) = stored(&bench, "user-1", "rpm").await;
    assert!((50..=190).contains(&granted), "{granted} granted");
    assert_eq!((tokens, consumed), (1_000 - granted, granted), "taken for whoever was granted, and for nobody else");
}

#[tokio::test(start_paused = true)]
async fn answers_that_come_late_burn_no_tokens() {
    burns_nothing(Bench::new()).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_late_answer_says_was_not_settled_is_settled_again() {
    let bench = Bench::new();
    let (wire, limiter) = limiter(&bench, OnUnavailable::Block).await;
    let lease = acquire(&limiter, "user-1").await.unwrap();
    wire.fail(|operation, _| if operation == "UpdateItem" { Fault::ThrottledLate(3_000) } else { Fault::None });
    lease.adjust("tpm", 900).unwrap();
    let error = lease.commit().await.unwrap_err();
    assert_eq!(error.outlook, SettleOutlook::Unknown, "{error}");
    wire.fail(|_, _| Fault::None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stored(&bench, "user-1", "tpm").await, (99_000, 1_000));
}

/// A refund that the network delivers twice is booked once.
async fn refunds_once(bench: Bench) {
    let (wire, limiter) = limiter(&bench, OnUnavailable::Block).await;
    acquire(&limiter, "user-1").await.unwrap().commit().await.unwrap();
    for _ in 0..2 {
        let lease = acquire(&limiter, "user-1").await.unwrap();
        wire.fail(|_, _| Fault::Twice);
        lease.roll_back().await.unwrap();
        wire.fail(|_, _| Fault::None);
        assert_eq!(stored(&bench, "user-1", "tpm").await, (99_900, 100));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_is_delivered_twice_counts_once() {
    refunds_once(Bench::new()).await;
}
