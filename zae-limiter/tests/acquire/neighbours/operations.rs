//! Top-ups and resets: once under a key, all shards or none, and settlements of leases from before.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use zae_limiter::{
    AcquireError, Cost, EntityId, Limit, NewEntity, RateLimiter, Repository, RepositoryError,
    audit::{AuditAction, AuditTarget},
    operation::{OperationKey, ResetLimits},
};
use zae_testkit::{Bench, Fault, START, limits, raw, rpm};

use super::{change, id, shard, take};

fn key(text: &str) -> OperationKey {
    OperationKey::new(text).unwrap()
}

fn quota(tokens: u64) -> Limit {
    Limit::quota("rpm", tokens).every("0 0 * * *").build().unwrap()
}

async fn limiter(bench: &Bench, limit: Limit) -> (RateLimiter, Repository) {
    let (_, limiter) = bench.limiter(&limits([limit])).await;
    let repository = limiter.repository().clone();
    (limiter, repository)
}

async fn numbers<const N: usize>(r: &Repository, names: [&str; N]) -> [Option<i64>; N] {
    let bucket = shard(r, 0).await;
    names.map(|name| raw::number(&bucket, name))
}

fn exceeds(answer: &Result<(), AcquireError>) -> bool {
    matches!(answer, Err(AcquireError::Exceeded(_)))
}

fn invalid(answer: Result<impl std::fmt::Debug, RepositoryError>) -> String {
    match answer {
        Err(RepositoryError::Invalid(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_quota_is_topped_up_once_under_a_key_until_its_period_ends() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, quota(10)).await;
    take(&limiter, "rpm", 10).await.unwrap();
    for _ in 0..3 {
        let report = r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await.unwrap();
        assert_eq!((report.shards, report.amounts["rpm"]), (1, 5));
    }
    assert_eq!(numbers(&r, ["b_rpm_tk", "b_rpm_tu", "vu"]).await, [Some(5_000), Some(5_000), Some(0)]);
    r.top_up("e", "gpt-4", &Cost::of("rpm", 2), &key("b")).await.unwrap();
    take(&limiter, "rpm", 7).await.unwrap();
    assert!(exceeds(&take(&limiter, "rpm", 1).await));
    bench.advance(86_400_000);
    take(&limiter, "rpm", 10).await.unwrap();
    assert!(exceeds(&take(&limiter, "rpm", 1).await), "the next period has the quota's own ceiling");
    assert_eq!(numbers(&r, ["b_rpm_tk", "b_rpm_tu"]).await, [Some(0), None]);
}

#[tokio::test]
async fn a_rate_takes_what_it_has_room_for_and_is_full_after_a_reset() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, rpm(60)).await;
    take(&limiter, "rpm", 50).await.unwrap();
    let report = r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await.unwrap();
    assert_eq!(report.amounts["rpm"], 5);
    let report = r.top_up("e", "gpt-4", &Cost::of("rpm", 500), &key("b")).await.unwrap();
    assert_eq!(report.amounts["rpm"], 45, "full is full");
    take(&limiter, "rpm", 60).await.unwrap();
    bench.advance(10_000);
    let report = r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key("c")).await.unwrap();
    assert_eq!(report.amounts["rpm"], 50, "beside what it had gained");
    take(&limiter, "rpm", 60).await.unwrap();
    assert!(exceeds(&take(&limiter, "rpm", 1).await));
}

#[tokio::test]
async fn a_lease_from_before_a_reset_gives_back_no_more_than_there_is_room_for() {
    for (limit, left) in [(rpm(60), 50_000), (quota(60), 50_000)] {
        let bench = Bench::new();
        let (limiter, r) = limiter(&bench, limit).await;
        let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 60)).await.unwrap();
        r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key("a")).await.unwrap();
        take(&limiter, "rpm", 10).await.unwrap();
        lease.roll_back().await.unwrap();
        assert_eq!(numbers(&r, ["b_rpm_tk", "b_rpm_tc"]).await, [Some(left), Some(10_000)]);
    }
}

