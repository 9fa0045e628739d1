//! Features of newer clients: those that stop this version, and those that have ended.

use serde_json::{Value, json};
use zae_limiter::{AcquireError, Cost, Repository};

use super::{change, id, shard, take};
use zae_testkit::{Bench, START, limits, raw, rpm};

#[tokio::test]
async fn a_feature_stamped_onto_a_bucket_that_we_remember_stops_us() {
    for stamp in [
        json!({"disabled": {"S": "bypass"}}),
        json!({"bypass": {"S": "always"}}),
        json!({"vu": {"N": "0"}, "sched": {"S": "x"}}),
    ] {
        let bench = Bench::new();
        let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
        let r = limiter.repository().clone();
        take(&limiter, "rpm", 1).await.unwrap();
        change(&r, &stamp).await;
        let before = shard(&r, 0).await;
        let answer = take(&limiter, "rpm", 1).await;
        assert!(
            matches!(&answer, Err(AcquireError::Unsupported(u)) if stamp.get(&u.attribute).is_some()),
            "{answer:?}"
        );
        assert_eq!(shard(&r, 0).await, before, "nothing was taken");
    }
}

/// Returns attributes of ended features, plus `vu`, which takes one more write.
fn over() -> [Value; 4] {
    [
        json!({"b_rpm_gc": {"N": "1"}, "b_rpm_rn": {"N": "2"}, "b_rpm_tu": {"N": "5000"}, "vu": {"N": "0"}}),
        json!({"b_rpm_ws": {"N": "1"}, "b_rpm_wa": {"N": "1"}, "b_rpm_rsa": {"N": "60"}, "b_rpm_wtc": {"N": "9"}}),
        json!({"bypass": {"N": START.to_string()}, "b_rpm_soft": {"N": (START - 1).to_string()}}),
        json!({"bypass": {"BOOL": true}, "b_rpm_soft": {"BOOL": true}}),
    ]
}

#[tokio::test]
async fn what_is_left_of_a_feature_that_is_over_is_ignored_and_taken_off() {
    for left in over() {
        for remembering in [true, false] {
            let bench = Bench::new();
            let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
            let r = limiter.repository().clone();
            take(&limiter, "rpm", 1).await.unwrap();
            change(&r, &left).await;
            let (_, other) = bench.limiter(&limits([rpm(10)])).await;
            let limiter = if remembering { &limiter } else { &other };
            assert_eq!(r.buckets(&id("e")).await.unwrap()[0].unsupported, None);
            take(limiter, "rpm", 1).await.unwrap();
            take(limiter, "rpm", 1).await.unwrap();
            let bucket = shard(&r, 0).await;
            for attribute in left.as_object().unwrap().keys() {
                assert!(bucket.get(attribute).is_none(), "{attribute}, remembering: {remembering}");
            }
            assert_eq!(raw::number(&bucket, "b_rpm_tk"), Some(7_000));
        }
    }
}

/// Makes the limit in the system's defaults a quota, as the package does before it reaches a bucket.
async fn make_quota(r: &Repository) {
    let (pk, sk) = (format!("{}/SYSTEM#", r.namespace_id()), "#CONFIG");
    let mut config = raw::get(r, &pk, sk).await;
    config["l_rpm_rsched"] = json!({"S": "x"});
    config["l_rpm_ra"] = json!({"N": "0"});
    raw::put(r, &config).await;
}

#[tokio::test]
async fn a_limit_that_is_a_quota_by_now_is_left_alone() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    make_quota(&r).await;
    change(&r, &json!({"b_rpm_gc": {"N": "1"}, "b_rpm_ra": {"N": "0"}, "vu": {"N": "0"}})).await;
    let before = shard(&r, 0).await;
    let answer = take(&limiter, "rpm", 1).await;
    assert!(matches!(&answer, Err(AcquireError::Unsupported(u)) if u.attribute == "l_rpm_rsched"), "{answer:?}");
    assert_eq!(shard(&r, 0).await, before);
}

#[tokio::test]
async fn a_quota_that_a_settlement_is_the_first_to_see_is_left_alone() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 4)).await.unwrap();
    make_quota(&r).await;
    change(&r, &json!({"b_rpm_gc": {"N": "1"}})).await;
    lease.roll_back().await.unwrap();
    let before = shard(&r, 0).await;
    let answer = take(&limiter, "rpm", 1).await;
    assert!(matches!(&answer, Err(AcquireError::Unsupported(u)) if u.attribute == "l_rpm_rsched"), "{answer:?}");
    assert_eq!(shard(&r, 0).await, before);
}
