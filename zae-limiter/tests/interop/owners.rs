//! Policies and moves on one table, made by either side and followed by the other.

use serde_json::{Value, json};

use super::{
    compare::assert_same,
    records::bucket_marks,
    side::Side,
    table::{By, Table, text},
};

/// A table on which `key-1` is below `org-1`, and charges itself alone.
async fn with_entities(by: By) -> Option<Table> {
    let table = Table::open(by).await?;
    let rows = json!([{ "name": "rpm", "capacity": 100, "refill_amount": 100, "refill_period_seconds": 60 }]);
    let ops = table.side(by);
    ops.ok("set_system_defaults", json!({ "rows": rows, "principal": "ops" })).await;
    for org in ["org-1", "org-2"] {
        ops.ok("create_entity", json!({ "entity": { "entity_id": org }, "principal": "ops" })).await;
    }
    let key = json!({ "entity_id": "key-1", "parent_id": "org-1" });
    ops.ok("create_entity", json!({ "entity": key, "principal": "ops" })).await;
    Some(table)
}

async fn take(side: &Side) {
    let take = json!({ "entity_id": "key-1", "resource": "gpt-4", "consume": { "rpm": 1 } });
    side.ok("acquire", take).await;
}

/// Net consumption of the two organizations, in tokens.
async fn charged(table: &Table) -> [i64; 2] {
    let mut charged = [0; 2];
    for (index, org) in ["org-1", "org-2"].into_iter().enumerate() {
        let end = format!("/BUCKET#{org}#gpt-4#0");
        let exists = table.items().await.iter().any(|item| text(item, "PK").ends_with(&end));
        charged[index] = if exists { table.bucket(org, "gpt-4").await["rpm"].1 / 1_000 } else { 0 };
    }
    charged
}

/// The settings, one after the other, and the amounts that one acquire of each side then charges.
fn steps() -> [(&'static str, Value, [i64; 2]); 8] {
    let policy = |entity: Value, resource: &str, cascade: Value| {
        let of = "ops";
        json!({ "entity_id": entity, "resource": resource, "cascade": cascade, "principal": of })
    };
    let parent = |parent: Value| json!({ "entity_id": "key-1", "parent_id": parent, "principal": "ops" });
    [
        ("set_cascade", policy(Value::Null, "gpt-4", true.into()), [2, 0]),
        ("set_cascade", policy("key-1".into(), "_default_", false.into()), [0, 0]),
        ("set_cascade", policy("key-1".into(), "gpt-4", true.into()), [2, 0]),
        ("set_parent", parent("org-2".into()), [0, 2]),
        ("set_parent", parent(Value::Null), [0, 0]),
        ("set_parent", parent("org-1".into()), [2, 0]),
        ("set_cascade", policy("key-1".into(), "gpt-4", Value::Null), [0, 0]),
        ("set_cascade", policy("key-1".into(), "_default_", Value::Null), [2, 0]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn either_side_charges_whom_the_other_says() {
    for by in [By::Us, By::Them] {
        let Some(table) = with_entities(by).await else { return };
        let (ops, others) = table.writer_and_reader(by);
        for side in [ops, others] {
            take(side).await;
        }
        let mut expected = [0; 2];
        for (number, (op, setting, more)) in steps().into_iter().enumerate() {
            assert_eq!(ops.ok(op, setting).await, 1, "{by:?}: step {number} tells one bucket");
            for side in [ops, others] {
                take(side).await;
            }
            expected = [expected[0] + more[0], expected[1] + more[1]];
            assert_eq!(charged(&table).await, expected, "{by:?}: step {number}");
        }
    }
}

/// The same calls leave the same records, audit included.
#[tokio::test(flavor = "multi_thread")]
async fn policies_and_moves_are_the_same_records() {
    let Some(ours) = with_entities(By::Us).await else { return };
    let theirs = with_entities(By::Them).await.expect("it is there");
    take(&ours.ours).await;
    take(&theirs.theirs).await;
    for (op, setting, _) in steps() {
        let told = ours.ours.ok(op, setting.clone()).await;
        assert_eq!(told, theirs.theirs.ok(op, setting.clone()).await, "{setting}");
        assert_same(&ours.items().await, &theirs.items().await, &bucket_marks());
    }
}
