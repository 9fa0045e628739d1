//! Updates, interruptions and failures, as a user sees them, against the scripted CloudFormation.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

use super::{
    fake::{Fake, Script, step},
    form, run,
};

const TABLE: &str = "AWS::DynamoDB::Table";
const FUNCTION: &str = "AWS::Lambda::Function";
const STACK: &str = "AWS::CloudFormation::Stack";
const DEPLOY: [&str; 3] = ["deploy", "--name", "prod"];

#[tokio::test]
async fn a_failed_creation_names_the_resource_its_reason_and_the_next_command() {
    let steps = vec![
        step("CREATE_IN_PROGRESS", &[["prod", STACK, "CREATE_IN_PROGRESS", "User Initiated"]]),
        step(
            "ROLLBACK_IN_PROGRESS",
            &[
                ["RateLimitsTable", TABLE, "CREATE_IN_PROGRESS", ""],
                ["AppRole", "AWS::IAM::Role", "CREATE_FAILED", "Resource creation cancelled"],
                ["RateLimitsTable", TABLE, "CREATE_FAILED", "prod already exists"],
                ["prod", STACK, "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create"],
            ],
        ),
        step("ROLLBACK_COMPLETE", &[["prod", STACK, "ROLLBACK_COMPLETE", ""]]),
    ];
    let fake = Fake::start(None, Script { steps, ..Script::default() }).await;
    let ran = fake.zae_deploy(&DEPLOY).await.failed(
        1,
        &[
            "Failed to deploy stack 'prod'",
            "stack prod is ROLLBACK_COMPLETE: RateLimitsTable (AWS::DynamoDB::Table): prod already exists",
            "zae-deploy delete --name prod",
        ],
    );
    assert!(ran.stdout.contains("✗ CREATE_FAILED"), "{}", ran.stdout);
    assert!(ran.stdout.contains("prod already exists"), "{}", ran.stdout);

    fake.zae_deploy(&DEPLOY)
        .await
        .failed(1, &["stack prod is ROLLBACK_COMPLETE and cannot be updated", "zae-deploy delete --name prod"]);
    fake.zae_deploy(&["status", "--name", "prod"]).await.failed(1, &["ROLLBACK_COMPLETE", "zae-deploy delete"]);
}

#[tokio::test]
async fn that_nothing_changes_is_said_and_is_no_error() {
    let reason =
        "The submitted information didn't contain changes. Submit different information to create a change set.";
    let fake = Fake::start(Some("UPDATE_COMPLETE"), Script { no_changes: Some(reason), ..Script::default() }).await;
    let ran = fake.zae_deploy(&DEPLOY).await.ok();
    assert!(ran.stdout.contains("Stack 'prod' is up to date; nothing was changed"), "{}", ran.stdout);
    assert!(!fake.actions().contains(&"ExecuteChangeSet".to_owned()));
    assert!(fake.actions().contains(&"DeleteChangeSet".to_owned()), "it is not left behind");
    let ran = fake.zae_deploy(&["version", "--name", "prod"]).await.ok();
    assert!(ran.stdout.contains("Status: COMPATIBLE"), "the version record is there: {}", ran.stdout);
}

#[tokio::test]
async fn that_nothing_changes_may_be_the_answer_to_the_change_set_itself() {
    let fails = Some(["CreateChangeSet", "ValidationError", "No updates are to be performed."]);
    let fake = Fake::start(Some("UPDATE_COMPLETE"), Script { fails, ..Script::default() }).await;
    let ran = fake.zae_deploy(&DEPLOY).await.ok();
    assert!(ran.stdout.contains("Stack 'prod' is up to date; nothing was changed"), "{}", ran.stdout);
}

