//! The failures of a command: the text on stderr and the exit code.

use std::error::Error;

use zae_limiter::{
    RepositoryError, ValidationError,
    error::{ConnectError, NoCredentials, StoreError},
};

use crate::{advice, stack::StackError};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Options that cannot be combined. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A name or value that violates a rule; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// Something is missing or in an unexpected state.
    #[error("{problem}")]
    Problem {
        /// The failure.
        problem: String,
        /// Next steps, one command or sentence per line.
        next: Vec<String>,
    },
    /// A step failed.
    #[error("Failed to {action}")]
    Failed {
        /// The step, as in "Failed to …".
        action: String,
        /// The cause.
        source: BoxError,
        /// Next steps.
        next: Vec<String>,
    },
    /// The confirmation was declined.
    #[error("Aborted! Nothing was changed.")]
    Declined,
    /// Interrupted by Ctrl-C; contains what happens to the work in progress. Exit code 130.
    #[error("Interrupted. {0}")]
    Interrupted(String),
    /// The printed result is itself the failure.
    #[error("see the result")]
    Shown,
    /// The printed result contains differences, and the command was asked to report them. Exit code 2.
    #[error("there are differences")]
    Differences,
    /// The output was closed by its reader.
    #[error("the output was closed")]
    OutputClosed,
}

impl From<ValidationError> for CliError {
    fn from(error: ValidationError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoRegion => Self::problem("No AWS region is configured").next(advice::NO_REGION),
            error => Self::Invalid(error.to_string()),
        }
    }
}

impl CliError {
    /// Creates the error of an `action` ("list entities") that failed because of `source`.
    pub(crate) fn failed(action: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Failed { action: action.into(), source: source.into(), next: Vec::new() }
    }

    /// Creates the error of a problem that is not a failed call.
    pub(crate) fn problem(problem: impl Into<String>) -> Self {
        Self::Problem { problem: problem.into(), next: Vec::new() }
    }

    /// Adds a next step.
    pub(crate) fn next(mut self, advice: impl Into<String>) -> Self {
        if let Self::Problem { next, .. } | Self::Failed { next, .. } = &mut self {
            next.push(advice.into());
        }
        self
    }

    /// Returns the next steps.
    pub(super) fn advice(&self) -> &[String] {
        match self {
            Self::Problem { next, .. } | Self::Failed { next, .. } => next,
            _ => &[],
        }
    }
}

/// The causes of a failure.
pub(super) struct Causes {
    /// Causes in this tool's own terms, for the first line.
    pub(super) told: Vec<String>,
    /// The cause in the terms of the underlying library, for a separate line; `None` if AWS gave a reason, which is
    /// among the others.
    pub(super) below: Option<String>,
}

impl Causes {
    pub(super) fn of(error: &CliError) -> Self {
        let mut told = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            next = cause.source();
            match rank(cause) {
                Rank::Ours => tell(&mut told, cause.to_string()),
                Rank::Answered => {
                    tell(&mut told, cause.to_string());
                    return Self { told, below: None };
                }
                Rank::Unsent => {
                    let none = NoCredentials::find(cause);
                    tell(&mut told, none.map_or_else(|| cause.to_string(), ToString::to_string));
                    next = none.map_or(next, Error::source);
                    break;
                }
            }
        }
        let mut below = Vec::new();
        for cause in std::iter::successors(next, |&cause| cause.source()) {
            tell(&mut below, cause.to_string().split_whitespace().collect::<Vec<_>>().join(" "));
        }
        Self { told, below: Some(below.join(": ")).filter(|text| !text.is_empty()) }
    }
}

/// Adds a cause, unless it only repeats the previous one.
fn tell(texts: &mut Vec<String>, text: String) {
    let told = texts.iter().any(|before| before.contains(&text) || text.contains(before.as_str()));
    if !text.is_empty() && !told {
        texts.push(text);
    }
}

/// The origin of a cause's text, and of those below it.
enum Rank {
    /// This tool's; those below may be, too.
    Ours,
    /// This tool's, around AWS's own; below are the SDK's structures.
    Answered,
    /// This tool's; below is the SDK's description of a call without a response.
    Unsent,
}

fn rank(cause: &(dyn Error + 'static)) -> Rank {
    let repository = |error: &RepositoryError| match error {
        RepositoryError::Store(store) => Some(store.code().is_some()),
        _ => None,
    };
    let answered = if let Some(error) = cause.downcast_ref::<RepositoryError>() {
        repository(error)
    } else if let Some(error) = cause.downcast_ref::<StoreError>() {
        Some(error.code().is_some())
    } else {
        match cause.downcast_ref::<StackError>() {
            Some(StackError::Service { code, .. }) => Some(code.is_some()),
            Some(StackError::Repository(error)) => repository(error),
            _ => None,
        }
    };
    match answered {
        None => Rank::Ours,
        Some(true) => Rank::Answered,
        Some(false) => Rank::Unsent,
    }
}

/// Adds the action of the command to a failure of the repository.
pub(crate) trait Doing<T> {
    /// Converts the error; `action` follows "Failed to", for example "list entities".
    fn doing(self, action: &str) -> Result<T, CliError>;
}

impl<T> Doing<T> for Result<T, RepositoryError> {
    fn doing(self, action: &str) -> Result<T, CliError> {
        self.map_err(|error| match error {
            RepositoryError::Invalid(error) => error.into(),
            RepositoryError::Connect(error) => error.into(),
            error => {
                let advice = advice::for_repository(&error);
                let failed = CliError::failed(action, error);
                advice.into_iter().fold(failed, CliError::next)
            }
        })
    }
}
