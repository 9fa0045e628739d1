//! Limits at the levels of the system, a resource and an entity; registries; and existing buckets.

use std::time::Duration;

use serde_json::json;
use zae_limiter::{
    Limit, LimitScope, Limits, Repository, RepositoryError, StoredPolicy, SystemDefaults, audit::AuditTarget,
};
use zae_testkit::{Bench, START, limits, raw, rpm, tpm};

use crate::names::{id, resource, scope};

/// Valid names with a meaning in expressions or keys.
fn awkward() -> Limits {
    limits([
        Limit::per("a-b.c_cp", 3, Duration::from_secs(11)).unwrap().with_burst(7).unwrap(),
        Limit::per_day("size", 1_000_000_000_000_000).unwrap(),
        Limit::per("ttl", 1, Duration::from_secs(1_000_000_000)).unwrap(),
    ])
}

#[tokio::test]
async fn every_level_stores_replaces_and_forgets() {
    let (_, r) = Bench::new().process().await;
    let (entity, gpt) = (id("user@example.com"), resource("openai/gpt-4:latest"));
    for scope in [LimitScope::Default, gpt.clone().into()] {
        assert_eq!(r.limits(&entity, &scope).await.unwrap(), None);
        assert!(!r.delete_limits(&entity, &scope).await.unwrap());
        for stored in [limits([rpm(1), tpm(2)]), awkward(), limits([tpm(3)])] {
            r.set_limits(&entity, &scope, &stored).await.unwrap();
            assert_eq!(r.limits(&entity, &scope).await.unwrap(), Some(stored));
        }
        assert!(r.delete_limits(&entity, &scope).await.unwrap());
        assert_eq!(r.limits(&entity, &scope).await.unwrap(), None);
    }
    assert_eq!(r.resource_defaults(&gpt).await.unwrap(), None);
    for stored in [awkward(), limits([rpm(1)])] {
        r.set_resource_defaults(&gpt, &stored).await.unwrap();
        assert_eq!(r.resource_defaults(&gpt).await.unwrap(), Some(stored));
    }
    assert!(r.delete_resource_defaults(&gpt).await.unwrap());
    assert!(!r.delete_resource_defaults(&gpt).await.unwrap());
    for policy in [Some(StoredPolicy::Allow), None, Some(StoredPolicy::Block)] {
        r.set_system_defaults(SystemDefaults::new(awkward()).on_unavailable(policy)).await.unwrap();
        let stored = r.system_defaults().await.unwrap();
        assert_eq!((stored.limits, stored.on_unavailable), (Some(awkward()), policy));
    }
}

#[tokio::test]
async fn registries_list_what_is_there() {
    let (_, r) = Bench::new().process().await;
    for name in ["z", "a/b:c", "Gpt"] {
        r.set_resource_defaults(&resource(name), rpm(1)).await.unwrap();
        r.set_resource_defaults(&resource(name), rpm(2)).await.unwrap();
    }
    assert_eq!(r.resources_with_defaults().await.unwrap(), ["Gpt", "a/b:c", "z"].map(resource));
    r.delete_resource_defaults(&resource("z")).await.unwrap();
    assert_eq!(r.resources_with_defaults().await.unwrap(), ["Gpt", "a/b:c"].map(resource));

    for entity in ["e1", "e2"] {
        for scope in [LimitScope::Default, scope("a/b:c")] {
            r.set_limits(&id(entity), &scope, rpm(1)).await.unwrap();
            r.set_limits(&id(entity), &scope, rpm(2)).await.unwrap();
        }
    }
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), [LimitScope::Default, scope("a/b:c")]);
    for deleted in [true, false, false] {
        assert_eq!(r.delete_limits(&id("e1"), &scope("a/b:c")).await.unwrap(), deleted);
    }
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), [LimitScope::Default, scope("a/b:c")]);
    r.delete_limits(&id("e2"), &scope("a/b:c")).await.unwrap();
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), [LimitScope::Default]);
    let registry = raw::get(&r, &format!("{}/SYSTEM#", r.namespace_id()), "#ENTITY_CONFIG_RESOURCES").await;
    assert_eq!(registry.get("a/b:c"), None, "no zero is left behind");
}

#[tokio::test]
async fn a_resource_named_like_a_key_cannot_break_the_registry() {
    let (wire, r) = Bench::new().process().await;
    for name in ["PK", "SK", "GSI1PK", "GSI4SK", "LSI5SK"] {
        let error = r.set_limits(&id("e"), &scope(name), rpm(1)).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == "resource"), "{error}");
    }
    assert_eq!(wire.count(), 0);
    r.set_limits(&id("e"), &scope("GSI9PK"), rpm(1)).await.unwrap();
    r.set_resource_defaults(&resource("PK"), rpm(1)).await.unwrap();
    assert_eq!(r.resources_with_defaults().await.unwrap(), [resource("PK")]);
}

