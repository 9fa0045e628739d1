//! The resources declared in a template, and their differences from those of a stack.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    refusal::Refusal,
    resolve::{TemplateScope, references, text},
    stack::{PlannedAction, PlannedChange, Resource, Stack, StackOutput},
};

/// The kinds of resources that the stack's tags are copied to.
const TAGGED: [&str; 4] = ["AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::S3::Bucket", "AWS::SQS::Queue"];

/// Properties that cannot change on an existing resource, by its kind; the first is its name.
const FIXED: [(&str, &[&str]); 10] = [
    ("AWS::DynamoDB::Table", &["TableName", "KeySchema", "LocalSecondaryIndexes"]),
    ("AWS::Lambda::Function", &["FunctionName"]),
    ("AWS::S3::Bucket", &["BucketName"]),
    ("AWS::Logs::LogGroup", &["LogGroupName"]),
    ("AWS::IAM::Role", &["RoleName", "Path"]),
    ("AWS::IAM::ManagedPolicy", &["ManagedPolicyName", "Path", "Description"]),
    ("AWS::SQS::Queue", &["QueueName", "FifoQueue"]),
    ("AWS::CloudWatch::Alarm", &["AlarmName"]),
    ("AWS::CloudWatch::Dashboard", &["DashboardName"]),
    ("AWS::Lambda::EventSourceMapping", &["EventSourceArn", "StartingPosition"]),
];

/// A resource in a template.
pub(super) struct DeclaredResource {
    pub(super) logical_id: String,
    pub(super) kind: String,
    /// With unresolved functions.
    pub(super) properties: Value,
    pub(super) is_retained: bool,
}

/// Returns the resources of the template, each after those it refers to.
pub(super) fn declared(scope: &TemplateScope<'_>) -> Result<Vec<DeclaredResource>, Refusal> {
    let mut left = Vec::new();
    for (logical_id, resource) in scope.template["Resources"].as_object().into_iter().flatten() {
        if let Some(condition) = resource.get("Condition").and_then(Value::as_str)
            && !scope.condition(condition)?
        {
            continue;
        }
        let mut needs = BTreeSet::new();
        references(resource, &mut needs);
        let policy = resource.get("DeletionPolicy").and_then(Value::as_str);
        let declared = DeclaredResource {
            logical_id: logical_id.clone(),
            kind: resource["Type"].as_str().unwrap_or_default().to_owned(),
            properties: resource.get("Properties").cloned().unwrap_or_else(|| Map::new().into()),
            is_retained: policy.is_some_and(|policy| policy.starts_with("Retain")),
        };
        left.push((declared, needs));
    }
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let is_ready = |needs: &BTreeSet<String>| left.iter().all(|(other, _)| !needs.contains(&other.logical_id));
        let Some(next) = left.iter().position(|(_, needs)| is_ready(needs)) else {
            let names: Vec<&str> = left.iter().map(|(declared, _)| declared.logical_id.as_str()).collect();
            return Err(Refusal::invalid(format!("Circular dependency between resources: [{}]", names.join(", "))));
        };
        ordered.push(left.remove(next).0);
    }
    Ok(ordered)
}

/// Returns the template's outputs.
pub(super) fn outputs(scope: &TemplateScope<'_>) -> Result<Vec<StackOutput>, Refusal> {
    let mut outputs = Vec::new();
    for (key, output) in scope.template["Outputs"].as_object().into_iter().flatten() {
        if let Some(condition) = output.get("Condition").and_then(Value::as_str)
            && !scope.condition(condition)?
        {
            continue;
        }
        let scalar = |value: &Value| scope.value(value).map(|value| value.as_ref().map(text).unwrap_or_default());
        outputs.push(StackOutput {
            key: key.clone(),
            value: scalar(&output["Value"])?,
            description: output.get("Description").map(text),
            export: output["Export"].get("Name").map(scalar).transpose()?,
        });
    }
    Ok(outputs)
}

/// Returns the differences between the declared resources and those of the stack.
pub(super) fn changes(
    scope: &TemplateScope<'_>,
    stack: &Stack,
    tags: &BTreeMap<String, String>,
) -> Result<Vec<PlannedChange>, Refusal> {
    let declared = declared(scope)?;
    let mut changes = Vec::new();
    for new in &declared {
        let properties = scope.value(&new.properties)?.unwrap_or_default();
        changes.extend(change(stack.resource(&new.logical_id), new, &properties, stack.tags != *tags));
    }
    let gone = stack.resources.iter().filter(|old| declared.iter().all(|new| new.logical_id != old.logical_id));
    changes.extend(gone.map(|old| PlannedChange {
        action: PlannedAction::Remove,
        logical_id: old.logical_id.clone(),
        physical_id: Some(old.physical_id.clone()),
        kind: old.kind.clone(),
        properties: Vec::new(),
    }));
    Ok(changes)
}

/// Returns the change that turns `old` into `new`, if there is any.
pub(super) fn change(
    old: Option<&Resource>,
    new: &DeclaredResource,
    properties: &Value,
    has_other_tags: bool,
) -> Option<PlannedChange> {
    let (logical_id, kind) = (new.logical_id.clone(), new.kind.clone());
    let Some(old) = old else {
        return Some(PlannedChange {
            action: PlannedAction::Add,
            logical_id,
            physical_id: None,
            kind,
            properties: Vec::new(),
        });
    };
    let names = |value: &Value| value.as_object().into_iter().flat_map(Map::keys).cloned().collect::<BTreeSet<_>>();
    let mut changed: Vec<String> = names(&old.properties).union(&names(properties)).cloned().collect();
    changed.retain(|name| old.properties.get(name) != properties.get(name));
    let fixed = FIXED.iter().find(|(known, _)| *known == kind).map_or(&["ServiceToken"][..], |(_, fixed)| *fixed);
    let is_replaced = old.kind != kind || changed.iter().any(|name| fixed.contains(&name.as_str()));
    if has_other_tags && TAGGED.contains(&kind.as_str()) && !changed.iter().any(|name| name == "Tags") {
        changed.push("Tags".to_owned());
    }
    let action = if is_replaced { PlannedAction::Replace } else { PlannedAction::Modify };
    let physical_id = Some(old.physical_id.clone());
    (is_replaced || !changed.is_empty()).then_some(PlannedChange {
        action,
        logical_id,
        physical_id,
        kind,
        properties: changed,
    })
}

/// Returns true if the template sets the resource's name, which no second resource can have at the same time.
pub(super) fn is_named(kind: &str, properties: &Value) -> bool {
    let name = FIXED.iter().find(|(known, _)| *known == kind).and_then(|(_, fixed)| fixed.first());
    name.is_some_and(|name| name.ends_with("Name") && properties.get(name).is_some())
}
