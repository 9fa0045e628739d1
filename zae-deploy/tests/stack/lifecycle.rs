//! From deploy to delete, against `moto`.

use std::collections::BTreeSet;

use base64::Engine;
use serde_json::Value;
use zae_deploy::artifact::load_one;

use super::{
    inventory,
    moto::Moto,
    resolve::{self, Parameters},
    run::lambda_dir,
};

/// Returns the resources of a stack in `moto`, by their names in the template.
async fn resources(moto: &Moto, stack: &str) -> BTreeSet<String> {
    let program = format!(
        "import boto3, os, json; c = boto3.client('cloudformation', endpoint_url=os.environ['ENDPOINT']); \
         found = c.list_stack_resources(StackName='{stack}')['StackResourceSummaries']; \
         print(json.dumps([r['LogicalResourceId'] for r in found]))"
    );
    serde_json::from_str(&moto.python(&program).await).unwrap()
}

/// Returns the resources of the template for these parameters, without those that `moto` cannot create.
fn expected(given: &[(&str, &str)]) -> BTreeSet<String> {
    let given: Parameters = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let resolved = resolve::resolve(&resolve::template(), &given);
    let resources = resolved["Resources"].as_object().unwrap().iter();
    let made = resources.filter(|(_, resource)| resource["Type"] != "AWS::CloudWatch::Alarm");
    made.map(|(name, _)| name.clone()).collect()
}

#[tokio::test]
async fn a_stack_is_deployed_shown_listed_and_deleted() {
    let Some(moto) = Moto::start().await else { return };
    moto.zae_deploy(&["status", "--name", "prod"]).await.failed(1, &["not available", "zae-deploy deploy --name prod"]);
    let list = moto.zae_deploy(&["list"]).await.ok();
    assert!(list.stdout.contains("No rate limiter instances found"), "{}", list.stdout);

    let deploy = ["deploy", "--name", "prod", "--lambda-timeout", "120", "--lambda-memory", "512", "--tag", "env=prod"];
    let ran = moto.zae_deploy(&[&deploy[..], &["--no-alarms", "--audit-retention-days", "30"]].concat()).await.ok();
    for line in
        ["Deploying stack: prod", "Lambda timeout: 120s", "Lambda memory: 512MB", "Alarms: disabled", "env=prod"]
    {
        assert!(ran.stdout.contains(line), "no {line:?} in {}", ran.stdout);
    }
    assert!(ran.stdout.contains("✓ Stack create complete"), "{}", ran.stdout);
    assert_eq!(resources(&moto, "prod").await, expected(&[("EnableAlarms", "false")]));
    assert!(ran.stdout.contains("Uploading the aggregator"), "{}", ran.stdout);
    inventory::is_as_the_template_says(&moto, "prod").await;
    functions_have_their_code(&moto).await;
    let scan = "import boto3, os; t = boto3.client('dynamodb', endpoint_url=os.environ['ENDPOINT']); \
                items = t.scan(TableName='prod')['Items']; \
                print([i['audit_retention_days']['N'] for i in items if 'audit_retention_days' in i])";
    assert_eq!(moto.python(scan).await.trim(), "['30']", "kept in the table");
    let again = moto.zae_deploy(&["deploy", "--name", "second"]).await.ok();
    assert!(!again.stdout.contains("Uploading"), "the same code is sent once: {}", again.stdout);
    moto.zae_deploy(&["delete", "--name", "second", "--yes"]).await.ok();

    let status = moto.zae_deploy(&["status", "--name", "prod"]).await.ok();
    println!("{}", status.stdout);
    for line in [
        "  Available:     ✓ Yes",
        "  Stack:         CREATE_COMPLETE",
        "  Aggregator:    Enabled",
        "  Schema:        0.10.0",
        "  Lambda:        0.17.0",
        "IAM Policies",
        "  AcquireOnly:   arn:aws:iam::123456789012:policy/prod-acq",
        "  FullAccess:    arn:aws:iam::123456789012:policy/prod-full",
        "  ReadOnly:      arn:aws:iam::123456789012:policy/prod-read",
        "✓ Infrastructure is ready",
    ] {
        assert!(status.stdout.lines().any(|shown| shown == line), "no {line:?} in {}", status.stdout);
    }
    let list = moto.zae_deploy(&["list"]).await.ok();
    println!("{}", list.stdout);
    assert!(list.stdout.starts_with("Rate Limiter Instances (us-east-1)\n====="), "{}", list.stdout);
    assert!(
        list.stdout
            .contains("\nprod                 ✓ CREATE_COMPLETE         0.1.0        0.17.0       0.10.0     20")
    );
    let namespaces = moto.zae_deploy(&["namespace", "list", "--name", "prod", "--output", "json"]).await.ok().json();
    assert_eq!(namespaces["namespaces"][0]["name"], "default");

    moto.zae_deploy(&["delete", "--name", "prod"]).await.failed(1, &["--yes"]);
    let gone = moto.zae_deploy(&["delete", "--name", "prod", "--yes"]).await.ok();
    assert!(gone.stdout.contains("✓ Stack 'prod' deleted successfully"), "{}", gone.stdout);
    let again = moto.zae_deploy(&["delete", "--name", "prod", "--yes"]).await.ok();
    assert!(again.stdout.contains("There is no stack 'prod'; nothing to delete"), "{}", again.stdout);
    moto.zae_deploy(&["status", "--name", "prod"]).await.failed(1, &["not available"]);
}

