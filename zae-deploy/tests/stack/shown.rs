//! Compares the output of the stack commands with snapshots.

use std::collections::BTreeSet;

use super::{
    fake::{Fake, Script, step},
    run::Ran,
};

use zae_testkit::snapshot;

const TABLE: &str = "AWS::DynamoDB::Table";
const STACK: &str = "AWS::CloudFormation::Stack";
/// Labels of values that differ between runs.
const VARIES: [&str; 5] = ["Latency:", "\"latency_ms\":", "SHA-256:", "sha256:", "\"duration_seconds\":"];

fn compare(name: &str, fake: &Fake, text: &str) {
    let text = snapshot::without(&text.replace(&fake.endpoint, "http://127.0.0.1:PORT"), &VARIES);
    snapshot::compare(name, &snapshot::normal(&text, &BTreeSet::new()));
}

/// Compares a command's text and its JSON with their snapshots.
async fn shows(fake: &Fake, name: &str, args: &[&str]) {
    compare(&format!("{name}.txt"), fake, &fake.zae_deploy(args).await.ok().stdout);
    let json = fake.zae_deploy(&[args, &["--output", "json"]].concat()).await.ok();
    json.json();
    compare(&format!("{name}.json"), fake, &json.stdout);
}

/// Does the same for a command with effects: each format has a fake of its own.
async fn does(name: &str, args: &[&str], state: Option<&'static str>, script: Script) {
    let fake = Fake::start(state, script.clone()).await;
    compare(&format!("{name}.txt"), &fake, &fake.zae_deploy(args).await.ok().stdout);
    let fake = Fake::start(state, script).await;
    let json: Ran = fake.zae_deploy(&[args, &["--output", "json"]].concat()).await.ok();
    json.json();
    compare(&format!("{name}.json"), &fake, &json.stdout);
}

fn created() -> Script {
    let steps = vec![
        step("CREATE_IN_PROGRESS", &[["prod", STACK, "CREATE_IN_PROGRESS", "User Initiated"]]),
        step(
            "CREATE_COMPLETE",
            &[["RateLimitsTable", TABLE, "CREATE_COMPLETE", ""], ["prod", STACK, "CREATE_COMPLETE", ""]],
        ),
    ];
    Script { steps, no_changes: Some("The submitted information didn't contain changes."), ..Script::default() }
}

#[tokio::test]
async fn looking() {
    let fake = Fake::start(None, created()).await;
    fake.zae_deploy(&["deploy", "--name", "prod"]).await.ok();
    shows(&fake, "stack-status", &["status", "--name", "prod"]).await;
    shows(&fake, "stack-list", &["list"]).await;
    shows(&fake, "stack-version", &["version", "--name", "prod"]).await;
    shows(&fake, "stack-check", &["check", "--name", "prod"]).await;
    shows(&fake, "stack-unchanged", &["deploy", "--name", "prod"]).await;
    shows(&fake, "stack-upgrade", &["upgrade", "--name", "prod"]).await;
}

#[tokio::test]
async fn creating_changing_and_removing() {
    does("stack-create", &["deploy", "--name", "prod", "--no-code"], None, created()).await;
    let update = Script {
        changes: vec![["RateLimitsTable", TABLE, "Modify", "False", "PointInTimeRecoverySpecification"]],
        steps: vec![
            step("UPDATE_IN_PROGRESS", &[["RateLimitsTable", TABLE, "UPDATE_IN_PROGRESS", ""]]),
            step("UPDATE_COMPLETE", &[["RateLimitsTable", TABLE, "UPDATE_COMPLETE", ""]]),
        ],
        ..Script::default()
    };
    let args = ["deploy", "--name", "prod", "--no-code", "--pitr-recovery-days", "7"];
    does("stack-update", &args, Some("CREATE_COMPLETE"), update).await;
    let steps = vec![step("DELETE_IN_PROGRESS", &[]), step("DELETE_COMPLETE", &[])];
    let script = Script { steps, ..Script::default() };
    does("stack-delete", &["delete", "--name", "prod", "--yes"], Some("CREATE_COMPLETE"), script).await;
}

#[tokio::test]
async fn being_told_no() {
    let fake = Fake::start(Some("CREATE_COMPLETE"), Script::default()).await;
    let ran = fake.zae_deploy(&["delete", "--name", "prod"]).await.failed(1, &["--yes"]);
    compare("stack-delete-unasked.err", &fake, &ran.stderr);
    let fake = Fake::start(None, Script::default()).await;
    shows(&fake, "stack-delete-gone", &["delete", "--name", "other", "--yes"]).await;
    for (name, args) in [
        ("stack-status-none", &["status", "--name", "other"][..]),
        ("stack-version-none", &["version", "--name", "other"][..]),
        ("stack-check-none", &["check", "--name", "other"][..]),
        ("stack-upgrade-none", &["upgrade", "--name", "other"][..]),
    ] {
        let ran = fake.zae_deploy(args).await;
        compare(&format!("{name}.err"), &fake, &format!("exit code {}\n{}", ran.code, ran.stderr));
    }
}
