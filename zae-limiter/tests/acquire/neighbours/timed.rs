//! Sessions, which begin with their first use, and limits whose parameters change with the time of day.

use std::time::{Duration, SystemTime};

use serde_json::json;
use zae_limiter::{
    Acquire, AcquireError, Clock, Cost, Limit, LimitSchedule, RateLimiter, Repository, RepositoryError, Reserve,
};
use zae_testkit::{Bench, START, Wire, limits, raw, rpm};

use super::{change, id, scope, shard, take};

const HOUR: u64 = 3_600_000;
const LENGTH: u64 = 5 * HOUR;

fn at(offset: u64) -> i64 {
    START + i64::try_from(offset).unwrap()
}

/// A chat plan of five messages in five hours.
fn plan() -> Limit {
    Limit::quota("chat", 5).session(Duration::from_millis(LENGTH)).build().unwrap()
}

async fn sessions(bench: &Bench) -> (Wire, RateLimiter, Repository) {
    let (wire, limiter) = bench.limiter(&limits([plan(), rpm(1_000)])).await;
    let repository = limiter.repository().clone();
    wire.take();
    (wire, limiter, repository)
}

async fn chat(limiter: &RateLimiter, messages: u64) -> Result<(), AcquireError> {
    take(limiter, "chat", messages).await
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
async fn a_session_begins_with_its_first_use_and_ends_after_its_length() {
    let bench = Bench::new();
    let (wire, limiter, r) = sessions(&bench).await;
    // A use of another limit begins none; Python clients are told to look.
    take(&limiter, "rpm", 1).await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!((raw::number(&bucket, "b_chat_ws"), raw::number(&bucket, "vu")), (None, Some(0)));
    assert_eq!(raw::number(&bucket, "b_chat_rsa"), Some(18_000));
    for idle in [HOUR, LENGTH + HOUR, LENGTH * 3 + 7] {
        bench.advance(idle);
        let begun = bench.clock.now_ms();
        wire.take();
        chat(&limiter, 3).await.unwrap();
        assert_eq!(writes(&wire), 1, "one write to begin");
        let bucket = shard(&r, 0).await;
        let number = |name| raw::number(&bucket, name);
        assert_eq!((number("b_chat_ws"), number("b_chat_wa")), (Some(begun), Some(begun)));
        let end = begun + i64::try_from(LENGTH).unwrap();
        assert_eq!((number("b_chat_tk"), number("vu")), (Some(2_000), Some(end)));
        bench.advance(HOUR);
        wire.take();
        chat(&limiter, 1).await.unwrap();
        assert_eq!(writes(&wire), 1, "one write an acquire");
        let lease = limiter.acquire("e", "gpt-4", Cost::of("chat", 1)).await.unwrap();
        let ends_at = SystemTime::UNIX_EPOCH + Duration::from_millis(end.unsigned_abs());
        assert_eq!(lease.statuses()[0].resets_at, Some(ends_at));
        lease.roll_back().await.unwrap();
        assert_eq!(wait_ms(chat(&limiter, 2).await), u128::from(LENGTH - HOUR));
        bench.advance(LENGTH - HOUR - 1);
        assert_eq!(wait_ms(chat(&limiter, 2).await), 1);
    }
    // A refusal begins none.
    bench.advance(1);
    let never = chat(&limiter, 6).await;
    assert!(matches!(never, Err(AcquireError::NeverFits(_))), "{never:?}");
    let before = raw::number(&shard(&r, 0).await, "b_chat_ws").unwrap();
    assert!(before < bench.clock.now_ms() - i64::try_from(LENGTH).unwrap() + 1);
}

#[tokio::test]
async fn a_lease_gives_a_session_back_in_its_own_window_alone() {
    let bench = Bench::new();
    let (_, limiter, r) = sessions(&bench).await;
    let lease = limiter.acquire("e", "gpt-4", Cost::of("chat", 3)).await.unwrap();
    bench.advance(LENGTH - 1);
    lease.roll_back().await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "b_chat_tk"), Some(5_000));

    let lease = limiter.acquire("e", "gpt-4", Cost::of("chat", 3)).await.unwrap();
    bench.advance(LENGTH);
    chat(&limiter, 4).await.unwrap();
    lease.roll_back().await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!((raw::number(&bucket, "b_chat_tk"), raw::number(&bucket, "b_chat_tc")), (Some(1_000), Some(4_000)));
    assert_eq!(limiter.available(&id("e"), "gpt-4").await.unwrap()["chat"], 1);
}

#[tokio::test]
async fn a_reserve_debits_nothing_ahead_of_a_session() {
    let bench = Bench::new();
    let plan = Limit::quota("chat", 100_000).session(Duration::from_millis(LENGTH)).build().unwrap();
    let (_, limiter) = bench.limiter(&limits([plan])).await;
    let r = limiter.repository().clone();
    for _ in 0..100 {
        let acquire = Acquire::new("e", "gpt-4", Cost::of("chat", 1)).unwrap().reserve(Reserve::All);
        limiter.acquire_with(acquire).await.unwrap().commit().await.unwrap();
    }
    assert_eq!(raw::number(&shard(&r, 0).await, "b_chat_tc"), Some(100_000));
}

