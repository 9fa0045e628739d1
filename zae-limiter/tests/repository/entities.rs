//! Entities: created once, listed completely, deleted with everything that belongs to them and nothing else.

use serde_json::json;
use zae_limiter::{
    LimitScope, NamespaceName, NewEntity, Principal, Repository, RepositoryError, ResourceName,
    audit::{AuditAction, AuditTarget},
};
use zae_testkit::{Bench, START, raw, rpm};

use crate::names::id;

fn scope(resource: &str) -> LimitScope {
    ResourceName::new(resource).unwrap().into()
}

async fn repository() -> Repository {
    Bench::new().process().await.1
}

#[tokio::test]
async fn an_entity_is_read_as_it_was_created() {
    let repository = repository().await;
    let child = NewEntity::new(id("key-1")).name("CI").parent(id("proj-1")).cascading();
    let child = child.metadata("team", "a").metadata("cost", json!({"max": 1.5, "tags": ["x", null, true]}));
    let created = repository.create_entity(child).await.unwrap();
    assert_eq!(repository.entity(&id("key-1")).await.unwrap().as_ref(), Some(&created));
    assert_eq!((created.name.as_str(), created.parent_id.as_ref()), ("CI", Some(&id("proj-1"))));
    assert!(created.cascade && created.is_child());
    assert_eq!(created.metadata["cost"]["max"], 1.5);
    assert_eq!(created.created_at.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(repository.entity(&id("proj-1")).await.unwrap(), None);

    let plain = repository.create_entity(NewEntity::new(id("proj-1"))).await.unwrap();
    assert_eq!((plain.name.as_str(), plain.is_parent(), plain.cascade), ("proj-1", true, false));
}

#[tokio::test]
async fn an_id_is_given_once() {
    let repository = repository().await;
    // Limits may be set before their entity exists; they do not create it.
    repository.set_limits(&id("key-1"), &LimitScope::Default, rpm(1)).await.unwrap();
    repository.create_entity(NewEntity::new(id("key-1")).name("first")).await.unwrap();
    let error = repository.create_entity(NewEntity::new(id("key-1")).name("second")).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::EntityExists(taken) if *taken == id("key-1")), "{error}");
    assert_eq!(repository.entity(&id("key-1")).await.unwrap().unwrap().name, "first");
    let trail = repository.audit_events(&AuditTarget::Entity(id("key-1")), 10, None).await.unwrap();
    let created = trail.events.iter().filter(|event| event.action == AuditAction::EntityCreated);
    assert_eq!(created.count(), 1, "a refused creation is no event");
}

