//! `namespace …`.

use crate::stage::Stage;

#[test]
fn a_namespace_lives_is_deleted_recovered_and_purged() {
    let stage = Stage::deployed();
    stage.shows("namespace-register-one", &["namespace", "register", "tenant-alpha"]);
    stage.shows("namespace-register-several", &["namespace", "register", "tenant-alpha", "tenant-beta"]);
    let ids = |stage: &Stage| stage.json(&["namespace", "list"])["namespaces"].clone();
    let before = ids(&stage);
    assert_eq!(before.as_array().unwrap().len(), 3, "registering twice changes nothing: {before}");
    stage.shows("namespace-list", &["namespace", "list"]);
    stage.shows("namespace-show", &["namespace", "show", "tenant-alpha"]);

    stage.ok(&["system", "set-defaults", "-N", "tenant-beta", "-l", "rpm:10"]);
    let id = stage.json(&["namespace", "show", "tenant-beta"])["id"].as_str().unwrap().to_owned();
    stage.fails("namespace-purge-active", &["namespace", "purge", &id, "--yes"], 1);
    let deleted = stage.ok(&["namespace", "delete", "tenant-beta", "--yes"]);
    stage.snapshot("namespace-delete.txt", &deleted);
    stage.shows("namespace-orphans", &["namespace", "orphans"]);
    stage.fails("namespace-deleted", &["system", "get-defaults", "-N", "tenant-beta"], 1);
    assert!(!stage.ok(&["namespace", "list"]).contains("tenant-beta"));

    stage.snapshot("namespace-recover.txt", &stage.ok(&["namespace", "recover", &id]));
    assert!(stage.ok(&["system", "get-defaults", "-N", "tenant-beta"]).contains("rpm: 10/min"));
    stage.fails("namespace-recover-active", &["namespace", "recover", &id], 1);

    let json = stage.json(&["namespace", "delete", "tenant-beta", "--yes"]);
    assert_eq!(json, serde_json::json!({"name": "tenant-beta", "id": id, "deleted": true}));
    stage.snapshot("namespace-purge.txt", &stage.ok(&["namespace", "purge", &id, "--yes"]));
    stage.shows("namespace-orphans-none", &["namespace", "orphans"]);
    stage.shows("namespace-purge-gone", &["namespace", "purge", &id, "--yes"]);
    stage.fails("namespace-recover-unknown", &["namespace", "recover", "AAAAAAAAAAA"], 1);
}

#[test]
fn a_table_without_any_namespace_can_be_repaired() {
    let stage = Stage::deployed();
    stage.ok(&["namespace", "delete", "default", "--yes"]);
    stage.shows("namespace-list-none", &["namespace", "list"]);
    stage.ok(&["namespace", "register", "default"]);
    stage.ok(&["system", "get-defaults"]);
}

#[test]
fn what_does_not_exist_is_said_with_the_name_that_was_meant() {
    let stage = Stage::deployed();
    stage.ok(&["namespace", "register", "tenant-alpha"]);
    stage.fails("namespace-show-unknown", &["namespace", "show", "tenant-alhpa"], 1);
    stage.shows("namespace-delete-gone", &["namespace", "delete", "tenant-alhpa", "--yes"]);
    stage.fails("namespace-unknown", &["resource", "list", "-N", "tenant-alhpa"], 1);
}

#[test]
fn deleting_and_purging_refuse_without_a_terminal() {
    let stage = Stage::deployed();
    let id = stage.json(&["namespace", "register", "tenant-alpha"])["registered"][0]["id"].as_str().unwrap().to_owned();
    let before = stage.items();
    stage.fails("namespace-delete-unasked", &["namespace", "delete", "tenant-alpha"], 1);
    assert_eq!(stage.items(), before);
    stage.ok(&["namespace", "delete", "tenant-alpha", "-y"]);
    let before = stage.items();
    stage.fails("namespace-purge-unasked", &["namespace", "purge", &id], 1);
    assert_eq!(stage.items(), before);
}

#[test]
fn hostile_names_stay_text() {
    let stage = Stage::deployed();
    // Contains one of this program's own colours.
    let name = "a\u{1b}[31m\nb\u{202e}c";
    let refused = stage.run(&["namespace", "register", name]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("invalid namespace: must not contain control characters"), "{refused:?}");
    for key in [format!("#NAMESPACE#{name}"), "#NSID#AAAAAAAAAAA".to_owned()] {
        let text = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned());
        let fields = [("PK", "_/SYSTEM#"), ("SK", &key), ("namespace_id", "AAAAAAAAAAA"), ("namespace_name", name)];
        let fields = fields.into_iter().chain([("status", "active"), ("created_at", "2026-01-01T00:00:00Z")]);
        stage.put(fields.map(|(name, value)| (name.to_owned(), text(value))).collect());
    }
    let shown = r"a\u{1b}[31m\nb\u{202e}c";
    for args in [
        &["namespace", "list"][..],
        &["namespace", "show", name, "--color", "always"],
        &["namespace", "show", "other"],
        &["namespace", "delete", name],
        &["namespace", "delete", name, "--yes"],
        &["namespace", "recover", "AAAAAAAAAAA"],
    ] {
        let ran = stage.run(args);
        let text = ran.stdout + &ran.stderr;
        assert!(!text.contains("\u{1b}[31m\n") && !text.contains(['\u{202e}']), "{args:?}: {text:?}");
        assert!(text.contains(shown) || args.contains(&"other"), "{args:?}: {text:?}");
    }
    assert_eq!(stage.json(&["namespace", "show", name])["name"], name);
}
