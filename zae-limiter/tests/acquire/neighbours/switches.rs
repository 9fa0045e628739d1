//! Disabling and enabling resources, entities and buckets: by this process, and as seen by others.

use serde_json::{Value, json};
use zae_limiter::{
    Acquire, AcquireError, Cost, LimitScope, NewEntity, OnUnavailable, RateLimiter, Repository, Reserve, ResourceName,
    access::{Access, ConfigTarget},
    audit::AuditTarget,
    error::DisabledLevel,
};
use zae_testkit::{Bench, Fault, limits, raw, rpm};

use super::{change, id, scope, shard, take};

fn gpt() -> ResourceName {
    ResourceName::new("gpt-4").unwrap()
}

/// Returns the places where the entity `e` can be disabled for `gpt-4`, each with the level that a refusal reports.
fn places() -> [(ConfigTarget, DisabledLevel); 3] {
    [
        ((id("e"), scope()).into(), DisabledLevel::Entity),
        (id("e").into(), DisabledLevel::EntityDefault),
        (gpt().into(), DisabledLevel::Resource),
    ]
}

fn disabled_at(answer: Result<(), AcquireError>) -> DisabledLevel {
    match answer {
        Err(AcquireError::Disabled(disabled)) => disabled.level,
        other => panic!("{other:?}"),
    }
}

/// Returns the stamps of the bucket of `e`, and of the configuration of `gpt-4`.
async fn stamped(r: &Repository) -> Value {
    shard(r, 0).await["disabled"].clone()
}

#[tokio::test]
async fn what_is_switched_off_is_refused_as_such_until_it_is_switched_on() {
    for (place, expected) in places() {
        let bench = Bench::new();
        let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
        let (_, ops) = bench.process().await;
        assert_eq!(ops.disable(&place).await.unwrap(), 0, "there is no bucket yet");
        assert_eq!(ops.access(&place).await.unwrap(), Some(Access::Disabled));
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), expected);
        assert!(shard(&ops, 0).await.is_null(), "no bucket is made");
        assert!(matches!(limiter.available(&id("e"), &gpt()).await, Err(AcquireError::Disabled(_))));
        wire.take();
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), expected);
        assert_eq!(wire.count(), 0, "it is remembered");
        let before = ops.resolve_access("e", "gpt-4").await.unwrap();
        assert_eq!((before.access, before.level), (Access::Disabled, Some(expected)));
        ops.clear_access(&place).await.unwrap();
        assert_eq!(ops.access(&place).await.unwrap(), None);
        bench.advance(1_000);
        take(&limiter, "rpm", 1).await.unwrap();
    }
}

#[tokio::test]
async fn a_switch_reaches_every_bucket_before_the_call_returns() {
    for (place, _) in places() {
        let bench = Bench::new();
        let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
        let (_, ops) = bench.process().await;
        take(&limiter, "rpm", 1).await.unwrap();
        let before = shard(&ops, 0).await;
        assert_eq!(ops.disable(&place).await.unwrap(), 1);
        assert_eq!(stamped(&ops).await, json!({"BOOL": true}));
        // The process still uses its cached configuration: the bucket itself refuses.
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Bucket);
        assert_eq!(ops.buckets("e").await.unwrap()[0].access, Access::Disabled);
        assert_eq!(ops.enable(&place).await.unwrap(), 1);
        assert_eq!(shard(&ops, 0).await, before, "nothing else was changed");
        assert_eq!(ops.buckets("e").await.unwrap()[0].access, Access::Enabled);
        let (_, other) = bench.limiter(&limits([rpm(10)])).await;
        take(&other, "rpm", 1).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_switched_off_here_holds_at_once() {
    for (place, expected) in places() {
        let bench = Bench::new();
        let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
        take(&limiter, "rpm", 1).await.unwrap();
        limiter.repository().disable(&place).await.unwrap();
        wire.take();
        assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), expected);
        let calls = wire.take();
        assert!(calls.keys().all(|operation| operation == "BatchGetItem"), "no bucket is asked: {calls:?}");
    }
}

