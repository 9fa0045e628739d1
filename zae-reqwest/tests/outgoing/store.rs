//! The cost of pauses in calls to the store, and calls while the store is slow or unavailable.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::{sleep, timeout};
use zae_reqwest::{
    CallError, Cost, OutgoingLimit, RateLimiter, ResourceName, WaitReason,
    zae_tower::{AcquireError, zae_limiter::OnUnavailable},
};

use crate::{
    bench::{Bench, llm, per_minute},
    wire::{Line, Wire},
};

/// Maximum duration on a busy machine; a hanging call takes longer.
const NEVER: Duration = Duration::from_secs(8);
/// Maximum time that the store may delay a call for a pause, times eight for a busy machine. The store's client gives
/// up later by itself.
const SOON: Duration = Duration::from_millis(250 + 7 * 250);

async fn process(bench: &Bench) -> OutgoingLimit {
    llm(&bench.limiter(per_minute(1_000_000, 1_000_000)).await).max_wait(Duration::ZERO)
}

async fn call(limit: &OutgoingLimit) -> Result<(), CallError> {
    let permit = timeout(NEVER, limit.acquire("team-1", "gpt-5", Cost::requests(1))).await.expect("a call hangs")?;
    drop(permit.commit());
    Ok(())
}

/// Learns from a refusal with a wait of 40 s.
async fn refused(limit: &OutgoingLimit) -> Option<Duration> {
    let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("40"))]);
    let scope = ResourceName::new("gpt-5").unwrap();
    let learning = limit.learn(&scope, StatusCode::TOO_MANY_REQUESTS, &headers, b"");
    timeout(NEVER, learning).await.expect("learning hangs")
}

fn is_paused(result: Result<(), CallError>) -> bool {
    matches!(result, Err(CallError::NotYet(not_yet)) if matches!(not_yet.reason, WaitReason::Provider { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_reads_the_pauses_of_a_scope_twice_a_second_at_most() {
    let (bench, wire) = Bench::running().on_a_wire();
    let limit = process(&bench).await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2_200) {
        for result in join_all((0..16).map(|_| call(&limit))).await {
            result.unwrap();
        }
        sleep(Duration::from_millis(10)).await;
    }
    let most = started.elapsed().as_millis().div_ceil(500) as u64;
    assert!((2..=most).contains(&wire.reads()), "{} of {most}", wire.reads());
    assert_eq!(wire.writes(), 0);
}

#[tokio::test]
async fn of_many_that_are_refused_together_one_writes_and_each_process_reads_once() {
    let (bench, wire) = Bench::at_a_standstill().on_a_wire();
    let (here, there) = (process(&bench).await, process(&bench).await);
    for pause in join_all((0..16).map(|_| refused(&here))).await {
        assert_eq!(pause, Some(Duration::from_secs(40)));
    }
    assert_eq!((wire.reads(), wire.writes()), (0, 1));
    for limit in [&here, &there] {
        for result in join_all((0..16).map(|_| call(limit))).await {
            assert!(is_paused(result));
        }
    }
    assert_eq!((wire.reads(), wire.writes()), (1, 1), "who was told need not read");
}

#[tokio::test]
async fn a_store_that_is_slow_about_pauses_holds_nobody_up_for_long() {
    let (bench, wire) = Bench::at_a_standstill().on_a_wire();
    let limit = process(&bench).await;
    wire.set(Line::SilentOnPauses);
    let started = Instant::now();
    for result in join_all((0..16).map(|_| call(&limit))).await {
        result.unwrap();
    }
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    call(&limit).await.unwrap();
    let most = 1 + started.elapsed().as_millis() as u64 / 500;
    assert!(wire.reads() <= most, "{} of {most}: one read for all, and none while it is news", wire.reads());

    let started = Instant::now();
    assert_eq!(refused(&limit).await, Some(Duration::from_secs(40)));
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(is_paused(call(&limit).await), "what could not be told to others is kept here");
}

async fn without_a_store(line: Line, policy: OnUnavailable) -> (Wire, OutgoingLimit) {
    let (bench, wire) = Bench::at_a_standstill().on_a_wire();
    let repository = bench.repository(per_minute(100, 10_000)).await;
    let limiter = RateLimiter::builder(repository).deadline(Duration::from_millis(300)).on_unavailable(policy).build();
    wire.set(line);
    (wire, llm(&limiter).max_wait(Duration::from_millis(300)))
}

#[tokio::test]
async fn without_the_store_calls_follow_the_policy_and_pauses_stay_here() {
    for line in [Line::Cut, Line::Silent] {
        let (_wire, limit) = without_a_store(line, OnUnavailable::Allow).await;
        call(&limit).await.unwrap();
        assert_eq!(refused(&limit).await, Some(Duration::from_secs(40)), "{line:?}");
        assert!(is_paused(call(&limit.clone().max_wait(Duration::ZERO)).await), "{line:?}");

        let (wire, limit) = without_a_store(line, OnUnavailable::Block).await;
        let error = call(&limit).await.unwrap_err();
        assert!(matches!(&error, CallError::Limiter(AcquireError::Unavailable(_))), "{line:?}: {error:?}");
        wire.set(Line::Up);
        call(&limit).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_with_the_store_is_waited_out_like_any_other() {
    let (wire, limit) = without_a_store(Line::Cut, OnUnavailable::Block).await;
    let limit = limit.max_wait(Duration::from_secs(30));
    let waiting = tokio::spawn(async move { call(&limit).await });
    sleep(Duration::from_millis(700)).await;
    assert!(!waiting.is_finished(), "it has time, and the store may come back");
    wire.set(Line::Up);
    waiting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_little_time_waits_no_longer_for_the_store() {
    let (_wire, limit) = without_a_store(Line::Silent, OnUnavailable::Block).await;
    let limit = limit.max_wait(Duration::from_millis(100));
    let started = Instant::now();
    call(&limit).await.unwrap_err();
    // Once for a pause, and once for tokens; the rest is for a busy machine.
    assert!(started.elapsed() < Duration::from_millis(100 + 100 + 250), "{:?}", started.elapsed());
}
