//! Our items equal those recorded from the Python package (`tests/vectors/requests.json`).

use serde_json::{Value, json};
use zae_limiter::{Limit, Limits, NewEntity, Repository, StoredPolicy, SystemDefaults};
use zae_testkit::{Bench, START, limits, raw, rpm};

use crate::names::{id, resource, scope};

const REFERENCE_NAMESPACE: &str = "Ns000000001";

fn hourly(rate: u64) -> Limits {
    Limit::per_hour("rpm", rate).unwrap().into()
}

fn system() -> Limits {
    let tpm = Limit::per_minute("tpm", 10_000).unwrap().with_burst(15_000).unwrap();
    limits([rpm(100), tpm])
}

/// Performs a scenario on our side; returns `false` for scenarios outside of these tests.
async fn act(r: &Repository, scenario: &str) -> bool {
    let r = &r.acting_as("admin@example.com").unwrap();
    let done = match scenario {
        // Opening the repository registered it.
        "register_namespace (new)" => Ok(()),
        "create_entity (parent)" => {
            let project = NewEntity::new(id("proj-1")).name("Project One").metadata("tier", "gold");
            r.create_entity(project).await.map(drop)
        }
        "create_entity (child, cascade)" => {
            r.create_entity(NewEntity::new(id("key-1")).parent(id("proj-1")).cascading()).await.map(drop)
        }
        "set_system_defaults" => {
            r.set_system_defaults(SystemDefaults::new(system()).on_unavailable(StoredPolicy::Block)).await
        }
        "set_resource_defaults" => r.set_resource_defaults(&resource("openai/gpt-4"), rpm(50)).await,
        "set_limits (new config, no bucket yet)" => {
            r.set_limits(&id("proj-1"), &scope("openai/gpt-4"), &hourly(1_000)).await
        }
        "set_limits (overwrite existing config)" => {
            r.set_limits(&id("proj-1"), &scope("openai/gpt-4"), &hourly(2_000)).await
        }
        "set_limits with an existing bucket: bucket parameter sync succeeds" => {
            r.set_limits(&id("vip"), &scope("other"), rpm(20)).await
        }
        "delete_limits (limiter level): delete, registry cleanup, reconcile to system defaults with TTL" => {
            r.delete_limits(&id("vip"), &scope("other")).await.map(drop)
        }
        "delete_resource_defaults" => r.delete_resource_defaults(&resource("openai/gpt-4")).await.map(drop),
        "delete_system_defaults" => r.delete_system_defaults().await.map(drop),
        "delete_entity" => {
            let limits = [("rpm", 0, 1_000, 1_000, 60_000)];
            raw::put(r, &raw::bucket(r, ("solo", "other"), (0, 1), START, &limits)).await;
            r.delete_entity(&id("solo")).await.map(drop)
        }
        _ => return false,
    };
    done.unwrap();
    true
}

/// Returns the items that a scenario's calls put, in the namespace `ns`.
fn put_items(calls: &Value, ns: &str) -> Vec<Value> {
    let mut items = Vec::new();
    for call in calls.as_array().unwrap() {
        let params = &call["params"];
        items.extend(params.get("Item").cloned());
        let parts = params["TransactItems"].as_array().into_iter().flatten();
        items.extend(parts.filter_map(|part| part["Put"].get("Item").cloned()));
    }
    let rename = |item: Value| serde_json::from_str(&item.to_string().replace(REFERENCE_NAMESPACE, ns)).unwrap();
    items.into_iter().map(rename).collect()
}

fn is_audit(item: &Value) -> bool {
    item["SK"]["S"].as_str().unwrap().starts_with("#AUDIT#")
}

/// Removes an event's random id, and the values before the change, which the Python package does not record.
fn anonymous(mut event: Value) -> Value {
    event["SK"] = json!(null);
    event["event_id"] = json!(null);
    if let Some(details) = event["details"]["M"].as_object_mut() {
        details.retain(|name, _| !name.starts_with("previous_"));
    }
    event
}

/// Removes the stamp of an entity: it came with 0.17, after these calls were recorded.
fn without_marks(mut item: Value) -> Value {
    if let Some(attributes) = item.as_object_mut() {
        attributes.retain(|name, _| !matches!(name.as_str(), "pinc" | "pgen"));
    }
    item
}

#[tokio::test]
async fn items_are_written_as_the_reference_writes_them() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    let file: Value = serde_json::from_str(include_str!("../vectors/requests.json")).unwrap();
    let (mut scenarios, mut events) = (0, 0);
    for scenario in file["scenarios"].as_array().unwrap() {
        let name = scenario["name"].as_str().unwrap();
        bench.clock.set(scenario["now_ms"].as_i64().unwrap());
        if !act(&r, name).await {
            continue;
        }
        scenarios += 1;
        for expected in put_items(&scenario["calls"], r.namespace_id().as_str()) {
            let (pk, sk) = (expected["PK"]["S"].as_str().unwrap(), expected["SK"]["S"].as_str().unwrap());
            if is_audit(&expected) {
                let latest = raw::partition(&r, pk).await.pop().unwrap_or_else(|| panic!("{name}: no event"));
                assert_eq!(anonymous(latest), anonymous(expected), "{name}");
                events += 1;
            } else {
                assert_eq!(without_marks(raw::get(&r, pk, sk).await), expected, "{name}");
            }
        }
    }
    assert_eq!((scenarios, events), (12, 11));
}
