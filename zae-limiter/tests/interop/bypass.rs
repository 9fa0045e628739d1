//! Bypasses on one table: set by one side, honoured by the other.

use serde_json::{Value, json};

use super::{
    compare::assert_same,
    side::Side,
    table::{By, Table, text},
};

/// The places of a bypass for `user-1` on `gpt-4`.
fn places() -> [Value; 3] {
    [
        json!({ "entity_id": "user-1", "resource": "gpt-4" }),
        json!({ "entity_id": "user-1", "resource": "_default_" }),
        json!({ "resource": "gpt-4" }),
    ]
}

fn set(place: &Value, access: &Value) -> Value {
    let mut set = place.clone();
    (set["access"], set["principal"]) = (access.clone(), "ops".into());
    set
}

fn acquire(tokens: u64) -> Value {
    json!({ "entity_id": "user-1", "resource": "gpt-4", "consume": { "rpm": tokens } })
}

async fn with_limits(by: By) -> Option<Table> {
    let table = Table::open(by).await?;
    let rows = json!([{ "name": "rpm", "capacity": 10, "refill_amount": 10, "refill_period_seconds": 60 }]);
    table.ours.ok("set_system_defaults", json!({ "rows": rows, "principal": "ops" })).await;
    Some(table)
}

/// Takes everything that there is.
async fn exhaust(side: &Side) {
    side.ok("acquire", acquire(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_side_lets_through_the_other_counts_and_does_not_debit() {
    for by in [By::Us, By::Them] {
        let Some(table) = with_limits(by).await else { return };
        let (ops, others) = table.writer_and_reader(by);
        let mut counted = 0;
        for place in places() {
            exhaust(ops).await;
            counted += 10_000;
            assert_eq!(ops.ok("set_access", set(&place, &json!("bypassed"))).await, 1, "{by:?} {place}");
            for side in [others, ops, others] {
                side.ok("acquire", acquire(300)).await;
                counted += 300_000;
                assert_eq!(table.bucket("user-1", "gpt-4").await["rpm"], (0, counted), "{by:?} {place}");
            }
            let holds = others.ok("resolve_access", json!({ "entity_id": "user-1", "resource": "gpt-4" })).await;
            assert_eq!(holds["access"], "bypassed");
            assert_eq!(ops.ok("set_access", set(&place, &Value::Null)).await, 1, "{by:?} {place}");
            for side in [others, ops] {
                side.refused("acquire", acquire(1)).await;
            }
            table.advance(60);
        }
    }
}

/// Stamps run out while nobody changes anything: neither side stops for it, and each renews what it finds. A bypass
/// that ended without a word to the bucket ends there when its stamp has run out.
#[tokio::test(flavor = "multi_thread")]
async fn stamps_that_run_out_stop_neither_side() {
    for by in [By::Us, By::Them] {
        let Some(table) = with_limits(by).await else { return };
        exhaust(table.side(by)).await;
        table
            .side(by)
            .ok("set_access", set(&json!({ "entity_id": "user-1", "resource": "gpt-4" }), &json!("bypassed")))
            .await;
        let mut counted = 10_000;
        for turn in 0..6 {
            let side = table.side(if turn % 2 == 0 { By::Us } else { By::Them });
            table.advance(61);
            side.ok("acquire", acquire(100)).await;
            counted += 100_000;
            assert_eq!(table.bucket("user-1", "gpt-4").await["rpm"].1, counted, "{by:?} {turn}");
        }
        let clear = set(&json!({ "entity_id": "user-1", "resource": "gpt-4" }), &Value::Null);
        table.side(by).ok("set_access", clear).await;
        exhaust(&table.ours).await;
        for side in [&table.ours, &table.theirs] {
            side.refused("acquire", acquire(1)).await;
        }
        let items = table.items().await;
        let bucket = items.iter().find(|item| text(item, "PK").contains("/BUCKET#")).unwrap();
        assert!(!bucket.contains_key("bypass"), "{bucket:?}");
    }
}

/// The same calls leave the same records, audit included.
#[tokio::test(flavor = "multi_thread")]
async fn bypasses_are_the_same_records() {
    let Some(ours) = with_limits(By::Us).await else { return };
    let theirs = with_limits(By::Them).await.expect("it is there");
    for place in places() {
        for access in [json!("bypassed"), Value::Null] {
            let told = ours.ours.ok("set_access", set(&place, &access)).await;
            assert_eq!(told, theirs.theirs.ok("set_access", set(&place, &access)).await, "{place}");
            assert_same(&ours.items().await, &theirs.items().await, &[]);
        }
    }
}
