//! The changes of an update: [`ChangeSet`].

use aws_sdk_cloudformation::types::{self, ChangeSetStatus};
use serde::Serialize;
use zae_limiter::StackName;

use super::{cloud::Cloud, error::StackError};

/// The pending changes that CloudFormation will make to a stack.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    pub(super) id: String,
    pub(super) stack_id: String,
    changes: Vec<ResourceChange>,
}

impl ChangeSet {
    /// Returns the resources that change.
    pub fn changes(&self) -> &[ResourceChange] {
        &self.changes
    }

    /// Returns the resources that are removed, or replaced by new ones: their content is lost unless the template
    /// retains it.
    pub fn losses(&self) -> impl Iterator<Item = &ResourceChange> {
        self.changes.iter().filter(|change| change.is_loss())
    }
}

/// One resource that changes.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResourceChange {
    /// The action.
    pub action: ResourceAction,
    /// Its name in the template.
    pub logical_id: String,
    /// Its type, for example `AWS::DynamoDB::Table`.
    pub resource_type: String,
    /// The properties that change.
    pub properties: Vec<String>,
}

impl ResourceChange {
    /// Returns true if the current resource will be gone.
    pub fn is_loss(&self) -> bool {
        matches!(self.action, ResourceAction::Remove | ResourceAction::Replace | ResourceAction::MayReplace)
    }

    fn from_sdk(change: types::ResourceChange) -> Self {
        let replacement = change.replacement.map(|replacement| replacement.as_str().to_owned());
        let action = match (change.action.as_ref().map(types::ChangeAction::as_str), replacement.as_deref()) {
            (Some("Add" | "Import"), _) => ResourceAction::Add,
            (Some("Remove"), _) => ResourceAction::Remove,
            (_, Some("True")) => ResourceAction::Replace,
            (_, Some("Conditional")) => ResourceAction::MayReplace,
            _ => ResourceAction::Modify,
        };
        let details = change.details.unwrap_or_default().into_iter();
        let mut properties: Vec<String> = details
            .filter_map(|detail| detail.target)
            .map(|target| match (target.name, target.attribute) {
                (Some(name), _) => name,
                (None, attribute) => attribute.map_or_else(String::new, |a| a.as_str().to_owned()),
            })
            .collect();
        properties.sort();
        properties.dedup();
        Self {
            action,
            logical_id: change.logical_resource_id.unwrap_or_default(),
            resource_type: change.resource_type.unwrap_or_default(),
            properties,
        }
    }
}

/// The action on a resource.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResourceAction {
    /// It is created.
    Add,
    /// It is modified in place.
    Modify,
    /// It is replaced by a new one.
    Replace,
    /// It may be replaced by a new one; CloudFormation only knows during execution.
    MayReplace,
    /// It is removed.
    Remove,
}

/// Waits until CloudFormation has created the change set `id`; `None` if nothing changes.
pub(super) async fn ready(cloud: &Cloud, stack: &StackName, id: &str) -> Result<Option<ChangeSet>, StackError> {
    let operation = "cloudformation:DescribeChangeSet";
    let mut changes = Vec::new();
    let mut stack_id = String::new();
    let mut next: Option<String> = None;
    let mut waited = std::time::Duration::ZERO;
    let mut pauses = cloud.pace().pauses();
    loop {
        let request = cloud.cloudformation().describe_change_set().change_set_name(id).stack_name(stack.as_str());
        let answer = request.set_next_token(next.take()).send().await;
        let answer = answer.map_err(|error| StackError::from_sdk(operation, error))?;
        match answer.status {
            Some(ChangeSetStatus::CreatePending | ChangeSetStatus::CreateInProgress) => {
                let pause = pauses.next().unwrap_or_default();
                if waited > cloud.pace().patience {
                    return Err(unclear(
                        operation,
                        "CloudFormation does not finish creating the change set".to_owned(),
                    ));
                }
                tokio::time::sleep(pause).await;
                waited += pause;
                continue;
            }
            Some(ChangeSetStatus::Failed) => {
                discard(cloud, stack, id).await;
                let reason = answer.status_reason.unwrap_or_default();
                return if says_nothing_changes(&reason) {
                    Ok(None)
                } else {
                    Err(unclear("cloudformation:CreateChangeSet", reason))
                };
            }
            _ => {}
        }
        stack_id = answer.stack_id.unwrap_or(stack_id);
        let page = answer.changes.unwrap_or_default().into_iter();
        changes.extend(page.filter_map(|change| change.resource_change).map(ResourceChange::from_sdk));
        next = answer.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(Some(ChangeSet { id: id.to_owned(), stack_id, changes }));
        }
    }
}

/// Returns true if CloudFormation reports that the stack already has its desired state. It does so when a change set is
/// requested, or when it has been created.
pub(super) fn says_nothing_changes(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

/// Deletes a change set that will not be executed. A leftover is harmless, so a failure is only logged.
pub(super) async fn discard(cloud: &Cloud, stack: &StackName, id: &str) {
    let request = cloud.cloudformation().delete_change_set().change_set_name(id).stack_name(stack.as_str());
    if let Err(error) = request.send().await {
        tracing::debug!(%error, "the change set is left behind");
    }
}

fn unclear(operation: &'static str, message: String) -> StackError {
    StackError::Service { operation, code: None, source: message.clone().into(), message }
}
