//! A pause that we store does not affect the other side, and is removed with its namespace.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use zae_limiter::{NamespaceName, Repository, ResourceName};

use super::table::{By, START, Table, text};

fn is_pause(item: &super::table::Item) -> bool {
    text(item, "SK") == "#Z_PAUSE"
}

#[tokio::test(flavor = "multi_thread")]
async fn they_do_not_see_our_pauses_and_purge_them() {
    let Some(table) = Table::open(By::Us).await else { return };
    let builder = Repository::builder().client(table.store.client()).clock(Arc::clone(&table.clock) as _);
    let repository = builder.namespace(NamespaceName::new("tenant-a").unwrap()).build().await.unwrap();
    // The name of a resource that both sides use: the keys of a pause must not collide with a bucket's.
    let scope = ResourceName::new("gpt-4").unwrap();
    let rows = json!([{ "name": "rpm", "capacity": 10, "refill_amount": 10, "refill_period_seconds": 60 }]);
    table.ours.ok("set_system_defaults", json!({ "ns": "tenant-a", "rows": rows, "principal": "ops" })).await;
    assert!(repository.extend_pause(&scope, Duration::from_secs(30), "429").await.unwrap());
    assert!(!repository.extend_pause(&scope, Duration::from_secs(20), "429").await.unwrap(), "it ends earlier");

    for side in [&table.theirs, &table.ours] {
        let one = json!({ "ns": "tenant-a", "entity_id": "z_pause", "resource": "gpt-4", "consume": { "rpm": 1 } });
        side.ok("acquire", one).await;
    }
    let left = json!({ "ns": "tenant-a", "entity_id": "z_pause", "resource": "gpt-4" });
    assert_eq!(table.theirs.ok("available", left.clone()).await, json!({ "rpm": 8 }));
    assert_eq!(table.ours.ok("available", left).await, json!({ "rpm": 8 }));
    let pause = repository.pause(&scope).await.unwrap().unwrap();
    assert_eq!((pause.until_ms, pause.left.as_secs(), pause.reason.as_str()), (START + 30_000, 30, "429"));
    table.advance(30);
    assert_eq!(repository.pause(&scope).await.unwrap(), None, "it is over");
    assert_eq!(repository.pause(&ResourceName::new("gpt-5").unwrap()).await.unwrap(), None);

    let items = table.items().await;
    let stored: Vec<_> = items.iter().filter(|item| is_pause(item)).collect();
    let [stored] = stored[..] else { panic!("{stored:?}") };
    assert!(!stored.keys().any(|name| name.starts_with("GSI2") || name.starts_with("GSI3")), "{stored:?}");
    assert_eq!(stored["ttl"].as_n().unwrap(), &(START / 1000 + 30 + 3600).to_string());

    let name = json!({ "name": "tenant-a" });
    table.theirs.ok("delete_namespace", name.clone()).await;
    table.theirs.ok("purge_namespace", name).await;
    assert!(!table.items().await.iter().any(is_pause));
    assert_ne!(table.theirs.ok("get_namespace", json!({ "name": "default" })).await, Value::Null);
}
