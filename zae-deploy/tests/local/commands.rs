//! The stack commands of this tool and of the Python package, on a local stack.

use std::process::Command;

use serde_json::Value;
use zae_limiter::{Cost, Repository};

use zae_testkit::venv;

use crate::{Stack, patient, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

impl Stack {
    fn listed(&self) -> Vec<String> {
        let listed = json(&self.ok(&["list", "--output", "json"]));
        let names = listed["limiters"].as_array().unwrap().iter();
        names
            .map(|info| format!("{} {}", info["stack_name"].as_str().unwrap(), info["stack_status"].as_str().unwrap()))
            .collect()
    }

    /// Runs the Python package's own command.
    fn python(&self, words: &[&str]) -> Option<crate::Ran> {
        let python = venv::interpreter()?;
        let mut command = Command::new(python.with_file_name("zae-limiter"));
        command.args(words).env_clear().envs(&self.environment).env("HOME", self.folder.path());
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("PYTHONWARNINGS", "ignore").env("PATH", "/usr/bin:/bin");
        Some(run(&mut command))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_own_stack_is_one_like_others() {
    let (stack, _) = Stack::up(&[]);
    assert_eq!(stack.listed(), ["limiter CREATE_COMPLETE"]);
    let status = stack.ok(&["status", "--name", "limiter", "--region", "us-east-1"]);
    for line in [
        "  Available:     ✓ Yes",
        "  Stack:         CREATE_COMPLETE",
        "  Table:         ACTIVE",
        "  Aggregator:    Enabled",
        "  Provisioner:   Enabled",
        "  Schema:        0.10.0",
        "  Lambda:        0.17.0",
        "  AcquireOnly:   arn:aws:iam::000000000000:policy/limiter-acq",
        "✓ Infrastructure is ready",
    ] {
        assert!(status.lines().any(|shown| shown == line), "no {line:?} in {status}");
    }
    let deployed = stack.ok(&["deploy", "--name", "limiter", "--region", "us-east-1", "--no-code"]);
    assert!(deployed.contains("✓ Stack 'limiter' is up to date; nothing was changed"), "{deployed}");
    let deployed = stack.ok(&["deploy", "--no-code", "--log-retention-days", "90", "--pitr-recovery-days", "7"]);
    assert!(deployed.contains("~ modify      RateLimitsTable (AWS::DynamoDB::Table): PointInTime"), "{deployed}");
    assert!(deployed.contains("✓ Stack update complete"), "{deployed}");
    assert_eq!(stack.listed(), ["limiter UPDATE_COMPLETE"]);

    stack.ok(&["delete", "--name", "limiter", "--region", "us-east-1", "--yes"]);
    assert_eq!(stack.listed(), Vec::<String>::new());
    let gone = stack.run(&["status", "--name", "limiter"]);
    assert!(gone.code == 1 && gone.stderr.contains("not available"), "{gone:?}");
    stack.ok(&["deploy", "--name", "limiter", "--no-code"]);
    stack.ok(&["system", "set-defaults", "-l", "rpm:100"]);
    assert_eq!(stack.listed(), ["limiter CREATE_COMPLETE"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_stack_has_a_table_and_functions_of_its_own() {
    let (stack, _) = Stack::up(&["--keep"]);
    let deploy = ["deploy", "--name", "second", "--no-code", "--no-alarms", "--tag", "env=dev", "--output", "json"];
    let deployed = json(&stack.ok(&deploy));
    assert_eq!((&deployed["outcome"], &deployed["status"]), (&"created".into(), &"CREATE_COMPLETE".into()));
    assert_eq!(stack.listed(), ["limiter CREATE_COMPLETE", "second CREATE_COMPLETE"]);

    let file = stack.folder.path().join("limits.yaml");
    std::fs::write(&file, crate::MANIFEST).unwrap();
    let named = ["--name", "second"];
    let words = [&["limits", "apply", "-f", file.to_str().unwrap()][..], &named].concat();
    assert!(stack.ok(&words).contains("Applied: 1 created"));
    assert!(stack.ok(&["resource", "get-defaults", "gpt-4"]).contains("No defaults"), "the other stack has none");
    let opened = Repository::builder().client(stack.client()).stack("second").build().await.unwrap();
    let limiter = patient(opened);
    limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 3)).await.unwrap().commit().await.unwrap();
    limiter.shutdown().await;
    let usage = [&["usage", "summary", "-e", "key-1"][..], &named].concat();
    stack.until(&usage, |usage| usage["totals"]["rpm"]["total"] == 3).await;

    // The state of stacks is stored beside their data.
    stack.ok(&["local", "down"]);
    let folder = std::mem::replace(&mut { stack }.folder, tempfile::tempdir().unwrap());
    let (stack, _) = Stack::up_in(folder, &["--keep"]);
    assert_eq!(stack.listed(), ["limiter CREATE_COMPLETE", "second CREATE_COMPLETE"]);
    stack.ok(&[&["delete", "--yes"][..], &named].concat());
    assert_eq!(stack.listed(), ["limiter CREATE_COMPLETE"]);
    let names = stack.client().list_tables().send().await.unwrap();
    assert_eq!(names.table_names(), ["limiter"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_packages_commands_work_here() {
    let Some(_) = tokio::task::spawn_blocking(venv::interpreter).await.unwrap() else { return };
    let (stack, _) = Stack::up(&[]);
    let python = |words: &[&str]| {
        let ran = stack.python(words).unwrap();
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.stdout
    };
    let place = ["--region", "us-east-1"];
    let theirs = [&["--name", "theirs"][..], &place].concat();
    // Without it, because waiting for a real Lambda's event source takes a minute.
    let deployed = python(&[&["deploy", "--no-aggregator", "--no-alarms"][..], &theirs].concat());
    assert!(deployed.contains("✓ Stack create complete"), "{deployed}");
    let status = python(&[&["status"][..], &theirs].concat());
    assert!(
        status.contains("✓ Infrastructure is ready") && status.contains("Stack:         CREATE_COMPLETE"),
        "{status}"
    );
    let list = python(&[&["list"][..], &place].concat());
    assert!(list.contains("limiter") && list.contains("theirs") && list.contains("Total: 2"), "{list}");
    let ours = python(&[&["status", "--name", "limiter"][..], &place].concat());
    assert!(ours.contains("✓ Infrastructure is ready"), "{ours}");
    assert_eq!(stack.listed(), ["limiter CREATE_COMPLETE", "theirs CREATE_COMPLETE"]);
    python(&[&["delete", "--yes"][..], &theirs].concat());
    assert_eq!(stack.listed(), ["limiter CREATE_COMPLETE"]);
}