#[tokio::test]
async fn the_nearest_level_that_says_anything_decides_whether_something_is_switched_off() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    r.set_resource_defaults(&gpt(), &limits([rpm(5)])).await.unwrap();
    r.disable(gpt()).await.unwrap();
    r.enable(id("e")).await.unwrap();
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    assert_eq!(lease.statuses()[0].limit.capacity(), 5, "its limits still come from the resource");
    lease.commit().await.unwrap();
    assert_eq!(r.disable(gpt()).await.unwrap(), 0, "the bucket's entity has a setting of its own");
    assert!(stamped(&r).await.is_null());
    r.disable((id("e"), scope())).await.unwrap();
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Entity);
    assert_eq!(
        r.entity_access("e").await.unwrap(),
        [(LimitScope::Default, Access::Enabled), (scope(), Access::Disabled)]
    );
    r.clear_access(id("e")).await.unwrap();
    r.clear_access((id("e"), scope())).await.unwrap();
    assert_eq!(stamped(&r).await, json!({"BOOL": true}), "what holds now is the resource's setting");
}

#[tokio::test]
async fn a_setting_that_only_newer_clients_know_refuses_without_guessing() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    r.disable(gpt()).await.unwrap();
    let (pk, sk) = (format!("{}/RESOURCE#gpt-4", r.namespace_id()), "#CONFIG");
    let mut config = raw::get(&r, &pk, sk).await;
    config["disabled"] = json!({"S": "sometimes"});
    raw::put(&r, &config).await;
    r.invalidate_config_cache();
    let answer = take(&limiter, "rpm", 1).await;
    assert!(matches!(&answer, Err(AcquireError::Unsupported(u)) if u.attribute == "disabled"), "{answer:?}");
    assert!(r.access(gpt()).await.is_err() && r.resolve_access("e", "gpt-4").await.is_err());
    r.enable(gpt()).await.unwrap();
    take(&limiter, "rpm", 1).await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_is_switched_off_refuses_at_once_and_takes_back_what_is_owed() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let (_, ops) = bench.process().await;
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 4)).await.unwrap();
    ops.disable(gpt()).await.unwrap();
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Bucket);
    wire.take();
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Bucket);
    assert_eq!(wire.count(), 0, "it was seen a moment ago");
    lease.roll_back().await.unwrap();
    let bucket = shard(&ops, 0).await;
    assert_eq!((raw::number(&bucket, "b_rpm_tk"), raw::number(&bucket, "b_rpm_tc")), (Some(10_000), Some(0)));
    assert_eq!(stamped(&ops).await, json!({"BOOL": true}));
}

#[tokio::test]
async fn a_stamp_that_the_configuration_contradicts_is_taken_off_by_who_meets_it() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    change(&r, &json!({"disabled": {"BOOL": true}})).await;
    take(&limiter, "rpm", 1).await.unwrap();
    assert!(stamped(&r).await.is_null());
    // If a bucket keeps being stamped, the configuration is read once a second, not with every acquire.
    change(&r, &json!({"disabled": {"BOOL": true}})).await;
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Bucket);
    wire.take();
    bench.advance(1_000);
    take(&limiter, "rpm", 1).await.unwrap();
    assert!(stamped(&r).await.is_null());
}

#[tokio::test]
async fn a_bucket_that_was_missed_is_stamped_by_who_reads_the_setting() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    r.disable(gpt()).await.unwrap();
    change(&r, &json!({"disabled": Value::Null})).await;
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Resource);
    assert_eq!(stamped(&r).await, json!({"BOOL": true}), "other clients look at the bucket alone");
}

#[tokio::test]
async fn tokens_debited_ahead_are_granted_no_more_once_the_bucket_is_seen_switched_off() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(1_000_000)])).await;
    let (_, ops) = bench.process().await;
    let reserved = async || {
        let request = Acquire::new("e", "gpt-4", Cost::of("rpm", 1)).unwrap().reserve(Reserve::All);
        limiter.acquire_with(request).await?.commit().await.unwrap();
        Ok(())
    };
    for _ in 0..200 {
        reserved().await.unwrap();
    }
    ops.disable(gpt()).await.unwrap();
    assert_eq!(disabled_at(take(&limiter, "rpm", 1).await), DisabledLevel::Bucket);
    assert_eq!(disabled_at(reserved().await), DisabledLevel::Bucket);
    limiter.shutdown().await;
    let bucket = shard(&ops, 0).await;
    assert_eq!(raw::number(&bucket, "b_rpm_tc"), Some(200_000), "what was debited ahead went back");
}

