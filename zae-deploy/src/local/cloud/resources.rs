//! Resources by type: the table, its functions and buckets are created, the others are only recorded.

use std::collections::BTreeMap;

use serde_json::Value;
use ulid::Ulid;

use super::{ACCOUNT, LocalCloud, custom, resolve::text, stack::Resource, table};
use crate::local::ports::REGION;

/// The stack to which a resource belongs.
#[derive(Clone, Debug)]
pub(super) struct ResourcePlace {
    pub(super) stack: String,
    pub(super) id: String,
    pub(super) tags: BTreeMap<String, String>,
}

/// A created resource: its id, and its attributes.
pub(super) struct Made {
    pub(super) physical_id: String,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Made {
    pub(super) fn new<const N: usize>(physical_id: impl Into<String>, attributes: [(&str, String); N]) -> Self {
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
        Self { physical_id: physical_id.into(), attributes: attributes.into() }
    }
}

/// Creates a resource.
pub(super) async fn make(cloud: &LocalCloud, place: &ResourcePlace, new: &Resource) -> Result<Made, String> {
    match new.kind.as_str() {
        "AWS::DynamoDB::Table" => table::make(cloud, place, &new.properties).await,
        "AWS::Lambda::Function" => cloud.functions.make(cloud, place, &new.properties),
        "AWS::Lambda::EventSourceMapping" => {
            let id = Ulid::new().to_string().to_lowercase();
            cloud.map_stream(&id, &new.properties)?;
            Ok(Made::new(id, []))
        }
        "AWS::S3::Bucket" => {
            let named = new.properties.get("BucketName").map(text);
            let name = named.unwrap_or_else(|| generated(place, &new.logical_id).to_lowercase());
            cloud.buckets.create(&name).map_err(|problem| problem.message)?;
            if place.stack == cloud.own.stack.as_str()
                && let Some(folder) = &cloud.own.archive
            {
                cloud.buckets.keep_in(&name, folder);
            }
            Ok(bucket(&name))
        }
        kind if is_custom(kind) => custom::ask(cloud, place, "Create", (None, new)).await,
        _ => note(place, new),
    }
}

/// Updates an existing resource to its desired state.
pub(super) async fn change(
    cloud: &LocalCloud,
    place: &ResourcePlace,
    old: &Resource,
    new: &Resource,
) -> Result<Made, String> {
    let kept = || Made { physical_id: old.physical_id.clone(), attributes: old.attributes.clone() };
    match new.kind.as_str() {
        "AWS::DynamoDB::Table" => table::change(cloud, place, &old.properties, &new.properties).await,
        "AWS::Lambda::Function" => {
            let made = cloud.functions.change(cloud, place, &old.properties, &new.properties)?;
            cloud.remap_streams(&made.physical_id)?;
            Ok(made)
        }
        "AWS::Lambda::EventSourceMapping" => {
            cloud.map_stream(&old.physical_id, &new.properties)?;
            Ok(kept())
        }
        kind if is_custom(kind) => custom::ask(cloud, place, "Update", (Some(old), new)).await,
        _ => Ok(kept()),
    }
}

/// Removes a resource; succeeds if it is already gone.
pub(super) async fn remove(cloud: &LocalCloud, place: &ResourcePlace, old: &Resource) -> Result<(), String> {
    match old.kind.as_str() {
        "AWS::DynamoDB::Table" => table::remove(cloud, &old.physical_id).await,
        "AWS::Lambda::Function" => {
            cloud.functions.remove(&old.physical_id);
            Ok(())
        }
        "AWS::Lambda::EventSourceMapping" => {
            cloud.unmap_stream(&old.physical_id);
            Ok(())
        }
        "AWS::S3::Bucket" => match cloud.buckets.remove(&old.physical_id) {
            Err(problem) if problem.code != "NoSuchBucket" => Err(problem.message),
            _ => Ok(()),
        },
        kind if is_custom(kind) => custom::ask(cloud, place, "Delete", (None, old)).await.map(drop),
        _ => Ok(()),
    }
}

fn is_custom(kind: &str) -> bool {
    kind.starts_with("Custom::") || kind == "AWS::CloudFormation::CustomResource"
}

fn bucket(name: &str) -> Made {
    let arn = format!("arn:aws:s3:::{name}");
    Made::new(name, [("Arn", arn), ("DomainName", format!("{name}.s3.amazonaws.com"))])
}

/// Generates a name for a resource without one in the template.
fn generated(place: &ResourcePlace, logical_id: &str) -> String {
    let random = Ulid::new().to_string();
    format!("{}-{logical_id}-{}", place.stack, &random[random.len() - 12..])
}

/// Types that are recorded and shown but do nothing here: the property with the name, and the ARN.
const NOTED: [(&str, &str, &str); 14] = [
    ("AWS::IAM::Role", "RoleName", "arn:aws:iam::{account}:role/{name}"),
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName", "arn:aws:iam::{account}:policy/{name}"),
    ("AWS::IAM::Policy", "PolicyName", ""),
    ("AWS::Logs::LogGroup", "LogGroupName", "arn:aws:logs:{region}:{account}:log-group:{name}:*"),
    ("AWS::SQS::Queue", "QueueName", "arn:aws:sqs:{region}:{account}:{name}"),
    ("AWS::SQS::QueuePolicy", "", ""),
    ("AWS::CloudWatch::Alarm", "AlarmName", "arn:aws:cloudwatch:{region}:{account}:alarm:{name}"),
    ("AWS::CloudWatch::Dashboard", "DashboardName", ""),
    ("AWS::SNS::Topic", "TopicName", "arn:aws:sns:{region}:{account}:{name}"),
    ("AWS::KMS::Key", "", "arn:aws:kms:{region}:{account}:key/{name}"),
    ("AWS::KMS::Alias", "AliasName", ""),
    ("AWS::S3::BucketPolicy", "", ""),
    ("AWS::Lambda::Permission", "", ""),
    ("AWS::CloudFormation::WaitConditionHandle", "", ""),
];

fn note(place: &ResourcePlace, new: &Resource) -> Result<Made, String> {
    let Some((_, property, arn)) = NOTED.iter().find(|(kind, ..)| *kind == new.kind) else {
        return Err(format!("a local stack has no resources of the type {}", new.kind));
    };
    let named = new.properties.get(*property).and_then(Value::as_str);
    let name = named.map_or_else(|| generated(place, &new.logical_id), str::to_owned);
    let arn = arn.replace("{account}", ACCOUNT).replace("{region}", REGION).replace("{name}", &name);
    let made = Made::new(&*name, [("Arn", arn.clone())]);
    Ok(match new.kind.as_str() {
        "AWS::IAM::ManagedPolicy" | "AWS::SNS::Topic" => Made { physical_id: arn, ..made },
        "AWS::IAM::Role" => Made::new(&*name, [("Arn", arn), ("RoleId", format!("AROA{}", Ulid::new()))]),
        "AWS::SQS::Queue" => {
            let url = format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}");
            Made::new(url.clone(), [("Arn", arn), ("QueueName", name), ("QueueUrl", url)])
        }
        _ => made,
    })
}