#[tokio::test]
async fn all_pages_of_children_are_read() {
    let repository = repository().await;
    // 90 × 16 kB are more than one page of 1 MB.
    let padding = "x".repeat(16_000);
    for number in 0..90 {
        let child = NewEntity::new(id(&format!("child-{number:03}"))).parent(id("parent"));
        repository.create_entity(child.metadata("padding", padding.as_str())).await.unwrap();
    }
    let children = repository.children(&id("parent")).await.unwrap();
    let ids: Vec<_> = children.iter().map(|child| child.id.to_string()).collect();
    assert_eq!(ids, (0..90).map(|number| format!("child-{number:03}")).collect::<Vec<_>>());
    assert!(repository.children(&id("child-000")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deleted_entity_leaves_nothing_but_its_trail() {
    let repository = repository().await;
    let ns = repository.namespace_id().clone();
    let other = NamespaceName::new("other").unwrap();
    repository.register_namespace(&other).await.unwrap();
    let other = repository.scoped(&other).await.unwrap();
    for repository in [&repository, &other] {
        for entity in ["key-1", "key-10"] {
            repository.create_entity(NewEntity::new(id(entity))).await.unwrap();
            for scope in [LimitScope::Default, scope("gpt-4")] {
                repository.set_limits(&id(entity), &scope, rpm(1)).await.unwrap();
            }
        }
    }
    for shard in 0..30 {
        let limits = [("rpm", 1_000, 1_000, 1_000, 60_000)];
        raw::put(&repository, &raw::bucket(&repository, ("key-1", "gpt-4"), (shard, 30), START, &limits)).await;
    }
    // 80 × 16 kB are more than one page of 1 MB.
    for hour in 0..80 {
        let snapshot = json!({
            "PK": {"S": format!("{ns}/ENTITY#key-1")}, "SK": {"S": format!("#USAGE#gpt-4#{hour:02}")},
            "entity_id": {"S": "key-1"}, "resource": {"S": "gpt-4"}, "window": {"S": "hourly"},
            "window_start": {"S": format!("{hour:02}")}, "padding": {"S": "x".repeat(16_000)},
        });
        raw::put(&repository, &snapshot).await;
    }

    let admin = Principal::new("admin@example.com").unwrap();
    let deleted = repository.acting_as(&admin).unwrap().delete_entity(&id("key-1")).await.unwrap();
    assert_eq!(deleted, 1 + 2 + 30 + 80);
    assert!(raw::partition(&repository, &format!("{ns}/ENTITY#key-1")).await.is_empty());
    for shard in 0..30 {
        let bucket = raw::get(&repository, &format!("{ns}/BUCKET#key-1#gpt-4#{shard}"), "#STATE").await;
        assert!(bucket.is_null(), "shard {shard}");
    }
    // Entities with a similar name, or the same name in another namespace, keep their records, and the registry only
    // counts them.
    assert_eq!(repository.entities_with_limits(&scope("gpt-4")).await.unwrap(), [id("key-10")]);
    assert_eq!(other.entities_with_limits(&scope("gpt-4")).await.unwrap(), [id("key-1"), id("key-10")]);
    let registry = raw::get(&repository, &format!("{ns}/SYSTEM#"), "#ENTITY_CONFIG_RESOURCES").await;
    assert_eq!((raw::number(&registry, "gpt-4"), raw::number(&registry, "_default_")), (Some(1), Some(1)));

    let trail = repository.audit_events(&AuditTarget::Entity(id("key-1")), 1, None).await.unwrap();
    let event = &trail.events[0];
    assert_eq!((&event.action, event.principal.as_deref()), (&AuditAction::EntityDeleted, Some(admin.as_str())));
    assert_eq!(event.details["records_deleted"], deleted);

    assert_eq!(repository.delete_entity(&id("key-1")).await.unwrap(), 0);
    let again = repository.audit_events(&AuditTarget::Entity(id("key-1")), 1, None).await.unwrap();
    assert_eq!(again.events[0].event_id, event.event_id, "nothing was deleted, so nothing is recorded");
}

#[tokio::test]
async fn an_interrupted_deletion_is_completed_by_the_next() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    for calls in 0.. {
        let entity = id(&format!("key-{calls}"));
        repository.create_entity(NewEntity::new(entity.clone())).await.unwrap();
        repository.set_limits(&entity, &scope("gpt-4"), rpm(1)).await.unwrap();
        let bucket = [("rpm", 0, 1_000, 1_000, 60_000)];
        raw::put(&repository, &raw::bucket(&repository, (entity.as_str(), "gpt-4"), (0, 1), START, &bucket)).await;
        let first = std::sync::atomic::AtomicU64::new(0);
        wire.fail(move |_, _| {
            let number = first.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if number >= calls { zae_testkit::Fault::LostBefore } else { zae_testkit::Fault::None }
        });
        let interrupted = repository.delete_entity(&entity).await;
        wire.fail(|_, _| zae_testkit::Fault::None);
        if interrupted.is_ok() {
            assert!(calls > 6, "it takes more than {calls} calls");
            break;
        }
        assert!(repository.entity(&entity).await.unwrap().is_some(), "the entity goes last");
        repository.delete_entity(&entity).await.unwrap();
        assert!(
            raw::partition(&repository, &format!("{}/ENTITY#{entity}", repository.namespace_id())).await.is_empty()
        );
        let trail = repository.audit_events(&AuditTarget::Entity(entity), 10, None).await.unwrap();
        let deletions = trail.events.iter().filter(|event| event.action == AuditAction::EntityDeleted);
        assert_eq!(deletions.count(), 1);
    }
    assert_eq!(repository.resources_with_entity_limits().await.unwrap(), []);
}