#[tokio::test]
async fn a_window_that_a_neighbour_told_of_is_applied_by_the_next_acquire() {
    let bench = Bench::new();
    let (_, limiter, r) = sessions(&bench).await;
    chat(&limiter, 5).await.unwrap();
    bench.advance(LENGTH + HOUR);
    let told = at(LENGTH + HOUR - 1_000).to_string();
    change(&r, &json!({"b_chat_ws": {"N": told}, "b_chat_wtc": {"N": "4000"}, "vu": {"N": "0"}})).await;
    // One of the five was spent after it had been told.
    chat(&limiter, 4).await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!((raw::number(&bucket, "b_chat_tk"), bucket.get("b_chat_wtc")), (Some(0), None));
    assert_eq!(raw::number(&bucket, "b_chat_wa"), Some(at(LENGTH + HOUR - 1_000)));
    assert_eq!(wait_ms(chat(&limiter, 1).await), u128::from(LENGTH - 1_000));
}

#[tokio::test]
async fn a_limit_goes_from_rate_to_session_to_calendar_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let (_, limiter, r) = sessions(&bench).await;
    let set = async |limit: Limit| r.set_limits(&id("e"), &scope(), &limits([limit])).await.unwrap();
    set(Limit::per_day("chat", 10).unwrap()).await;
    chat(&limiter, 4).await.unwrap();
    set(plan()).await;
    chat(&limiter, 5).await.unwrap();
    assert_eq!(wait_ms(chat(&limiter, 1).await), u128::from(LENGTH));
    set(Limit::quota("chat", 8).daily().build().unwrap()).await;
    let bucket = shard(&r, 0).await;
    for gone in ["ws", "wa", "rsa", "wtc"] {
        assert_eq!(bucket.get(format!("b_chat_{gone}")), None, "{gone}");
    }
    bench.advance(24 * HOUR);
    chat(&limiter, 8).await.unwrap();
    set(Limit::per_day("chat", 24).unwrap()).await;
    let bucket = shard(&r, 0).await;
    assert_eq!((bucket.get("b_chat_gc"), bucket.get("vu")), (None, None));
    bench.advance(HOUR);
    chat(&limiter, 1).await.unwrap();
}

/// Sixty a minute, half of it from nine to five. The clock begins at midnight.
async fn scheduled(bench: &Bench) -> (Wire, RateLimiter, Repository) {
    let office = LimitSchedule::builder().scale("* 9-16 * * *", 0.5).build().unwrap();
    let limit = rpm(60).scheduled(office).unwrap();
    let (wire, limiter) = bench.limiter(&limits([limit])).await;
    let repository = limiter.repository().clone();
    wire.take();
    (wire, limiter, repository)
}

#[tokio::test]
async fn a_schedule_changes_what_the_next_acquire_sees_at_its_first_millisecond() {
    let bench = Bench::new();
    let (wire, limiter, r) = scheduled(&bench).await;
    let (eight, nine) = (8 * HOUR, 9 * HOUR);
    // The worked example: what is taken, what is left, and the next change.
    for (now, tokens, left, until) in [
        (eight, 10, 50_000, nine),
        (nine - 1_000, 40, 20_000, nine),
        (nine + 10_000, 1, 25_000, 17 * HOUR),
        (17 * HOUR - 60_000, 29, 1_000, 17 * HOUR),
        (17 * HOUR + 30_000, 55, 5_000, 33 * HOUR),
    ] {
        bench.clock.set(at(now));
        wire.take();
        take(&limiter, "rpm", tokens).await.unwrap();
        assert_eq!(writes(&wire) + u64::from(now == eight), 1, "one write, at a change too");
        let bucket = shard(&r, 0).await;
        let found = (raw::number(&bucket, "b_rpm_tk"), raw::number(&bucket, "vu"));
        assert_eq!(found, (Some(left), Some(at(until))), "{now}");
        assert_eq!((&bucket["b_rpm_sched"]["S"], &bucket["sched_tz"]["S"]), (&json!("1h9-16s500"), &json!("UTC")));
    }
}

#[tokio::test]
async fn a_refusal_and_a_wait_end_with_the_phase() {
    let bench = Bench::new();
    let (_, limiter, _) = scheduled(&bench).await;
    bench.clock.set(at(17 * HOUR - 10_000));
    take(&limiter, "rpm", 30).await.unwrap();
    // Half a token a second for ten seconds, then one a second.
    assert_eq!(wait_ms(take(&limiter, "rpm", 20).await), 10_000 + 15_000);
    // More than the office hours' capacity fits after them.
    assert_eq!(wait_ms(take(&limiter, "rpm", 40).await), 10_000 + 35_000);
    let never = take(&limiter, "rpm", 61).await;
    assert!(matches!(never, Err(AcquireError::NeverFits(_))), "{never:?}");
    bench.advance(24_999);
    assert_eq!(wait_ms(take(&limiter, "rpm", 20).await), 1);
    bench.advance(1);
    take(&limiter, "rpm", 20).await.unwrap();
}