#[tokio::test]
async fn what_cannot_be_deployed_is_said_before_anything_is_packed() {
    let fake = Fake::start(Some("ROLLBACK_COMPLETE"), Script::default()).await;
    let ran = fake.zae_deploy(&DEPLOY).await.failed(1, &["stack prod is ROLLBACK_COMPLETE and cannot be updated"]);
    assert!(!ran.stdout.contains("Packing"), "{}", ran.stdout);
    let fails = Some(["GetCallerIdentity", "ExpiredToken", "The security token is expired"]);
    let fake = Fake::start(None, Script { fails, ..Script::default() }).await;
    let ran = fake.zae_deploy(&DEPLOY).await.failed(1, &["expired"]);
    assert!(!ran.stdout.contains("Packing"), "{}", ran.stdout);

    let fake = Fake::start(Some("UPDATE_COMPLETE"), update()).await;
    let ran = fake.zae_deploy(&DEPLOY).await.ok();
    assert!(ran.stdout.contains("Packing the aggregator ("), "{}", ran.stdout);
}

fn update() -> Script {
    Script {
        changes: vec![
            ["RateLimitsTable", TABLE, "Modify", "False", "PointInTimeRecoverySpecification"],
            ["AggregatorFunction", FUNCTION, "Modify", "False", "Timeout"],
        ],
        steps: vec![
            step("UPDATE_IN_PROGRESS", &[["RateLimitsTable", TABLE, "UPDATE_IN_PROGRESS", ""]]),
            step("UPDATE_COMPLETE", &[["RateLimitsTable", TABLE, "UPDATE_COMPLETE", ""]]),
        ],
        ..Script::default()
    }
}

#[tokio::test]
async fn an_update_shows_what_changes_and_keeps_what_was_not_given() {
    let fake = Fake::start(Some("CREATE_COMPLETE"), update()).await;
    let ran = fake.zae_deploy(&[&DEPLOY[..], &["--pitr-recovery-days", "7"]].concat()).await.ok();
    assert!(
        ran.stdout.contains("~ modify      RateLimitsTable (AWS::DynamoDB::Table): PointInTimeRecoverySpecification")
    );
    assert!(ran.stdout.contains("✓ Stack update complete"), "{}", ran.stdout);
    let sent = fake.request("CreateChangeSet");
    let parameters = form::members(&sent, "Parameters", "ParameterKey", "ParameterValue");
    let sent = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!((sent("EnablePITR"), sent("PITRRecoveryPeriodDays")), (Some("true"), Some("7")));
    assert_eq!(
        sent("EnableDeletionProtection"),
        Some("(previous)"),
        "protection is not taken away by not asking for it"
    );
    assert_eq!(sent("LambdaTimeout"), None);

    let json = Fake::start(Some("CREATE_COMPLETE"), update()).await;
    let ran = json.zae_deploy(&[&DEPLOY[..], &["--output", "json"]].concat()).await.ok();
    assert_eq!(ran.json()["outcome"], "updated");
    assert_eq!(ran.json()["changes"][0]["action"], "modify");
}

#[tokio::test]
async fn nothing_is_replaced_or_removed_without_being_asked() {
    let script = || Script {
        changes: vec![
            ["RateLimitsTable", TABLE, "Modify", "True", "KeySchema"],
            ["AuditArchiveBucket", "AWS::S3::Bucket", "Remove", "", ""],
        ],
        ..update()
    };
    let fake = Fake::start(Some("CREATE_COMPLETE"), script()).await;
    let ran = fake.zae_deploy(&DEPLOY).await.failed(1, &["Update stack 'prod' and lose", "--yes"]);
    assert!(ran.stdout.contains("! replace     RateLimitsTable"), "{}", ran.stdout);
    assert!(ran.stdout.contains("- remove      AuditArchiveBucket"), "{}", ran.stdout);
    assert!(!fake.actions().contains(&"ExecuteChangeSet".to_owned()));
    assert!(fake.actions().contains(&"DeleteChangeSet".to_owned()));

    let fake = Fake::start(Some("CREATE_COMPLETE"), script()).await;
    fake.zae_deploy(&[&DEPLOY[..], &["--yes"]].concat()).await.ok();
    assert!(fake.actions().contains(&"ExecuteChangeSet".to_owned()));
}

