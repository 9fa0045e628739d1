//! Resets and top-ups on one table, made by one side and honoured by the other.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::{
    compare::{How, Known, assert_same},
    records::bucket_marks,
    table::{By, STACK, Table, text},
};

/// A quota of 100 a day and a rate of 60 a minute.
fn rows() -> Value {
    json!([
        { "name": "day", "capacity": 100, "refill_amount": 0, "refill_period_seconds": 1,
          "reset_schedule": [{ "cron": "0 0 * * *", "tz": "UTC" }] },
        { "name": "rpm", "capacity": 60, "refill_amount": 60, "refill_period_seconds": 60 },
    ])
}

async fn with_limits(by: By) -> Option<Table> {
    let table = Table::open(by).await?;
    let ops = table.side(by);
    ops.ok("create_entity", json!({ "entity": { "entity_id": "user-1" }, "principal": "ops" })).await;
    let set = json!({ "entity_id": "user-1", "resource": "gpt-4", "rows": rows(), "principal": "ops" });
    ops.ok("set_limits", set).await;
    Some(table)
}

fn acquire(day: u64, rpm: u64) -> Value {
    json!({ "entity_id": "user-1", "resource": "gpt-4", "consume": { "day": day, "rpm": rpm } })
}

fn operation(key: &str, amounts: &Value) -> Value {
    json!({ "entity_id": "user-1", "resource": "gpt-4", "key": key, "amounts": amounts, "principal": "ops" })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_side_tops_up_and_resets_both_spend_once() {
    for by in [By::Us, By::Them] {
        let Some(table) = with_limits(by).await else { return };
        let (ops, others) = table.writer_and_reader(by);
        others.ok("acquire", acquire(100, 50)).await;
        for side in [ops, others] {
            side.refused("acquire", acquire(1, 0)).await;
        }
        let topped_up = ops.ok("top_up", operation("buy-1", &json!({ "day": 40, "rpm": 60 }))).await;
        assert_eq!(topped_up, json!({ "shards": 1, "amounts": { "day": 40, "rpm": 50 } }), "{by:?}");
        // The other side finds the same record under the same key.
        let again = others.ok("top_up", operation("buy-1", &json!({ "day": 40, "rpm": 60 }))).await;
        assert_eq!(again, topped_up, "{by:?}");
        others.ok("acquire", acquire(15, 30)).await;
        ops.ok("acquire", acquire(25, 30)).await;
        for side in [ops, others] {
            side.refused("acquire", acquire(1, 0)).await;
        }
        let reset = ops.ok("reset_bucket", operation("reset-1", &Value::Null)).await;
        assert_eq!(reset, json!({ "shards": 1, "amounts": { "day": 100, "rpm": 60 } }), "{by:?}");
        others.ok("acquire", acquire(60, 60)).await;
        ops.ok("acquire", acquire(40, 0)).await;
        for side in [ops, others] {
            side.refused("acquire", acquire(1, 0)).await;
        }
        // The ceiling of the next day is the quota's own.
        table.advance(86_400);
        others.ok("acquire", acquire(100, 0)).await;
        ops.refused("acquire", acquire(1, 0)).await;
    }
}

/// A key that one side has used is not free for something else, and the other side does not do again what it stands
/// for. The package compares the kind of operation alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_once_by_both_together() {
    for by in [By::Us, By::Them] {
        let Some(table) = with_limits(by).await else { return };
        let (one, other) = table.writer_and_reader(by);
        one.ok("acquire", acquire(100, 60)).await;
        let granted = one.ok("top_up", operation("buy", &json!({ "day": 40, "rpm": 70 }))).await;
        assert_eq!(granted, json!({ "shards": 1, "amounts": { "day": 40, "rpm": 60 } }));
        for side in [one, other] {
            assert_eq!(side.ok("top_up", operation("buy", &json!({ "day": 40, "rpm": 70 }))).await, granted);
            let refused = side.call("reset_bucket", operation("buy", &Value::Null)).await.unwrap_err();
            assert_eq!(refused.class, "ValidationError", "{refused:?}");
        }
        for amounts in [json!({ "day": 39, "rpm": 70 }), json!({ "day": 40 })] {
            let refused = table.ours.call("top_up", operation("buy", &amounts)).await.unwrap_err();
            assert!(refused.message.contains("another operation"), "{refused:?}");
        }
        assert_eq!(table.bucket("user-1", "gpt-4").await["day"], (40_000, 100_000));
        one.ok("reset_bucket", operation("reset", &Value::Null)).await;
        other.ok("acquire", acquire(30, 10)).await;
        for side in [other, one] {
            assert_eq!(
                side.ok("reset_bucket", operation("reset", &Value::Null)).await["amounts"],
                json!({ "day": 60, "rpm": 0 }),
                "{by:?}"
            );
        }
        assert_eq!(table.bucket("user-1", "gpt-4").await["day"], (70_000, 130_000));
    }
}

