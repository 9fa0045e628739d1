//! Bypassed resources and entities: everything passes, is counted, and nothing is debited.

use serde_json::{Value, json};
use zae_limiter::{
    Acquire, AcquireError, Cost, NewEntity, RateLimiter, Repository, RepositoryError, Reserve, ResourceName,
    access::{Access, ConfigTarget},
    explain::Verdict,
};
use zae_testkit::{Bench, START, limits, raw, rpm};

use super::{change, id, scope, shard, take};

/// The life of a stamp, in ms.
const STAMP: i64 = 54_000;

fn gpt() -> ResourceName {
    ResourceName::new("gpt-4").unwrap()
}

/// A limiter of 10 a minute, and beside it the repository of another process.
async fn limited(bench: &Bench) -> (RateLimiter, Repository) {
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let (_, ops) = bench.process().await;
    (limiter, ops)
}

/// Balance and net consumption, in tokens, and the stamp of the bucket.
async fn bucket(r: &Repository) -> (i64, i64, Option<i64>) {
    let bucket = shard(r, 0).await;
    let tokens = |name| raw::number(&bucket, name).unwrap() / 1_000;
    (tokens("b_rpm_tk"), tokens("b_rpm_tc"), raw::number(&bucket, "bypass"))
}

/// Stores the setting of the entity in the manner of a process that dies before it comes to the buckets.
async fn store(r: &Repository, setting: &Value) {
    let (pk, sk) = (format!("{}/ENTITY#e", r.namespace_id()), "#CONFIG#_default_");
    let mut config = raw::get(r, &pk, sk).await;
    if config.is_null() {
        config = json!({"PK": {"S": pk}, "SK": {"S": sk}, "entity_id": {"S": "e"}, "resource": {"S": "_default_"}});
    }
    config["disabled"] = setting.clone();
    raw::put(r, &config).await;
}

fn exceeds(answer: &Result<(), AcquireError>) -> bool {
    matches!(answer, Err(AcquireError::Exceeded(_)))
}

#[tokio::test]
async fn everything_passes_and_is_counted_and_nothing_is_debited() {
    let bench = Bench::new();
    let (limiter, ops) = limited(&bench).await;
    take(&limiter, "rpm", 10).await.unwrap();
    assert!(exceeds(&take(&limiter, "rpm", 1).await));
    // A moment later: what was refused from memory is not any more.
    assert_eq!(limiter.repository().bypass(id("e")).await.unwrap(), 1);
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 400)).await.unwrap();
    assert!(lease.is_bypassed());
    lease.adjust("rpm", 30).unwrap();
    lease.commit().await.unwrap();
    limiter.acquire("e", "gpt-4", Cost::of("rpm", 50)).await.unwrap().roll_back().await.unwrap();
    let kept = limiter.acquire("e", "gpt-4", Cost::of("rpm", 60)).await.unwrap();
    kept.release("rpm", 20).unwrap();
    kept.commit().await.unwrap();
    assert_eq!(bucket(&ops).await, (0, 10 + 400 + 30 + 40, Some(START + STAMP)));
    assert_eq!(ops.buckets("e").await.unwrap()[0].access, Access::Bypassed);
    let explanation = limiter.explain("e", "gpt-4", &Cost::of("rpm", 5_000)).await.unwrap();
    assert_eq!(explanation.verdict, Verdict::Passes);
    assert_eq!(explanation.buckets[0].levels[0].access, Some(Access::Bypassed));
    limiter.repository().clear_access(id("e")).await.unwrap();
    assert!(exceeds(&take(&limiter, "rpm", 1).await));
    assert_eq!(bucket(&ops).await, (0, 480, None));
    bench.advance(60_000);
    assert!(!limiter.acquire("e", "gpt-4", Cost::of("rpm", 10)).await.unwrap().is_bypassed());
}

