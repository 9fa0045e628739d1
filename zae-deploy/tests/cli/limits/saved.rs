//! Saved plans, and exports of stored limits.

use std::path::Path;

use zae_limiter::{Limit, ResourceName, StoredPolicy, SystemDefaults};

use crate::stage::{Ran, Stage};

const FILE: &str = "
namespace: default
system:
  on_unavailable: block
  limits: { rpm: { capacity: 1000 } }
resources:
  gpt-4: { limits: { tpm: { capacity: 50000, refill_amount: 10000, refill_period: 12 } } }
entities:
  user-premium:
    resources:
      gpt-4: { limits: { rpm: { capacity: 500 } } }
      _default_: { limits: { rpm: { capacity: 50 } } }
";

/// A stage with a file of limits and a path for a plan.
struct Desk {
    stage: Stage,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { stage: Stage::deployed(), folder: tempfile::tempdir().unwrap() };
        std::fs::write(desk.path("limits.yaml"), FILE).unwrap();
        desk
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn limits(&self, words: &[&str]) -> Ran {
        self.stage.run(&[&["limits"], words, &["-n", "limiter"]].concat())
    }

    fn plan(&self) -> String {
        let plan = self.path("limits.plan");
        let ran = self.limits(&["plan", "--direct", "-f", &self.path("limits.yaml"), "-o", &plan]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains(&format!("Saved in {plan}")), "{}", ran.stdout);
        plan
    }

    fn set_resource(&self, name: &str, capacity: u64) {
        let repository = self.stage.repository("default");
        let limits = Limit::per_minute("tpm", capacity).unwrap();
        let name = ResourceName::new(name).unwrap();
        self.stage.runtime.block_on(repository.set_resource_defaults(&name, limits)).unwrap();
    }
}

#[test]
fn a_saved_plan_is_carried_out_without_the_file_and_without_a_question() {
    let desk = Desk::new();
    let plan = desk.plan();
    std::fs::remove_file(desk.path("limits.yaml")).unwrap();
    let ran = desk.limits(&["apply", "--direct", &plan]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let shown = desk.stage.json(&["entity", "get-limits", "user-premium", "--resource", "gpt-4"]);
    assert_eq!(shown["limits"][0]["capacity"], 500);
    let again = desk.limits(&["apply", "--direct", &plan]);
    assert_eq!(again.code, 1, "nothing is left of what was planned: {again:?}");
}

#[test]
fn a_saved_plan_fails_when_the_limits_have_moved_and_changes_nothing() {
    let desk = Desk::new();
    let plan = desk.plan();
    desk.set_resource("gpt-4", 7);
    let before = desk.stage.items();
    let ran = desk.limits(&["apply", "--direct", &plan]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("The limits have changed since"), "{}", ran.stderr);
    assert_eq!(desk.stage.items(), before);
}

#[test]
fn a_saved_plan_is_for_one_stack_and_one_namespace() {
    let desk = Desk::new();
    let plan = desk.plan();
    let other = desk.stage.run(&["limits", "apply", "--direct", &plan, "-n", "other"]);
    assert!(other.stderr.contains("The plan is for stack 'limiter'"), "{}", other.stderr);
    for words in [["namespace", "delete"], ["namespace", "register"]] {
        let yes: &[&str] = if words[1] == "delete" { &["--yes"] } else { &[] };
        desk.stage.ok(&[&words[..], &["default"], yes].concat());
    }
    let anew = desk.limits(&["apply", "--direct", &plan]);
    assert!(anew.stderr.contains("is another one than the plan was made for"), "{}", anew.stderr);
}

#[test]
fn what_is_no_saved_plan_is_refused_with_the_way_to_one() {
    let desk = Desk::new();
    for (name, text, expected) in [
        ("yaml", FILE, "is not a saved plan: "),
        ("empty", "{}", "it has no `form`"),
        ("newer", r#"{"form": 99}"#, "has form 99 of saved plans; this tool knows form 1"),
        ("broken", r#"{"form": 1, "stack": "limiter"}"#, "is not a saved plan: missing field"),
    ] {
        std::fs::write(desk.path(name), text).unwrap();
        let ran = desk.limits(&["apply", "--direct", &desk.path(name)]);
        assert_eq!(ran.code, 1, "{name}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{name}: {}", ran.stderr);
    }
    let both = desk.limits(&["apply", "--direct", "a.plan", "-f", "b.yaml"]);
    let neither = desk.limits(&["apply", "--direct"]);
    assert_eq!((both.code, neither.code), (2, 2));
}

#[test]
fn what_is_exported_is_what_is_stored_and_plans_no_changes() {
    let desk = Desk::new();
    let repository = desk.stage.repository("default");
    let defaults = SystemDefaults::new(Limit::per_minute("rpm", 1_000).unwrap());
    let defaults = defaults.on_unavailable(Some(StoredPolicy::Block));
    desk.stage.runtime.block_on(repository.set_system_defaults(defaults)).unwrap();
    desk.set_resource("gpt-4", 9);
    for (resource, capacity) in [("gpt-4", "rpm:500"), ("_default_", "rpm:50")] {
        desk.stage.ok(&["entity", "set-limits", "user-premium", "--resource", resource, "-l", capacity]);
    }
    desk.stage.ok(&["entity", "disable", "user-banned", "--resource", "gpt-4"]);
    desk.stage.ok(&["resource", "disable", "gpt-5"]);
    desk.stage.ok(&["resource", "set-cascade", "gpt-6", "on"]);
    let exported = desk.stage.ok(&["limits", "export"]);
    desk.stage.snapshot("limits-export.yaml", &exported);
    std::fs::write(desk.path("exported.yaml"), &exported).unwrap();
    let diff = desk.limits(&["diff", "--direct", "-f", &desk.path("exported.yaml")]);
    assert_eq!((diff.code, diff.stdout.as_str()), (0, "No drift detected. Live state matches YAML.\n"), "{diff:?}");
}

#[test]
fn all_namespaces_are_exported_each_to_a_file_of_its_own() {
    let desk = Desk::new();
    let hostile = "../tenant";
    desk.stage.ok(&["namespace", "register", "tenant-alpha"]);
    desk.stage.repository(hostile);
    desk.set_resource("gpt-4", 9);
    let folder = desk.path("out");
    let shown = desk.stage.json(&["limits", "export", "--all-namespaces", &folder]);
    assert_eq!(shown["files"].as_array().map(Vec::len), Some(3), "{shown}");
    let mut files: Vec<String> = std::fs::read_dir(Path::new(&folder))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["%2E.%2Ftenant.yaml", "default.yaml", "tenant-alpha.yaml"]);
    assert!(std::fs::read_to_string(Path::new(&folder).join("default.yaml")).unwrap().contains("gpt-4"));
    let both = desk.stage.run(&["limits", "export", "--all-namespaces", &folder, "-N", "default"]);
    assert_eq!(both.code, 2, "{both:?}");
}