#[tokio::test]
async fn a_failed_update_is_rolled_back_and_says_so() {
    let steps = vec![
        step("UPDATE_IN_PROGRESS", &[]),
        step(
            "UPDATE_ROLLBACK_IN_PROGRESS",
            &[["AggregatorFunction", FUNCTION, "UPDATE_FAILED", "Memory size is not supported"]],
        ),
        step("UPDATE_ROLLBACK_COMPLETE", &[]),
    ];
    let fake = Fake::start(Some("CREATE_COMPLETE"), Script { steps, ..update() }).await;
    fake.zae_deploy(&DEPLOY).await.failed(
        1,
        &[
            "stack prod is UPDATE_ROLLBACK_COMPLETE: AggregatorFunction (AWS::Lambda::Function): Memory size is not \
             supported",
            "It works as before the update",
            "zae-deploy deploy --name prod",
        ],
    );
    let ran = fake.zae_deploy(&["status", "--name", "prod"]).await.ok();
    assert!(ran.stdout.contains("The last update was rolled back"), "{}", ran.stdout);
}

/// Creates a stack with functions and without changes.
fn with_functions(functions: Vec<(&'static str, &'static str, u64)>) -> Script {
    Script {
        no_changes: Some("No updates are to be performed."),
        outputs: vec![
            ["AggregatorFunctionName", "prod-aggregator"],
            ["ProvisionerFunctionName", "prod-limits-provisioner"],
        ],
        functions,
        ..Script::default()
    }
}

#[tokio::test]
async fn placeholders_are_warned_of_and_status_reads_what_runs() {
    let placeholders =
        vec![("prod-aggregator", "index.handler", 318), ("prod-limits-provisioner", "index.handler", 320)];
    let fake = Fake::start(Some("CREATE_COMPLETE"), with_functions(placeholders)).await;
    let ran = fake.zae_deploy(&[&DEPLOY[..], &["--no-code"]].concat()).await.ok();
    for name in ["prod-aggregator", "prod-limits-provisioner"] {
        let warning =
            format!("Warning: {name} is a placeholder that fails: `zae-deploy upgrade --name prod` uploads its code");
        assert!(ran.stderr.contains(&warning), "{}", ran.stderr);
    }
    let status = fake.zae_deploy(&["status", "--name", "prod"]).await.ok().stdout;
    for line in [
        "  Aggregator:    Placeholder",
        "  Lambda:        N/A",
        "⚠️  prod-aggregator is a placeholder that fails",
        "⚠️  Infrastructure is not complete",
    ] {
        assert!(status.lines().any(|shown| shown == line), "no {line:?} in {status}");
    }
    let status = fake.zae_deploy(&["status", "--name", "prod", "--output", "json"]).await.ok().json();
    assert_eq!(
        (&status["functions"][0]["runs"], &status["lambda_version"]),
        (&"placeholder".into(), &serde_json::Value::Null)
    );

    // A package of megabytes on the placeholder's runtime, and a function that is gone.
    let fake =
        Fake::start(Some("CREATE_COMPLETE"), with_functions(vec![("prod-aggregator", "index.handler", 3_900_000)]))
            .await;
    let ran = fake.zae_deploy(&[&DEPLOY[..], &["--no-code"]].concat()).await.ok();
    assert!(!ran.stderr.contains("placeholder"), "{}", ran.stderr);
    let status = fake.zae_deploy(&["status", "--name", "prod", "--output", "json"]).await.ok().json();
    assert_eq!(status["functions"][0]["runs"], "package");
    assert_eq!((&status["functions"][1]["runs"], &status["lambda_version"]), (&"missing".into(), &"0.17.0".into()));
    assert_eq!(status["lacks"][0]["what"], "prod-limits-provisioner was deleted");
}

