//! A document that processes share does not affect the other side, and is removed with its namespace.

use std::sync::Arc;

use serde_json::{Value, json};
use zae_limiter::{NamespaceName, Repository, SharedDocument};

use super::table::{By, Table, text};

fn is_document(item: &super::table::Item) -> bool {
    text(item, "SK").starts_with("#Z_DOCUMENT#")
}

#[tokio::test(flavor = "multi_thread")]
async fn they_do_not_see_our_documents_and_purge_them() {
    let Some(table) = Table::open(By::Us).await else { return };
    let builder = Repository::builder().client(table.store.client()).clock(Arc::clone(&table.clock) as _);
    let repository = builder.namespace(NamespaceName::new("tenant-a").unwrap()).build().await.unwrap();
    let rows = json!([{ "name": "rpm", "capacity": 10, "refill_amount": 10, "refill_period_seconds": 60 }]);
    table.ours.ok("set_system_defaults", json!({ "ns": "tenant-a", "rows": rows, "principal": "ops" })).await;
    assert!(repository.put_document("prices", SharedDocument::ABSENT, b"\x1f\x8b").await.unwrap());

    let one = json!({ "ns": "tenant-a", "entity_id": "prices", "resource": "gpt-4", "consume": { "rpm": 1 } });
    for side in [&table.theirs, &table.ours] {
        side.ok("acquire", one.clone()).await;
    }
    let left = json!({ "ns": "tenant-a", "entity_id": "prices", "resource": "gpt-4" });
    assert_eq!(table.theirs.ok("available", left).await, json!({ "rpm": 8 }));
    table.theirs.ok("set_system_defaults", json!({ "ns": "tenant-a", "rows": rows, "principal": "ops" })).await;
    assert_eq!(repository.document("prices").await.unwrap().unwrap().body, b"\x1f\x8b", "their writes leave it");

    let name = json!({ "name": "tenant-a" });
    table.theirs.ok("delete_namespace", name.clone()).await;
    assert!(table.items().await.iter().any(is_document));
    table.theirs.ok("purge_namespace", name).await;
    assert!(!table.items().await.iter().any(is_document));
    assert_ne!(table.theirs.ok("get_namespace", json!({ "name": "default" })).await, Value::Null);
}
