//! `doctor`: every planted fault is found, with its remedy.

use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveSpecification};
use serde_json::Value;

use crate::stage::{STACK, Stage, run};

/// Returns the check of that name: its state and all its text.
fn check(stage: &Stage, name: &str, more: &[&str]) -> (String, String) {
    let ran = stage.run(&[&["doctor", "--name", STACK, "--output", "json"], more].concat());
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let checks = answer["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {answer:#}"));
    let failed = checks.iter().any(|check| check["state"] == "failed");
    assert_eq!((ran.code == 1, answer["healthy"] == false), (failed, failed), "{answer:#}");
    let next = check["next"].as_array().unwrap().iter().map(|next| next.as_str().unwrap());
    let says = std::iter::once(check["says"].as_str().unwrap()).chain(next).collect::<Vec<_>>().join(" → ");
    (check["state"].as_str().unwrap().to_owned(), says)
}

fn finds(stage: &Stage, name: &str, more: &[&str], state: &str, says: &str) {
    let (found, said) = check(stage, name, more);
    assert_eq!(found, state, "{name}: {said}");
    assert!(said.contains(says), "{name}: {said}");
}

#[test]
fn a_table_as_it_should_be_has_no_failures() {
    let stage = Stage::deployed();
    for name in ["region", "endpoint", "clock", "table", "indexes", "version", "namespace"] {
        let (state, says) = check(&stage, name, &[]);
        assert_eq!(state, "ok", "{name}: {says}");
    }
}

#[test]
fn records_that_are_missing_or_foreign_are_found() {
    let stage = Stage::deployed();
    finds(&stage, "namespace", &["-N", "tenant"], "failed", "namespace register tenant");
    stage.ok(&["namespace", "register", "tenant"]);
    stage.ok(&["namespace", "delete", "tenant", "--yes"]);
    finds(&stage, "namespace", &["-N", "tenant"], "failed", "namespace recover");
    finds(&stage, "namespace", &["-N", "_"], "failed", "is reserved");

    let record = |stage: &Stage| {
        stage.items().into_iter().find(|item| item["SK"].as_s().is_ok_and(|sk| sk == "#VERSION")).unwrap()
    };
    let changed = |name: &str, value: &str| {
        let mut item = record(&stage);
        item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
        stage.put(item);
    };
    changed("lambda_version", "0.9.0");
    finds(&stage, "version", &[], "warning", "upgrade");
    changed("client_min_version", "99.0.0");
    finds(&stage, "version", &[], "failed", "99.0.0 or newer");
    changed("client_min_version", "0.0.0");
    changed("schema_version", "9.0.0");
    finds(&stage, "version", &[], "failed", "schema 9.0.0");
    let client = stage.store.client();
    let key = |name: &str| record(&stage)[name].clone();
    let delete = client.delete_item().table_name(STACK).key("PK", key("PK")).key("SK", key("SK")).send();
    stage.runtime.block_on(delete).unwrap();
    finds(&stage, "version", &[], "failed", "namespace register default");
}

#[test]
fn a_table_that_is_missing_or_lacks_something_is_found() {
    let stage = Stage::empty();
    finds(&stage, "table", &[], "failed", "zae-deploy deploy");
    let stage = Stage::deployed();
    let off = TimeToLiveSpecification::builder().enabled(false).attribute_name("ttl").build().unwrap();
    let client = stage.store.client();
    let update = client.update_time_to_live().table_name(STACK).time_to_live_specification(off).send();
    let updated = stage.runtime.block_on(update);
    if updated.is_ok() {
        finds(&stage, "time to live", &[], "failed", "aws dynamodb update-time-to-live");
    }
}

#[test]
fn this_machine_is_looked_at_first() {
    let stage = Stage::deployed();
    let diagnosed = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = stage.command(&[&["doctor", "--name", STACK], args].concat());
        run(command.envs(variables.iter().copied()))
    };
    let empty = diagnosed(&[("AWS_PROFILE", ""), ("AWS_SESSION_TOKEN", "")], &[]);
    let expected = "⚠ environment    set, but empty: AWS_PROFILE, AWS_SESSION_TOKEN; they count as unset here";
    assert!(empty.stdout.contains(expected), "{}", empty.stdout);
    let mut command = crate::stage::binary();
    let dead = run(command.args(["doctor", "--name", STACK, "--endpoint-url", "http://127.0.0.1:1"]));
    assert_eq!(dead.code, 1);
    assert!(dead.stdout.contains("✗ endpoint"), "{}", dead.stdout);
    let mut command = crate::stage::binary();
    let nowhere = run(command.args(["doctor", "--name", STACK]).env_remove("AWS_REGION"));
    assert!(nowhere.stdout.contains("✗ region         No AWS region is configured"), "{}", nowhere.stdout);
    let unnamed = stage.run(&["doctor"]);
    assert_eq!(unnamed.code, 2, "{unnamed:?}");
}
