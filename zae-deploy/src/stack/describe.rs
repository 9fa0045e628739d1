//! A stack as reported by CloudFormation: [`DeployedStack`].

use std::collections::BTreeMap;

use aws_sdk_cloudformation::{error::ProvideErrorMetadata, types};
use zae_limiter::StackName;

use super::{cloud::Cloud, error::StackError, parameters::Parameters, state::StackState, tags};

/// Parameters of this template and of the Python package's, which together occur in no other template.
const PARAMETERS: [&str; 3] = ["SchemaVersion", "SnapshotWindows", "SnapshotRetentionDays"];

/// A stack as reported by CloudFormation.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeployedStack {
    /// Its name.
    pub name: String,
    /// Its id, an ARN that no later stack of the same name will have.
    pub id: String,
    /// Its state.
    pub state: StackState,
    /// CloudFormation's reason for the state.
    pub reason: Option<String>,
    /// The parameters of its template.
    pub parameters: Parameters,
    /// The outputs of its template.
    pub outputs: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Time of its creation, in epoch seconds.
    pub created_at: Option<i64>,
    /// Time of its last update, in epoch seconds.
    pub updated_at: Option<i64>,
    /// True if it is protected against termination.
    pub protected: bool,
}

impl DeployedStack {
    pub(super) fn from_sdk(stack: types::Stack) -> Self {
        let pairs = |key: Option<String>, value: Option<String>| Some((key?, value?));
        let parameters = stack.parameters.unwrap_or_default().into_iter();
        let outputs = stack.outputs.unwrap_or_default().into_iter();
        let tags = stack.tags.unwrap_or_default().into_iter();
        Self {
            name: stack.stack_name.unwrap_or_default(),
            id: stack.stack_id.unwrap_or_default(),
            state: StackState::new(stack.stack_status.map_or_else(String::new, |status| status.as_str().to_owned())),
            reason: stack.stack_status_reason.filter(|reason| !reason.is_empty()),
            parameters: parameters.filter_map(|p| pairs(p.parameter_key, p.parameter_value)).collect(),
            outputs: outputs.filter_map(|o| pairs(o.output_key, o.output_value)).collect(),
            tags: tags.filter_map(|t| pairs(t.key, t.value)).collect(),
            created_at: stack.creation_time.map(|time| time.secs()),
            updated_at: stack.last_updated_time.map(|time| time.secs()),
            protected: stack.enable_termination_protection.unwrap_or_default(),
        }
    }

    /// Returns true if its tags, its name or its template's parameters identify it as a rate limiter. A stack that was
    /// deployed from the printed template has no tags. [`is_limiter`] checks further.
    pub(super) fn says_it_is_a_limiter(&self) -> bool {
        self.tags.get(tags::MANAGED_BY).is_some_and(|owner| owner == tags::OWNER)
            || self.name.starts_with(tags::LEGACY_PREFIX)
            || PARAMETERS.iter().all(|name| self.parameters.contains_key(*name))
    }
}

/// Finds the stack by name or id, including deleted ones.
pub(super) async fn find(cloud: &Cloud, name: &str) -> Result<Option<DeployedStack>, StackError> {
    match cloud.cloudformation().describe_stacks().stack_name(name).send().await {
        Ok(answer) => Ok(answer.stacks.unwrap_or_default().into_iter().next().map(DeployedStack::from_sdk)),
        // For a stack that does not exist, the API reports a validation error.
        Err(error) if error.code() == Some("ValidationError") => Ok(None),
        Err(error) => Err(StackError::from_sdk("cloudformation:DescribeStacks", error)),
    }
}

/// Returns the stack of that name.
pub async fn describe(cloud: &Cloud, stack: &StackName) -> Result<Option<DeployedStack>, StackError> {
    let found = find(cloud, stack.as_str()).await?;
    Ok(found.filter(|stack| !stack.state.is_deleted()))
}

/// Returns true if a stack is a rate limiter, by its tags or by the table in its template.
pub(super) async fn is_limiter(cloud: &Cloud, stack: &DeployedStack) -> Result<bool, StackError> {
    if stack.says_it_is_a_limiter() || stack.outputs.contains_key("TableName") {
        return Ok(true);
    }
    let table = cloud.cloudformation().describe_stack_resource().stack_name(&stack.name);
    match table.logical_resource_id("RateLimitsTable").send().await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ValidationError") => Ok(false),
        Err(error) => Err(StackError::from_sdk("cloudformation:DescribeStackResource", error)),
    }
}
