//! Tests of the template alone.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    resolve::{self, Parameters},
    venv,
};

fn given(pairs: &[(&str, &str)]) -> Parameters {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The values of parameters that conditions depend on.
const CHOICES: [(&str, &[&str]); 12] = [
    ("EnableAggregator", &["true", "false"]),
    ("EnableAlarms", &["true", "false"]),
    ("EnableDashboard", &["false", "true"]),
    ("EnableIAM", &["true", "false"]),
    ("EnableIAMRoles", &["true", "false"]),
    ("EnableProvisioner", &["true", "false"]),
    ("EnableAuditArchival", &["true", "false"]),
    ("EnableTracing", &["true", "false"]),
    ("AggregatorRoleArn", &["", "arn:aws:iam::123456789012:role/x"]),
    ("PermissionBoundary", &["", "Boundary", "arn:aws:iam::123456789012:policy/Boundary"]),
    ("CodeBucket", &["", "code"]),
    ("AlarmSNSTopicArn", &["", "arn:aws:sns:us-east-1:123456789012:ops"]),
];

#[test]
fn every_combination_of_conditions_is_consistent() {
    let template = resolve::template();
    let parameters: BTreeSet<String> = template["Parameters"].as_object().unwrap().keys().cloned().collect();
    let mut combinations = 0;
    let total: usize = CHOICES.iter().map(|(_, values)| values.len()).product();
    for number in 0..total {
        let mut rest = number;
        let given: Parameters = CHOICES
            .iter()
            .map(|(name, values)| {
                let value = values[rest % values.len()];
                rest /= values.len();
                ((*name).to_owned(), value.to_owned())
            })
            .collect();
        let resolved = resolve::resolve(&template, &given);
        let resources: BTreeSet<String> = resolved["Resources"].as_object().unwrap().keys().cloned().collect();
        let mut referred = BTreeSet::new();
        resolve::references(&resolved["Resources"], &mut referred);
        resolve::references(&resolved["Outputs"], &mut referred);
        for name in referred {
            let known = name.starts_with("AWS::") || parameters.contains(&name) || resources.contains(&name);
            assert!(known, "{name} is referred to and not there, with {given:?}");
        }
        consistent(&resolved, &given);
        combinations += 1;
    }
    assert_eq!(combinations, 2_usize.pow(11) * 3);
}

/// Checks what must hold for any combination.
fn consistent(resolved: &Value, given: &Parameters) {
    let on = |name: &str| given[name] == "true";
    let has = |name: &str| resolved["Resources"].get(name).is_some();
    let role = !given["AggregatorRoleArn"].is_empty();
    let aggregator = on("EnableAggregator") && (on("EnableIAM") || role);
    let parts = ["AggregatorFunction", "AggregatorEventSourceMapping", "AggregatorDLQ", "AggregatorLogGroup"];
    assert!(parts.iter().all(|part| has(part) == aggregator), "{given:?}");
    assert_eq!(has("AggregatorRole"), aggregator && !role, "{given:?}");
    assert_eq!(has("AuditArchiveBucket"), aggregator && on("EnableAuditArchival"), "{given:?}");
    assert_eq!(has("ProvisionerFunction"), on("EnableProvisioner") && on("EnableIAM"), "{given:?}");
    assert_eq!(has("AppRole"), on("EnableIAM") && on("EnableIAMRoles"), "{given:?}");
    assert_eq!(has("AcquireOnlyPolicy"), on("EnableIAM"), "{given:?}");
    assert_eq!(has("AggregatorDLQAlarm"), aggregator && on("EnableAlarms"), "{given:?}");
    assert_eq!(has("Dashboard"), on("EnableDashboard"), "{given:?}");
    // CloudFormation rejects exports without a value.
    for output in resolved["Outputs"].as_object().unwrap().values() {
        let empty = output["Value"]["Ref"].as_str().is_some_and(|name| given.get(name).is_some_and(String::is_empty));
        assert!(!empty, "{output} with {given:?}");
    }
}

#[test]
fn code_and_runtime_go_together() {
    let template = resolve::template();
    let runtime = |given: &Parameters| {
        let resolved = resolve::resolve(&template, given);
        let function = &resolved["Resources"]["AggregatorFunction"]["Properties"];
        (function["Runtime"].as_str().unwrap().to_owned(), function["Code"].get("S3Key").is_some())
    };
    assert_eq!(runtime(&Parameters::new()), ("python3.12".to_owned(), false));
    assert_eq!(runtime(&given(&[("CodeBucket", "code")])), ("python3.12".to_owned(), false));
    let both = given(&[("CodeBucket", "code"), ("AggregatorCodeKey", "a.zip")]);
    assert_eq!(runtime(&both), ("provided.al2023".to_owned(), true));
}

#[test]
fn tables_recover_protect_and_index_as_asked() {
    let template = resolve::template();
    let table = |pairs: &[(&str, &str)]| {
        resolve::resolve(&template, &given(pairs))["Resources"]["RateLimitsTable"]["Properties"].clone()
    };
    let plain = table(&[]);
    assert_eq!(plain["PointInTimeRecoverySpecification"], serde_json::json!({"PointInTimeRecoveryEnabled": false}));
    assert_eq!(plain["DeletionProtectionEnabled"], false);
    assert_eq!(plain["GlobalSecondaryIndexes"][1]["Projection"]["ProjectionType"], "ALL");
    let days = table(&[("PITRRecoveryPeriodDays", "7")]);
    assert_eq!(days["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    let seed = table(&[("EnablePITR", "true"), ("SnapshotRetentionDays", "90")]);
    assert_eq!(seed["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    let lean = table(&[("IndexProjection", "lean"), ("EnableDeletionProtection", "true")]);
    assert_eq!(lean["GlobalSecondaryIndexes"][1]["Projection"]["ProjectionType"], "KEYS_ONLY");
    assert_eq!(lean["DeletionProtectionEnabled"], true);
}

#[test]
fn parameters_and_table_are_as_the_guide_has_them() {
    let template = resolve::template();
    let default = |name: &str| template["Parameters"][name]["Default"].to_string().trim_matches('"').to_owned();
    assert_eq!(default("SnapshotWindows"), "hourly,daily");
    assert_eq!(default("SnapshotRetentionDays"), "90");
    assert_eq!(default("EnablePITR"), "false");
    assert_eq!(default("LogRetentionDays"), "14");
    // The overrides of the guide's `aws cloudformation deploy`; unknown ones would be rejected.
    resolve::values(&template, &given(&[("SnapshotRetentionDays", "90"), ("EnablePITR", "true")]));
    let resolved = resolve::resolve(&template, &Parameters::new());
    let table = &resolved["Resources"]["RateLimitsTable"]["Properties"];
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    assert!(table.get("SSESpecification").is_none(), "AWS's own encryption");
    for (group, function) in [("AggregatorLogGroup", "aggregator"), ("ProvisionerLogGroup", "limits-provisioner")] {
        let name = &resolved["Resources"][group]["Properties"]["LogGroupName"]["Fn::Sub"];
        assert_eq!(*name, format!("/aws/lambda/${{AWS::StackName}}-{function}"));
    }
}

#[test]
fn tracing_and_archive_bring_their_own_permissions_and_go_with_them() {
    let template = resolve::template();
    let policies = |pairs: &[(&str, &str)]| -> Vec<String> {
        let resolved = resolve::resolve(&template, &given(pairs));
        let mode = &resolved["Resources"]["AggregatorFunction"]["Properties"]["TracingConfig"]["Mode"];
        let policies = resolved["Resources"]["AggregatorRole"]["Properties"]["Policies"].as_array().unwrap();
        let names = policies.iter().map(|policy| policy["PolicyName"].as_str().unwrap().to_owned());
        names.chain([mode.as_str().unwrap().to_owned()]).collect()
    };
    assert_eq!(policies(&[]), ["DynamoDBAccess", "S3ArchiveAccess", "PassThrough"]);
    assert_eq!(policies(&[("EnableAuditArchival", "false")]), ["DynamoDBAccess", "PassThrough"]);
    let traced = policies(&[("EnableTracing", "true"), ("EnableAuditArchival", "false")]);
    assert_eq!(traced, ["DynamoDBAccess", "XRayAccess", "Active"]);
    let role = &template["Resources"]["AggregatorRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    let actions = ["GetItem", "PutItem", "UpdateItem", "Query"].map(|name| format!("dynamodb:{name}"));
    assert_eq!(role[0]["Action"], serde_json::json!(actions));
    assert_eq!(role[1]["Action"], "dynamodb:DeleteItem");
}

#[test]
fn roles_take_the_boundary_and_names_the_formats() {
    let template = resolve::template();
    let property = |pairs: &[(&str, &str)], resource: &str, name: &str| {
        let mut all = vec![("EnableIAMRoles", "true")];
        all.extend(pairs);
        resolve::resolve(&template, &given(&all))["Resources"][resource]["Properties"][name].clone()
    };
    let arn = "arn:aws:iam::123456789012:policy/B";
    for role in ["AggregatorRole", "ProvisionerRole", "AppRole", "AdminRole", "ReadOnlyRole"] {
        assert!(property(&[], role, "PermissionsBoundary").is_null(), "{role}");
        let named = property(&[("PermissionBoundary", "B")], role, "PermissionsBoundary");
        assert!(named["Fn::Sub"].as_str().unwrap().ends_with(":policy/${PermissionBoundary}"), "{role}");
        let by_arn = property(&[("PermissionBoundary", arn)], role, "PermissionsBoundary");
        assert_eq!(by_arn, serde_json::json!({"Ref": "PermissionBoundary"}), "{role}");
    }
    let names = [("AcquireOnlyPolicy", "acq"), ("FullAccessPolicy", "full"), ("ReadOnlyPolicy", "read")];
    for (policy, suffix) in names {
        let name = property(&[], policy, "ManagedPolicyName");
        assert_eq!(name["Fn::Sub"], format!("${{AWS::StackName}}-{suffix}"));
        let custom = format!("{policy}Name");
        let named = property(&[(&custom, "mine")], policy, "ManagedPolicyName");
        assert_eq!(named, serde_json::json!({ "Ref": custom }));
    }
}

/// Lambda's filter rules, as far as the template uses them: lists of alternatives, and prefixes.
fn matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(fields) => {
            fields.iter().all(|(name, pattern)| event.get(name).is_some_and(|value| matches(pattern, value)))
        }
        Value::Array(alternatives) => alternatives.iter().any(|alternative| match alternative {
            Value::Object(rule) => {
                let prefix = rule["prefix"].as_str().expect("no other rule than prefix");
                event.as_str().is_some_and(|text| text.starts_with(prefix))
            }
            literal => literal == event,
        }),
        other => panic!("{other} is no pattern"),
    }
}

#[test]
fn the_stream_filters_let_in_what_the_aggregator_is_for() {
    let template = resolve::template();
    let mapping = &template["Resources"]["AggregatorEventSourceMapping"]["Properties"];
    let filters = mapping["FilterCriteria"]["Filters"].as_array().unwrap();
    let patterns: Vec<Value> =
        filters.iter().map(|filter| serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap()).collect();
    let passes = |event: Value| patterns.iter().any(|pattern| matches(pattern, &event));
    let image = |pk: &str, sk: &str| serde_json::json!({"PK": {"S": pk}, "SK": {"S": sk}});
    let change = |name: &str, pk: &str, sk: &str| {
        let change = serde_json::json!({"NewImage": image(pk, sk)});
        serde_json::json!({"eventName": name, "dynamodb": change})
    };
    let removal = |pk: &str, sk: &str, by: Option<&str>| {
        let mut event = serde_json::json!({"eventName": "REMOVE", "dynamodb": {"OldImage": image(pk, sk)}});
        if let Some(by) = by {
            event["userIdentity"] = serde_json::json!({"type": "Service", "principalId": by});
        }
        event
    };
    let ttl = Some("dynamodb.amazonaws.com");
    assert!(passes(change("MODIFY", "a7x/BUCKET#user-1#gpt-4#0", "#STATE")));
    assert!(passes(change("INSERT", "a7x/BUCKET#user-1#gpt-4#0", "#STATE")), "the first acquire counts, too");
    assert!(passes(removal("a7x/AUDIT#user-1", "#AUDIT#01K", ttl)), "a namespaced audit event that expired");
    assert!(!passes(removal("a7x/AUDIT#user-1", "#AUDIT#01K", None)), "a purge is no expiry");
    assert!(!passes(removal("a7x/BUCKET#user-1#gpt-4#0", "#STATE", ttl)));
    assert!(!passes(change("MODIFY", "a7x/ENTITY#user-1", "#META")));
    assert!(!passes(change("MODIFY", "a7x/ENTITY#user-1", "#USAGE#gpt-4#2026-01-01T00:00:00Z")));
}

#[test]
fn every_documented_output_is_exported_under_its_name() {
    let template = resolve::template();
    let outputs = template["Outputs"].as_object().unwrap();
    assert_eq!(outputs.len(), 32);
    for (output, suffix) in [
        ("AggregatorFunctionArn", "AggregatorArn"),
        ("AggregatorDLQUrl", "DLQUrl"),
        ("ProvisionerFunctionArn", "ProvisionerArn"),
        ("ProvisionerFunctionName", "ProvisionerName"),
        ("DynamoDBReadThrottleAlarmName", "ReadThrottleAlarmName"),
        ("AcquireOnlyPolicyArn", "AcquireOnlyPolicyArn"),
    ] {
        let export = outputs[output]["Export"]["Name"]["Fn::Sub"].as_str().unwrap();
        assert_eq!(export, format!("${{AWS::StackName}}-{suffix}"));
    }
}

#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let body = resolve::template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"].clone();
    let body = body.as_str().unwrap().replace("${AWS::StackName}", "prod").replace("${AWS::Region}", "eu-central-1");
    assert!(!body.contains("${"), "a name that is not replaced");
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut places = BTreeSet::new();
    let emitted = include_str!("../../src/aggregator/handler.rs");
    let mut of_aggregator = 0;
    for widget in body["widgets"].as_array().unwrap() {
        assert!(places.insert((widget["x"].as_u64(), widget["y"].as_u64())), "two widgets in one place");
        let mut metric: Vec<Value> = Vec::new();
        for written in widget["properties"]["metrics"].as_array().unwrap() {
            // A dot stands for what is in its place in the metric before.
            let repeated = |(at, part): (usize, &Value)| if part == "." { metric[at].clone() } else { part.clone() };
            metric = written.as_array().unwrap().iter().enumerate().map(repeated).collect();
            let (namespace, name) = (metric[0].as_str().unwrap(), metric[1].as_str().unwrap());
            if namespace == "ZaeLimiter/Aggregator" {
                assert!(emitted.contains(&format!("(\"{name}\",")), "the aggregator emits no {name}");
                assert_eq!((&metric[2], &metric[3]), (&"TableName".into(), &"prod".into()));
                of_aggregator += 1;
            } else {
                assert!(["AWS/DynamoDB", "AWS/Lambda", "AWS/SQS"].contains(&namespace), "{namespace}");
            }
        }
    }
    assert!(of_aggregator > 5);
}

#[tokio::test]
async fn cfn_lint_finds_nothing() {
    let Some(python) = venv::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack.yaml");
    std::fs::write(&path, zae_deploy::template::TEMPLATE).unwrap();
    let mut command = tokio::process::Command::new(python.with_file_name("cfn-lint"));
    // Regions of all partitions.
    let regions = ["--regions", "us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "--"];
    command.args(regions).arg(&path);
    let ran = super::run::Ran::from_output(super::run::clean(&mut command).output().await.unwrap());
    let ran = ran.ok();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}