#[tokio::test]
async fn pages_lead_through_all_entities() {
    let (_, r) = Bench::new().process().await;
    let all: Vec<_> = (0..7).map(|number| id(&format!("e:{number}@x"))).collect();
    for entity in &all {
        r.set_limits(entity, &scope("gpt-4"), rpm(1)).await.unwrap();
    }
    r.set_limits(&id("elsewhere"), &LimitScope::Default, rpm(1)).await.unwrap();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = r.entities_with_limits_page(&scope("gpt-4"), 3, cursor.as_deref()).await.unwrap();
        assert!(page.entities.len() <= 3);
        found.extend(page.entities);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, all);
    assert_eq!(r.entities_with_limits(&scope("gpt-4")).await.unwrap(), all);
    for bad in ["", "!", "AAAA", "eyJQSyI6MX0"] {
        let error = r.entities_with_limits_page(&scope("gpt-4"), 3, Some(bad)).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == "cursor"), "{bad}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_stay_right_when_many_change_the_same() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    for round in 0..10 {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..6 {
            let (wire, r) = bench.process().await;
            // Responses have different latencies, so that the tasks' calls interleave.
            wire.fail(move |_, call| zae_testkit::Fault::Slow((call * 7 + task * 3) % 5));
            tasks.spawn(async move {
                let (entity, scope) = (id(&format!("e{}", task % 2)), scope("gpt-4"));
                if (task + round) % 3 == 0 {
                    r.delete_limits(&entity, &scope).await.map(drop)
                } else {
                    r.set_limits(&entity, &scope, rpm(task + 1)).await
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        let there = r.entities_with_limits(&scope("gpt-4")).await.unwrap().len();
        let registry = raw::get(&r, &format!("{}/SYSTEM#", r.namespace_id()), "#ENTITY_CONFIG_RESOURCES").await;
        assert_eq!(raw::number(&registry, "gpt-4").unwrap_or(0), i64::try_from(there).unwrap(), "round {round}");
    }
}

async fn stored_bucket(r: &Repository, entity: &str, resource: &str, shard: u32) -> serde_json::Value {
    raw::get(r, &format!("{}/BUCKET#{entity}#{resource}#{shard}", r.namespace_id()), "#STATE").await
}

fn numbers(bucket: &serde_json::Value, limit: &str) -> [Option<i64>; 4] {
    ["tk", "cp", "ra", "rp"].map(|field| raw::number(bucket, &format!("b_{limit}_{field}")))
}

#[tokio::test]
async fn set_limits_reach_all_shards_and_end_the_old_refill() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    let minute = |tokens, rate| ("rpm", tokens, rate, rate, 60_000);
    for shard in 0..3 {
        // Shard 1 is full, the others are half empty; each has a third of the capacity.
        let tokens = if shard == 1 { 100_000 } else { 50_000 };
        let limits = [minute(tokens, 300_000), ("tpm", 7_000, 30_000, 30_000, 60_000)];
        raw::put(&r, &raw::bucket(&r, ("key-1", "gpt-4"), (shard, 3), START, &limits)).await;
    }
    raw::put(&r, &raw::bucket(&r, ("key-1", "other"), (0, 1), START, &[minute(5_000, 300_000)])).await;
    bench.advance(6_000);
    r.set_limits(&id("key-1"), &scope("gpt-4"), &limits([rpm(3_000)])).await.unwrap();
    for shard in 0..3 {
        let bucket = stored_bucket(&r, "key-1", "gpt-4", shard).await;
        // 6 s at 100 a minute are 10; tokens above the old capacity are lost.
        let tokens = if shard == 1 { 100_000 } else { 60_000 };
        assert_eq!(numbers(&bucket, "rpm"), [tokens, 3_000_000, 3_000_000, 60_000].map(Some), "shard {shard}");
        assert_eq!(numbers(&bucket, "tpm"), [8_000, 30_000, 30_000, 60_000].map(Some), "it shares the refill instant");
        assert_eq!(raw::number(&bucket, "rf"), Some(START + 6_000));
        assert_eq!(bucket.get("ttl"), None, "limits of an entity's own keep the bucket");
    }
    let other = stored_bucket(&r, "key-1", "other", 0).await;
    assert_eq!(numbers(&other, "rpm"), [5_000, 300_000, 300_000, 60_000].map(Some));
}

