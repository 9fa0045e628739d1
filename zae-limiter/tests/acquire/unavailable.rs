//! The store is unavailable: every acquire still returns within its deadline, by the policy (invariant I7).

use std::time::Duration;

use tokio::time::Instant;
use zae_limiter::{
    Acquire, AcquireError, Cost, LeaseOrigin, Limits, OnUnavailable, RateLimiter, Repository, RepositoryError,
    StoredPolicy, SystemDefaults, error::UnavailableReason,
};
use zae_testkit::{
    Bench, Fault,
    front::{Divertible, Front},
    limits, rpm,
};

const DEADLINE: Duration = Duration::from_millis(250);

/// A limiter that knows the limits of `user-1`, and then loses the store.
async fn cut_off(policy: Option<OnUnavailable>, stored: Option<StoredPolicy>, fault: Fault) -> (Bench, RateLimiter) {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    let limits: Limits = limits([rpm(100)]);
    repository.set_system_defaults(SystemDefaults::new(&limits).on_unavailable(stored)).await.unwrap();
    let mut builder = RateLimiter::builder(repository).deadline(DEADLINE).local_share(0.1);
    if let Some(policy) = policy {
        builder = builder.on_unavailable(policy);
    }
    let limiter = builder.build();
    limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
    wire.fail(move |_, _| fault);
    (bench, limiter)
}

async fn ask(limiter: &RateLimiter) -> Result<LeaseOrigin, AcquireError> {
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await?;
    let origin = lease.origin();
    lease.commit().await.unwrap();
    Ok(origin)
}

#[tokio::test]
async fn block_is_the_default_and_says_what_stood_in_the_way() {
    let (_bench, limiter) = cut_off(None, None, Fault::LostBefore).await;
    let error = ask(&limiter).await.unwrap_err();
    let AcquireError::Unavailable(unavailable) = error else { panic!("{error}") };
    assert_eq!(unavailable.reason, UnavailableReason::Unreachable);
    let source = std::error::Error::source(&unavailable).unwrap().to_string();
    assert!(source.contains("UpdateItem"), "{source}");
}

#[tokio::test]
async fn the_stored_policy_decides_and_a_caller_may_override_it() {
    let (_bench, limiter) = cut_off(None, Some(StoredPolicy::Allow), Fault::LostBefore).await;
    assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Blind);
    let (_bench, limiter) = cut_off(Some(OnUnavailable::Block), Some(StoredPolicy::Allow), Fault::LostBefore).await;
    assert!(matches!(ask(&limiter).await, Err(AcquireError::Unavailable(_))));
}

#[tokio::test]
async fn local_grants_this_process_its_share_and_no_more() {
    let (bench, limiter) = cut_off(Some(OnUnavailable::Local), None, Fault::LostBefore).await;
    for _ in 0..10 {
        assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Local);
    }
    assert!(matches!(ask(&limiter).await, Err(AcquireError::Exceeded(_))));
    bench.advance(6_000);
    assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Local, "a tenth of 100 per minute is one in six seconds");
    assert!(matches!(ask(&limiter).await, Err(AcquireError::Exceeded(_))));
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_costs_the_deadline_and_soon_nothing() {
    for fault in [Fault::Slow(60_000), Fault::Stalled] {
        costs_the_deadline_and_soon_nothing(fault).await;
    }
}

async fn costs_the_deadline_and_soon_nothing(fault: Fault) {
    let (_bench, limiter) = cut_off(None, None, fault).await;
    let start = Instant::now();
    let mut asked = 0;
    loop {
        let before = Instant::now();
        let AcquireError::Unavailable(unavailable) = ask(&limiter).await.unwrap_err() else { panic!() };
        assert!(before.elapsed() <= DEADLINE + Duration::from_millis(2));
        asked += 1;
        if unavailable.reason == UnavailableReason::CircuitOpen {
            break;
        }
        assert!(asked < 10);
    }
    assert!(start.elapsed() < Duration::from_secs(1), "the breaker opens within a second");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_closes_when_the_store_answers_again() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).build();
    ask(&limiter).await.unwrap();
    wire.fail(|_, _| Fault::Slow(60_000));
    let open = UnavailableReason::CircuitOpen;
    while !matches!(ask(&limiter).await, Err(AcquireError::Unavailable(u)) if u.reason == open) {}
    wire.fail(|_, _| Fault::None);
    assert!(ask(&limiter).await.is_err(), "still resting");
    // A little more than the second, in driven time: the last write fails shortly after its acquire.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Stored);
    assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Stored);
}

