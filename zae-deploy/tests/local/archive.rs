//! Audit events that expire in a local stack.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::{Stack, patient};

/// Returns the files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Returns the events in the objects below `folder`.
fn events(folder: &Path) -> Vec<Value> {
    let objects = files(folder).into_iter().filter(|file| file.extension().is_some_and(|end| end == "gz"));
    let texts = objects.map(|file| std::io::read_to_string(GzDecoder::new(fs::File::open(file).unwrap())).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

impl Stack {
    /// Returns the keys of audit events about `target`.
    async fn audit_keys(&self, target: &str) -> Vec<[(String, AttributeValue); 2]> {
        let scanned = self.client().scan().table_name("limiter").send().await.unwrap();
        let about = |pk: &str| pk.contains("/AUDIT#") && pk.ends_with(target);
        let items = scanned.items().iter().filter(|item| about(item["PK"].as_s().unwrap()));
        items.map(|item| ["PK", "SK"].map(|name| (name.to_owned(), item[name].clone()))).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_events_go_to_a_folder_once() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (stack, up) = Stack::up(&["--keep", "--archive", elsewhere.path().to_str().unwrap()]);
    assert!(up.stdout.contains("data.sqlite"), "{}", up.stdout);
    stack.ok(&["resource", "set-defaults", "gone", "-l", "rpm:7", "--principal", "mallory"]);
    stack.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:7", "--principal", "ada"]);
    let client = stack.client();
    // An explicit removal is not an expiry.
    for key in stack.audit_keys("gone").await {
        client.delete_item().table_name("limiter").set_key(Some(key.into())).send().await.unwrap();
    }
    let keys = stack.audit_keys("gpt-4").await;
    assert_eq!(keys.len(), 1);
    for key in keys {
        // A minute ago, which the table takes for ninety days after its creation.
        let past = jiff::Timestamp::now().as_second() - 60;
        let request = client.update_item().table_name("limiter").set_key(Some(key.into()));
        let request = request.update_expression("SET #t = :t").expression_attribute_names("#t", "ttl");
        let request = request.expression_attribute_values(":t", AttributeValue::N(past.to_string()));
        request.send().await.unwrap();
    }
    let started = Instant::now();
    while events(elsewhere.path()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", stack.ok(&["local", "logs"]));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let files = files(elsewhere.path());
    let name = files[0].strip_prefix(elsewhere.path()).unwrap().to_str().unwrap();
    assert!(name.starts_with("audit/year=") && name.ends_with(".jsonl.gz"), "{name}");
    let archived = events(elsewhere.path());
    assert_eq!((archived.len(), &archived[0]["principal"]), (1, &Value::from("ada")), "{archived:?}");
    assert_eq!((&archived[0]["action"], &archived[0]["resource"]), (&"limits_set".into(), &"gpt-4".into()));
    assert!(stack.ok(&["audit", "list", "-e", "$RESOURCE:gpt-4"]).contains("No audit events"));

    // A later run continues where this one ended, with the archive in its default location.
    stack.ok(&["local", "down"]);
    let folder = std::mem::replace(&mut { stack }.folder, tempfile::tempdir().unwrap());
    let default = folder.path().join("local").join("limiter").join("archive");
    let (stack, _) = Stack::up_in(folder, &["--keep"]);
    let status = stack.until(&["local", "status"], |status| status["running"] == true).await;
    assert_eq!(status["archive"], default.to_str().unwrap());
    stack.ok(&["entity", "set-limits", "key-1", "--resource", "gpt-4", "-l", "rpm:7"]);
    let limiter = patient(stack.repository().await);
    limiter.acquire("key-1", "gpt-4", zae_limiter::Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
    limiter.shutdown().await;
    stack.until(&["usage", "summary", "-e", "key-1"], |usage| usage["totals"]["rpm"]["total"] == 1).await;
    assert_eq!(events(&default), Vec::<Value>::new());
}
