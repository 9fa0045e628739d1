//! `zae-deploy limits …` as a user types it, against a table.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tokio::net::TcpListener;
use zae_limiter::{EmbeddedStore, Limit, NamespaceName, Repository, ResourceName};

use super::manifests::SEED;
use zae_testkit::snapshot;

/// An embedded store over HTTP, and a folder for files.
struct Stage {
    store: EmbeddedStore,
    endpoint: String,
    folder: tempfile::TempDir,
}

/// The result of a command.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Stage {
    async fn new() -> Self {
        let store = EmbeddedStore::memory().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let served = store.clone();
        tokio::spawn(async move { served.serve(listener, std::future::pending()).await.unwrap() });
        let stage = Self { store, endpoint, folder: tempfile::tempdir().unwrap() };
        stage.repository("default").await;
        stage
    }

    async fn repository(&self, namespace: &str) -> Repository {
        let builder = Repository::builder().stack("limiter").embedded_store(&self.store);
        builder.namespace(NamespaceName::new(namespace).unwrap()).build().await.unwrap()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn run(&self, words: &[&str], file: &std::path::Path) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zae-deploy"));
        command
            .arg("limits")
            .args(words)
            .arg("-f")
            .arg(file)
            .args(["-n", "limiter", "--endpoint-url", &self.endpoint])
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Compares the output of the commands with snapshots.
#[tokio::test]
async fn what_they_show() {
    let stage = Stage::new().await;
    let seed = stage.file("limits.yaml", SEED);
    let shows = async |name: &str, words: &[&str], file| {
        for (output, end) in [("table", "txt"), ("json", "json")] {
            let ran = stage.run(&[words, &["--direct", "--output", output]].concat(), file).await;
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{words:?}");
            snapshot::compare(&format!("{name}.{end}"), &ran.stdout);
        }
    };
    shows("limits-plan", &["plan"], &seed).await;
    shows("limits-diff", &["diff"], &seed).await;
    let apply = stage.run(&["apply", "--direct"], &seed).await;
    snapshot::compare("limits-apply.txt", &apply.stdout);
    shows("limits-apply-none", &["apply"], &seed).await;
    shows("limits-plan-none", &["plan"], &seed).await;
    shows("limits-diff-none", &["diff"], &seed).await;
    let other = stage.file("other.yaml", "namespace: default\nsystem:\n  limits:\n    rpm: { capacity: 1 }\n");
    shows("limits-plan-change", &["plan"], &other).await;
    shows("limits-diff-change", &["diff"], &other).await;
    let apply = stage.run(&["apply", "--direct", "--yes", "--output", "json"], &other).await;
    snapshot::compare("limits-apply.json", &apply.stdout);
}

#[tokio::test]
async fn plan_apply_and_diff() {
    let stage = Stage::new().await;
    let seed = stage.file("limits.yaml", SEED);
    let plan = stage.run(&["plan", "--direct"], &seed).await;
    assert_eq!((plan.code, plan.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = plan.stdout.lines().collect();
    assert_eq!(
        lines[..4],
        ["Plan: 4 change(s)", "", "  + create system: (system defaults)", "      + on_unavailable: block"]
    );
    assert!(
        plan.stdout.contains("\n  + create entity: user-premium/gpt-4\n      + rpm.capacity: 1000\n"),
        "{}",
        plan.stdout
    );
    assert_eq!(lines.last(), Some(&"4 to create in namespace 'default' of stack 'limiter'."));
    assert_eq!(stage.run(&["plan", "--direct", "--detailed-exitcode"], &seed).await.code, 2);

    let applied = stage.run(&["apply", "--direct"], &seed).await;
    assert_eq!((applied.code, applied.stderr.as_str()), (0, ""));
    assert!(applied.stdout.ends_with("✓ Applied: 4 created, 0 updated, 0 deleted.\n"), "{}", applied.stdout);
    let plan = stage.run(&["plan", "--direct", "--detailed-exitcode"], &seed).await;
    assert_eq!((plan.code, plan.stdout.as_str()), (0, "No changes. Infrastructure is up-to-date.\n"));
    let diff = stage.run(&["diff", "--direct", "--detailed-exitcode"], &seed).await;
    assert_eq!((diff.code, diff.stdout.as_str()), (0, "No drift detected. Live state matches YAML.\n"));

    let gpt4 = ResourceName::new("gpt-4").unwrap();
    let raised = [Limit::per_minute("rpm", 900).unwrap(), Limit::per_minute("tpm", 50_000).unwrap()];
    let raised = zae_limiter::Limits::new(raised).unwrap();
    stage.repository("default").await.set_resource_defaults(&gpt4, &raised).await.unwrap();
    let diff = stage.run(&["diff", "--direct"], &seed).await;
    let expected = "\
Drift detected: 1 difference(s)

  ~ resource: gpt-4
      ~ rpm.capacity: 900 stored, 500 in the file
      ~ rpm.refill_amount: 900 stored, 500 in the file
";
    assert_eq!((diff.code, diff.stdout.as_str()), (0, expected));
    assert_eq!(stage.run(&["diff", "--direct", "--detailed-exitcode"], &seed).await.code, 2);
    let applied = stage.run(&["apply", "--direct"], &seed).await;
    assert!(
        applied.stdout.contains("  ~ update resource: gpt-4\n      ~ rpm.capacity: 900 → 500\n"),
        "{}",
        applied.stdout
    );
}

#[tokio::test]
async fn what_is_deleted_is_asked_for() {
    let stage = Stage::new().await;
    let seed = stage.file("limits.yaml", SEED);
    assert_eq!(stage.run(&["apply", "--direct"], &seed).await.code, 0, "nothing is deleted, nothing is asked");
    let other = stage.file("other.yaml", "namespace: default\nsystem:\n  limits:\n    rpm: { capacity: 1 }\n");
    let refused = stage.run(&["apply", "--direct"], &other).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    for text in ["\n  - resource: gpt-4\n", "\n  - entity: user-premium/gpt-4\n", "--yes"] {
        assert!(refused.stderr.contains(text), "{text}: {}", refused.stderr);
    }
    let plan = stage.run(&["plan", "--direct"], &seed).await;
    assert_eq!(plan.stdout, "No changes. Infrastructure is up-to-date.\n", "nothing was changed");
    let applied = stage.run(&["apply", "--direct", "--yes"], &other).await;
    assert!(applied.stdout.contains("3 deleted"), "{applied:?}");
    assert_eq!(stage.run(&["apply", "--direct"], &other).await.code, 0);
}

#[tokio::test]
async fn programs_read_json() {
    let stage = Stage::new().await;
    let seed = stage.file("limits.yaml", SEED);
    let plan = stage.run(&["plan", "--direct", "--output", "json"], &seed).await;
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["namespace"], plan["changes"].as_array().unwrap().len()), (&"default".into(), 4));
    let applied = stage.run(&["apply", "--direct", "--output", "json"], &seed).await;
    let applied: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert_eq!((&applied["created"], &applied["errors"]), (&4.into(), &Value::Array(vec![])));
    let diff = stage.run(&["diff", "--direct", "--output", "json"], &seed).await;
    assert_eq!(serde_json::from_str::<Value>(&diff.stdout).unwrap()["drifted"], false);
}

#[tokio::test]
async fn the_namespace_on_the_command_line_goes_first_and_is_registered_by_apply_only() {
    let stage = Stage::new().await;
    let seed = stage.file("limits.yaml", SEED);
    let unknown = stage.run(&["plan", "--direct", "-N", "tenant-alpha"], &seed).await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("Namespace 'tenant-alpha' not found"), "{}", unknown.stderr);
    let applied = stage.run(&["apply", "--direct", "-N", "tenant-alpha"], &seed).await;
    assert_eq!(applied.code, 0, "{applied:?}");
    assert!(applied.stderr.contains("is written for namespace 'default'"), "{}", applied.stderr);
    let gpt4 = ResourceName::new("gpt-4").unwrap();
    assert!(stage.repository("tenant-alpha").await.resource_defaults(&gpt4).await.unwrap().is_some());
    assert_eq!(stage.repository("default").await.resource_defaults(&gpt4).await.unwrap(), None);

    let nameless = stage.file("nameless.yaml", "system: {limits: {rpm: {capacity: 1}}}");
    let refused = stage.run(&["plan", "--direct"], &nameless).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("does not name the namespace"), "{}", refused.stderr);
    assert_eq!(stage.run(&["plan", "--direct", "-N", "default"], &nameless).await.code, 0);
}

