//! The states of a stack: [`StackState`].

use std::fmt;

use serde::Serialize;
use zae_limiter::StackName;

/// The state that CloudFormation reports of a stack, as its own text.
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
    /// The state of that name; names that CloudFormation will invent are states, too.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// CloudFormation's name for it, for example `CREATE_COMPLETE`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last operation succeeded.
    pub fn is_healthy(&self) -> bool {
        matches!(self.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE")
    }

    /// An operation is under way.
    pub fn is_in_progress(&self) -> bool {
        self.0.contains("IN_PROGRESS")
    }

    /// The last operation failed or was rolled back. One that is being rolled back is in progress as well.
    pub fn is_failed(&self) -> bool {
        self.0.contains("FAILED") || self.0.contains("ROLLBACK")
    }

    /// The stack has been deleted; CloudFormation remembers it for a while.
    pub fn is_deleted(&self) -> bool {
        self.as_str() == "DELETE_COMPLETE"
    }

    /// Its table works and it can be updated. A stack whose update was rolled back is what it was before.
    pub fn is_usable(&self) -> bool {
        self.is_healthy() || matches!(self.as_str(), "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE")
    }

    /// Returns advice for the stack `name` in this state, if there is any.
    pub fn advice(&self, name: &StackName) -> Option<String> {
        let advice = match self.as_str() {
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "REVIEW_IN_PROGRESS" => format!(
                "It was never completed and holds nothing: remove it with `zae-deploy delete --name {name}`, mend the \
                 cause, and deploy again."
            ),
            "DELETE_FAILED" => format!(
                "Part of it is left: `zae-deploy delete --name {name}` tries again once what held it back is mended."
            ),
            "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => {
                format!("It works as before the update: mend the cause, then `zae-deploy deploy --name {name}` again.")
            }
            "UPDATE_ROLLBACK_FAILED" => format!(
                "Mend the cause, finish the way back with `aws cloudformation continue-update-rollback --stack-name \
                 {name}`, then deploy again."
            ),
            "UPDATE_FAILED" => format!(
                "Go back to what was before with `aws cloudformation rollback-stack --stack-name {name}`, mend the \
                 cause, then deploy again."
            ),
            other if other.contains("IN_PROGRESS") => {
                format!("`zae-deploy status --name {name}` shows how it fares.")
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
