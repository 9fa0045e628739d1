//! Entities, namespaces and the audit trail: each side reads and changes what the other writes.

use serde_json::{Value, json};

use super::{
    side::Side,
    table::{By, Table, text},
};

async fn entities(by: By) {
    let Some(table) = Table::open(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    let project = json!({ "entity_id": "proj-1", "name": "Project One" });
    writer.ok("create_entity", json!({ "entity": project, "principal": "ops" })).await;
    let key = json!({
        "entity_id": "key-1", "parent_id": "proj-1", "cascade": true, "metadata": { "team": "a", "größe": "XL" },
    });
    writer.ok("create_entity", json!({ "entity": key, "principal": "ops" })).await;

    let project = json!({ "id": "proj-1", "name": "Project One", "parent_id": null, "cascade": false, "metadata": {} });
    let key = json!({
        "id": "key-1", "name": "key-1", "parent_id": "proj-1", "cascade": true,
        "metadata": { "team": "a", "größe": "XL" },
    });
    assert_eq!(reader.ok("get_entity", json!({ "entity_id": "proj-1" })).await, project);
    assert_eq!(reader.ok("get_entity", json!({ "entity_id": "key-1" })).await, key);
    assert_eq!(reader.ok("get_entity", json!({ "entity_id": "nobody" })).await, Value::Null);
    assert_eq!(reader.ok("get_children", json!({ "entity_id": "proj-1" })).await, json!([key]));

    let again = reader.call("create_entity", json!({ "entity": { "entity_id": "key-1" }, "principal": "ops" })).await;
    assert_eq!(again.unwrap_err().class, "EntityExistsError");
    reader.ok("delete_entity", json!({ "entity_id": "key-1", "principal": "ops" })).await;
    assert_eq!(writer.ok("get_entity", json!({ "entity_id": "key-1" })).await, Value::Null);
    assert_eq!(writer.ok("get_children", json!({ "entity_id": "proj-1" })).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_read_and_change_our_entities() {
    entities(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_read_and_change_their_entities() {
    entities(By::Them).await;
}

/// Returns true if `side` finds the entity `twin` in the namespace.
async fn has_twin(side: &Side, namespace: &str) -> bool {
    !side.ok("get_entity", json!({ "ns": namespace, "entity_id": "twin" })).await.is_null()
}

async fn namespaces(by: By) {
    let Some(table) = Table::open(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    let id = writer.ok("register_namespace", json!({ "name": "tenant-b" })).await;
    assert_eq!(
        reader.ok("register_namespace", json!({ "name": "tenant-b" })).await,
        id,
        "registering again changes nothing"
    );
    let shown = reader.ok("get_namespace", json!({ "name": "tenant-b" })).await;
    assert_eq!((&shown["namespace_id"], &shown["status"]), (&id, &json!("active")));

    // One id in three namespaces is three entities with limits of their own.
    let twin = |namespace: &str| json!({ "ns": namespace, "entity": { "entity_id": "twin" }, "principal": "ops" });
    writer.ok("create_entity", twin("tenant-b")).await;
    assert!(has_twin(reader, "tenant-b").await);
    assert!(!has_twin(reader, "tenant-a").await && !has_twin(reader, "default").await);
    reader.ok("create_entity", twin("tenant-a")).await;
    for (namespace, capacity) in [("tenant-a", 10), ("tenant-b", 20)] {
        let rows =
            json!([{ "name": "rpm", "capacity": capacity, "refill_amount": capacity, "refill_period_seconds": 60 }]);
        writer.ok("set_system_defaults", json!({ "ns": namespace, "rows": rows, "principal": "ops" })).await;
    }
    for (namespace, left) in [("tenant-a", 9), ("tenant-b", 19)] {
        let one = json!({ "ns": namespace, "entity_id": "twin", "resource": "gpt-4", "consume": { "rpm": 1 } });
        reader.ok("acquire", one).await;
        let seen = writer.ok("available", json!({ "ns": namespace, "entity_id": "twin", "resource": "gpt-4" })).await;
        assert_eq!(seen, json!({ "rpm": left }), "{namespace}");
    }

    // Deleted by one, found and recovered by the other with everything in it.
    reader.ok("delete_namespace", json!({ "name": "tenant-b" })).await;
    assert_eq!(writer.ok("get_namespace", json!({ "name": "tenant-b" })).await, Value::Null);
    assert_eq!(writer.ok("recover_namespace", json!({ "name": "tenant-b" })).await, "tenant-b");
    assert_eq!(reader.ok("get_namespace", json!({ "name": "tenant-b" })).await["namespace_id"], id);
    assert!(has_twin(reader, "tenant-b").await);
    // Purged by one side, nothing of it is left for the other.
    writer.ok("delete_namespace", json!({ "name": "tenant-b" })).await;
    reader.ok("purge_namespace", json!({ "name": "tenant-b" })).await;
    let id = format!("{}/", id.as_str().unwrap());
    assert!(!table.items().await.iter().any(|item| text(item, "PK").starts_with(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_work_in_our_namespaces() {
    namespaces(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_work_in_their_namespaces() {
    namespaces(By::Them).await;
}

async fn audit(by: By) {
    let Some(table) = Table::open(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    let rows = json!([{ "name": "rpm", "capacity": 15, "refill_amount": 10, "refill_period_seconds": 60 }]);
    let key = json!({ "entity_id": "key-1", "parent_id": "proj-1", "cascade": true, "metadata": { "team": "a" } });
    writer.ok("create_entity", json!({ "entity": key, "principal": "ops@example.com" })).await;
    writer
        .ok("set_limits", json!({ "entity_id": "key-1", "resource": "gpt-4", "rows": rows, "principal": "ops" }))
        .await;
    writer.ok("delete_limits", json!({ "entity_id": "key-1", "resource": "gpt-4", "principal": "ops" })).await;
    writer.ok("set_resource_defaults", json!({ "resource": "gpt-4", "rows": rows, "principal": "ops" })).await;
    writer
        .ok(
            "set_system_defaults",
            json!({ "rows": rows, "on_unavailable": "allow", "principal": "arn:aws:iam::1:user/x" }),
        )
        .await;
    writer.ok("delete_entity", json!({ "entity_id": "key-1", "principal": "ops" })).await;

    let events = reader.ok("audit", json!({ "entity_id": "key-1" })).await;
    let events = events.as_array().unwrap();
    let said: Vec<_> =
        events.iter().map(|e| [&e["action"], &e["resource"], &e["principal"], &e["entity_id"]]).collect();
    assert_eq!(
        json!(said),
        json!([
            ["entity_deleted", null, "ops", "key-1"],
            ["limits_deleted", "gpt-4", "ops", "key-1"],
            ["limits_set", "gpt-4", "ops", "key-1"],
            ["entity_created", null, "ops@example.com", "key-1"],
        ]),
        "newest first"
    );
    assert_eq!(events[2]["details"], json!({ "limits": rows }));
    let created = json!({ "name": "key-1", "parent_id": "proj-1", "cascade": true, "metadata": { "team": "a" } });
    assert_eq!(events[3]["details"], created);

    let page = json!({ "entity_id": "key-1", "limit": 2, "start_event_id": events[0]["event_id"] });
    assert_eq!(reader.ok("audit", page).await, json!(events[1..3]), "the page that starts after the newest event");
    let resource = reader.ok("audit", json!({ "entity_id": "$RESOURCE:gpt-4" })).await;
    assert_eq!((&resource[0]["action"], &resource[0]["details"]), (&json!("limits_set"), &json!({ "limits": rows })));
    let system = reader.ok("audit", json!({ "entity_id": "$SYSTEM" })).await;
    assert_eq!(system[0]["principal"], "arn:aws:iam::1:user/x");
    assert_eq!(system[0]["details"], json!({ "limits": rows, "on_unavailable": "allow" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_read_our_audit_trail() {
    audit(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_read_their_audit_trail() {
    audit(By::Them).await;
}

async fn managed(by: By) {
    let Some(table) = Table::open(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    let nothing = json!({
        "managed_system": false, "managed_resources": [], "managed_entities": {}, "last_applied": null,
        "applied_hash": null,
    });
    assert_eq!(reader.ok("get_provisioner_state", json!({})).await, nothing);
    let state = json!({
        "managed_system": true, "managed_resources": ["openai/gpt-4", "claude"],
        "managed_entities": { "proj-1": ["openai/gpt-4", "_default_"] },
        "last_applied": "2026-01-01T00:00:00.000000+00:00", "applied_hash": "sha256:0f3a",
    });
    writer.ok("put_provisioner_state", json!({ "state": state })).await;
    assert_eq!(reader.ok("get_provisioner_state", json!({})).await, state);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_read_what_our_manifest_manages() {
    managed(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_read_what_their_manifest_manages() {
    managed(By::Them).await;
}