#[tokio::test]
async fn without_a_bucket_only_a_quota_gets_one() {
    for (limit, shards, granted) in [(rpm(60), 0, 0), (quota(60), 1, 5)] {
        let bench = Bench::new();
        let (limiter, r) = limiter(&bench, limit).await;
        let report = r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key("r")).await.unwrap();
        assert_eq!((report.shards, report.amounts["rpm"]), (0, 0));
        let report = r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("t")).await.unwrap();
        assert_eq!((report.shards, report.amounts["rpm"]), (shards, granted));
        take(&limiter, "rpm", 60).await.unwrap();
        assert_eq!(take(&limiter, "rpm", 5).await.is_ok(), granted == 5);
    }
    let bench = Bench::new();
    let (_, r) = limiter(&bench, quota(60)).await;
    r.disable(id("e")).await.unwrap();
    let refused = r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("t")).await;
    assert!(matches!(&refused, Err(RepositoryError::Disabled(_))), "{refused:?}");
    assert!(shard(&r, 0).await.is_null());
}

#[tokio::test]
async fn all_shards_are_reset_or_none() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, rpm(60)).await;
    take(&limiter, "rpm", 60).await.unwrap();
    change(&r, &json!({"shard_count": {"N": "2"}})).await;
    let mut second = shard(&r, 0).await;
    second["PK"] = json!({"S": format!("{}/BUCKET#e#gpt-4#1", r.namespace_id())});
    second["GSI3SK"] = json!({"S": "BUCKET#gpt-4#1"});
    raw::put(&r, &second).await;
    let report = r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key("a")).await.unwrap();
    assert_eq!((report.shards, report.amounts["rpm"]), (2, 60));
    for number in [0, 1] {
        assert_eq!(raw::number(&shard(&r, number).await, "b_rpm_tk"), Some(30_000), "shard {number}");
    }
}

#[tokio::test]
async fn a_key_stands_for_one_operation_of_one_creation_of_the_entity() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, quota(10)).await;
    r.create_entity(NewEntity::new(id("e"))).await.unwrap();
    take(&limiter, "rpm", 10).await.unwrap();
    r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await.unwrap();
    let before = shard(&r, 0).await;
    for problem in [
        invalid(r.top_up("e", "gpt-4", &Cost::of("rpm", 6), &key("a")).await),
        invalid(r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key("a")).await),
    ] {
        assert!(problem.contains("another operation"), "{problem}");
    }
    let hostile = [Cost::of("rpm", 0), Cost::of("tpm", 5), Cost::of("rpm", u64::MAX), Cost::of("a#b", 1)];
    for amounts in hostile {
        invalid(r.top_up("e", "gpt-4", &amounts, &key("h")).await);
    }
    let unknown = ResetLimits::Named(vec![zae_limiter::LimitName::new("tpm").unwrap()]);
    assert!(invalid(r.reset_bucket("e", "gpt-4", &unknown, &key("h")).await).contains("tpm"));
    assert_eq!(shard(&r, 0).await, before, "nothing is written");
    r.delete_entity("e").await.unwrap();
    bench.advance(1);
    r.create_entity(NewEntity::new(id("e"))).await.unwrap();
    r.invalidate_config_cache();
    let (_, other) = bench.limiter(&limits([quota(10)])).await;
    take(&other, "rpm", 10).await.unwrap();
    let report = r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await.unwrap();
    assert_eq!(report.amounts["rpm"], 5);
    // Another process refuses from memory for up to a second.
    let (_, other) = bench.limiter(&limits([quota(10)])).await;
    take(&other, "rpm", 5).await.unwrap();
}

#[tokio::test]
async fn operations_are_in_the_audit_trail_and_behind_their_gate() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, quota(10)).await;
    take(&limiter, "rpm", 10).await.unwrap();
    let mut record = raw::get(&r, "_/SYSTEM#", "#VERSION").await;
    record["lambda_version"] = json!({"S": "0.16.9"});
    raw::put(&r, &record).await;
    let refused = r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await;
    assert!(matches!(&refused, Err(RepositoryError::FunctionsTooOld { .. })), "{refused:?}");
    r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key("b")).await.unwrap();
    record["lambda_version"] = json!({"S": "0.17.0"});
    raw::put(&r, &record).await;
    r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await.unwrap();
    let trail = r.audit_events(&AuditTarget::Entity(EntityId::new("e").unwrap()), 10, None).await.unwrap();
    let actions: Vec<&AuditAction> = trail.events.iter().map(|event| &event.action).collect();
    assert_eq!(actions, [&AuditAction::BucketToppedUp, &AuditAction::BucketReset]);
    assert_eq!(trail.events[0].details["amounts"], json!({"rpm": 5}));
    assert!(raw::number(&shard(&r, 0).await, "rf").unwrap() > START, "the refill instant moves with each");
}

