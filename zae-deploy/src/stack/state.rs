//! The states of a stack: [`StackState`].

use std::fmt;

use serde::Serialize;
use zae_limiter::StackName;

/// The state that CloudFormation reports for a stack, as text.
///
/// ```
/// use zae_deploy::stack::StackState;
/// let state = StackState::new("UPDATE_ROLLBACK_COMPLETE");
/// assert!(state.is_usable() && state.is_failed() && !state.is_healthy());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct StackState(String);

impl StackState {
    /// Creates the state with that name; unknown future names are valid, too.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns CloudFormation's name for it, for example `CREATE_COMPLETE`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the last operation succeeded.
    pub fn is_healthy(&self) -> bool {
        matches!(self.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE")
    }

    /// Returns true if an operation is under way.
    pub fn is_in_progress(&self) -> bool {
        self.0.contains("IN_PROGRESS")
    }

    /// Returns true if the last operation failed or was rolled back. A rollback under way also counts as in progress.
    pub fn is_failed(&self) -> bool {
        self.0.contains("FAILED") || self.0.contains("ROLLBACK")
    }

    /// Returns true if the stack has been deleted; CloudFormation remembers it for a while.
    pub fn is_deleted(&self) -> bool {
        self.as_str() == "DELETE_COMPLETE"
    }

    /// Returns true if its table works and it can be updated. A stack whose update was rolled back is unchanged.
    pub fn is_usable(&self) -> bool {
        self.is_healthy() || matches!(self.as_str(), "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE")
    }

    /// Returns advice for the stack `name` in this state, if there is any.
    pub fn advice(&self, name: &StackName) -> Option<String> {
        let advice = match self.as_str() {
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "REVIEW_IN_PROGRESS" => format!(
                "It was never completed and holds nothing: remove it with `zae-deploy delete --name {name}`, fix the \
                 cause, and deploy again."
            ),
            "DELETE_FAILED" => {
                format!("Part of it is left: `zae-deploy delete --name {name}` tries again once the cause is fixed.")
            }
            "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => {
                format!("It works as before the update: fix the cause, then `zae-deploy deploy --name {name}` again.")
            }
            "UPDATE_ROLLBACK_FAILED" => format!(
                "Fix the cause, complete the rollback with `aws cloudformation continue-update-rollback --stack-name \
                 {name}`, then deploy again."
            ),
            "UPDATE_FAILED" => format!(
                "Roll back with `aws cloudformation rollback-stack --stack-name {name}`, fix the \
                 cause, then deploy again."
            ),
            other if other.contains("IN_PROGRESS") => {
                format!("`zae-deploy status --name {name}` shows its progress.")
            }
            _ => return None,
        };
        Some(advice)
    }
}

impl fmt::Display for StackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart() {
        let told = |name: &str| {
            let state = StackState::new(name);
            (state.is_healthy(), state.is_in_progress(), state.is_failed(), state.is_usable())
        };
        assert_eq!(told("CREATE_COMPLETE"), (true, false, false, true));
        assert_eq!(told("UPDATE_COMPLETE"), (true, false, false, true));
        assert_eq!(told("IMPORT_COMPLETE"), (true, false, false, true));
        assert_eq!(told("UPDATE_IN_PROGRESS"), (false, true, false, false));
        assert_eq!(told("UPDATE_ROLLBACK_IN_PROGRESS"), (false, true, true, false));
        assert_eq!(told("UPDATE_ROLLBACK_COMPLETE"), (false, false, true, true));
        assert_eq!(told("ROLLBACK_COMPLETE"), (false, false, true, false));
        assert_eq!(told("DELETE_FAILED"), (false, false, true, false));
    }

    #[test]
    fn every_state_without_a_way_forward_has_advice() {
        let name = StackName::new("prod").unwrap();
        for state in
            ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"]
        {
            let advice = StackState::new(state).advice(&name).unwrap();
            assert!(advice.contains("prod"), "{state}: {advice}");
        }
        assert_eq!(StackState::new("CREATE_COMPLETE").advice(&name), None);
    }
}