/// Checks that the stack runs the packed code, from a bucket of this account and region.
async fn functions_have_their_code(moto: &Moto) {
    let program = "\
import boto3, os, json
f = boto3.client('lambda', endpoint_url=os.environ['ENDPOINT'])
out = []
for name in ['prod-aggregator', 'prod-limits-provisioner']:
    c = f.get_function(FunctionName=name)['Configuration']
    out.append([c['Runtime'], c['Handler'], c['Architectures'], c['CodeSha256']])
s = boto3.client('s3', endpoint_url=os.environ['ENDPOINT'])
keys = [o['Key'] for o in s.list_objects_v2(Bucket='zae-deploy-123456789012-us-east-1')['Contents']]
print(json.dumps([out, keys]))
";
    let found: Value = serde_json::from_str(&moto.python(program).await).unwrap();
    let packages = [zae_deploy::package::Function::Aggregator, zae_deploy::package::Function::Provisioner]
        .map(|function| load_one(function, Some(lambda_dir()), None).unwrap().1);
    for (function, package) in found[0].as_array().unwrap().iter().zip(&packages) {
        assert_eq!(function[0], "provided.al2023");
        assert_eq!(function[1], "bootstrap");
        assert_eq!(function[2], serde_json::json!(["x86_64"]));
        let hash: Vec<u8> = base64::engine::general_purpose::STANDARD.decode(function[3].as_str().unwrap()).unwrap();
        let hash = hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!(hash, package.sha256());
    }
    let keys: Vec<String> = serde_json::from_value(found[1].clone()).unwrap();
    let [aggregator, provisioner] = packages.map(|package| package.sha256().to_owned());
    assert_eq!(keys, [format!("aggregator/{aggregator}.zip"), format!("provisioner/{provisioner}.zip")]);
}

/// Follows the guide without this tool's `deploy`: the template by itself, and its two commands for the code.
#[tokio::test]
async fn a_stack_from_the_exported_template_is_found_filled_and_opened() {
    let Some(moto) = Moto::start().await else { return };
    let create = format!(
        "import boto3, os; c = boto3.client('cloudformation', endpoint_url=os.environ['ENDPOINT']); \
         c.create_stack(StackName='prod', TemplateBody={:?}, Capabilities=['CAPABILITY_NAMED_IAM'])",
        zae_deploy::template::TEMPLATE
    );
    moto.python(&create).await;
    let listed = moto.zae_deploy(&["list", "--output", "json"]).await.ok().json();
    let info = &listed["limiters"][0];
    assert_eq!((&info["user_name"], &info["schema_version"]), (&"prod".into(), &"0.10.0".into()));
    let status = moto.zae_deploy(&["status", "--name", "prod", "--output", "json"]).await.ok().json();
    // moto returns the aggregator's environment in another form than Lambda's, so its function is unreadable.
    let lacks: Vec<&Value> = status["lacks"].as_array().unwrap().iter().map(|lack| &lack["what"]).collect();
    assert_eq!(
        lacks,
        [
            "The namespace 'default' and the version record are missing",
            "prod-limits-provisioner is a placeholder that fails",
        ]
    );

    for (function, deployed) in [("aggregator", "prod-aggregator"), ("provisioner", "prod-limits-provisioner")] {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("lambda.zip");
        let export = ["lambda-export", "--function", function, "--output", zip.to_str().unwrap()];
        moto.zae_deploy(&export).await.ok();
        let upload = format!(
            "import boto3, os; c = boto3.client('lambda', endpoint_url=os.environ['ENDPOINT']); \
             c.update_function_code(FunctionName='{deployed}', ZipFile=open({zip:?}, 'rb').read())"
        );
        moto.python(&upload).await;
    }
    moto.zae_deploy(&["system", "set-defaults", "--name", "prod", "-l", "rpm:10"]).await.ok();
    let status = moto.zae_deploy(&["status", "--name", "prod", "--output", "json"]).await.ok().json();
    assert_eq!(status["lacks"], serde_json::json!([]));
    let provisioner = &status["functions"][1];
    assert_eq!((&provisioner["runs"], &provisioner["runtime"]), (&"package".into(), &"python3.12".into()));
}

