//! Soft limits: what they admit, and the stamps by which other clients recognise them.

use zae_limiter::{
    Acquire, AcquireError, Cost, Lease, Limit, RateLimiter, Repository, Reserve, error::RepositoryError,
};

use super::{change, id, scope, shard, take};
use serde_json::json;
use zae_testkit::{Bench, START, limits, raw, rpm, tpm};

/// The lifetime of a stamp, in ms.
const STAMP: i64 = 54_000;

/// Takes one of `rpm` and this many of `tpm`.
async fn both(limiter: &RateLimiter, tokens: u64) -> Result<Lease, AcquireError> {
    limiter.acquire("e", "gpt-4", Cost::of("rpm", 1).and("tpm", tokens)).await
}

/// Makes the system's stored limit `rpm` soft or hard, as a neighbour does that has not reached the buckets yet.
async fn soften(r: &Repository, soft: bool) {
    let (pk, sk) = (format!("{}/SYSTEM#", r.namespace_id()), "#CONFIG");
    let mut config = raw::get(r, &pk, sk).await;
    match soft {
        true => config["l_rpm_soft"] = json!({"BOOL": true}),
        false => drop(config.as_object_mut().unwrap().remove("l_rpm_soft")),
    }
    raw::put(r, &config).await;
}

async fn stamp(r: &Repository) -> Option<i64> {
    raw::number(&shard(r, 0).await, "b_rpm_soft")
}

fn exceeded(answer: Result<(), AcquireError>) -> Vec<String> {
    match answer {
        Err(AcquireError::Exceeded(exceeded)) => {
            exceeded.statuses().iter().filter(|s| s.exceeded).map(|s| s.limit.name().to_string()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_soft_limit_lets_everything_pass_and_is_debited() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10).soft()])).await;
    let r = limiter.repository().clone();
    for (tokens, left, overdrawn) in [(4, 6, 0), (30, -24, 1), (1, -25, 1)] {
        let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", tokens)).await.unwrap();
        let status = &lease.statuses()[0];
        assert_eq!((status.available, status.exceeded, lease.overdrawn().len()), (left, false, overdrawn));
        lease.commit().await.unwrap();
    }
    assert_eq!(raw::number(&shard(&r, 0).await, "b_rpm_tc"), Some(35_000));
    // 10 a minute: it is paid off like any debt.
    bench.advance(60_000);
    take(&limiter, "rpm", 1).await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "b_rpm_tk"), Some(-16_000));
    assert_eq!(
        limiter.time_until_available("e", "gpt-4", &Cost::of("rpm", 50)).await.unwrap(),
        std::time::Duration::ZERO
    );
    let bucket = &r.buckets(&id("e")).await.unwrap()[0];
    assert!(bucket.limits[0].soft && bucket.limits[0].available == -16);
}

#[tokio::test]
async fn beside_a_hard_limit_the_hard_one_alone_refuses() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(2), tpm(100).soft()])).await;
    for _ in 0..2 {
        both(&limiter, 1_000).await.unwrap().commit().await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(exceeded(both(&limiter, 1_000).await.map(drop)), ["rpm"]);
    }
    take(&limiter, "tpm", 5_000).await.unwrap();
    assert!(limiter.refused_at_once(&Acquire::new("e", "gpt-4", Cost::of("tpm", 1)).unwrap()).is_none());
}

#[tokio::test]
async fn what_a_soft_limit_let_pass_is_settled_like_any_other() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10).soft()])).await;
    let r = limiter.repository().clone();
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 30)).await.unwrap();
    lease.adjust("rpm", 5).unwrap();
    lease.commit().await.unwrap();
    limiter.acquire("e", "gpt-4", Cost::of("rpm", 40)).await.unwrap().roll_back().await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!(["b_rpm_tk", "b_rpm_tc"].map(|name| raw::number(&bucket, name)), [Some(-25_000), Some(35_000)]);
}

#[tokio::test]
async fn a_stamp_is_written_with_the_bucket_and_renewed_before_others_stop_at_it() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(1_000).soft()])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    assert_eq!(stamp(&r).await, Some(START + STAMP), "created with it");
    wire.take();
    take(&limiter, "rpm", 1).await.unwrap();
    assert_eq!(wire.count(), 1);
    assert_eq!(stamp(&r).await, Some(START + STAMP), "it lasts");
    // The resolution is older than the stamp that a new one would have.
    bench.advance(55_000);
    take(&limiter, "rpm", 1).await.unwrap();
    let renewed = stamp(&r).await;
    assert_eq!(renewed, Some(START + 55_000 + STAMP), "read again, and stamped");
    bench.advance(1_000);
    take(&limiter, "rpm", 1).await.unwrap();
    assert_eq!(stamp(&r).await, renewed);
    // The older form is an expired stamp.
    change(&r, &json!({"b_rpm_soft": {"BOOL": true}})).await;
    take(&limiter, "rpm", 1).await.unwrap();
    take(&limiter, "rpm", 1).await.unwrap();
    assert!(stamp(&r).await >= renewed, "{:?}", stamp(&r).await);
}

