//! Progress of CloudFormation's work: [`StackEvent`], [`Watch`].

use std::{collections::HashSet, fmt};

use aws_sdk_cloudformation::types;
use serde::Serialize;
use zae_limiter::StackName;

use super::{
    cloud::Cloud,
    describe::{DeployedStack, find},
    error::{ResourceFailure, StackError},
    state::StackState,
};

/// One step of a CloudFormation operation.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StackEvent {
    /// Time of the step, in epoch seconds.
    pub at: i64,
    /// The resource's name in the template; the stack's own name for the stack itself.
    pub logical_id: String,
    /// The resource's type, for example `AWS::DynamoDB::Table`.
    pub resource_type: String,
    /// The resource's state, for example `CREATE_COMPLETE`.
    pub status: String,
    /// The reason, usually of a failure.
    pub reason: Option<String>,
    id: String,
}

impl StackEvent {
    fn from_sdk(event: types::StackEvent) -> Self {
        Self {
            at: event.timestamp.map_or(0, |time| time.secs()),
            logical_id: event.logical_resource_id.unwrap_or_default(),
            resource_type: event.resource_type.unwrap_or_default(),
            status: event.resource_status.map_or_else(String::new, |status| status.as_str().to_owned()),
            reason: event.resource_status_reason.filter(|reason| !reason.is_empty()),
            id: event.event_id.unwrap_or_default(),
        }
    }

    /// Returns true if it is about the stack as a whole.
    pub fn is_about_stack(&self) -> bool {
        self.resource_type == "AWS::CloudFormation::Stack"
    }

    /// Returns the failure that it reports. A step that was only cancelled because of another failure does not count.
    pub fn failure(&self) -> Option<ResourceFailure> {
        let cancelled = self.reason.as_deref().is_some_and(|reason| reason.contains("cancelled"));
        if !self.status.ends_with("_FAILED") || cancelled || self.is_about_stack() {
            return None;
        }
        Some(ResourceFailure {
            logical_id: self.logical_id.clone(),
            resource_type: self.resource_type.clone(),
            reason: self.reason.clone().unwrap_or_else(|| "no reason given".to_owned()),
        })
    }
}

impl fmt::Display for StackEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.status, self.logical_id, self.resource_type)?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

/// An observer of the steps of a stack.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
pub trait Watch: Send + Sync {
    /// Called for each step of CloudFormation.
    fn event(&self, event: &StackEvent);

    /// Called when another activity starts, described in a few words.
    fn step(&self, text: &str) {
        tracing::info!("{text}");
    }

    /// Called for a problem that does not stop the operation, described in a sentence.
    fn warn(&self, text: &str) {
        tracing::warn!("{text}");
    }

    /// Reports that the work named by `label` is done to `percent` per cent. Called often; ignored by default.
    fn progress(&self, label: &str, percent: u8) {
        tracing::trace!(percent, "{label}");
    }
}

/// An observer that logs the steps.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWatch;

impl Watch for LogWatch {
    fn event(&self, event: &StackEvent) {
        tracing::info!(resource = event.logical_id, status = event.status, reason = event.reason, "stack event");
    }
}

/// Follows the events of one operation.
pub(super) struct Follow<'a> {
    cloud: &'a Cloud,
    /// Its id instead of its name, by which a deleted stack cannot be found.
    stack_id: String,
    stack: StackName,
    seen: HashSet<String>,
    failure: Option<ResourceFailure>,
}

impl<'a> Follow<'a> {
    /// Follows a stack from its first event.
    pub(super) fn new(cloud: &'a Cloud, stack: &StackName, stack_id: &str) -> Self {
        let stack_id = stack_id.to_owned();
        Self { cloud, stack_id, stack: stack.clone(), seen: HashSet::new(), failure: None }
    }

    /// Follows an existing stack from the next event on.
    pub(super) async fn from_now(cloud: &'a Cloud, stack: &StackName, stack_id: &str) -> Result<Self, StackError> {
        let mut follow = Self::new(cloud, stack, stack_id);
        follow.seen = follow.latest().await?.into_iter().map(|event| event.id).collect();
        Ok(follow)
    }

    /// Waits until the stack's operation ends, and reports every step to `watch`.
    pub(super) async fn until_done(&mut self, watch: &dyn Watch) -> Result<DeployedStack, StackError> {
        let pace = self.cloud.pace();
        let mut waited = std::time::Duration::ZERO;
        for pause in pace.pauses() {
            // The state is read before the events, so that all events of a finished operation are included.
            let found = find(self.cloud, &self.stack_id).await?;
            self.tell(watch).await?;
            let Some(found) = found else { return Err(StackError::NotFound { stack: self.stack.clone() }) };
            if !found.state.is_in_progress() {
                return Ok(found);
            }
            if waited >= pace.patience {
                let (stack, minutes) = (self.stack.clone(), pace.patience.as_secs() / 60);
                return Err(StackError::TimedOut { stack, state: found.state, minutes });
            }
            tokio::time::sleep(pause).await;
            waited += pause;
        }
        unreachable!("pauses do not end")
    }

    /// Takes the resource that failed first.
    pub(super) fn take_failure(&mut self) -> Option<ResourceFailure> {
        self.failure.take()
    }

    async fn tell(&mut self, watch: &dyn Watch) -> Result<(), StackError> {
        for event in self.latest().await? {
            if self.seen.insert(event.id.clone()) {
                self.failure = self.failure.take().or_else(|| event.failure());
                watch.event(&event);
            }
        }
        Ok(())
    }

    /// Returns the events since the last known one, oldest first.
    async fn latest(&self) -> Result<Vec<StackEvent>, StackError> {
        let mut events = Vec::new();
        let mut pages =
            self.cloud.cloudformation().describe_stack_events().stack_name(&self.stack_id).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StackError::from_sdk("cloudformation:DescribeStackEvents", error))?;
            let page: Vec<_> = page.stack_events.unwrap_or_default().into_iter().map(StackEvent::from_sdk).collect();
            let known = page.iter().any(|event| self.seen.contains(&event.id));
            events.extend(page);
            if known {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }
}

/// Returns the outcome of an operation that ended in `deployed`.
pub(super) fn outcome(
    stack: &StackName,
    deployed: DeployedStack,
    failure: Option<ResourceFailure>,
) -> Result<DeployedStack, StackError> {
    if deployed.state.is_healthy() {
        return Ok(deployed);
    }
    let state: StackState = deployed.state;
    Err(StackError::Failed { stack: stack.clone(), state, failure })
}