#[tokio::test]
async fn code_that_is_not_what_was_packed_is_warned_of() {
    let script = with_functions(vec![("prod-aggregator", "bootstrap", 3_900_000)]);
    let fake = Fake::start(Some("CREATE_COMPLETE"), script).await;
    let ran = fake.zae_deploy(&DEPLOY).await.ok();
    assert!(ran.stderr.contains("prod-aggregator runs other code than was packed"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_stack_that_nobody_waited_for_says_what_it_lacks() {
    let fake = Fake::start(Some("CREATE_COMPLETE"), Script::default()).await;
    let status = fake.zae_deploy(&["status", "--name", "prod"]).await.ok().stdout;
    assert!(status.contains("The namespace 'default' and the version record are missing"), "{status}");
    let mend = "`zae-deploy namespace register default --name prod";
    assert!(status.contains(mend) && !status.contains("is ready"), "{status}");
    fake.zae_deploy(&["namespace", "register", "default", "--name", "prod"]).await.ok();
    let status = fake.zae_deploy(&["status", "--name", "prod"]).await.ok().stdout;
    assert!(status.contains("✓ Infrastructure is ready"), "{status}");
}

#[tokio::test]
async fn an_operation_under_way_is_waited_for() {
    let script = Script { no_changes: Some("No updates are to be performed."), ..Script::default() };
    let steps = vec![step("UPDATE_COMPLETE", &[])];
    let fake = Fake::start(Some("UPDATE_IN_PROGRESS"), Script { steps, ..script }).await;
    let ran = fake.zae_deploy(&DEPLOY).await.ok();
    assert!(ran.stdout.contains("Stack prod is UPDATE_IN_PROGRESS; waiting for it"), "{}", ran.stdout);
    assert!(ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_stack_whose_rollback_failed_needs_another_tool() {
    let fake = Fake::start(Some("UPDATE_ROLLBACK_FAILED"), Script::default()).await;
    fake.zae_deploy(&DEPLOY).await.failed(1, &["aws cloudformation continue-update-rollback --stack-name prod"]);
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let message = "User: arn:aws:iam::123456789012:user/dev is not authorized to perform: cloudformation:CreateStack";
    let fails = Some(["CreateStack", "AccessDenied", message]);
    let fake = Fake::start(None, Script { fails, ..Script::default() }).await;
    fake.zae_deploy(&DEPLOY).await.failed(
        1,
        &["cloudformation:CreateStack: the credentials lack the permission", message, "Use credentials that allow"],
    );
}

#[tokio::test]
async fn what_aws_refuses_is_told_with_what_to_do_about_it() {
    for (code, advice) in [
        ("ExpiredToken", "the AWS credentials have expired: log in again"),
        ("InvalidClientTokenId", "`aws sts get-caller-identity` shows whose they are"),
        ("SignatureDoesNotMatch", "this machine's clock is wrong"),
        ("LimitExceeded", "a quota of the account is used up"),
        ("ValidationError", "correct the option that it names"),
        ("Throttling", "wait a minute and repeat the command"),
        ("SomethingNew", "-vv shows the calls to AWS one by one"),
    ] {
        let fails = Some(["CreateStack", code, "what AWS says"]);
        let fake = Fake::start(None, Script { fails, ..Script::default() }).await;
        let ran = fake.zae_deploy(&DEPLOY).await;
        ran.failed(1, &["cloudformation:CreateStack failed: what AWS says", "→", advice]);
    }
}

#[tokio::test]
async fn another_stack_of_that_name_is_left_alone() {
    let fake = Fake::start(Some("CREATE_COMPLETE"), Script { foreign: true, ..Script::default() }).await;
    fake.zae_deploy(&DEPLOY).await.failed(1, &["a stack named prod exists, and it is not a rate limiter", "--name"]);
    fake.zae_deploy(&["delete", "--name", "prod", "--yes"]).await.failed(1, &["it is not a rate limiter"]);
    assert_eq!(fake.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_deleted_is_named_with_its_reason() {
    let bucket = "The bucket you tried to delete is not empty";
    let steps = vec![
        step("DELETE_IN_PROGRESS", &[]),
        step("DELETE_FAILED", &[["AuditArchiveBucket", "AWS::S3::Bucket", "DELETE_FAILED", bucket]]),
    ];
    let fake = Fake::start(Some("CREATE_COMPLETE"), Script { steps, ..Script::default() }).await;
    fake.zae_deploy(&["delete", "--name", "prod", "--yes"]).await.failed(
        1,
        &["stack prod is DELETE_FAILED: AuditArchiveBucket (AWS::S3::Bucket)", bucket, "zae-deploy delete --name prod"],
    );
}

#[tokio::test]
async fn what_is_protected_is_not_deleted() {
    let fake = Fake::start(Some("CREATE_COMPLETE"), Script { protected: true, ..Script::default() }).await;
    let delete = ["delete", "--name", "prod", "--yes"];
    fake.zae_deploy(&delete).await.failed(1, &["it is protected against deletion", "update-termination-protection"]);
    assert_eq!(fake.actions(), Vec::<String>::new());

    let fake = Fake::start(Some("CREATE_COMPLETE"), Script::default()).await;
    protect_table(&fake).await;
    fake.zae_deploy(&delete).await.failed(
        1,
        &["its table is protected against deletion", "zae-deploy deploy --name prod --no-deletion-protection"],
    );
    assert_eq!(fake.actions(), Vec::<String>::new());
}

/// Creates the table again, with protection.
async fn protect_table(fake: &Fake) {
    let client = fake.store.client();
    client.delete_table().table_name("prod").send().await.unwrap();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let text = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let request = client.create_table().table_name("prod").billing_mode(BillingMode::PayPerRequest);
    let request = request.key_schema(key("PK", KeyType::Hash)).key_schema(key("SK", KeyType::Range));
    let request = request.attribute_definitions(text("PK")).attribute_definitions(text("SK"));
    request.deletion_protection_enabled(true).send().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_says_what_goes_on() {
    let steps = (0..1000).map(|_| step("CREATE_IN_PROGRESS", &[])).collect();
    let fake = Fake::start(None, Script { steps, ..Script::default() }).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_zae-deploy"));
    run::clean(&mut command).args(DEPLOY).args(["--endpoint-url", &fake.endpoint]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    let pid = child.id().unwrap().to_string();
    let begun = async {
        while !fake.actions().contains(&"CreateStack".to_owned()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), begun).await.expect("it begins");
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let ran = run::Ran::from_output(child.wait_with_output().await.unwrap());
    ran.failed(130, &["Interrupted. CloudFormation continues with stack prod", "zae-deploy status --name prod"]);
}

#[tokio::test]
async fn wrong_options_are_refused_before_anything_is_sent() {
    let fake = Fake::start(None, Script::default()).await;
    for (args, code, needle) in [
        (&["--no-iam", "--create-iam-roles"][..], 1, "--create-iam-roles cannot be used with --no-iam"),
        (&["--tag", "novalue"], 1, "Invalid tag format 'novalue'. Use KEY=VALUE."),
        (&["--aggregator-role-arn", "x"], 1, "--aggregator-role-arn must be a valid IAM role ARN"),
        (&["--snapshot-windows", "weekly"], 1, "--snapshot-windows has the unknown window 'weekly'"),
        (&["--role-name-format", "x"], 1, "--role-name-format needs exactly one '{}'"),
        (&["--lambda-timeout", "901"], 2, "901 is not in 1..=900"),
        (&["--lambda-memory", "127"], 2, "127 is not in 128..=3008"),
        (&["--log-retention-days", "31"], 2, "CloudWatch keeps logs for"),
        (&["--pitr-recovery-days", "36"], 2, "36 is not in 1..=35"),
    ] {
        fake.zae_deploy(&[&DEPLOY[..], args].concat()).await.failed(code, &[needle]);
    }
    fake.zae_deploy(&["deploy", "--name", "rate_limits"]).await.failed(1, &["underscores"]);
    let long = "s".repeat(50);
    fake.zae_deploy(&["deploy", "--name", &long])
        .await
        .failed(1, &["--name is too long", "exceed Lambda's limit of 64"]);
    fake.zae_deploy(&["delete", "--yes"]).await.failed(2, &["--name"]);
    assert_eq!(fake.actions(), Vec::<String>::new());
}
