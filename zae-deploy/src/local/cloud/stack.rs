//! The record of a stack.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ulid::Ulid;

use super::{ACCOUNT, resolve::StackParameters};
use crate::local::ports::REGION;

const STACK: &str = "AWS::CloudFormation::Stack";

/// A stack, possibly deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stack {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) template: String,
    pub(super) parameters: StackParameters,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) created: String,
    pub(super) updated: Option<String>,
    pub(super) is_protected: bool,
    /// In the order of creation.
    pub(super) resources: Vec<Resource>,
    pub(super) outputs: Vec<StackOutput>,
    /// Oldest first.
    pub(super) events: Vec<Event>,
    pub(super) change_sets: Vec<StoredChangeSet>,
}

/// A created resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Resource {
    pub(super) logical_id: String,
    pub(super) kind: String,
    pub(super) physical_id: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) properties: Value,
    pub(super) status: String,
    pub(super) changed: String,
    /// True if it outlives its stack.
    pub(super) is_retained: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StackOutput {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) description: Option<String>,
    pub(super) export: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) at: String,
    pub(super) logical_id: String,
    pub(super) physical_id: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
}

/// The desired state of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WantedStack {
    pub(super) template: String,
    pub(super) parameters: StackParameters,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredChangeSet {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: String,
    pub(super) changes: Vec<PlannedChange>,
    /// The reason why it cannot be executed.
    pub(super) failure: Option<String>,
    pub(super) wanted: WantedStack,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlannedChange {
    pub(super) action: PlannedAction,
    pub(super) logical_id: String,
    pub(super) physical_id: Option<String>,
    pub(super) kind: String,
    /// The properties that change.
    pub(super) properties: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PlannedAction {
    Add,
    Modify,
    Replace,
    Remove,
}

/// Returns the current time in AWS's format.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

impl Stack {
    pub(super) fn new(name: &str, wanted: WantedStack) -> Self {
        Self {
            id: format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{}", Ulid::new()),
            name: name.to_owned(),
            template: wanted.template,
            parameters: wanted.parameters,
            tags: wanted.tags,
            status: "REVIEW_IN_PROGRESS".to_owned(),
            reason: None,
            created: now(),
            updated: None,
            is_protected: false,
            resources: Vec::new(),
            outputs: Vec::new(),
            events: Vec::new(),
            change_sets: Vec::new(),
        }
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    /// Returns true if `name` is its name, or its id.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.id == name || (self.name == name && !self.is_deleted())
    }

    /// Sets the stack's status to `status` and records the event.
    pub(super) fn become_status(&mut self, status: &str, reason: Option<&str>) {
        status.clone_into(&mut self.status);
        self.reason = reason.map(str::to_owned);
        let (name, id) = (self.name.clone(), self.id.clone());
        self.note((&name, &id, STACK), status, reason);
    }

    /// Records an event of a resource: its name in the template, its id, its type.
    pub(super) fn note(
        &mut self,
        (logical_id, physical_id, kind): (&str, &str, &str),
        status: &str,
        reason: Option<&str>,
    ) {
        self.events.push(Event {
            id: format!("{logical_id}-{status}-{}", Ulid::new()),
            at: now(),
            logical_id: logical_id.to_owned(),
            physical_id: physical_id.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
        });
    }

    /// Returns a resource by its name in the template.
    pub(super) fn resource(&self, logical_id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.logical_id == logical_id)
    }
}
