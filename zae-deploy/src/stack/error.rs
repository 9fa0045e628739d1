//! Errors of operations on stacks, with the next command to run.

use std::fmt;

use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use zae_limiter::{
    RepositoryError, StackName, ValidationError,
    error::{BoxError, ConnectError},
};

use super::state::StackState;
use crate::{advice, package::PackageError};

/// The reason why an operation on a stack failed. [`StackError::advice`] returns a remedy.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// A name is invalid; nothing was sent.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// An option is invalid; nothing was sent.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The AWS configuration in the environment is unusable; nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No region was given and none is configured.
    #[error("no AWS region is configured")]
    NoRegion,
    /// There is no such stack.
    #[error("stack {stack} does not exist")]
    NotFound {
        /// The requested stack.
        stack: StackName,
    },
    /// Another stack with that name exists, and it is not a rate limiter.
    #[error("a stack named {stack} exists, and it is not a rate limiter")]
    NameTaken {
        /// The name.
        stack: StackName,
    },
    /// The stack's state does not permit an update.
    #[error("stack {stack} is {state} and cannot be updated{}", because(.reason.as_deref()))]
    Stuck {
        /// The stack.
        stack: StackName,
        /// Its state.
        state: StackState,
        /// CloudFormation's reason for the state.
        reason: Option<String>,
    },
    /// A resource failed during CloudFormation's operation.
    #[error("stack {stack} is {state}{}", caused(.failure.as_ref()))]
    Failed {
        /// The stack.
        stack: StackName,
        /// Its final state.
        state: StackState,
        /// The resource that failed first, with its reason.
        failure: Option<ResourceFailure>,
    },
    /// The table or the stack itself is protected against deletion.
    #[error("stack {stack} cannot be deleted: {what} is protected against deletion")]
    Protected {
        /// The stack.
        stack: StackName,
        /// The protected object.
        what: Protected,
    },
    /// An update would remove or replace resources, and there was no confirmation.
    #[error("updating stack {stack} would remove or replace {}", .resources.join(", "))]
    WouldLose {
        /// The stack.
        stack: StackName,
        /// The resources, by their names in the template.
        resources: Vec<String>,
    },
    /// CloudFormation takes longer than the maximum wait.
    #[error("stack {stack} is still {state} after {minutes} minutes")]
    TimedOut {
        /// The stack.
        stack: StackName,
        /// Its state.
        state: StackState,
        /// The time waited, in minutes.
        minutes: u64,
    },
    /// The credentials lack a permission.
    #[error("{operation}: the credentials lack the permission: {message}")]
    Denied {
        /// The operation, for example `cloudformation:CreateStack`.
        operation: &'static str,
        /// AWS's message.
        message: String,
    },
    /// A call to AWS failed.
    #[error("{operation} failed: {message}")]
    Service {
        /// The operation, for example `cloudformation:CreateStack`.
        operation: &'static str,
        /// AWS's own error code, if it sent one.
        code: Option<String>,
        /// AWS's message, or the reason why AWS was not reached.
        message: String,
        /// The SDK's error.
        source: BoxError,
    },
    /// The binary of a function cannot be packed.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The table could not be prepared.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// An option that is not valid.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} {problem}")]
pub struct OptionError {
    pub(crate) option: &'static str,
    pub(crate) problem: String,
}

impl OptionError {
    pub(crate) fn new(option: &'static str, problem: impl Into<String>) -> Self {
        Self { option, problem: problem.into() }
    }

    /// Returns the option's name, for example `pitr_recovery_days`.
    pub fn option(&self) -> &'static str {
        self.option
    }
}

/// A resource that CloudFormation could not create, update or delete.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ResourceFailure {
    /// Its name in the template.
    pub logical_id: String,
    /// Its type, for example `AWS::DynamoDB::Table`.
    pub resource_type: String,
    /// The reason.
    pub reason: String,
}

/// The object with the deletion protection.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protected {
    /// The DynamoDB table.
    Table,
    /// The CloudFormation stack (termination protection).
    Stack,
}

impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "its table",
            Self::Stack => "it",
        })
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn caused(failure: Option<&ResourceFailure>) -> String {
    failure.map(|f| format!(": {} ({}): {}", f.logical_id, f.resource_type, f.reason)).unwrap_or_default()
}

const DENIED: [&str; 4] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"];

impl StackError {
    /// Classifies an SDK error.
    pub(crate) fn from_sdk<E, R>(operation: &'static str, error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        let code = error.code().map(str::to_owned);
        let message = match error.message() {
            Some(message) => message.to_owned(),
            None => advice::reason(&error),
        };
        match code.as_deref() {
            Some(code) if DENIED.contains(&code) => Self::Denied { operation, message },
            _ => Self::Service { operation, code, message, source: error.into() },
        }
    }

    /// Returns AWS's own error code, if it sent one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Service { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// Returns advice on the error, as a sentence with the command to run.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::NoRegion => Some("Give --region, or set AWS_REGION.".to_owned()),
            Self::NotFound { stack } => Some(format!(
                "Create it with `zae-deploy deploy --name {stack}`; `zae-deploy list` shows the stacks of the region."
            )),
            Self::NameTaken { .. } => Some("Choose another name with --name.".to_owned()),
            Self::Stuck { stack, state, .. } | Self::Failed { stack, state, .. } => state.advice(stack),
            Self::Protected { stack, what: Protected::Table } => Some(format!(
                "Lift the protection with `zae-deploy deploy --name {stack} --no-deletion-protection`, then delete \
                 again."
            )),
            Self::Protected { stack, what: Protected::Stack } => Some(format!(
                "Lift the protection with `aws cloudformation update-termination-protection --stack-name {stack} \
                 --no-enable-termination-protection`, then delete again."
            )),
            Self::WouldLose { stack, .. } => {
                Some(format!("`zae-deploy deploy --name {stack}` shows what would change, and asks."))
            }
            Self::TimedOut { stack, .. } => {
                Some(format!("CloudFormation continues; `zae-deploy status --name {stack}` shows its progress."))
            }
            Self::Denied { operation, .. } => Some(format!(
                "Use credentials that allow the action {operation}, or have someone deploy who holds them."
            )),
            Self::Service { code, source, .. } => Some(advice::for_call(code.as_deref(), &**source)),
            Self::Repository(error) => advice::for_repository(error),
            // Their messages contain the remedy.
            Self::Invalid(_) | Self::Option(_) | Self::Package(_) | Self::Connect(_) => None,
        }
    }
}