#[tokio::test]
async fn a_wrong_table_is_an_error_whatever_the_policy() {
    let (bench, limiter) = cut_off(Some(OnUnavailable::Allow), None, Fault::None).await;
    bench.store.client().delete_table().table_name("limiter").send().await.unwrap();
    let error = ask(&limiter).await.unwrap_err();
    assert!(matches!(error, AcquireError::Repository(_)), "{error}");
}

#[tokio::test]
async fn after_shutdown_nothing_is_granted_and_everything_is_written() {
    let (_bench, limiter) = cut_off(None, None, Fault::None).await;
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 10)).await.unwrap();
    lease.adjust("rpm", -4).unwrap();
    drop(lease.commit());
    limiter.shutdown().await;
    let error = ask(&limiter).await.unwrap_err();
    assert!(matches!(error, AcquireError::Unavailable(u) if u.reason == UnavailableReason::ShuttingDown));
    let (entity, resource) = ("user-1", "gpt-4");
    assert_eq!(limiter.available(entity, resource).await.unwrap()["rpm"], 93);
}

#[tokio::test]
async fn dropping_the_last_handle_writes_what_is_booked() {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
    // Without the drop it would wait an hour to share a write.
    let patient = RateLimiter::builder(repository).flush_delay(Duration::from_secs(3_600)).deadline(DEADLINE).build();
    let lease = patient.acquire("user-1", "gpt-4", Cost::of("rpm", 10)).await.unwrap();
    lease.adjust("rpm", 25).unwrap();
    drop(lease.commit());
    drop(lease);
    drop(patient);

    let (_, other) = bench.limiter(&limits([rpm(100)])).await;
    let (entity, resource) = ("user-1", "gpt-4");
    let written = async {
        while other.available(entity, resource).await.unwrap()["rpm"] != 65 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, written).await.expect("35 tokens are gone");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_told_at_once() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).max_waiting(3).build();
    ask(&limiter).await.unwrap();
    wire.fail(|_, _| Fault::Slow(100));
    let first = tokio::spawn({
        let limiter = limiter.clone();
        async move { ask(&limiter).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    // One is under way. Three wait.
    let waiting = [0, 1, 2].map(|_| {
        let limiter = limiter.clone();
        tokio::spawn(async move { ask(&limiter).await })
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    let error = ask(&limiter).await.unwrap_err();
    assert!(
        matches!(&error, AcquireError::Unavailable(unavailable) if unavailable.reason == UnavailableReason::Overloaded),
        "{error:?}"
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    for waits in [first].into_iter().chain(waiting) {
        waits.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn limits_that_cannot_be_read_are_an_outage_too() {
    let (_bench, limiter) = cut_off(None, None, Fault::LostBefore).await;
    let stranger = limiter.acquire("user-2", "gpt-4", Cost::of("rpm", 1)).await.unwrap_err();
    assert!(matches!(stranger, AcquireError::Unavailable(_)), "{stranger:?}");
}

#[tokio::test]
async fn a_local_share_is_a_token_at_least_and_saves_nothing_up() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(5)])).await.unwrap();
    let policy = OnUnavailable::Local;
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).on_unavailable(policy).local_share(0.1).build();
    assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Stored);
    wire.fail(|_, _| Fault::LostBefore);
    for _ in 0..2 {
        assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Local);
        assert!(matches!(ask(&limiter).await, Err(AcquireError::Exceeded(_))));
        bench.advance(86_400_000);
    }
}

/// Returns the reason why `entity` got no lease, and the error's text.
async fn reason(limiter: &RateLimiter, entity: &str) -> (UnavailableReason, String) {
    let error = limiter.acquire(entity, "gpt-4", Cost::of("rpm", 1)).await.unwrap_err();
    let AcquireError::Unavailable(unavailable) = error else { panic!("{error}") };
    let mut text = unavailable.to_string();
    let mut source = std::error::Error::source(&unavailable);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    (unavailable.reason, text)
}

