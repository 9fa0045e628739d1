//! What a command can end with, other than success: the text on stderr and the exit code.

use std::{error::Error, fmt::Write as _, process::ExitCode};

use zae_limiter::{RepositoryError, ValidationError};

use super::{
    Context,
    output::{Stream, Tone},
};
use crate::{advice, stack::StackError};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Options that do not go together. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A name or value that breaks a rule; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// Something is not there, or not as it should be.
    #[error("{problem}")]
    Problem {
        /// What.
        problem: String,
        /// What to do about it, one command or sentence per line.
        next: Vec<String>,
    },
    /// A step failed.
    #[error("Failed to {action}")]
    Failed {
        /// The step, as in "Failed to …".
        action: String,
        /// Why.
        source: BoxError,
        /// What to do about it.
        next: Vec<String>,
    },
    /// The question was answered with no.
    #[error("Aborted! Nothing was changed.")]
    Declined,
    /// Ctrl-C; what happens now with what was begun. Exit code 130.
    #[error("Interrupted. {0}")]
    Interrupted(String),
    /// The result that was shown is itself the bad news.
    #[error("see the result")]
    Shown,
    /// The result that was shown has differences in it, and the command was told to say so. Exit code 2.
    #[error("there are differences")]
    Differences,
    /// Nobody reads the output any more.
    #[error("the output was closed")]
    OutputClosed,
}

impl From<ValidationError> for CliError {
    fn from(error: ValidationError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl CliError {
    /// `action` ("list entities") failed because of `source`.
    pub(crate) fn failed(action: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Failed { action: action.into(), source: source.into(), next: Vec::new() }
    }

    /// Something is wrong that no call failed on.
    pub(crate) fn problem(problem: impl Into<String>) -> Self {
        Self::Problem { problem: problem.into(), next: Vec::new() }
    }

    /// Adds what to do about it.
    pub(crate) fn next(mut self, advice: impl Into<String>) -> Self {
        if let Self::Problem { next, .. } | Self::Failed { next, .. } = &mut self {
            next.push(advice.into());
        }
        self
    }

    /// Writes it to stderr and says how the process ends.
    pub(crate) fn report(&self, cx: &Context) -> ExitCode {
        let paint = |tone, text: &str| cx.paint(Stream::Stderr, tone, text);
        match self {
            Self::Shown | Self::Differences => {}
            Self::OutputClosed => return ExitCode::SUCCESS,
            Self::Declined => eprintln!("{self}"),
            Self::Interrupted(_) => eprintln!("\n{self}"),
            _ => {
                let mut text = format!("{} {self}", paint(Tone::Bad, "Error:"));
                for cause in causes(self) {
                    let _ = write!(text, ": {cause}");
                }
                for advice in self.advice() {
                    let _ = write!(text, "\n  {} {advice}", paint(Tone::Dim, "→"));
                }
                eprintln!("{text}");
            }
        }
        ExitCode::from(match self {
            Self::Usage(_) | Self::Differences => 2,
            Self::Interrupted(_) => 130,
            _ => 1,
        })
    }

    fn advice(&self) -> &[String] {
        match self {
            Self::Problem { next, .. } | Self::Failed { next, .. } => next,
            _ => &[],
        }
    }
}

/// The chain of causes, without those that only repeat the one before.
fn causes(error: &CliError) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        let told = causes.iter().any(|before| before.contains(&text) || text.contains(before.as_str()));
        if !text.is_empty() && !told {
            causes.push(text);
        }
        // It has said what AWS says; below it are the SDK's structures.
        if matches!(cause.downcast_ref(), Some(StackError::Service { .. })) {
            break;
        }
        next = cause.source();
    }
    causes
}

/// Says what a command was doing when the repository failed.
pub(crate) trait Doing<T> {
    /// `action` is what follows "Failed to", for example "list entities".
    fn doing(self, action: &str) -> Result<T, CliError>;
}

impl<T> Doing<T> for Result<T, RepositoryError> {
    fn doing(self, action: &str) -> Result<T, CliError> {
        self.map_err(|error| match error {
            RepositoryError::Invalid(error) => error.into(),
            error => {
                let advice = advice::for_repository(&error);
                let failed = CliError::failed(action, error);
                advice.into_iter().fold(failed, CliError::next)
            }
        })
    }
}