/// The bucket of a parent is one like others, and those of its children are not concerned.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_parent_is_topped_up_by_its_children_spend() {
    for by in [By::Us, By::Them] {
        let Some(table) = with_limits(by).await else { return };
        let (ops, others) = table.writer_and_reader(by);
        let key = json!({ "entity_id": "key-1", "parent_id": "user-1", "cascade": true });
        ops.ok("create_entity", json!({ "entity": key })).await;
        let set = json!({ "entity_id": "key-1", "resource": "gpt-4", "principal": "ops",
            "rows": [{ "name": "rpm", "capacity": 1000, "refill_amount": 1000, "refill_period_seconds": 60 }] });
        ops.ok("set_limits", set).await;
        let take = |rpm: u64| json!({ "entity_id": "key-1", "resource": "gpt-4", "consume": { "rpm": rpm } });
        others.ok("acquire", take(60)).await;
        others.refused("acquire", take(1)).await;
        let done = ops.ok("top_up", operation("buy", &json!({ "rpm": 25 }))).await;
        assert_eq!(done["amounts"], json!({ "rpm": 25 }));
        // Either side may refuse from memory for up to a second.
        table.advance(2);
        others.ok("acquire", take(20)).await;
        ops.ok("acquire", take(6)).await;
        for side in [ops, others] {
            side.refused("acquire", take(1)).await;
        }
        assert_eq!(table.bucket("user-1", "gpt-4").await["rpm"].1, 86_000, "{by:?}");
    }
}

/// Makes the bucket one of `shards` shards, all of them like the first.
async fn shard(table: &Table, shards: u32) {
    let items = table.items().await;
    let end = "/BUCKET#user-1#gpt-4#0";
    let first = items.iter().find(|item| text(item, "PK").ends_with(end)).expect("it is there");
    for shard in 0..shards {
        let mut item = first.clone();
        for name in ["PK", "GSI2SK", "GSI3SK", "GSI4SK"] {
            let text = text(&item, name);
            let end = text.rfind('#').expect("the number comes last");
            item.insert(name.to_owned(), AttributeValue::S(format!("{}#{shard}", &text[..end])));
        }
        item.insert("shard_count".to_owned(), AttributeValue::N(shards.to_string()));
        table.store.client().put_item().table_name(STACK).set_item(Some(item)).send().await.unwrap();
    }
}

/// The same calls on all shards of a bucket leave the same records.
#[tokio::test(flavor = "multi_thread")]
async fn operations_on_shards_are_the_same_records() {
    let Some(ours) = with_limits(By::Us).await else { return };
    let theirs = with_limits(By::Them).await.expect("it is there");
    for table in [&ours, &theirs] {
        let side = table.side(if std::ptr::eq(table, &ours) { By::Us } else { By::Them });
        side.ok("acquire", acquire(80, 50)).await;
        shard(table, 4).await;
        table.advance(3);
    }
    for (op, key, amounts) in [
        ("top_up", "t-1", json!({ "day": 7, "rpm": 5 })),
        ("top_up", "t-2", json!({ "day": 1_000_001 })),
        ("top_up", "t-3", json!({ "rpm": 500 })),
        ("reset_bucket", "r-1", Value::Null),
        ("top_up", "t-4", json!({ "day": 3 })),
    ] {
        let done = ours.ours.ok(op, operation(key, &amounts)).await;
        assert_eq!(done, theirs.theirs.ok(op, operation(key, &amounts)).await, "{op} {key}");
        let mut known = bucket_marks();
        known.extend(operation_marks());
        known.extend(quota_marks());
        assert_same(&ours.items().await, &theirs.items().await, &known);
    }
}

/// The instants of a quota on its bucket: they store the commonest for the item, and those of limits that differ.
fn quota_marks() -> [Known; 3] {
    let known = |attribute, how| Known { record: "bucket", attribute, how, why: "we store instants with their quota" };
    [known("b_day_rsched", How::OnlyOurs), known("b_rpm_rsched", How::OnlyTheirs), known("rsched", How::OnlyTheirs)]
}

/// Our part of an operation's record and of what it does to a bucket.
fn operation_marks() -> Vec<Known> {
    let asked = Known {
        record: "operation",
        attribute: "z_asked",
        how: How::OnlyOurs,
        why: "what was asked, so that a key cannot stand for two different operations",
    };
    let refunds = Known {
        record: "bucket",
        attribute: "z_rpm_rb",
        how: How::OnlyOurs,
        why: "tokens added by hand count as refunded, so that later refunds find no more room than there is",
    };
    vec![asked, refunds]
}

/// The same calls leave the same records, with and without a bucket.
#[tokio::test(flavor = "multi_thread")]
async fn operations_are_the_same_records() {
    let Some(ours) = with_limits(By::Us).await else { return };
    let theirs = with_limits(By::Them).await.expect("it is there");
    for (op, key, amounts) in [
        ("reset_bucket", "r-0", Value::Null),
        ("top_up", "t-0", json!({ "rpm": 5 })),
        ("top_up", "t-1", json!({ "day": 5 })),
        ("top_up", "t-2", json!({ "day": 7, "rpm": 5 })),
        ("reset_bucket", "r-1", Value::Null),
    ] {
        let done = ours.ours.ok(op, operation(key, &amounts)).await;
        assert_eq!(done, theirs.theirs.ok(op, operation(key, &amounts)).await, "{op} {key}");
        let mut known = operation_marks();
        known.truncate(1);
        if !key.ends_with('0') {
            known.extend(bucket_marks());
            known.extend(quota_marks());
        }
        assert_same(&ours.items().await, &theirs.items().await, &known);
    }
}
