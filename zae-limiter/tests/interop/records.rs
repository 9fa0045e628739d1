//! Compares the records that the same calls by each side leave in a table of its own, attribute by attribute.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{Client, config::Region};
use serde_json::{Value, json};
use zae_limiter::Repository;

use super::{
    compare::{How, Known, assert_same},
    table::{By, STACK, Table},
};

/// Two tables, one per side, with the same calls.
struct Pair {
    ours: Table,
    theirs: Table,
}

impl Pair {
    async fn open() -> Option<Self> {
        let (ours, theirs) = tokio::join!(Table::open(By::Us), Table::open(By::Them));
        Some(Self { ours: ours?, theirs: theirs? })
    }

    /// Both make the call on their own table.
    async fn both(&self, op: &str, arguments: Value) {
        tokio::join!(self.ours.ours.ok(op, arguments.clone()), self.theirs.theirs.ok(op, arguments));
    }

    fn advance(&self, seconds: u64) {
        self.ours.advance(seconds);
        self.theirs.advance(seconds);
    }

    /// Checks that the records differ exactly as `known` describes.
    async fn assert_same(&self, known: &[Known]) {
        assert_same(&self.ours.items().await, &self.theirs.items().await, known);
    }
}

/// The marks that each side puts on buckets.
pub(super) fn bucket_marks() -> Vec<Known> {
    vec![Known {
        record: "bucket",
        attribute: "z_inc",
        how: How::OnlyOurs,
        why: "our mark of which creation of the bucket this is, so that a refund does not reach its successor",
    }]
}

fn rows() -> Value {
    json!([
        { "name": "rpm", "capacity": 100, "refill_amount": 100, "refill_period_seconds": 60 },
        { "name": "tpm", "capacity": 15_000, "refill_amount": 10_000, "refill_period_seconds": 60 },
    ])
}

