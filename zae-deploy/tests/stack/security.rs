//! The template checked by `checkov`, and the resources that a customer-managed key encrypts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    resolve::{self, Parameters},
    run::{Ran, clean},
    venv,
};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Findings of checkov that the template accepts, with resources; the guide has the reason for each.
const ANSWERED: [(&str, &[&str]); 4] = [
    ("CKV_AWS_18", &["AuditArchiveBucket"]),
    ("CKV_AWS_115", &["AggregatorFunction", "ProvisionerFunction"]),
    ("CKV_AWS_116", &["AggregatorFunction", "ProvisionerFunction"]),
    ("CKV_AWS_117", &["AggregatorFunction", "ProvisionerFunction"]),
];
/// Further findings without a key and recovery.
const UNASKED: [(&str, &[&str]); 2] = [("CKV_AWS_28", &["RateLimitsTable"]), ("CKV_AWS_119", &["RateLimitsTable"])];

fn secured() -> Parameters {
    let given = [("KmsKeyArn", KEY), ("EnablePITR", "true")];
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Returns the findings of checkov for a template: checks, each with its resources.
async fn findings(template: &str) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let python = venv::checkov()?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack.yaml");
    std::fs::write(&path, template).unwrap();
    let mut command = tokio::process::Command::new(python.with_file_name("checkov"));
    clean(&mut command).args(["--framework", "cloudformation", "--skip-download", "--quiet", "--soft-fail"]);
    command.args(["--output", "json", "--file"]).arg(&path);
    let told: Value = Ran::from_output(command.output().await.unwrap()).ok().json();
    assert_eq!(told["summary"]["parsing_errors"], 0);
    assert!(told["summary"]["passed"].as_u64().unwrap() > 50, "{}", told["summary"]);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for check in told["results"]["failed_checks"].as_array().unwrap() {
        let resource = check["resource"].as_str().unwrap().rsplit('.').next().unwrap();
        found.entry(check["check_id"].as_str().unwrap().to_owned()).or_default().insert(resource.to_owned());
    }
    Some(found)
}

fn expected<'a>(
    lists: impl IntoIterator<Item = &'a (&'static str, &'static [&'static str])>,
) -> BTreeMap<String, BTreeSet<String>> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    lists.into_iter().map(|(check, resources)| ((*check).to_owned(), names(resources))).collect()
}

#[tokio::test]
async fn checkov_finds_nothing_that_is_not_answered() {
    let Some(found) = findings(zae_deploy::template::TEMPLATE).await else { return };
    assert_eq!(found, expected(ANSWERED.iter().chain(&UNASKED)));
    let mut resolved = resolve::resolve(&resolve::template(), &secured());
    // checkov uses a parameter's default.
    resolved["Parameters"]["KmsKeyArn"]["Default"] = KEY.into();
    let found = findings(&resolved.to_string()).await.unwrap();
    assert_eq!(found, expected(&ANSWERED));
}

#[test]
fn the_guide_answers_every_finding() {
    let guide = include_str!("../../docs/deployment.md");
    for (check, _) in ANSWERED.iter().chain(&UNASKED) {
        assert!(guide.contains(&format!("| `{check}` |")), "{check}");
    }
}

#[test]
fn a_key_encrypts_everything_that_is_kept_and_the_functions_may_use_it() {
    let template = resolve::template();
    let with = resolve::resolve(&template, &secured());
    let without = resolve::resolve(&template, &Parameters::new());
    let key = json!({"Ref": "KmsKeyArn"});
    let of = |stack: &Value, resource: &str, path: &str| {
        stack["Resources"][resource]["Properties"].pointer(path).cloned().unwrap_or_default()
    };
    let encryption = "/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault";
    for (resource, path) in [
        ("RateLimitsTable", "/SSESpecification/KMSMasterKeyId".to_owned()),
        ("AuditArchiveBucket", format!("{encryption}/KMSMasterKeyID")),
        ("AggregatorDLQ", "/KmsMasterKeyId".to_owned()),
        ("AggregatorLogGroup", "/KmsKeyId".to_owned()),
        ("ProvisionerLogGroup", "/KmsKeyId".to_owned()),
        ("AggregatorFunction", "/KmsKeyArn".to_owned()),
        ("ProvisionerFunction", "/KmsKeyArn".to_owned()),
    ] {
        assert_eq!(of(&with, resource, &path), key, "{resource}");
        assert_eq!(of(&without, resource, &path), Value::Null, "{resource}");
    }
    // Encrypted and versioned by default.
    assert_eq!(of(&without, "AggregatorDLQ", "/SqsManagedSseEnabled"), true);
    assert_eq!(of(&with, "AggregatorDLQ", "/SqsManagedSseEnabled"), Value::Null, "SQS takes one or the other");
    assert_eq!(of(&without, "AuditArchiveBucket", &format!("{encryption}/SSEAlgorithm")), "AES256");
    assert_eq!(of(&without, "AuditArchiveBucket", "/VersioningConfiguration/Status"), "Enabled");
    for role in ["AggregatorRole", "ProvisionerRole"] {
        let access = |stack: &Value| -> Vec<Value> {
            let policies = stack["Resources"][role]["Properties"]["Policies"].as_array().unwrap().iter();
            let access = policies.filter(|policy| policy["PolicyName"] == "KmsAccess");
            access.map(|policy| policy["PolicyDocument"]["Statement"][0]["Resource"].clone()).collect()
        };
        assert_eq!((access(&with), access(&without)), (vec![key.clone()], Vec::new()), "{role}");
    }
}