#[tokio::test]
async fn wrong_files_are_refused_with_file_line_and_column() {
    let stage = Stage::new().await;
    let wrong = stage.file("wrong.yaml", "namespace: default\nresources:\n  gpt-4:\n    limit:\n      rpm: {}\n");
    for words in [&["plan", "--direct"][..], &["apply"], &["diff"], &["cfn-template"]] {
        let ran = stage.run(words, &wrong).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{words:?}");
        let expected = format!("{}:4:5: resources.gpt-4: unknown key `limit`; did you mean `limits`?", wrong.display());
        assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    }
    let missing = stage.run(&["plan", "--direct"], &stage.folder.path().join("no.yaml")).await;
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("no.yaml"), "{}", missing.stderr);
}

#[tokio::test]
async fn a_template_is_printed_without_a_stack() {
    let stage = Stage::new().await;
    let seed = stage.file("limits.yaml", SEED);
    let template = stage.run(&["cfn-template"], &seed).await;
    assert_eq!(template.code, 0);
    assert!(template.stdout.contains("Type: Custom::ZaeLimiterLimits\n"), "{}", template.stdout);
    assert!(template.stdout.contains("ServiceToken: !ImportValue limiter-ProvisionerArn\n"), "{}", template.stdout);
}

#[tokio::test]
async fn without_a_function_the_error_says_what_to_do() {
    let stage = Stage::new().await;
    let seed = stage.file("limits.yaml", SEED);
    // There is no Lambda at this endpoint.
    let ran = stage.run(&["plan"], &seed).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("limiter-limits-provisioner") && ran.stderr.contains("--direct"), "{}", ran.stderr);
}
