//! The choice of who is charged: copies of the owner's facts on buckets, policies, and moves to another parent.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use zae_limiter::{
    Cost, EntityId, NewEntity, RateLimiter, Repository, RepositoryError, ResourceName,
    access::{Cascade, ConfigTarget},
    audit::AuditTarget,
    version::VersionUpdate,
};
use zae_testkit::{Bench, Fault, START, limits, raw, rpm};

use super::{change, id, scope, shard, take};

fn gpt() -> ResourceName {
    ResourceName::new("gpt-4").unwrap()
}

/// A limiter, and beside it the repository of another process. The entity `e` is below `p`.
async fn below_p(bench: &Bench, cascading: Cascade) -> (RateLimiter, Repository) {
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let (_, ops) = bench.process().await;
    for parent in ["p", "q"] {
        ops.create_entity(NewEntity::new(id(parent))).await.unwrap();
    }
    let child = NewEntity::new(id("e")).parent(id("p"));
    let child = if cascading == Cascade::On { child.cascading() } else { child };
    ops.create_entity(child).await.unwrap();
    (limiter, ops)
}

/// Net consumption of an entity's bucket, in tokens; 0 without a bucket.
async fn consumed(r: &Repository, entity: &str) -> i64 {
    let pk = format!("{}/BUCKET#{entity}#gpt-4#0", r.namespace_id());
    raw::number(&raw::get(r, &pk, "#STATE").await, "b_rpm_tc").unwrap_or(0) / 1_000
}

#[tokio::test]
async fn a_copy_of_the_owners_facts_is_replaced_by_no_older_one() {
    let same = || json!("same");
    for (incarnation, generation, repaired) in [
        (Value::Null, Value::Null, true),
        (same(), json!({"N": (START - 1).to_string()}), true),
        (same(), json!({"N": START.to_string()}), true),
        (same(), json!({"N": (START + 5).to_string()}), false),
        (json!({"S": "0123456789abcdef"}), json!({"N": "7"}), true),
    ] {
        let bench = Bench::new();
        let (limiter, ops) = below_p(&bench, Cascade::On).await;
        take(&limiter, "rpm", 1).await.unwrap();
        let own = shard(&ops, 0).await;
        assert_eq!(raw::number(&own, "pgen"), Some(START), "a new bucket has the stamp of its owner");
        let incarnation = if incarnation == "same" { own["pinc"].clone() } else { incarnation };
        let copy =
            json!({"cascade": {"BOOL": false}, "parent_id": {"S": "other"}, "pgen": generation, "pinc": incarnation});
        change(&ops, &copy).await;
        for _ in 0..2 {
            take(&limiter, "rpm", 1).await.unwrap();
        }
        limiter.shutdown().await;
        let bucket = shard(&ops, 0).await;
        for attribute in ["cascade", "parent_id", "pgen", "pinc"] {
            let expected = if repaired { &own[attribute] } else { &copy[attribute] };
            assert_eq!(bucket[attribute], *expected, "{attribute} of {copy}");
        }
        assert_eq!(consumed(&ops, "p").await, 3, "the entity's record decides: {copy}");
    }
}

#[tokio::test]
async fn the_nearest_policy_decides_who_is_charged_by_those_who_remember_otherwise() {
    let bench = Bench::new();
    let (_, ops) = below_p(&bench, Cascade::Off).await;
    let own = ConfigTarget::from((id("e"), scope()));
    let mut expected = 0;
    for (place, policy, before, after) in [
        (ConfigTarget::from(gpt()), Some(Cascade::On), 0, 1),
        (id("e").into(), Some(Cascade::Off), 1, 0),
        (own.clone(), Some(Cascade::On), 0, 1),
        (own, None, 1, 0),
        (id("e").into(), None, 0, 1),
        (gpt().into(), None, 1, 0),
    ] {
        // It remembers whom to charge, and learns otherwise from the bucket that it charges.
        let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
        take(&limiter, "rpm", 1).await.unwrap();
        let told = match policy {
            Some(policy) => ops.set_cascade(&place, policy).await.unwrap(),
            None => ops.clear_cascade(&place).await.unwrap(),
        };
        assert!(told >= 1, "{place:?}");
        assert_eq!(ops.cascade(&place).await.unwrap(), policy);
        take(&limiter, "rpm", 1).await.unwrap();
        limiter.shutdown().await;
        expected += before + after;
        assert_eq!(consumed(&ops, "p").await, expected, "{place:?} {policy:?}");
    }
    assert_eq!(consumed(&ops, "e").await, 12);
}

