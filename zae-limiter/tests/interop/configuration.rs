//! Limits at the four levels: stored by one side, read, resolved and enforced by the other.

use serde_json::{Value, json};

use super::{
    side::Side,
    table::{By, Table},
};

/// Returns `capacity` tokens per minute and, as a second limit, twice as many per hour with a capacity of three times
/// as many.
fn rows(capacity: u64) -> Value {
    json!([
        { "name": "rpm", "capacity": capacity, "refill_amount": capacity, "refill_period_seconds": 60 },
        {
            "name": "tokens.per-hour",
            "capacity": 3 * capacity,
            "refill_amount": 2 * capacity,
            "refill_period_seconds": 3600
        },
    ])
}

/// Sorts by name, because neither side keeps the given order of limits.
fn sorted(mut rows: Value) -> Value {
    rows.as_array_mut().unwrap().sort_by_key(|row| row["name"].to_string());
    rows
}

async fn available(side: &Side, entity: &str, resource: &str) -> Value {
    side.ok("available", json!({ "entity_id": entity, "resource": resource })).await["rpm"].clone()
}

async fn levels(by: By) {
    let Some(table) = Table::open(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    let specific = json!({ "entity_id": "user-1", "resource": "openai/gpt-4", "rows": rows(11), "principal": "ops" });
    writer.ok("set_limits", specific.clone()).await;
    writer
        .ok(
            "set_limits",
            json!({ "entity_id": "user-1", "resource": "_default_", "rows": rows(12), "principal": "ops" }),
        )
        .await;
    writer
        .ok("set_resource_defaults", json!({ "resource": "openai/gpt-4", "rows": rows(13), "principal": "ops" }))
        .await;
    writer.ok("set_system_defaults", json!({ "rows": rows(14), "on_unavailable": "block", "principal": "ops" })).await;

    // Read one by one …
    for (resource, capacity) in [("openai/gpt-4", 11), ("_default_", 12)] {
        let stored = reader.ok("get_limits", json!({ "entity_id": "user-1", "resource": resource })).await;
        assert_eq!(sorted(stored), rows(capacity), "{resource}");
    }
    let stored = reader.ok("get_resource_defaults", json!({ "resource": "openai/gpt-4" })).await;
    assert_eq!(sorted(stored), rows(13));
    let stored = reader.ok("get_system_defaults", json!({})).await;
    assert_eq!((sorted(stored["rows"].clone()), &stored["on_unavailable"]), (rows(14), &json!("block")));
    let listed = json!({ "defaults": ["openai/gpt-4"], "entities": ["_default_", "openai/gpt-4"] });
    assert_eq!(reader.ok("listed_resources", json!({})).await, listed);

    // … and by the level that applies to each entity and resource.
    for (entity, resource, capacity) in [
        ("user-1", "openai/gpt-4", 11),
        ("user-1", "claude", 12),
        ("user-2", "openai/gpt-4", 13),
        ("user-2", "claude", 14),
    ] {
        let one = json!({ "entity_id": entity, "resource": resource, "consume": { "rpm": 1, "tokens.per-hour": 2 } });
        reader.ok("acquire", one).await;
        let all = json!({ "entity_id": entity, "resource": resource, "consume": { "rpm": capacity } });
        let refusal = reader.refused("acquire", all).await;
        let rpm = refusal["limits"].as_array().unwrap().iter().find(|limit| limit["limit_name"] == "rpm").unwrap();
        assert_eq!((&rpm["capacity"], &rpm["available"]), (&json!(capacity), &json!(capacity - 1)));
        // The other side sees the consumption, at the same level.
        assert_eq!(available(writer, entity, resource).await, capacity - 1, "{entity}/{resource}");
    }

    // As each level is removed, the next one applies.
    writer.ok("delete_limits", json!({ "entity_id": "user-1", "resource": "openai/gpt-4", "principal": "ops" })).await;
    writer.ok("delete_limits", json!({ "entity_id": "user-1", "resource": "_default_", "principal": "ops" })).await;
    let stored = reader.ok("get_limits", json!({ "entity_id": "user-1", "resource": "openai/gpt-4" })).await;
    assert_eq!(stored, json!([]));
    assert_eq!(available(reader, "user-3", "openai/gpt-4").await, 13);
    writer.ok("delete_resource_defaults", json!({ "resource": "openai/gpt-4", "principal": "ops" })).await;
    assert_eq!(available(reader, "user-3", "openai/gpt-4").await, 14);
    let listed = json!({ "defaults": [], "entities": [] });
    assert_eq!(reader.ok("listed_resources", json!({})).await, listed);
    writer.ok("delete_system_defaults", json!({ "principal": "ops" })).await;
    let stored = reader.ok("get_system_defaults", json!({})).await;
    assert_eq!(stored, json!({ "rows": [], "on_unavailable": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_enforce_our_limits() {
    levels(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_enforce_their_limits() {
    levels(By::Them).await;
}

async fn changes(by: By) {
    let Some(table) = Table::open(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    let row = |amount: u64| {
        let row = json!({ "name": "rpm", "capacity": amount, "refill_amount": amount, "refill_period_seconds": 60 });
        json!([row])
    };
    let set =
        |capacity| json!({ "entity_id": "user-1", "resource": "gpt-4", "rows": row(capacity), "principal": "ops" });
    let take = |tokens: u64| json!({ "entity_id": "user-1", "resource": "gpt-4", "consume": { "rpm": tokens } });
    writer.ok("set_limits", set(10)).await;
    reader.ok("acquire", take(10)).await;
    // Raised by the other side while the bucket is empty: it then refills at the new rate.
    writer.ok("set_limits", set(60)).await;
    table.advance(20);
    reader.ok("acquire", take(20)).await;
    let refusal = reader.refused("acquire", take(1)).await;
    assert_eq!(refusal["limits"][0]["capacity"], 60);
    let wait = refusal["retry_after_seconds"].as_f64().unwrap();
    assert!((wait - 1.0).abs() < 0.01, "{wait}");
    // Lowered below its balance: no more than the new capacity is granted.
    table.advance(60);
    writer.ok("set_limits", set(5)).await;
    reader.ok("acquire", take(5)).await;
    let refusal = reader.refused("acquire", take(1)).await;
    assert_eq!(refusal["limits"][0]["capacity"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_follow_our_changes_of_a_limit() {
    changes(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_follow_their_changes_of_a_limit() {
    changes(By::Them).await;
}