#[tokio::test]
async fn a_limit_made_soft_by_a_neighbour_refuses_nobody_who_sees_the_stamp() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 10).await.unwrap();
    // Another process with cached limits, and without an image of the bucket that may refuse for a second.
    let (_, other) = bench.limiter(&limits([rpm(10)])).await;
    other.available("e", "gpt-4").await.unwrap();
    soften(&r, true).await;
    change(&r, &json!({"b_rpm_soft": {"N": (START + STAMP).to_string()}})).await;
    take(&other, "rpm", 5).await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "b_rpm_tk"), Some(-5_000));
}

#[tokio::test]
async fn a_limit_made_hard_by_a_neighbour_is_enforced_at_once_where_its_stamp_goes_and_else_when_it_has_run_out() {
    for removed in [true, false] {
        let bench = Bench::new();
        let (_, limiter) = bench.limiter(&limits([rpm(10).soft()])).await;
        let r = limiter.repository().clone();
        take(&limiter, "rpm", 30).await.unwrap();
        soften(&r, false).await;
        if removed {
            change(&r, &json!({"b_rpm_soft": null})).await;
        } else {
            take(&limiter, "rpm", 1).await.unwrap();
            bench.advance(u64::try_from(STAMP).unwrap());
        }
        assert_eq!(exceeded(take(&limiter, "rpm", 1).await), ["rpm"], "removed: {removed}");
        assert_eq!(stamp(&r).await, None, "and the stamp is gone");
    }
}

#[tokio::test]
async fn limits_that_a_caller_brings_decide_for_it_alone() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    let soft = || Acquire::new("e", "gpt-4", Cost::of("rpm", 30)).unwrap().limits(rpm(10).soft());
    for _ in 0..2 {
        limiter.acquire_with(soft()).await.unwrap().commit().await.unwrap();
    }
    assert_eq!(stamp(&r).await, None, "it writes no stamp");
    assert_eq!(exceeded(take(&limiter, "rpm", 1).await), ["rpm"]);
}

#[tokio::test]
async fn a_reserve_never_refuses_for_a_soft_limit() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100_000), tpm(1_000).soft()])).await;
    for turn in 0..400 {
        let request = Acquire::new("e", "gpt-4", Cost::of("rpm", 1).and("tpm", 10)).unwrap();
        let lease = limiter.acquire_with(request.reserve(Reserve::All)).await;
        lease.unwrap_or_else(|error| panic!("{turn}: {error}")).commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_change_of_defaults_reaches_the_buckets_that_it_decides_about() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    r.set_system_defaults(rpm(10).soft()).await.unwrap();
    assert_eq!(stamp(&r).await, Some(START + STAMP), "the system's");
    r.set_resource_defaults("gpt-4", rpm(10)).await.unwrap();
    r.set_system_defaults(rpm(20).soft()).await.unwrap();
    r.set_resource_defaults("gpt-4", rpm(10).soft()).await.unwrap();
    assert_eq!(stamp(&r).await, Some(START + STAMP), "the resource's");
    r.set_resource_defaults("gpt-4", rpm(10)).await.unwrap();
    assert_eq!(stamp(&r).await, None);
    r.set_system_defaults(rpm(20)).await.unwrap();
    r.set_system_defaults(rpm(20).soft()).await.unwrap();
    assert_eq!(stamp(&r).await, None, "the resource decides");
    r.set_limits("e", &scope(), rpm(10).soft()).await.unwrap();
    assert_eq!(stamp(&r).await, Some(START + STAMP), "the entity's own");
    r.delete_limits("e", &scope()).await.unwrap();
    assert_eq!(stamp(&r).await, None);
}

#[tokio::test]
async fn a_soft_limit_is_stored_only_where_the_functions_know_it_and_raises_the_minimum() {
    let (_, r) = Bench::new().process().await;
    let version = async || raw::get(&r, "_/SYSTEM#", "#VERSION").await;
    let mut record = version().await;
    record["lambda_version"] = json!({"S": "0.16.9"});
    raw::put(&r, &record).await;
    for refused in [
        r.set_system_defaults(rpm(10).soft()).await,
        r.set_resource_defaults("gpt-4", rpm(10).soft()).await,
        r.set_limits("e", &scope(), rpm(10).soft()).await,
    ] {
        assert!(matches!(&refused, Err(RepositoryError::FunctionsTooOld { .. })), "{refused:?}");
    }
    assert_eq!(version().await, record, "nothing is written");
    record["lambda_version"] = json!({"S": "0.17.0"});
    record["client_min_version"] = json!({"S": "0.16.0"});
    raw::put(&r, &record).await;
    r.set_limits("e", &scope(), rpm(10)).await.unwrap();
    assert_eq!(version().await, record, "plain limits have no gate");
    r.set_limits("e", &scope(), rpm(10).soft()).await.unwrap();
    record["client_min_version"] = json!({"S": "0.17.0"});
    assert_eq!(version().await, record);
    assert_eq!(r.limits("e", &scope()).await.unwrap(), Some(Limit::per_minute("rpm", 10).unwrap().soft().into()));
}