#[tokio::test]
async fn without_a_parent_no_policy_charges_anybody() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    r.set_cascade(gpt(), Cascade::On).await.unwrap();
    r.create_entity(NewEntity::new(id("e"))).await.unwrap();
    take(&limiter, "rpm", 1).await.unwrap();
    assert_eq!(shard(&r, 0).await["cascade"], json!({"BOOL": false}));
    limiter.acquire("stranger", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn who_is_moved_charges_the_new_parent_and_gives_back_to_the_old_one() {
    let bench = Bench::new();
    let (limiter, ops) = below_p(&bench, Cascade::On).await;
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 3)).await.unwrap();
    assert_eq!(ops.set_parent("e", "q").await.unwrap(), 1);
    let moved = shard(&ops, 0).await;
    assert_eq!((moved["parent_id"]["S"].as_str(), raw::number(&moved, "pgen")), (Some("q"), Some(START + 1)));
    let children = async |parent: &str| ops.children(parent).await.unwrap().len();
    assert_eq!((children("p").await, children("q").await), (0, 1));
    // It remembers the old parent, and learns of the new one from the bucket.
    take(&limiter, "rpm", 1).await.unwrap();
    lease.roll_back().await.unwrap();
    limiter.shutdown().await;
    assert_eq!((consumed(&ops, "p").await, consumed(&ops, "q").await, consumed(&ops, "e").await), (0, 1, 1));
    assert_eq!(ops.set_parent("e", "q").await.unwrap(), 1, "again, to finish what was interrupted");
    ops.remove_parent("e").await.unwrap();
    let alone = shard(&ops, 0).await;
    assert_eq!((alone.get("parent_id"), raw::number(&alone, "pgen")), (None, Some(START + 3)));
    assert_eq!(ops.entity("e").await.unwrap().unwrap().parent_id, None);
    let trail = ops.audit_events(&AuditTarget::Entity(id("e")), 10, None).await.unwrap().events;
    assert_eq!(trail[0].action.as_str(), "entity_parent_changed");
    let details = json!({"old_parent_id": "q", "parent_id": null, "pgen": START + 3, "buckets_stamped": 1});
    assert_eq!(json!(trail[0].details), details);
}

#[tokio::test]
async fn nobody_is_moved_below_themselves_or_below_nobody() {
    let bench = Bench::new();
    let (_, ops) = below_p(&bench, Cascade::On).await;
    ops.set_parent("p", "q").await.unwrap();
    for (entity, parent) in [("e", "e"), ("p", "e"), ("q", "e"), ("q", "p")] {
        let error = ops.set_parent(entity, parent).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Invalid(_)), "{entity} below {parent}: {error}");
    }
    for (entity, parent, unknown) in [("e", "nobody", "nobody"), ("nobody", "p", "nobody")] {
        let error = ops.set_parent(entity, parent).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::EntityNotFound(id) if id.as_str() == unknown), "{error}");
    }
    let parent = |entity: Option<zae_limiter::Entity>| entity.unwrap().parent_id.map(|id: EntityId| id.to_string());
    assert_eq!(parent(ops.entity("e").await.unwrap()).as_deref(), Some("p"));
}

#[tokio::test]
async fn what_older_functions_would_damage_is_not_stored_beside_them() {
    let bench = Bench::new();
    let (_, ops) = below_p(&bench, Cascade::On).await;
    let deployed = async |version: &str| {
        ops.set_version_record(&VersionUpdate::default().lambda_version(version.parse().unwrap())).await.unwrap();
    };
    let minimum = async || ops.version_record().await.unwrap().unwrap().client_min_version;
    let before = minimum().await;
    deployed("0.15.9").await;
    for refused in
        [ops.set_cascade(gpt(), Cascade::On).await, ops.clear_cascade(gpt()).await, ops.set_parent("e", "q").await]
    {
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, RepositoryError::FunctionsTooOld { functions: Some(found), .. } if found == "0.15.9"),
            "{error}"
        );
    }
    assert_eq!((ops.cascade(gpt()).await.unwrap(), minimum().await), (None, before));
    deployed("0.16.0").await;
    ops.set_cascade(gpt(), Cascade::On).await.unwrap();
    assert_eq!(minimum().await.as_deref(), Some("0.16.0"), "clients that would ignore it are shut out");
    ops.set_parent("e", "q").await.unwrap_err();
    deployed("0.17.0").await;
    ops.set_parent("e", "q").await.unwrap();
    assert_eq!(minimum().await.as_deref(), Some("0.17.0"));
}

/// Two processes each move one entity below the other, and neither has seen the other's move when it looks.
#[tokio::test]
async fn two_moves_at_once_make_no_circle() {
    let bench = Bench::new();
    let (limiter, ops) = below_p(&bench, Cascade::Off).await;
    let (wire, slow) = bench.process().await;
    let (tell, told) = std::sync::mpsc::channel();
    let first = AtomicBool::new(true);
    wire.fail(move |operation, _| {
        if operation == "TransactWriteItems" && first.swap(false, Ordering::SeqCst) {
            tell.send(()).unwrap();
            return Fault::Trip(1_500);
        }
        Fault::None
    });
    let under_way = tokio::task::spawn_blocking(move || told.recv());
    let moving = tokio::spawn(async move { slow.set_parent(id("e"), id("q")).await });
    under_way.await.unwrap().unwrap();
    ops.set_parent(id("q"), id("e")).await.unwrap();
    let refused = moving.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("they would be a circle"), "{refused}");
    let parent = async |entity: &str| ops.entity(entity).await.unwrap().unwrap().parent_id;
    assert_eq!((parent("e").await, parent("q").await), (Some(id("p")), Some(id("e"))));
    take(&limiter, "rpm", 1).await.unwrap();
    assert_eq!(shard(&ops, 0).await["parent_id"], json!({"S": "p"}));
}
