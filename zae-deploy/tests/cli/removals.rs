//! The output of removals for programs.

use crate::stage::Stage;

#[test]
fn what_was_removed_is_told_as_json() {
    let stage = Stage::deployed();
    let does = |name: &str, args: &[&str]| {
        stage.snapshot(&format!("{name}.json"), &stage.ok(&[args, &["--output", "json"]].concat()));
    };
    stage.ok(&["system", "set-defaults", "-l", "rpm:100"]);
    does("system-delete", &["system", "delete-defaults", "--yes"]);
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:100"]);
    does("resource-delete", &["resource", "delete-defaults", "gpt-4", "--yes"]);
    stage.ok(&["entity", "set-limits", "key-1", "-r", "gpt-4", "-l", "rpm:100"]);
    does("entity-delete-limits", &["entity", "delete-limits", "key-1", "-r", "gpt-4", "--yes"]);
    stage.ok(&["entity", "create", "key-1"]);
    does("entity-delete", &["entity", "delete", "key-1", "--yes"]);

    stage.ok(&["namespace", "register", "tenant-alpha"]);
    does("namespace-delete", &["namespace", "delete", "tenant-alpha", "--yes"]);
    let orphans = stage.json(&["namespace", "orphans"]);
    let id = orphans["orphans"][0]["id"].as_str().unwrap().to_owned();
    does("namespace-recover", &["namespace", "recover", &id]);
    stage.ok(&["namespace", "delete", "tenant-alpha", "--yes"]);
    does("namespace-purge", &["namespace", "purge", &id, "--yes"]);
}