#[tokio::test]
async fn an_entitys_default_reaches_the_resources_without_limits_of_their_own() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    r.set_limits(&id("key-1"), &scope("own"), &limits([rpm(9)])).await.unwrap();
    for resource in ["own", "other", "third"] {
        let limits = [("rpm", 9_000, 9_000, 9_000, 60_000)];
        raw::put(&r, &raw::bucket(&r, ("key-1", resource), (0, 1), START, &limits)).await;
    }
    r.set_limits(&id("key-1"), &LimitScope::Default, &limits([rpm(70)])).await.unwrap();
    for (resource, capacity) in [("own", 9_000), ("other", 70_000), ("third", 70_000)] {
        let bucket = stored_bucket(&r, "key-1", resource, 0).await;
        assert_eq!(raw::number(&bucket, "b_rpm_cp"), Some(capacity), "{resource}");
        // Seven times the minute that it takes to fill.
        let ttl = (resource != "own").then_some(START / 1_000 + 420);
        assert_eq!(raw::number(&bucket, "ttl"), ttl, "{resource}");
    }
}

#[tokio::test]
async fn deleted_limits_give_way_to_what_holds_then() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    r.set_system_defaults(&limits([rpm(100), tpm(2_000)])).await.unwrap();
    let own = limits([rpm(10), Limit::per_minute("images-v2.x", 5).unwrap()]);
    r.set_limits(&id("vip"), &scope("gpt-4"), &own).await.unwrap();
    let stored = [("rpm", 4_000, 10_000, 10_000, 60_000), ("images-v2.x", 1_000, 5_000, 5_000, 60_000)];
    raw::put(&r, &raw::bucket(&r, ("vip", "gpt-4"), (0, 1), START, &stored)).await;
    assert!(r.delete_limits(&id("vip"), &scope("gpt-4")).await.unwrap());
    let bucket = stored_bucket(&r, "vip", "gpt-4", 0).await;
    assert_eq!(numbers(&bucket, "rpm"), [4_000, 100_000, 100_000, 60_000].map(Some));
    assert_eq!(numbers(&bucket, "tpm"), [2_000_000, 2_000_000, 2_000_000, 60_000].map(Some));
    let left = bucket.as_object().unwrap().keys().find(|name| name.contains("images"));
    assert_eq!(left, None);
    assert_eq!(raw::number(&bucket, "ttl"), Some(START / 1_000 + 420));

    // With no lower level, the bucket is unchanged.
    r.delete_system_defaults().await.unwrap();
    r.set_limits(&id("vip"), &scope("gpt-4"), &own).await.unwrap();
    let before = stored_bucket(&r, "vip", "gpt-4", 0).await;
    r.delete_limits(&id("vip"), &scope("gpt-4")).await.unwrap();
    assert_eq!(stored_bucket(&r, "vip", "gpt-4", 0).await, before);
}

#[tokio::test]
async fn skeletons_and_foreign_buckets_are_left_alone() {
    let (_, r) = Bench::new().process().await;
    let pk = |resource: &str| format!("{}/BUCKET#e#{resource}#0", r.namespace_id());
    let skeleton =
        json!({"PK": {"S": pk("skeleton")}, "SK": {"S": "#STATE"}, "b_rpm_tk": {"N": "1"}, "b_rpm_tc": {"N": "0"}});
    let mut scheduled = raw::bucket(&r, ("e", "scheduled"), (0, 1), START, &[("rpm", 1, 1_000, 1_000, 60_000)]);
    scheduled["sched"] = json!({"S": "x"});
    for (resource, bucket) in [("skeleton", skeleton), ("scheduled", scheduled)] {
        raw::put(&r, &bucket).await;
        r.set_limits(&id("e"), &scope(resource), rpm(5)).await.unwrap();
        assert_eq!(raw::get(&r, &pk(resource), "#STATE").await, bucket);
    }
    assert!(raw::get(&r, &pk("none"), "#STATE").await.is_null());
    r.set_limits(&id("e"), &scope("none"), rpm(5)).await.unwrap();
    assert!(raw::get(&r, &pk("none"), "#STATE").await.is_null(), "limits alone make no bucket");
}

