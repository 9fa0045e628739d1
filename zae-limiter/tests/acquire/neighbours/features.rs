//! Features of newer clients: what stops us, what is over, and what an operator has switched off.

use serde_json::{Value, json};
use zae_limiter::{
    Acquire, AcquireError, Cost, NewEntity, OnUnavailable, RateLimiter, Repository, ResourceName, error::DisabledLevel,
};

use super::{change, id, shard, take};
use zae_testkit::{Bench, Fault, START, limits, raw, rpm};

fn gpt() -> ResourceName {
    ResourceName::new("gpt-4").unwrap()
}

/// Sets the flag of a configuration item, as the package's operators do; null removes it.
async fn switch(r: &Repository, level: &str, value: Value) {
    let ns = r.namespace_id();
    let (pk, sk) = match level {
        "entity" => (format!("{ns}/ENTITY#e"), "#CONFIG#gpt-4"),
        "entity_default" => (format!("{ns}/ENTITY#e"), "#CONFIG#_default_"),
        _ => (format!("{ns}/RESOURCE#gpt-4"), "#CONFIG"),
    };
    let mut item = raw::get(r, &pk, sk).await;
    if item.is_null() {
        item = json!({"PK": {"S": pk}, "SK": {"S": sk}});
    }
    match value {
        Value::Null => drop(item.as_object_mut().unwrap().remove("disabled")),
        value => item["disabled"] = value,
    }
    raw::put(r, &item).await;
}

fn disabled_at(answer: Result<(), AcquireError>) -> DisabledLevel {
    match answer {
        Err(AcquireError::Disabled(disabled)) => disabled.level,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_feature_stamped_onto_a_bucket_that_we_remember_stops_us() {
    for stamp in [
        json!({"disabled": {"S": "bypass"}}),
        json!({"bypass": {"N": (START + 60_000).to_string()}}),
        json!({"vu": {"N": "0"}, "sched": {"S": "x"}}),
        json!({"vu": {"N": "0"}, "b_rpm_soft": {"N": (START + 60_000).to_string()}}),
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

/// Attributes that are over, beside `vu`, which asks for one write more.
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

/// Makes a quota of the limit in the system's defaults, as the package does before it comes to a bucket.
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

#[tokio::test]
async fn what_an_operator_has_switched_off_is_refused_as_such_until_it_is_switched_on() {
    for (level, expected) in [
        ("entity", DisabledLevel::Entity),
        ("entity_default", DisabledLevel::EntityDefault),
        ("resource", DisabledLevel::Resource),
    ] {
        let bench = Bench::new();
        let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
        let r = limiter.repository().clone();
        switch(&r, level, json!({"BOOL": true})).await;
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), expected);
        assert!(shard(&r, 0).await.is_null(), "no bucket is made");
        assert!(matches!(limiter.available(&id("e"), &gpt()).await, Err(AcquireError::Disabled(_))));
        wire.take();
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), expected);
        assert_eq!(wire.count(), 0, "it is remembered as limits are");
        switch(&r, level, json!({"BOOL": false})).await;
        r.invalidate_config_cache();
        take(&limiter, "rpm", 1).await.unwrap();
    }
}

#[tokio::test]
async fn the_nearest_level_that_says_anything_decides_whether_something_is_switched_off() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    r.set_resource_defaults(&gpt(), &limits([rpm(5)])).await.unwrap();
    switch(&r, "resource", json!({"BOOL": true})).await;
    switch(&r, "entity_default", json!({"BOOL": false})).await;
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    assert_eq!(lease.statuses()[0].limit.capacity(), 5, "its limits still come from the resource");
    lease.commit().await.unwrap();
    switch(&r, "entity_default", json!({"S": "bypass"})).await;
    r.invalidate_config_cache();
    let answer = take(&limiter, "rpm", 1).await;
    assert!(matches!(&answer, Err(AcquireError::Unsupported(u)) if u.attribute == "disabled"), "{answer:?}");
}