#[tokio::test]
async fn the_nearest_setting_decides_and_another_process_follows_with_its_next_write() {
    let bench = Bench::new();
    let (limiter, ops) = limited(&bench).await;
    take(&limiter, "rpm", 10).await.unwrap();
    let own = ConfigTarget::from((id("e"), scope()));
    for (place, access, passes) in [
        (ConfigTarget::from(gpt()), Some(Access::Bypassed), true),
        (id("e").into(), Some(Access::Enabled), false),
        (own.clone(), Some(Access::Bypassed), true),
        (own, None, false),
        (id("e").into(), None, true),
        (gpt().into(), None, false),
    ] {
        // It remembers the limits, and has no picture of the bucket that may refuse for a second.
        let (_, other) = bench.limiter(&limits([rpm(10)])).await;
        other.available("e", "gpt-4").await.unwrap();
        assert_eq!(ops.set_access(&place, access).await.unwrap(), 1, "{place:?} {access:?}");
        let answer = take(&other, "rpm", 4).await;
        assert_eq!(answer.is_ok(), passes, "{place:?} {access:?}: {answer:?}");
        assert_eq!(bucket(&ops).await.2.is_some(), passes, "{place:?} {access:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_begins_under_a_bypass_is_full_and_stamped() {
    let bench = Bench::new();
    let (limiter, ops) = limited(&bench).await;
    assert_eq!(ops.bypass(gpt()).await.unwrap(), 0);
    take(&limiter, "rpm", 70).await.unwrap();
    assert_eq!(bucket(&ops).await, (10, 70, Some(START + STAMP)));
}

#[tokio::test]
async fn a_stamp_that_has_run_out_is_renewed_or_removed_by_the_write_that_meets_it() {
    for (setting, passes) in [(json!({"S": "bypass"}), true), (json!({"BOOL": false}), false)] {
        for over in [json!({"N": (START + 1).to_string()}), json!({"BOOL": true})] {
            let bench = Bench::new();
            let (limiter, ops) = limited(&bench).await;
            ops.bypass(id("e")).await.unwrap();
            take(&limiter, "rpm", 40).await.unwrap();
            store(&ops, &setting).await;
            bench.advance(30_000);
            change(&ops, &json!({"bypass": over})).await;
            let answer = take(&limiter, "rpm", 40).await;
            assert_eq!(answer.is_ok(), passes, "{setting} {over}: {answer:?}");
            take(&limiter, "rpm", 3).await.unwrap();
            let expected = if passes { (10, 83, Some(START + 30_000 + STAMP)) } else { (7, 43, None) };
            assert_eq!(bucket(&ops).await, expected, "{setting} {over}");
        }
    }
}

#[tokio::test]
async fn a_setting_that_came_to_no_bucket_is_stamped_by_the_acquire_that_reads_it() {
    let bench = Bench::new();
    let (_, ops) = limited(&bench).await;
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    take(&limiter, "rpm", 10).await.unwrap();
    let (_, remembering) = bench.limiter(&limits([rpm(10)])).await;
    remembering.available("e", "gpt-4").await.unwrap();
    store(&ops, &json!({"S": "bypass"})).await;
    let (_, other) = bench.limiter(&limits([rpm(10)])).await;
    take(&other, "rpm", 25).await.unwrap();
    assert_eq!(bucket(&ops).await, (0, 35, Some(START + STAMP)));
    // Whoever remembers otherwise learns it from the stamp.
    take(&remembering, "rpm", 5).await.unwrap();
    assert_eq!(bucket(&ops).await.1, 40);
}

#[tokio::test]
async fn a_lease_from_before_a_bypass_gives_back_what_it_took_and_one_from_under_it_nothing() {
    let bench = Bench::new();
    let (limiter, ops) = limited(&bench).await;
    let before = limiter.acquire("e", "gpt-4", Cost::of("rpm", 4)).await.unwrap();
    limiter.repository().bypass(id("e")).await.unwrap();
    let under = limiter.acquire("e", "gpt-4", Cost::of("rpm", 400)).await.unwrap();
    limiter.repository().clear_access(id("e")).await.unwrap();
    let after = limiter.acquire("e", "gpt-4", Cost::of("rpm", 3)).await.unwrap();
    assert_eq!(bucket(&ops).await.0, 3);
    under.roll_back().await.unwrap();
    assert_eq!(bucket(&ops).await, (3, 7, None));
    before.roll_back().await.unwrap();
    assert_eq!(bucket(&ops).await, (7, 3, None));
    after.commit().await.unwrap();
}

#[tokio::test]
async fn neither_a_reserve_nor_one_of_two_buckets_refuses_what_an_operator_lets_through() {
    let bench = Bench::new();
    let (limiter, ops) = limited(&bench).await;
    ops.create_entity(NewEntity::new(id("p"))).await.unwrap();
    ops.create_entity(NewEntity::new(id("e")).parent(id("p")).cascading()).await.unwrap();
    limiter.repository().bypass(id("p")).await.unwrap();
    let reserved = |tokens| Acquire::new("e", "gpt-4", Cost::of("rpm", tokens)).unwrap().reserve(Reserve::All);
    for _ in 0..3 {
        limiter.acquire_with(reserved(3)).await.unwrap().commit().await.unwrap();
    }
    let answer = limiter.acquire_with(reserved(3)).await.map(drop);
    assert!(exceeds(&answer), "the child is limited: {answer:?}");
    limiter.repository().bypass(id("e")).await.unwrap();
    for _ in 0..20 {
        limiter.acquire_with(reserved(9)).await.unwrap().commit().await.unwrap();
    }
    assert!(limiter.refused_at_once(&reserved(500)).is_none());
    limiter.shutdown().await;
    let parent = format!("{}/BUCKET#p#gpt-4#0", ops.namespace_id());
    let parent = raw::get(&ops, &parent, "#STATE").await;
    assert_eq!(["b_rpm_tk", "b_rpm_tc"].map(|name| raw::number(&parent, name)), [Some(10_000), Some(189_000)]);
}

#[tokio::test]
async fn a_bypass_is_stored_only_where_the_functions_know_it_and_raises_the_minimum() {
    let (_, r) = Bench::new().process().await;
    let version = async || raw::get(&r, "_/SYSTEM#", "#VERSION").await;
    let mut record = version().await;
    record["lambda_version"] = json!({"S": "0.16.9"});
    raw::put(&r, &record).await;
    for target in [ConfigTarget::from(gpt()), id("e").into()] {
        let refused = r.bypass(&target).await;
        assert!(matches!(&refused, Err(RepositoryError::FunctionsTooOld { .. })), "{refused:?}");
        assert_eq!(r.access(&target).await.unwrap(), None);
    }
    assert_eq!(version().await, record, "nothing is written");
    record["lambda_version"] = json!({"S": "0.17.0"});
    record["client_min_version"] = json!({"S": "0.16.0"});
    raw::put(&r, &record).await;
    r.disable(gpt()).await.unwrap();
    assert_eq!(version().await, record, "a switch has no gate");
    r.bypass(gpt()).await.unwrap();
    record["client_min_version"] = json!({"S": "0.17.0"});
    assert_eq!(version().await, record);
    assert_eq!(r.access(gpt()).await.unwrap(), Some(Access::Bypassed));
}