#[tokio::test]
async fn what_newer_clients_stored_is_neither_read_wrongly_nor_replaced() {
    let (_, r) = Bench::new().process().await;
    let ns = r.namespace_id();
    let config = |pk: String, sk: &str| {
        json!({
            "PK": {"S": pk}, "SK": {"S": sk}, "disabled": {"S": "later"}, "GSI3PK": {"S": "x"}, "GSI3SK": {"S": "y"},
            "l_rpm_cp": {"N": "1"}, "l_rpm_ra": {"N": "1"}, "l_rpm_rp": {"N": "1"},
        })
    };
    let items = [
        config(format!("{ns}/ENTITY#e"), "#CONFIG#gpt-4"),
        config(format!("{ns}/RESOURCE#gpt-4"), "#CONFIG"),
        config(format!("{ns}/SYSTEM#"), "#CONFIG"),
    ];
    for item in &items {
        raw::put(&r, item).await;
    }
    let (entity, gpt, new) = (id("e"), resource("gpt-4"), limits([rpm(1)]));
    let own = scope("gpt-4");
    let errors = [
        r.limits(&entity, &own).await.unwrap_err(),
        r.set_limits(&entity, &own, &new).await.unwrap_err(),
        r.delete_limits(&entity, &own).await.unwrap_err(),
        r.delete_entity(&entity).await.unwrap_err(),
        r.resource_defaults(&gpt).await.unwrap_err(),
        r.set_resource_defaults(&gpt, &new).await.unwrap_err(),
        r.delete_resource_defaults(&gpt).await.unwrap_err(),
        r.system_defaults().await.unwrap_err(),
        r.set_system_defaults(&new).await.unwrap_err(),
        r.delete_system_defaults().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, RepositoryError::Unsupported(u) if u.attribute == "disabled"), "{error}");
    }
    for item in &items {
        let (pk, sk) = (item["PK"]["S"].as_str().unwrap(), item["SK"]["S"].as_str().unwrap());
        assert_eq!(raw::get(&r, pk, sk).await, *item);
    }
    assert!(r.audit_events(&AuditTarget::System, 5, None).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn what_the_provisioner_wrote_was_never_counted() {
    let (_, r) = Bench::new().process().await;
    let ns = r.namespace_id();
    let provisioned = |entity: &str| {
        json!({
            "PK": {"S": format!("{ns}/ENTITY#{entity}")}, "SK": {"S": "#CONFIG#gpt-4"}, "entity_id": {"S": entity},
            "resource": {"S": "gpt-4"}, "GSI4PK": {"S": ns.as_str()},
            "l_rpm_cp": {"N": "1"}, "l_rpm_ra": {"N": "1"}, "l_rpm_rp": {"N": "60"},
        })
    };
    for entity in ["deleted", "replaced"] {
        raw::put(&r, &provisioned(entity)).await;
        assert_eq!(r.limits(&id(entity), &scope("gpt-4")).await.unwrap(), Some(limits([rpm(1)])));
    }
    assert!(r.delete_limits(&id("deleted"), &scope("gpt-4")).await.unwrap());
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), []);
    r.set_limits(&id("replaced"), &scope("gpt-4"), rpm(2)).await.unwrap();
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), [scope("gpt-4")]);
    assert_eq!(r.entities_with_limits(&scope("gpt-4")).await.unwrap(), [id("replaced")]);
    assert!(r.delete_limits(&id("replaced"), &scope("gpt-4")).await.unwrap());
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), []);
}

#[tokio::test]
async fn every_change_is_recorded_once() {
    let (_, r) = Bench::new().process().await;
    let admin = "arn:aws:iam::123456789012:user/x";
    let r = r.acting_as(admin).unwrap();
    let (entity, gpt) = (id("e"), resource("gpt-4"));
    r.set_limits(&entity, &LimitScope::Default, rpm(1)).await.unwrap();
    r.delete_limits(&entity, &LimitScope::Default).await.unwrap();
    r.delete_limits(&entity, &LimitScope::Default).await.unwrap();
    r.set_resource_defaults(&gpt, rpm(1)).await.unwrap();
    r.delete_resource_defaults(&gpt).await.unwrap();
    r.delete_resource_defaults(&gpt).await.unwrap();
    r.set_system_defaults(SystemDefaults::new(rpm(1)).on_unavailable(StoredPolicy::Allow)).await.unwrap();
    r.delete_system_defaults().await.unwrap();
    r.delete_system_defaults().await.unwrap();
    for (target, resource) in [
        (AuditTarget::Entity(entity), Some("_default_")),
        (AuditTarget::Resource(gpt), Some("gpt-4")),
        (AuditTarget::System, None),
    ] {
        let events = r.audit_events(&target, 10, None).await.unwrap().events;
        let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
        assert_eq!(actions, ["limits_deleted", "limits_set"], "{target}");
        for event in &events {
            assert_eq!(event.principal.as_deref(), Some(admin));
            assert_eq!(event.resource.as_ref().map(ToString::to_string).as_deref(), resource);
        }
        assert_eq!(events[1].details["limits"][0]["capacity"], 1, "{target}");
    }
}

#[tokio::test]
async fn names_and_ids_are_taken_as_text_or_typed() {
    let (_, r) = Bench::new().process().await;
    r.set_limits("user-1", "gpt-4", rpm(5)).await.unwrap();
    r.set_limits(id("user-1"), LimitScope::Default, rpm(7)).await.unwrap();
    assert_eq!(r.limits(&id("user-1"), resource("gpt-4")).await.unwrap(), Some(limits([rpm(5)])));
    assert_eq!(r.limits(String::from("user-1"), "_default_").await.unwrap(), Some(limits([rpm(7)])));
    let error = r.set_limits("user#1", "gpt-4", rpm(5)).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Invalid(error) if error.field() == "entity_id"), "{error}");
}