#[tokio::test]
async fn a_bucket_that_is_switched_off_refuses_at_once_and_takes_back_what_is_owed() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 4)).await.unwrap();
    change(&r, &json!({"disabled": {"BOOL": true}})).await;
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Bucket);
    wire.take();
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Bucket);
    assert_eq!(wire.count(), 0, "it was seen a moment ago");
    lease.roll_back().await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!((raw::number(&bucket, "b_rpm_tk"), raw::number(&bucket, "b_rpm_tc")), (Some(10_000), Some(0)));
    change(&r, &json!({"disabled": Value::Null})).await;
    let (_, other) = bench.limiter(&limits([rpm(10)])).await;
    take(&other, "rpm", 1).await.unwrap();
}

#[tokio::test]
async fn no_outage_switches_on_what_was_switched_off() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    switch(&r, "resource", json!({"BOOL": true})).await;
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Resource);
    for policy in [OnUnavailable::Allow, OnUnavailable::Local, OnUnavailable::Block] {
        let limiter = RateLimiter::builder(r.clone()).on_unavailable(policy).build();
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Resource);
        r.invalidate_config_cache();
        wire.fail(|_, _| Fault::LostBefore);
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Resource, "{policy:?}");
        wire.fail(|_, _| Fault::None);
        bench.advance(5_000);
    }
}

#[tokio::test]
async fn no_outage_switches_on_a_bucket_or_a_parent_that_was_switched_off() {
    let key = |key: &str| NewEntity::new(id(key)).parent(id("e")).cascading();
    for is_bucket in [false, true] {
        let bench = Bench::new();
        let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
        let r = limiter.repository().clone();
        for child in ["k", "other"] {
            r.create_entity(key(child)).await.unwrap();
            limiter.acquire(child, "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
        }
        if is_bucket {
            change(&r, &json!({"disabled": {"BOOL": true}})).await;
        } else {
            switch(&r, "entity_default", json!({"BOOL": true})).await;
        }
        bench.advance(61_000);
        let acquire = async |child: &str| {
            let request =
                Acquire::new(id(child), gpt(), Cost::of("rpm", 1)).unwrap().on_unavailable(OnUnavailable::Allow);
            match limiter.acquire_with(request).await {
                Err(AcquireError::Disabled(disabled)) => (disabled.entity, disabled.level),
                other => panic!("{child}: {other:?}"),
            }
        };
        let level = if is_bucket { DisabledLevel::Bucket } else { DisabledLevel::EntityDefault };
        // It is seen for one child, and in the outage holds for all of them and for itself.
        assert_eq!(acquire("k").await, (id("e"), level));
        wire.fail(|_, _| Fault::LostBefore);
        for asks in ["k", "other", "e"] {
            assert_eq!(acquire(asks).await, (id("e"), level), "{asks}");
        }
        wire.fail(|_, _| Fault::None);
        let stranger =
            Acquire::new(id("stranger"), gpt(), Cost::of("rpm", 1)).unwrap().on_unavailable(OnUnavailable::Allow);
        limiter.acquire_with(stranger).await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_parent_that_is_switched_off_refuses_its_children_and_keeps_nothing() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    let child = NewEntity::new(id("k")).parent(id("e")).cascading();
    r.create_entity(child).await.unwrap();
    limiter.acquire("k", "gpt-4", Cost::of("rpm", 10)).await.unwrap().commit().await.unwrap();
    change(&r, &json!({"disabled": {"BOOL": true}})).await;
    // The child has nothing left; that is not what stands in the way.
    let error = limiter.acquire("k", "gpt-4", Cost::of("rpm", 1)).await.unwrap_err();
    assert!(!matches!(error, AcquireError::Unsupported(_) | AcquireError::Repository(_)), "{error}");
    bench.advance(60_000);
    let (_, other) = bench.limiter(&limits([rpm(10)])).await;
    match other.acquire("k", "gpt-4", Cost::of("rpm", 1)).await {
        Err(AcquireError::Disabled(disabled)) => assert_eq!(disabled.entity, id("e")),
        other => panic!("{other:?}"),
    }
    other.shutdown().await;
    let left = limiter.available(&id("k"), &gpt()).await.unwrap();
    assert_eq!(left.into_values().collect::<Vec<_>>(), [10]);
}
