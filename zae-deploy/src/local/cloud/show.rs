//! Formats stacks as CloudFormation's API does.

use std::collections::BTreeMap;

use super::{
    stack::{Event, PlannedAction, PlannedChange, Resource, Stack, StoredChangeSet},
    xml::Xml,
};

fn text(text: &str) -> Option<Xml> {
    Some(Xml::text(text))
}

fn optional(text: Option<&String>) -> Option<Xml> {
    text.map(Xml::text)
}

fn tags(tags: &BTreeMap<String, String>) -> Xml {
    Xml::Members(tags.iter().map(|(key, value)| Xml::fields([("Key", text(key)), ("Value", text(value))])).collect())
}

fn parameters(parameters: &BTreeMap<String, String>) -> Xml {
    let shown = parameters
        .iter()
        .map(|(key, value)| Xml::fields([("ParameterKey", text(key)), ("ParameterValue", text(value))]));
    Xml::Members(shown.collect())
}

pub(super) fn stack(stack: &Stack) -> Xml {
    let outputs = stack.outputs.iter().map(|output| {
        Xml::fields([
            ("OutputKey", text(&output.key)),
            ("OutputValue", text(&output.value)),
            ("Description", optional(output.description.as_ref())),
            ("ExportName", optional(output.export.as_ref())),
        ])
    });
    Xml::fields([
        ("StackId", text(&stack.id)),
        ("StackName", text(&stack.name)),
        ("Parameters", Some(parameters(&stack.parameters))),
        ("CreationTime", text(&stack.created)),
        ("LastUpdatedTime", optional(stack.updated.as_ref())),
        ("RollbackConfiguration", Some(Xml::Fields(Vec::new()))),
        ("StackStatus", text(&stack.status)),
        ("StackStatusReason", optional(stack.reason.as_ref())),
        ("DisableRollback", text("false")),
        ("NotificationARNs", Some(Xml::Members(Vec::new()))),
        ("Capabilities", Some(Xml::Members(vec![Xml::text("CAPABILITY_NAMED_IAM")]))),
        ("Outputs", Some(Xml::Members(outputs.collect()))),
        ("Tags", Some(tags(&stack.tags))),
        ("EnableTerminationProtection", text(&stack.is_protected.to_string())),
        ("DriftInformation", Some(Xml::fields([("StackDriftStatus", text("NOT_CHECKED"))]))),
    ])
}

pub(super) fn summary(stack: &Stack) -> Xml {
    let deleted = stack.is_deleted().then(|| stack.events.last().map(|event| &event.at)).flatten();
    Xml::fields([
        ("StackId", text(&stack.id)),
        ("StackName", text(&stack.name)),
        ("CreationTime", text(&stack.created)),
        ("LastUpdatedTime", optional(stack.updated.as_ref())),
        ("DeletionTime", optional(deleted)),
        ("StackStatus", text(&stack.status)),
        ("StackStatusReason", optional(stack.reason.as_ref())),
    ])
}

pub(super) fn event(stack: &Stack, event: &Event) -> Xml {
    Xml::fields([
        ("StackId", text(&stack.id)),
        ("EventId", text(&event.id)),
        ("StackName", text(&stack.name)),
        ("LogicalResourceId", text(&event.logical_id)),
        ("PhysicalResourceId", text(&event.physical_id)),
        ("ResourceType", text(&event.kind)),
        ("Timestamp", text(&event.at)),
        ("ResourceStatus", text(&event.status)),
        ("ResourceStatusReason", optional(event.reason.as_ref())),
    ])
}

/// Formats a resource, with its time under the call's name for it.
pub(super) fn resource(stack: &Stack, resource: &Resource, time: &'static str) -> Xml {
    Xml::fields([
        ("StackName", text(&stack.name)),
        ("StackId", text(&stack.id)),
        ("LogicalResourceId", text(&resource.logical_id)),
        ("PhysicalResourceId", text(&resource.physical_id)),
        ("ResourceType", text(&resource.kind)),
        (time, text(&resource.changed)),
        ("ResourceStatus", text(&resource.status)),
        ("DriftInformation", Some(Xml::fields([("StackResourceDriftStatus", text("NOT_CHECKED"))]))),
    ])
}

fn change(change: &PlannedChange) -> Xml {
    let (action, replacement) = match change.action {
        PlannedAction::Add => ("Add", None),
        PlannedAction::Modify => ("Modify", Some("False")),
        PlannedAction::Replace => ("Modify", Some("True")),
        PlannedAction::Remove => ("Remove", None),
    };
    let details = change.properties.iter().map(|property| {
        let target = match property.as_str() {
            "Tags" => Xml::fields([("Attribute", text("Tags")), ("RequiresRecreation", text("Never"))]),
            name => Xml::fields([("Attribute", text("Properties")), ("Name", text(name))]),
        };
        Xml::fields([
            ("Target", Some(target)),
            ("Evaluation", text("Static")),
            ("ChangeSource", text("DirectModification")),
        ])
    });
    let shown = Xml::fields([
        ("Action", text(action)),
        ("LogicalResourceId", text(&change.logical_id)),
        ("PhysicalResourceId", optional(change.physical_id.as_ref())),
        ("ResourceType", text(&change.kind)),
        ("Replacement", replacement.and_then(text)),
        ("Details", Some(Xml::Members(details.collect()))),
    ]);
    Xml::fields([("Type", text("Resource")), ("ResourceChange", Some(shown))])
}

pub(super) fn change_set(stack: &Stack, set: &StoredChangeSet) -> Xml {
    let (status, execution) = match set.failure {
        Some(_) => ("FAILED", "UNAVAILABLE"),
        None => ("CREATE_COMPLETE", "AVAILABLE"),
    };
    Xml::fields([
        ("ChangeSetName", text(&set.name)),
        ("ChangeSetId", text(&set.id)),
        ("StackId", text(&stack.id)),
        ("StackName", text(&stack.name)),
        ("Parameters", Some(parameters(&set.wanted.parameters))),
        ("CreationTime", text(&set.created)),
        ("ExecutionStatus", text(execution)),
        ("Status", text(status)),
        ("StatusReason", optional(set.failure.as_ref())),
        ("Tags", Some(tags(&set.wanted.tags))),
        ("Changes", Some(Xml::Members(set.changes.iter().map(change).collect()))),
    ])
}