#[tokio::test]
async fn limits_and_switches_are_changed_side_by_side() {
    let (_, r) = Bench::new().process().await;
    let own = ConfigTarget::from((id("e"), scope()));
    r.disable(gpt()).await.unwrap();
    r.disable(&own).await.unwrap();
    assert_eq!(r.resource_defaults(&gpt()).await.unwrap(), None);
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), [scope()], "counted as any configuration");
    r.set_resource_defaults(&gpt(), rpm(5)).await.unwrap();
    r.set_limits(&id("e"), &scope(), rpm(5)).await.unwrap();
    assert_eq!(r.resource_defaults(&gpt()).await.unwrap(), Some(limits([rpm(5)])));
    assert!(r.delete_resource_defaults(&gpt()).await.unwrap() && r.delete_limits(&id("e"), &scope()).await.unwrap());
    assert!(!r.delete_resource_defaults(&gpt()).await.unwrap(), "there are none any more");
    for place in [gpt().into(), own.clone()] {
        assert_eq!(r.access(&place).await.unwrap(), Some(Access::Disabled), "limits are no switch");
    }
    r.delete_entity(&id("e")).await.unwrap();
    assert_eq!(r.access(&own).await.unwrap(), None, "the whole entity is gone");
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), []);
}

#[tokio::test]
async fn the_trail_says_what_was_switched_and_how_many_buckets_were_told() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    take(&limiter, "rpm", 1).await.unwrap();
    let r = limiter.repository().acting_as("ops@example.com").unwrap();
    r.disable(gpt()).await.unwrap();
    r.enable(id("e")).await.unwrap();
    r.clear_access(gpt()).await.unwrap();
    let trail = async |target: AuditTarget| {
        let page = r.audit_events(&target, 10, None).await.unwrap();
        page.events.into_iter().map(|event| (event.action.to_string(), event.resource, json!(event.details)))
    };
    let event = |resource: &str, disabled: Value, stamped: u64| {
        let details = json!({"disabled": disabled, "buckets_stamped": stamped});
        ("limits_set".to_owned(), Some(resource.to_owned()), details)
    };
    let of_resource: Vec<_> = trail(gpt().into()).await.collect();
    assert_eq!(of_resource, [event("gpt-4", Value::Null, 1), event("gpt-4", true.into(), 1)]);
    let of_entity: Vec<_> = trail(id("e").into()).await.collect();
    assert_eq!(of_entity, [event("_default_", false.into(), 1)]);
}

#[tokio::test]
async fn a_switch_that_did_not_reach_every_bucket_says_so_and_is_finished_by_a_repetition() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    take(&limiter, "rpm", 1).await.unwrap();
    let (wire, ops) = bench.process().await;
    wire.fail(|operation, _| if operation == "UpdateItem" { Fault::Denied } else { Fault::None });
    let error = ops.disable(gpt()).await.unwrap_err();
    assert!(matches!(error, zae_limiter::RepositoryError::FanoutIncomplete { stamped: 0, .. }), "{error}");
    wire.fail(|_, _| Fault::None);
    assert_eq!(ops.access(gpt()).await.unwrap(), Some(Access::Disabled), "the setting stands");
    assert_eq!(ops.disable(gpt()).await.unwrap(), 1);
}

#[tokio::test]
async fn no_outage_switches_on_what_was_switched_off() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    r.disable(gpt()).await.unwrap();
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
        let (r, ops) = (limiter.repository().clone(), bench.process().await.1);
        for child in ["k", "other"] {
            r.create_entity(key(child)).await.unwrap();
            limiter.acquire(child, "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
        }
        ops.disable(id("e")).await.unwrap();
        if !is_bucket {
            // The limits are then read again.
            bench.advance(61_000);
        }
        let acquire = async |child: &str| {
            let request =
                Acquire::new(id(child), gpt(), Cost::of("rpm", 1)).unwrap().on_unavailable(OnUnavailable::Allow);
            match limiter.acquire_with(request).await {
                Err(AcquireError::Disabled(disabled)) => (disabled.entity, disabled.level),
                other => panic!("{child}: {other:?}"),
            }
        };
        let level = if is_bucket { DisabledLevel::Bucket } else { DisabledLevel::EntityDefault };
        // It is seen for one child, and in the outage applies to all children and to itself.
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
    bench.process().await.1.disable(id("e")).await.unwrap();
    // The child has no tokens left, but that is not the reason.
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
