//! The result of one check.

use std::error::Error;

use serde::Serialize;

/// One check and its result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) says: String,
    /// Commands or sentences with the remedy.
    pub(super) next: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Warning,
    Failed,
    /// It could not be checked.
    Skipped,
}

impl Finding {
    fn new(name: &'static str, state: State, says: impl Into<String>) -> Self {
        Self { name, state, says: says.into(), next: Vec::new() }
    }

    pub(super) fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Self::new(name, State::Ok, says)
    }

    pub(super) fn warning(name: &'static str, says: impl Into<String>) -> Self {
        Self::new(name, State::Warning, says)
    }

    pub(super) fn failed(name: &'static str, says: impl Into<String>) -> Self {
        Self::new(name, State::Failed, says)
    }

    pub(super) fn skipped(name: &'static str, says: impl Into<String>) -> Self {
        Self::new(name, State::Skipped, says)
    }

    /// Adds a remedy.
    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }
}

/// Reports that a call was not permitted, or failed in another way.
pub(super) fn unanswered(name: &'static str, action: &str, code: Option<&str>, error: &dyn Error) -> Finding {
    match code {
        Some("AccessDenied" | "AccessDeniedException" | "AuthorizationErrorException" | "UnauthorizedOperation") => {
            Finding::skipped(name, format!("not allowed to ask ({action})"))
        }
        Some(code) => Finding::skipped(name, format!("{action} answered {code}")),
        None => match innermost(error) {
            // The SDK's own structure for a response that it could not parse, as from a stand-in that lacks the
            // service.
            text if text.starts_with("Error {") => Finding::skipped(name, format!("{action} is not known here")),
            text => Finding::skipped(name, format!("{action} was not answered: {text}")),
        },
    }
}

/// Returns the innermost cause: the SDK's wrappers add no information.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
