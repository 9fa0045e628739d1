//! `resource …`.

use crate::stage::Stage;

#[test]
fn defaults_are_set_shown_listed_and_deleted() {
    let stage = Stage::deployed();
    stage.shows("resource-list-none", &["resource", "list"]);
    stage.shows("resource-set", &["resource", "set-defaults", "gpt-4", "-l", "rpm:50", "-l", "tpm:100000"]);
    // Options may precede the name, and names may contain dots.
    stage.ok(&["resource", "set-defaults", "-l", "rpm:200", "--limit", "tpm:500000", "gpt-3.5-turbo"]);
    stage.shows("resource-get", &["resource", "get-defaults", "gpt-4"]);
    stage.shows("resource-get-unknown", &["resource", "get-defaults", "gtp-4"]);
    stage.shows("resource-list", &["resource", "list"]);
    stage.snapshot("resource-replace.txt", &stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:60"]));
    let before = stage.items();
    stage.fails("resource-delete-unasked", &["resource", "delete-defaults", "gpt-4"], 1);
    assert_eq!(stage.items(), before);
    stage.snapshot("resource-delete.txt", &stage.ok(&["resource", "delete-defaults", "gpt-4", "--yes"]));
    stage.shows("resource-delete-none", &["resource", "delete-defaults", "gpt-4", "--yes"]);
    assert_eq!(stage.json(&["resource", "list"])["resources"], serde_json::json!(["gpt-3.5-turbo"]));
}

#[test]
fn yaml_says_what_json_says() {
    let stage = Stage::deployed();
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:50", "-l", "tpm:100000"]);
    let args = ["resource", "get-defaults", "gpt-4", "--output", "yaml"];
    let text = stage.ok(&args);
    let yaml: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(yaml, stage.json(&args[..3]));
    stage.snapshot("resource-get.yaml", &text);
}

#[test]
fn what_a_provider_calls_its_model_names_its_resource() {
    let stage = Stage::deployed();
    let (model, name) = ("@cf/meta/llama-3-8b-instruct", "cf/meta/llama-3-8b-instruct-a4e892fb14f757d2ef94");
    let said = stage.ok(&["resource", "set-defaults", model, "-l", "rpm:5"]);
    assert!(said.contains(&format!("The model '{model}' is the resource '{name}'.")), "{said}");
    for (spelling, note) in [(model, said.lines().next().unwrap()), (name, "")] {
        let ran = stage.run(&["resource", "get-defaults", spelling, "--output", "json"]);
        assert_eq!((ran.code, ran.stderr.trim_end()), (0, note), "a note beside a document is not part of it");
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&json["resource"], &json["limits"][0]["name"]), (&name.into(), &"rpm".into()), "{json}");
    }
    stage.ok(&["entity", "set-limits", "user-1", "-r", model, "-l", "rpm:7"]);
    assert_eq!(stage.json(&["entity", "get-limits", "user-1", "-r", name])["resource"], name);
}

#[test]
fn a_resource_is_switched_off_and_on() {
    let stage = Stage::deployed();
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:50"]);
    stage.shows("resource-disable", &["resource", "disable", "gpt-4"]);
    stage.shows("resource-get-disabled", &["resource", "get-defaults", "gpt-4"]);
    stage.shows("resource-enable", &["resource", "enable", "gpt-4"]);
    stage.snapshot("resource-get-enabled.txt", &stage.ok(&["resource", "get-defaults", "gpt-4"]));
    stage.shows("resource-clear-disabled", &["resource", "clear-disabled", "gpt-4"]);
    assert!(stage.json(&["resource", "get-defaults", "gpt-4"]).get("access").is_none());
    let minimum = || stage.json(&["version"])["record"]["client_min_version"].clone();
    let before = minimum();
    let said = stage.ok(&["resource", "disable", "gpt-4", "--raise-minimum"]);
    assert!(said.contains("clients before 0.17 can no longer use this table"), "{said}");
    assert_ne!(minimum(), before);
    let said = stage.ok(&["resource", "disable", "gpt-4"]);
    assert_eq!(said, "Disabled resource 'gpt-4' (0 buckets stamped)\n", "nobody is left who does not know it");
}
