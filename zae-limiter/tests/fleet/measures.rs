//! Bounds on the cost of acquires. `cargo bench -p zae-limiter --bench acquire` prints the same numbers, and times.
//! `ZAE_LONG=1` overloads the bucket with more processes, and makes a million acquires from a reserve.

use std::time::Duration;

use zae_limiter::{Limit, LimitSchedule, Reserve};
use zae_testkit::measures;

fn long() -> bool {
    std::env::var_os("ZAE_LONG").is_some()
}

#[track_caller]
fn at_most(what: &str, measured: f64, bound: f64) {
    assert!(measured <= bound, "{what}: {measured}, allowed {bound}");
    // Seen with `--nocapture`.
    println!("{what}: {measured:.4} of {bound}");
}

#[tokio::test(start_paused = true)]
async fn one_write_serves_all_who_wait_at_a_bucket() {
    at_most("writes per acquire, one hot bucket", measures::hot_bucket(100).await, 0.03);
    at_most("writes per acquire, one hot parent", measures::hot_parent(30).await, 1.05);
    at_most("writes per acquire and adjustment", measures::adjusted(60).await, 0.06);
}

#[tokio::test(start_paused = true)]
async fn a_new_entity_takes_one_read_and_one_write_for_each_level() {
    assert_eq!(measures::first_acquire().await, (2, 4));
}

#[tokio::test(start_paused = true)]
async fn several_resources_take_as_many_calls_as_acquires_of_each() {
    assert_eq!(measures::several(1).await, (2, 1));
    assert_eq!(measures::several(16).await, (32, 16));
}

#[tokio::test(start_paused = true)]
async fn refusals_take_next_to_no_calls() {
    at_most("calls per refusal", measures::refusals().await, 0.001);
}

#[tokio::test(start_paused = true)]
async fn a_refill_takes_one_round_trip_or_two() {
    assert_eq!(measures::refill().await, (1, 2));
}

#[tokio::test(start_paused = true)]
async fn quotas_sessions_and_schedules_take_one_write_and_two_at_an_edge_that_another_was_first_to_see() {
    let rate = Limit::per_minute("rpm", 60).unwrap();
    let weekday = LimitSchedule::builder().scale("* * * * 4", 0.5).build().unwrap();
    for limit in [
        Limit::quota("rpm", 60).daily().build().unwrap(),
        Limit::quota("rpm", 60).session(Duration::from_secs(3_600)).build().unwrap(),
        rate.clone().scheduled(weekday).unwrap(),
    ] {
        let shown = format!("{limit:?}");
        assert_eq!(measures::edge(limit).await, (1, 1, 2), "{shown}");
    }
    // A rate has no edges: a day later it is full, which is set once, and then taken from side by side.
    assert_eq!(measures::edge(rate).await, (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_model_takes_few_write_units() {
    let time = Duration::from_secs(2);
    at_most("write units per LLM call, strict", measures::llm_call(Reserve::Off, time).await, 4.0);
    at_most("write units per LLM call, reserved parent", measures::llm_call(Reserve::Parents, time).await, 2.3);
}

#[tokio::test(start_paused = true)]
async fn a_project_of_ten_thousand_acquires_a_second_needs_no_shards() {
    at_most("writes a second", measures::project(Duration::from_secs(4)).await, 500.0);
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_refused_without_writing_and_everything_permitted_is_granted() {
    let (processes, per_second) = if long() { (32, 1_000) } else { (8, 250) };
    let (writes, granted) = measures::overload(processes, per_second, Duration::from_secs(120)).await;
    at_most("writes per request at twice the rate", writes, 0.05);
    assert!((0.99..=1.0).contains(&granted), "{granted} of what is permitted");
}

#[tokio::test(start_paused = true)]
async fn neighbours_on_a_full_bucket_do_not_starve_each_other() {
    // A write that takes from a full bucket has to set it, so that each such write can only follow the previous one.
    let crowd = measures::contended(8, 1_600, Duration::from_secs(1)).await;
    assert_eq!(crowd.granted, crowd.asked);
    let trips = crowd.longest.as_secs_f64() / measures::ROUND_TRIP.as_secs_f64();
    at_most("round trips of the longest wait", trips, 20.0);
    at_most("writes per acquire", crowd.units.writes as f64 / crowd.asked as f64, 1.5);
}

#[tokio::test(start_paused = true)]
async fn a_reserve_is_filled_once_in_hundreds_of_acquires() {
    at_most(
        "writes per acquire from a reserve",
        measures::reserved(if long() { 1_000_000 } else { 50_000 }).await,
        0.002,
    );
}

/// Returns the resident bytes of this process.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Measures the whole process, so it runs alone, as a step of the gate:
/// `cargo test --test fleet -- --ignored --nocapture`. The data is in a file, so that only the limiter's memory grows.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "counts the memory of all tests of the process"]
async fn a_remembered_bucket_takes_no_more_than_its_builder_says() {
    const WARM: u64 = 1_000;
    const BYTES: f64 = 8.0 * 1024.0;
    const BUCKETS: u64 = 2_500;
    let folder = tempfile::tempdir().unwrap();
    let store = zae_limiter::EmbeddedStore::at(folder.path().join("data.sqlite")).unwrap();
    let repository = zae_limiter::Repository::builder().embedded_store(&store).build().await.unwrap();
    repository.set_system_defaults(zae_testkit::limits([zae_testkit::rpm(1_000)])).await.unwrap();
    let limiter = zae_limiter::RateLimiter::builder(repository).deadline(Duration::from_secs(10)).build();
    let mut before = 0;
    for number in 0..WARM + BUCKETS {
        // Warms up one-time allocations.
        if number == WARM {
            before = resident();
        }
        let entity = format!("visitor-{number:010}");
        let lease = limiter.acquire(entity, "gpt-4", zae_limiter::Cost::of("rpm", 1)).await.unwrap();
        lease.commit().await.unwrap();
    }
    at_most("bytes per remembered bucket", resident().saturating_sub(before) as f64 / BUCKETS as f64, BYTES);
}