#[tokio::test]
async fn a_changed_schedule_reaches_the_bucket_and_a_removed_one_leaves_it() {
    let bench = Bench::new();
    let (_, limiter, r) = scheduled(&bench).await;
    bench.clock.set(at(9 * HOUR));
    take(&limiter, "rpm", 30).await.unwrap();
    let tenth = LimitSchedule::builder().scale("* 9-16 * * *", 0.1).build().unwrap();
    r.set_limits(&id("e"), &scope(), &limits([rpm(60).scheduled(tenth).unwrap()])).await.unwrap();
    assert_eq!(shard(&r, 0).await["b_rpm_sched"]["S"], "1h9-16s100");
    bench.advance(60_000);
    take(&limiter, "rpm", 6).await.unwrap();
    assert_eq!(wait_ms(take(&limiter, "rpm", 1).await), 10_000);
    r.set_limits(&id("e"), &scope(), &limits([rpm(60)])).await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!((&bucket["b_rpm_sched"]["S"], bucket.get("vu")), (&json!("-"), None));
    bench.advance(60_000);
    take(&limiter, "rpm", 60).await.unwrap();
}

#[tokio::test]
async fn a_schedule_on_the_item_of_a_neighbour_s_making_is_followed() {
    let bench = Bench::new();
    let (_, limiter, r) = scheduled(&bench).await;
    bench.clock.set(at(9 * HOUR));
    let mut bucket = raw::bucket(&r, ("e", "gpt-4"), (0, 1), at(9 * HOUR), &[("rpm", 30_000, 60_000, 60_000, 60_000)]);
    bucket["sched"] = json!({"S": "1h9-16s500"});
    bucket["vu"] = json!({"N": at(17 * HOUR).to_string()});
    raw::put(&r, &bucket).await;
    take(&limiter, "rpm", 30).await.unwrap();
    assert_eq!(wait_ms(take(&limiter, "rpm", 1).await), 2_000);
    // One that cannot be read stops us under every policy.
    change(&r, &json!({"sched": {"S": "2h9-16s500"}})).await;
    bench.advance(60_000);
    let answer = take(&limiter, "rpm", 1).await;
    assert!(matches!(&answer, Err(AcquireError::Unsupported(u)) if u.attribute == "sched"), "{answer:?}");
}

#[tokio::test]
async fn a_session_is_stored_only_where_the_functions_know_it_and_raises_the_minimum() {
    let (_, r) = Bench::new().process().await;
    let version = async || raw::get(&r, "_/SYSTEM#", "#VERSION").await;
    let mut record = version().await;
    record["lambda_version"] = json!({"S": "0.14.9"});
    record["client_min_version"] = json!({"S": "0.11.0"});
    raw::put(&r, &record).await;
    let refused = r.set_limits("e", &scope(), plan()).await;
    assert!(matches!(&refused, Err(RepositoryError::FunctionsTooOld { .. })), "{refused:?}");
    // Calendars and schedules of parameters have no gate.
    let calendar = Limit::quota("day", 5).daily().build().unwrap();
    let office = LimitSchedule::builder().scale("* 9-16 * * *", 0.5).build().unwrap();
    r.set_limits("e", &scope(), limits([calendar, rpm(60).scheduled(office).unwrap()])).await.unwrap();
    assert_eq!(version().await, record);
    record["lambda_version"] = json!({"S": "0.15.0"});
    raw::put(&r, &record).await;
    r.set_limits("e", &scope(), plan()).await.unwrap();
    record["client_min_version"] = json!({"S": "0.15.0"});
    assert_eq!(version().await, record);
    assert_eq!(r.limits("e", &scope()).await.unwrap(), Some(plan().into()));
}

#[tokio::test]
async fn an_acquire_brings_a_session_only_where_the_functions_know_it_and_the_minimum_stays() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(60)])).await;
    let r = limiter.repository();
    let version = async || raw::get(r, "_/SYSTEM#", "#VERSION").await;
    let mut record = version().await;
    record["lambda_version"] = json!({"S": "0.14.9"});
    record["client_min_version"] = json!({"S": "0.11.0"});
    raw::put(r, &record).await;
    let ask = || Acquire::new("e", "r", Cost::of("chat", 1)).unwrap().limits(plan());
    let refused = limiter.acquire_with(ask()).await.map(|_| ());
    let Err(AcquireError::Repository(error)) = &refused else { panic!("{refused:?}") };
    assert!(matches!(&**error, RepositoryError::FunctionsTooOld { .. }), "{error:?}");
    record["lambda_version"] = json!({"S": "0.15.0"});
    raw::put(r, &record).await;
    limiter.acquire_with(ask()).await.unwrap().commit().await.unwrap();
    assert_eq!(version().await, record);
    // The record is read once.
    wire.take();
    limiter.acquire_with(ask()).await.unwrap().commit().await.unwrap();
    assert_eq!(wire.take().into_iter().collect::<Vec<_>>(), [("UpdateItem".to_owned(), 1)]);
}