#[tokio::test]
async fn a_package_in_the_bucket_is_believed_by_its_checksum() {
    let Some(moto) = Moto::start().await else { return };
    moto.zae_deploy(&["deploy", "--name", "first", "--no-alarms"]).await.ok();
    let package = load_one(zae_deploy::package::Function::Aggregator, Some(lambda_dir()), None).unwrap().1;
    let key = format!("aggregator/{}.zip", package.sha256());
    let s3 = "import boto3, os, hashlib; s3 = boto3.client('s3', endpoint_url=os.environ['ENDPOINT']); \
              bucket = 'zae-deploy-123456789012-us-east-1'; ";
    let replace = format!("{s3} s3.put_object(Bucket=bucket, Key='{key}', Body=b'mine', ChecksumAlgorithm='SHA256')");
    moto.python(&replace).await;
    let ran = moto.zae_deploy(&["deploy", "--name", "second", "--no-alarms"]).await.ok();
    assert!(ran.stderr.contains("is not the package that its name says"), "{}", ran.stderr);
    assert!(ran.stdout.contains("Uploading the aggregator") && !ran.stdout.contains("Uploading the provisioner"));
    let read =
        format!("{s3} print(hashlib.sha256(s3.get_object(Bucket=bucket, Key='{key}')['Body'].read()).hexdigest())");
    assert_eq!(moto.python(&read).await.trim(), package.sha256());
    // Without a checksum there is nothing to trust.
    let replace = format!("{s3} s3.put_object(Bucket=bucket, Key='{key}', Body=b'mine', ChecksumAlgorithm='CRC32')");
    moto.python(&replace).await;
    let ran = moto.zae_deploy(&["deploy", "--name", "third", "--no-alarms"]).await.ok();
    assert!(ran.stdout.contains("Uploading the aggregator"), "{}", ran.stdout);
    assert_eq!(moto.python(&read).await.trim(), package.sha256());
}

#[tokio::test]
async fn what_is_switched_off_is_not_made() {
    let Some(moto) = Moto::start().await else { return };
    for (stack, args, given) in [
        ("no-aggregator", &["--no-aggregator"][..], &[("EnableAggregator", "false")][..]),
        ("no-iam", &["--no-iam"][..], &[("EnableIAM", "false")][..]),
        ("no-archive", &["--no-audit-archival"][..], &[("EnableAuditArchival", "false")][..]),
        ("roles", &["--enable-iam-roles"][..], &[("EnableIAMRoles", "true")][..]),
        ("traced", &["--enable-tracing", "--index-projection", "lean"][..], &[("EnableTracing", "true")][..]),
    ] {
        let ran = moto.zae_deploy(&[&["deploy", "--name", stack, "--output", "json"][..], args].concat()).await.ok();
        let deployed: Value = ran.json();
        assert_eq!((&deployed["outcome"], &deployed["status"]), (&"created".into(), &"CREATE_COMPLETE".into()));
        assert_eq!(resources(&moto, stack).await, expected(given), "{stack}");
        inventory::is_as_the_template_says(&moto, stack).await;
        let status = moto.zae_deploy(&["status", "--name", stack, "--output", "json"]).await.ok().json();
        assert_eq!(status["aggregator"], stack != "no-aggregator" && stack != "no-iam", "{stack}");
        assert_eq!(status["policies"].as_array().unwrap().len(), if stack == "no-iam" { 0 } else { 6 }, "{stack}");
        assert_eq!(status["roles"].as_array().unwrap().len(), if stack == "roles" { 3 } else { 0 }, "{stack}");
        moto.zae_deploy(&["delete", "--name", stack, "--yes"]).await.ok();
    }
}

#[tokio::test]
async fn this_tool_and_the_python_one_list_each_others_stacks() {
    let Some(moto) = Moto::start().await else { return };
    moto.zae_deploy(&["deploy", "--name", "ours"]).await.ok();
    let list = "\
import asyncio, os
from zae_limiter import RateLimiter
found = asyncio.run(RateLimiter.list_deployed(region='us-east-1', endpoint_url=os.environ['ENDPOINT']))
for info in found:
    print(info.user_name, info.stack_status, info.version, info.lambda_version, info.schema_version, info.is_healthy)
";
    let listed = moto.python(list).await;
    assert_eq!(listed.trim(), "ours CREATE_COMPLETE 0.1.0 0.17.0 0.10.0 True");

    // Its template has conditions in a form that only CloudFormation reads; it is found by its tags.
    let theirs = "\
import boto3, os
from zae_limiter.infra.stack_manager import StackManager
tags = StackManager('theirs', 'us-east-1', os.environ['ENDPOINT'])._get_all_tags({'team': 'a'})
body = '{\"Resources\": {\"Queue\": {\"Type\": \"AWS::SQS::Queue\"}}}'
client = boto3.client('cloudformation', endpoint_url=os.environ['ENDPOINT'])
client.create_stack(StackName='theirs', TemplateBody=body, Tags=tags)
client.create_stack(StackName='other', TemplateBody=body)
";
    moto.python(theirs).await;
    let listed = moto.zae_deploy(&["list", "--output", "json"]).await.ok().json();
    let names: Vec<_> = listed["limiters"].as_array().unwrap().iter().map(|info| &info["user_name"]).collect();
    assert_eq!(names, ["ours", "theirs"]);
    let info = &listed["limiters"][1];
    assert_eq!((&info["version"], &info["schema_version"]), (&"0.17.0".into(), &"0.10.0".into()));

    moto.zae_deploy(&["deploy", "--name", "other"]).await.failed(1, &["is not a rate limiter", "--name"]);
    moto.zae_deploy(&["delete", "--name", "other", "--yes"]).await.failed(1, &["is not a rate limiter"]);
}
