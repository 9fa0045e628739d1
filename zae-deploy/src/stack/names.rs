//! Names derived from the stack's name, and their maximum lengths.

use zae_limiter::StackName;

use super::error::OptionError;
use crate::package::Function;

/// Bounds the length of an IAM role's name, and of a Lambda function's.
const MAX_ROLE: usize = 64;
const MAX_FUNCTION: usize = 64;
/// Bounds the length of a managed policy's name.
const MAX_POLICY: usize = 128;
/// Bounds the length of a format, so that it leaves room for any stack name.
const MAX_ROLE_FORMAT: usize = 55;
const MAX_POLICY_FORMAT: usize = 120;

/// Parameters for the names of roles, with the last part of each name.
pub(super) const ROLES: [(&str, &str); 5] = [
    ("AggregatorRoleName", "aggr"),
    ("AppRoleName", "app"),
    ("AdminRoleName", "admin"),
    ("ReadOnlyRoleName", "read"),
    ("ProvisionerRoleName", "prov"),
];
/// Parameters for the names of policies, with the last part of each name.
pub(super) const POLICIES: [(&str, &str); 6] = [
    ("AcquireOnlyPolicyName", "acq"),
    ("FullAccessPolicyName", "full"),
    ("ReadOnlyPolicyName", "read"),
    ("NamespaceAcquirePolicyName", "ns-acq"),
    ("NamespaceFullAccessPolicyName", "ns-full"),
    ("NamespaceReadOnlyPolicyName", "ns-read"),
];

/// A pattern for names, with one `{}` where `STACK-part` goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameFormat {
    text: String,
    max: usize,
    option: &'static str,
    what: &'static str,
}

impl NameFormat {
    pub(super) fn role(text: &str) -> Result<Self, OptionError> {
        Self::new(text, MAX_ROLE, MAX_ROLE_FORMAT, "role_name_format", "role")
    }

    pub(super) fn policy(text: &str) -> Result<Self, OptionError> {
        Self::new(text, MAX_POLICY, MAX_POLICY_FORMAT, "policy_name_format", "policy")
    }

    fn new(
        text: &str,
        max: usize,
        max_format: usize,
        option: &'static str,
        what: &'static str,
    ) -> Result<Self, OptionError> {
        let found = text.matches("{}").count();
        if found != 1 {
            return Err(OptionError::new(option, format!("needs exactly one '{{}}' placeholder, and has {found}")));
        }
        if text.chars().count() > max_format {
            let problem = format!(
                "is too long: with more than {max_format} characters a {what} name may exceed the IAM limit of {max}"
            );
            return Err(OptionError::new(option, problem));
        }
        Ok(Self { text: text.to_owned(), max, option, what })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the name for `part` of `stack`.
    pub(super) fn name(&self, stack: &StackName, part: &str) -> Result<String, OptionError> {
        let name = self.text.replacen("{}", &format!("{stack}-{part}"), 1);
        let over = name.chars().count().saturating_sub(self.max);
        if over == 0 {
            return Ok(name);
        }
        let room = stack.as_str().len().saturating_sub(over);
        let (what, max) = (self.what, self.max);
        let problem = format!(
            "makes the {what} name {name}, {over} characters over the IAM limit of {max}: shorten the stack name to \
             {room} \
             characters, or the format"
        );
        Err(OptionError::new(self.option, problem))
    }
}

/// Checks the length of a function's name; Lambda allows fewer characters than a stack may have.
pub(super) fn check_function(function: Function, stack: &StackName) -> Result<(), OptionError> {
    let name = function.name_in(stack);
    let over = name.len().saturating_sub(MAX_FUNCTION);
    if over == 0 {
        return Ok(());
    }
    let problem = format!(
        "is too long: the function {name} would exceed Lambda's limit of {MAX_FUNCTION} characters by {over}; \
         shorten it, or \
         deploy without that function"
    );
    Err(OptionError::new("name", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(name: &str) -> StackName {
        StackName::new(name).unwrap()
    }

    #[test]
    fn a_format_makes_the_names_of_all_roles_and_policies() {
        let format = NameFormat::role("PowerUserPB-{}").unwrap();
        let names: Vec<_> = ROLES.iter().map(|(_, part)| format.name(&stack("mystack"), part).unwrap()).collect();
        let parts = ["aggr", "app", "admin", "read", "prov"];
        assert_eq!(names, parts.map(|part| format!("PowerUserPB-mystack-{part}")));
        assert!(ROLES.iter().all(|(_, part)| part.len() <= 8));
        let format = NameFormat::policy("pb-{}").unwrap();
        let names: Vec<_> = POLICIES.iter().map(|(_, part)| format.name(&stack("s"), part).unwrap()).collect();
        assert_eq!(names, ["acq", "full", "read", "ns-acq", "ns-full", "ns-read"].map(|part| format!("pb-s-{part}")));
    }

    #[test]
    fn formats_have_one_placeholder_and_a_length() {
        for wrong in ["none", "{}-{}"] {
            assert!(NameFormat::role(wrong).unwrap_err().to_string().contains("exactly one"));
        }
        assert!(NameFormat::role(&format!("{}{{}}", "a".repeat(53))).is_ok());
        assert!(NameFormat::role(&format!("{}{{}}", "a".repeat(54))).unwrap_err().to_string().contains("too long"));
        assert!(NameFormat::policy(&format!("{}{{}}", "a".repeat(118))).is_ok());
        assert!(NameFormat::policy(&format!("{}{{}}", "a".repeat(119))).is_err());
    }

    #[test]
    fn a_name_that_does_not_fit_says_how_long_the_stack_name_may_be() {
        let format = NameFormat::role(&format!("{}{{}}", "a".repeat(40))).unwrap();
        assert!(format.name(&stack(&"s".repeat(18)), "admin").is_ok());
        let error = format.name(&stack(&"s".repeat(20)), "admin").unwrap_err().to_string();
        assert!(
            error.contains("2 characters over the IAM limit of 64") && error.contains("to 18 characters"),
            "{error}"
        );
    }

    #[test]
    fn functions_have_shorter_names_than_stacks() {
        assert!(check_function(Function::Provisioner, &stack(&"s".repeat(45))).is_ok());
        assert!(check_function(Function::Provisioner, &stack(&"s".repeat(46))).is_err());
        assert!(check_function(Function::Aggregator, &stack(&"s".repeat(53))).is_ok());
    }
}