/// Ends a process at each of the calls that an operation makes, before the call takes effect or right after.
#[tokio::test(start_paused = true)]
async fn an_operation_counts_once_wherever_its_process_ends() {
    let (mut reached, mut applied) = (0, 0);
    for (call, effect) in (0..20).flat_map(|call| [(call, Fault::LostBefore), (call, Fault::LostAfter)]) {
        let bench = Bench::new();
        let (limiter, _) = limiter(&bench, quota(10)).await;
        take(&limiter, "rpm", 10).await.unwrap();
        let (wire, r) = bench.process().await;
        let made = AtomicU64::new(0);
        wire.fail(move |_, _| match made.fetch_add(1, Ordering::SeqCst).cmp(&call) {
            std::cmp::Ordering::Less => Fault::None,
            std::cmp::Ordering::Equal => effect,
            std::cmp::Ordering::Greater => Fault::LostBefore,
        });
        let first = r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await;
        // Another process repeats it.
        let (_, again) = bench.process().await;
        reached += u32::from(first.is_err());
        applied += u32::from(first.is_err() && numbers(&again, ["b_rpm_tk"]).await == [Some(5_000)]);
        for _ in 0..2 {
            let report = again.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await.unwrap();
            assert_eq!((report.shards, report.amounts["rpm"]), (1, 5), "{call} {effect:?}");
        }
        assert_eq!(numbers(&again, ["b_rpm_tk", "b_rpm_tu"]).await, [Some(5_000), Some(5_000)], "{call} {effect:?}");
        let trail = again.audit_events(&AuditTarget::Entity(id("e")), 10, None).await.unwrap();
        assert_eq!(trail.events.len(), 1, "{call} {effect:?}");
        if first.is_ok() {
            break;
        }
    }
    assert!(reached >= 12 && applied >= 1, "{reached} ended in between, {applied} of them with all done");
}

#[tokio::test]
async fn whoever_was_refused_a_moment_ago_is_served_at_once() {
    for limit in [rpm(10), quota(10)] {
        let bench = Bench::new();
        let (limiter, r) = limiter(&bench, limit).await;
        r.create_entity(NewEntity::new(id("e"))).await.unwrap();
        r.create_entity(NewEntity::new(id("key")).parent(id("e")).cascading()).await.unwrap();
        r.set_limits(&id("key"), &super::scope(), &limits([rpm(1_000)])).await.unwrap();
        let child = async || limiter.acquire("key", "gpt-4", Cost::of("rpm", 1)).await.map(drop);
        take(&limiter, "rpm", 10).await.unwrap();
        for round in ["top-up", "reset"] {
            for _ in 0..3 {
                assert!(exceeds(&take(&limiter, "rpm", 1).await), "{round}");
                assert!(exceeds(&child().await), "{round}");
            }
            if round == "reset" {
                r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key(round)).await.unwrap();
                child().await.unwrap();
                continue;
            }
            r.top_up("e", "gpt-4", &Cost::of("rpm", 4), &key(round)).await.unwrap();
            take(&limiter, "rpm", 4).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_shard_that_lags_behind_learns_the_number_before_it_is_changed() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, quota(100)).await;
    take(&limiter, "rpm", 40).await.unwrap();
    // As an old client left them: two shards, of which one knows nothing of the other and notes no grant.
    let mut first = shard(&r, 0).await;
    first["shard_count"] = json!({"N": "2"});
    let mut second = first.clone();
    second["PK"] = json!({"S": format!("{}/BUCKET#e#gpt-4#1", r.namespace_id())});
    second["GSI3SK"] = json!({"S": "BUCKET#gpt-4#1"});
    second["shard_count"] = json!({"N": "1"});
    second.as_object_mut().unwrap().remove("b_rpm_gc");
    raw::put(&r, &first).await;
    raw::put(&r, &second).await;
    let report = r.top_up("e", "gpt-4", &Cost::of("rpm", 11), &key("a")).await.unwrap();
    assert_eq!((report.shards, report.amounts["rpm"]), (2, 11));
    let of = async |number| {
        let shard = shard(&r, number).await;
        ["b_rpm_tk", "b_rpm_gc", "b_rpm_tu", "shard_count"].map(|name| raw::number(&shard, name))
    };
    assert_eq!(of(0).await, [Some(66_000), Some(1), Some(6_000), Some(2)]);
    assert_eq!(of(1).await, [Some(65_000), Some(1), Some(5_000), Some(2)], "its grant was the whole quota");
}

