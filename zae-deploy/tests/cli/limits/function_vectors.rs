//! The Python package's limits function and ours, event by event on one table (`tests/vectors/provisioner-calls.json`).

use std::time::Duration;

use serde_json::{Value, json};
use zae_deploy::provisioner::Functions;
use zae_limiter::{EntityId, NewEntity, Repository};

/// Scenarios that this test leaves out: the first three are about a store that refuses, which `provisioning.rs` plays,
/// and the last one is about an older function. The events of custom resources are left out, too: here a manifest has
/// an owner, and another one's does not remove what it declares (`ownership.rs`).
const OTHERS: [&str; 4] = [
    "apply: the fan-out fails",
    "plan while a fan-out is pending",
    "apply again: nothing to write, the pending fan-out is claimed and done",
    "apply: session quota with older Lambdas",
];

/// The changes of an answer: action, level and target, sorted.
fn changes(answer: &Value) -> Vec<String> {
    let change = |change: &Value| {
        let target = change["target"].as_str().unwrap_or("-");
        format!("{} {} {target}", change["action"].as_str().unwrap(), change["level"].as_str().unwrap())
    };
    let mut all: Vec<String> = answer["changes"].as_array().unwrap().iter().map(change).collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn each_event_is_answered_as_by_the_reference() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/provisioner-calls.json")).unwrap();
    let repository = Repository::embedded().await.unwrap();
    repository.create_entity(NewEntity::new(EntityId::new("org").unwrap())).await.unwrap();
    let child = NewEntity::new(EntityId::new("u").unwrap()).parent(EntityId::new("org").unwrap());
    repository.create_entity(child).await.unwrap();
    let functions = Functions::new(repository.client().clone(), repository.stack().as_str());
    let mut played = 0;
    for scenario in vectors["scenarios"].as_array().unwrap() {
        let (name, expected) = (scenario["name"].as_str().unwrap(), &scenario["result"]);
        if OTHERS.contains(&name) || scenario.get("event").is_some() {
            continue;
        }
        let action = if name.starts_with("plan") { "plan" } else { "apply" };
        let mut manifest = scenario["manifest"].clone();
        manifest["namespace"] = "default".into();
        let event = json!({"action": action, "manifest": manifest});
        let answer = functions.handle(&event, Duration::from_secs(30)).await.unwrap();
        assert_eq!(answer["status"], expected["status"], "{name}");
        // A full apply writes all items anew. Ours compares what they mean, so there is nothing to repair.
        let full = expected["full"] == json!(true);
        assert_eq!(changes(&answer), if full { Vec::new() } else { changes(expected) }, "{name}: {answer}");
        if action == "apply" && !full {
            for field in ["created", "updated", "deleted", "errors"] {
                assert_eq!(answer[field], expected[field], "{name}: {answer}");
            }
        }
        assert_eq!(repository.pending_fanouts().await.unwrap(), [], "{name}");
        played += 1;
    }
    assert_eq!(played, 6);
}
