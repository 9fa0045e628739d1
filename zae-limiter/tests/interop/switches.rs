//! Disabled resources and entities on one table, set by either side and checked by the other.

use serde_json::{Value, json};

use super::{
    compare::assert_same,
    records::bucket_marks,
    side::Side,
    table::{By, Table},
};

/// Returns the places where `user-1` can be disabled for `gpt-4`, and the levels that refusals report.
fn places() -> [(Value, &'static str); 3] {
    [
        (json!({ "entity_id": "user-1", "resource": "gpt-4" }), "entity"),
        (json!({ "entity_id": "user-1", "resource": "_default_" }), "entity_default"),
        (json!({ "resource": "gpt-4" }), "resource"),
    ]
}

fn set(place: &Value, access: &Value) -> Value {
    let mut set = place.clone();
    (set["access"], set["principal"]) = (access.clone(), "ops".into());
    set
}

async fn with_limits(by: By) -> Option<Table> {
    let table = Table::open(by).await?;
    let rows = json!([{ "name": "rpm", "capacity": 10, "refill_amount": 10, "refill_period_seconds": 60 }]);
    table.ours.ok("set_system_defaults", json!({ "rows": rows, "principal": "ops" })).await;
    Some(table)
}

async fn take(side: &Side) -> Result<(), String> {
    let take = json!({ "entity_id": "user-1", "resource": "gpt-4", "consume": { "rpm": 1 } });
    side.call("acquire", take).await.map(drop).map_err(|failure| failure.class)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_side_switches_off_the_other_refuses_and_what_it_switches_on_the_other_serves() {
    for by in [By::Us, By::Them] {
        let Some(table) = with_limits(by).await else { return };
        let (ops, others) = table.writer_and_reader(by);
        for (place, level) in places() {
            for side in [ops, others] {
                take(side).await.unwrap();
            }
            assert_eq!(ops.ok("set_access", set(&place, &json!("disabled"))).await, 1, "{by:?} {level}");
            for side in [ops, others] {
                let holds = side.ok("resolve_access", json!({ "entity_id": "user-1", "resource": "gpt-4" })).await;
                assert_eq!(holds, json!({ "access": "disabled", "level": level }), "{by:?}");
                assert_eq!(take(side).await.unwrap_err(), "ResourceDisabled", "{by:?} {level}");
            }
            assert_eq!(ops.ok("set_access", set(&place, &Value::Null)).await, 1, "{by:?} {level}");
            table.advance(2);
            for side in [ops, others] {
                take(side).await.unwrap_or_else(|class| panic!("{by:?} {level}: {class}"));
            }
            table.advance(60);
        }
    }
}

/// The same calls leave the same records, audit included.
#[tokio::test(flavor = "multi_thread")]
async fn switches_are_the_same_records() {
    let Some(ours) = with_limits(By::Us).await else { return };
    let theirs = with_limits(By::Them).await.expect("it is there");
    take(&ours.ours).await.unwrap();
    take(&theirs.theirs).await.unwrap();
    for access in [json!("disabled"), json!("enabled"), Value::Null] {
        for (place, _) in places() {
            let set = set(&place, &access);
            let stamped = ours.ours.ok("set_access", set.clone()).await;
            assert_eq!(stamped, theirs.theirs.ok("set_access", set.clone()).await, "{set}");
            assert_same(&ours.items().await, &theirs.items().await, &bucket_marks());
        }
    }
}

/// A stamp left behind by their fan-out makes all of their clients refuse forever; one of ours removes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_that_is_wrong_is_mended_for_both() {
    let Some(table) = with_limits(By::Them).await else { return };
    take(&table.theirs).await.unwrap();
    let mut bucket = table.items().await.into_iter().find(|item| item.contains_key("rf")).unwrap();
    bucket.insert("disabled".to_owned(), aws_sdk_dynamodb::types::AttributeValue::Bool(true));
    let put = table.store.client().put_item().table_name(super::table::STACK).set_item(Some(bucket));
    put.send().await.unwrap();
    assert_eq!(take(&table.theirs).await.unwrap_err(), "ResourceDisabled");
    take(&table.ours).await.unwrap();
    take(&table.theirs).await.unwrap();
}