#[tokio::test]
async fn only_what_dynamodb_answered_counts_as_its_answer() {
    use UnavailableReason::{DeadlineExceeded, StoreFailed, Unreachable};
    for (front, expected) in [
        (Front::silent().await, DeadlineExceeded),
        (Front::without_a_body().await, DeadlineExceeded),
        (Front::breaking_off().await, Unreachable),
        (Front::hanging_up().await, Unreachable),
        (Front::refusing().await, Unreachable),
        (Front::without_a_name(), Unreachable),
        (Front::failing().await, StoreFailed),
    ] {
        let bench = Bench::new();
        let divertible = Divertible::over(&bench.store.client());
        let repository = Repository::builder().client(divertible.client()).create_table().build().await.unwrap();
        repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
        let limiter = RateLimiter::builder(repository).deadline(DEADLINE).build();
        assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Stored);
        divertible.to(&front);
        let (write, text) = reason(&limiter, "user-1").await;
        assert_eq!(write, expected, "{front:?}: {text}");
        assert_eq!(text.contains("answered with an error"), expected == StoreFailed, "{front:?}: {text}");
        // Limits are read first, which is retried until the deadline.
        let (read, text) = reason(&limiter, "user-2").await;
        assert!([expected, DeadlineExceeded].contains(&read), "{front:?}: {read:?}, {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_s_own_deadline_holds_beyond_the_limiter_s_and_the_client_s() {
    let bench = Bench::new();
    let (wire, client) = zae_testkit::Wire::tap(&bench.store.client());
    let short = aws_smithy_types::timeout::TimeoutConfig::builder()
        .operation_attempt_timeout(DEADLINE)
        .operation_timeout(DEADLINE)
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(client.config().to_builder().timeout_config(short).build());
    let repository = Repository::builder().client(client).create_table().build().await.unwrap();
    repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).build();
    assert_eq!(ask(&limiter).await.unwrap(), LeaseOrigin::Stored);
    wire.fail(|operation, _| if operation == "UpdateItem" { Fault::Slow(4_000) } else { Fault::None });
    let request = || Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
    let (patient, hasty) =
        tokio::join!(limiter.acquire_with(request().deadline(Duration::from_secs(5))), ask(&limiter));
    assert_eq!(patient.unwrap().origin(), LeaseOrigin::Stored);
    assert!(matches!(hasty, Err(AcquireError::Unavailable(_))), "others keep theirs");
    let before = Instant::now();
    wire.fail(|_, _| Fault::Stalled);
    let late = limiter.acquire_with(request().deadline(Duration::from_secs(5))).await.unwrap_err();
    assert!(before.elapsed() <= Duration::from_millis(5_002), "{:?}", before.elapsed());
    assert!(matches!(late, AcquireError::Unavailable(u) if u.reason == UnavailableReason::DeadlineExceeded));
}

/// A write that no acquire waits for any more does not block the bucket.
#[tokio::test(start_paused = true)]
async fn a_patient_acquire_that_is_given_up_holds_up_nobody() {
    let (_bench, limiter) = cut_off(None, None, Fault::Stalled).await;
    let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
    let patient = limiter.acquire_with(request.deadline(Duration::MAX));
    assert!(tokio::time::timeout(Duration::from_millis(10), patient).await.is_err());
    let before = Instant::now();
    limiter.shutdown().await;
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
}

#[tokio::test]
async fn the_longest_duration_is_no_panic() {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
    let builder = || RateLimiter::builder(repository.clone()).reserve_life(Duration::MAX);
    for limiter in [builder().deadline(Duration::MAX).flush_delay(Duration::MAX).build(), builder().build()] {
        let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
        let lease = limiter.acquire_with(request.deadline(Duration::MAX)).await.unwrap();
        lease.consume(Cost::of("rpm", 1)).await.unwrap();
        lease.adjust("rpm", 1).unwrap();
        drop(lease.commit());
        limiter.shutdown().await;
    }
}

#[tokio::test]
async fn a_settlement_that_is_lost_says_why() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    repository.set_system_defaults(rpm(100)).await.unwrap();
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).build();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    wire.fail(|_, _| Fault::LostAfter);
    let lost = lease.roll_back().await.unwrap_err();
    let source = std::error::Error::source(&lost).expect("the error of the write");
    assert!(source.is::<RepositoryError>(), "{source}");
}