/// Returns a table's definition as comparable text, independent of order.
async fn definition(table: &Table, name: &str) -> BTreeMap<String, String> {
    let described = table.store.client().describe_table().table_name(name).send().await.unwrap().table.unwrap();
    let mut parts = BTreeMap::from([
        ("keys".to_owned(), format!("{:?}", described.key_schema())),
        ("billing".to_owned(), format!("{:?}", described.billing_mode_summary().and_then(|b| b.billing_mode()))),
        ("stream".to_owned(), format!("{:?}", described.stream_specification())),
    ]);
    for attribute in described.attribute_definitions() {
        parts.insert(format!("attribute {}", attribute.attribute_name()), format!("{:?}", attribute.attribute_type()));
    }
    for index in described.global_secondary_indexes() {
        let shape = format!("{:?} {:?}", index.key_schema(), index.projection());
        parts.insert(format!("global {:?}", index.index_name()), shape);
    }
    for index in described.local_secondary_indexes() {
        let shape = format!("{:?} {:?}", index.key_schema(), index.projection());
        parts.insert(format!("local {:?}", index.index_name()), shape);
    }
    parts
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_the_same_keys_and_indexes() {
    let Some(table) = Table::open(By::Them).await else { return };
    // An embedded store has no stream, so the table is created in another region, where there is one.
    let elsewhere = table.store.client().config().to_builder().region(Region::from_static("us-east-1")).build();
    let builder = Repository::builder().client(Client::from_conf(elsewhere)).stack("limiter-ours");
    builder.create_table().build().await.unwrap();
    let (ours, theirs) = (definition(&table, "limiter-ours").await, definition(&table, STACK).await);
    assert_eq!(ours.keys().filter(|name| name.starts_with("global") || name.starts_with("local")).count(), 9);
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        assert_eq!(ours.get(name), theirs.get(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_the_version_are_the_same_records() {
    let Some(pair) = Pair::open().await else { return };
    pair.both("register_namespace", json!({ "name": "tenant-b" })).await;
    pair.both("delete_namespace", json!({ "name": "tenant-a" })).await;
    pair.assert_same(&[]).await;
    pair.both("recover_namespace", json!({ "name": "tenant-a" })).await;
    pair.assert_same(&[]).await;
    pair.both("delete_namespace", json!({ "name": "tenant-b" })).await;
    pair.both("purge_namespace", json!({ "name": "tenant-b" })).await;
    pair.assert_same(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provisioners_state_is_the_same_record() {
    let Some(pair) = Pair::open().await else { return };
    let state = json!({
        "managed_system": true, "managed_resources": ["openai/gpt-4", "claude"],
        "managed_entities": { "proj-1": ["openai/gpt-4", "_default_"], "proj-2": [] },
        "last_applied": "2026-01-01T00:00:00.000000+00:00", "applied_hash": "sha256:0f3a",
    });
    pair.both("put_provisioner_state", json!({ "state": state })).await;
    let indexed = Known {
        record: "provisioner",
        attribute: "GSI4SK",
        how: How::OnlyOurs,
        why: "without it the record is in no index, and a purge of the namespace leaves it behind for ever",
    };
    pair.assert_same(&[indexed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_are_the_same_records() {
    let Some(pair) = Pair::open().await else { return };
    pair.both(
        "create_entity",
        json!({ "entity": { "entity_id": "proj-1", "name": "Project One" }, "principal": "ops" }),
    )
    .await;
    let metadata = json!({
        "text": "größe", "number": 3, "negative": -7, "fraction": 1.5, "yes": true, "nothing": null,
        "list": [1, "two", false], "map": { "deep": { "deeper": "x" } },
    });
    let key = json!({ "entity_id": "key-1", "parent_id": "proj-1", "cascade": true, "metadata": metadata });
    pair.both("create_entity", json!({ "entity": key, "principal": "arn:aws:iam::123456789012:user/x" })).await;
    pair.both("create_entity", json!({ "entity": { "entity_id": "gone" }, "principal": "ops" })).await;
    pair.both("delete_entity", json!({ "entity_id": "gone", "principal": "ops" })).await;
    let complete = Known {
        record: "audit",
        attribute: "details",
        how: How::Values(
            r#"{"M":{"records_deleted":{"N":"1"}}}"#,
            r#"{"M":{"complete":{"BOOL":true},"records_deleted":{"N":"1"}}}"#,
        ),
        why: "0.17 may stop half way and says so; we have deleted everything, or answer with an error and no event.",
    };
    pair.assert_same(&[complete]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_registries_and_their_audit_are_the_same_records() {
    let Some(pair) = Pair::open().await else { return };
    let of = |entity: &str, resource: &str| {
        let rows = rows();
        json!({ "entity_id": entity, "resource": resource, "rows": rows, "principal": "ops" })
    };
    for resource in ["openai/gpt-4", "_default_", "claude:3"] {
        pair.both("set_limits", of("user-1", resource)).await;
    }
    pair.both("set_limits", of("user-2", "openai/gpt-4")).await;
    // Set twice: one configuration, counted once.
    pair.both("set_limits", of("user-1", "openai/gpt-4")).await;
    pair.both("delete_limits", json!({ "entity_id": "user-1", "resource": "claude:3", "principal": "ops" })).await;
    for resource in ["openai/gpt-4", "claude:3", "embeddings"] {
        pair.both("set_resource_defaults", json!({ "resource": resource, "rows": rows(), "principal": "ops" })).await;
    }
    pair.both("delete_resource_defaults", json!({ "resource": "embeddings", "principal": "ops" })).await;
    pair.both("set_system_defaults", json!({ "rows": rows(), "on_unavailable": "allow", "principal": "ops" })).await;
    pair.assert_same(&[]).await;
    // Without a policy, the stored one is removed.
    pair.both("set_system_defaults", json!({ "rows": rows(), "principal": "ops" })).await;
    pair.assert_same(&[]).await;
    pair.both("delete_system_defaults", json!({ "principal": "ops" })).await;
    pair.assert_same(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_the_same_records() {
    let Some(pair) = Pair::open().await else { return };
    pair.both("create_entity", json!({ "entity": { "entity_id": "proj-1" }, "principal": "ops" })).await;
    let key = json!({ "entity_id": "key-1", "parent_id": "proj-1", "cascade": true });
    pair.both("create_entity", json!({ "entity": key, "principal": "ops" })).await;
    pair.both("set_system_defaults", json!({ "rows": rows(), "principal": "ops" })).await;
    let own = json!({ "entity_id": "user-1", "resource": "gpt-4", "rows": rows(), "principal": "ops" });
    pair.both("set_limits", own).await;
    let take = |entity: &str, tokens: u64| {
        let consume = json!({ "rpm": 1, "tpm": tokens });
        json!({ "entity_id": entity, "resource": "gpt-4", "consume": consume })
    };
    // Own limits (the bucket is kept), the system's (it expires), and with a parent.
    for entity in ["user-1", "stranger", "key-1"] {
        pair.both("acquire", take(entity, 500)).await;
    }
    let mut known = bucket_marks();
    pair.assert_same(&known).await;

    // One more acquire, before any refill is due, with a correction.
    let mut more = take("user-1", 700);
    more["adjust"] = json!({ "tpm": 50 });
    pair.both("acquire", more).await;
    let wcu = "the reference counts each of its fast writes; we do not charge write units";
    let charge =
        |attribute, ours, theirs| Known { record: "bucket", attribute, how: How::Values(ours, theirs), why: wcu };
    known.push(charge("b_wcu_tk", r#"{"N":"1000000"}"#, r#"{"N":"999000"}"#));
    known.push(charge("b_wcu_tc", r#"{"N":"0"}"#, r#"{"N":"1000"}"#));
    pair.assert_same(&known).await;

    // Failed work is given back, and the bucket is then as before.
    let mut failed = take("key-1", 900);
    failed["abandon"] = true.into();
    pair.both("acquire", failed).await;
    let refunds = "our count of refunds and the last one's stamp, so that none is worth more than the room it left";
    let mark = |attribute| Known { record: "bucket", attribute, how: How::OnlyOurs, why: refunds };
    known.extend(["z_rid", "z_rpm_rb", "z_tpm_rb"].map(mark));
    pair.assert_same(&known).await;

    // An acquire that only fits with what was refilled in three seconds.
    pair.advance(3);
    pair.both("acquire", take("user-1", 14_000)).await;
    pair.assert_same(&known).await;
}

/// Checks a change of limits and its effect on existing buckets.
#[tokio::test(flavor = "multi_thread")]
async fn changed_limits_reach_buckets_alike() {
    let Some(pair) = Pair::open().await else { return };
    pair.both("set_system_defaults", json!({ "rows": rows(), "principal": "ops" })).await;
    let take = json!({ "entity_id": "user-1", "resource": "gpt-4", "consume": { "rpm": 1, "tpm": 500 } });
    pair.both("acquire", take).await;
    let own = json!([{ "name": "rpm", "capacity": 7, "refill_amount": 3, "refill_period_seconds": 3600 }]);
    let own = json!({ "entity_id": "user-1", "resource": "gpt-4", "rows": own, "principal": "ops" });
    let mut known = bucket_marks();
    pair.both("set_limits", own).await;
    known.push(Known {
        record: "bucket",
        attribute: "b_rpm_tk",
        how: How::Values(r#"{"N":"7000"}"#, r#"{"N":"99000"}"#),
        why: "we bring a balance down to a lowered capacity at once, so that no fast write can spend what is above it",
    });
    known.push(Known {
        record: "bucket",
        attribute: "vu",
        how: How::OnlyTheirs,
        why: "0.17 forbids the next fast write instead, and brings the balance down in the slow one",
    });
    pair.assert_same(&known).await;
    pair.both("delete_limits", json!({ "entity_id": "user-1", "resource": "gpt-4", "principal": "ops" })).await;
    pair.assert_same(&known).await;
}