#[tokio::test]
async fn many_at_once_add_up_and_each_key_counts_once() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, quota(1_000)).await;
    take(&limiter, "rpm", 1_000).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (r, limiter) = (r.clone(), limiter.clone());
        calls.spawn(async move {
            let (key, amount) = (key(&format!("buy-{}", number / 2)), Cost::of("rpm", 7));
            while let Err(error) = r.top_up("e", "gpt-4", &amount, &key).await {
                assert!(matches!(error, RepositoryError::Store(_)), "{error}");
            }
            take(&limiter, "rpm", 1).await.is_ok()
        });
    }
    let granted = calls.join_all().await.into_iter().filter(|granted| *granted).count();
    let left = 42_000 - i64::try_from(granted).unwrap() * 1_000;
    assert_eq!(numbers(&r, ["b_rpm_tk", "b_rpm_tu"]).await, [Some(left), Some(42_000)]);
}

#[tokio::test]
async fn buckets_of_session_quotas_are_left_alone() {
    let bench = Bench::new();
    let (limiter, r) = limiter(&bench, rpm(10)).await;
    take(&limiter, "rpm", 10).await.unwrap();
    let window = json!({"b_rpm_ra": {"N": "0"}, "b_rpm_rsa": {"N": "3600"}, "b_rpm_ws": {"N": START.to_string()}});
    change(&r, &window).await;
    let before = shard(&r, 0).await;
    for answer in [
        r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await,
        r.reset_bucket("e", "gpt-4", &ResetLimits::All, &key("a")).await,
    ] {
        assert!(invalid(answer).contains("session quota"));
    }
    assert_eq!(shard(&r, 0).await, before);
    assert!(raw::get(&r, before["PK"]["S"].as_str().unwrap(), "#OP#a").await.is_null());
}

#[tokio::test]
async fn records_go_with_their_entity() {
    let bench = Bench::new();
    let (_, r) = limiter(&bench, quota(10)).await;
    r.create_entity(NewEntity::new(id("e"))).await.unwrap();
    r.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await.unwrap();
    r.reset_bucket("e", "gpt-5", &ResetLimits::All, &key("b")).await.unwrap();
    let records = async || {
        let resources = ["gpt-4", "gpt-5"].map(|resource| format!("{}/BUCKET#e#{resource}#0", r.namespace_id()));
        let mut found = 0;
        for partition in resources {
            found += raw::partition(&r, &partition).await.len();
        }
        found
    };
    assert_eq!(records().await, 3, "a bucket, and two records");
    r.delete_entity("e").await.unwrap();
    assert_eq!(records().await, 0);
}

/// A top-up that begins a bucket sees to it that the owner did not move meanwhile.
#[tokio::test]
async fn a_bucket_that_a_top_up_creates_has_the_owner_of_that_moment() {
    let bench = Bench::new();
    let (_, r) = limiter(&bench, quota(10)).await;
    for entity in ["one", "two"] {
        r.create_entity(NewEntity::new(id(entity))).await.unwrap();
    }
    r.create_entity(NewEntity::new(id("e")).parent(id("one")).cascading()).await.unwrap();
    let (wire, slow) = bench.process().await;
    let (other, moved) = (r.clone(), AtomicU64::new(0));
    let (tell, told) = std::sync::mpsc::channel();
    wire.fail(move |operation, _| {
        if operation == "TransactWriteItems" && moved.fetch_add(1, Ordering::SeqCst) == 0 {
            tell.send(()).unwrap();
            return Fault::Trip(1_500);
        }
        Fault::None
    });
    let moving = tokio::task::spawn_blocking(move || told.recv());
    let top_up = tokio::spawn(async move { slow.top_up("e", "gpt-4", &Cost::of("rpm", 5), &key("a")).await });
    moving.await.unwrap().unwrap();
    other.set_parent(id("e"), id("two")).await.unwrap();
    let report = top_up.await.unwrap().unwrap();
    assert_eq!((report.shards, report.amounts["rpm"]), (1, 5));
    assert_eq!(shard(&r, 0).await["parent_id"], json!({"S": "two"}));
}
