//! Tags that identify stacks.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::Tag;
use zae_limiter::version::{COMPATIBILITY_LEVEL, SCHEMA_VERSION};

pub(super) const MANAGED_BY: &str = "ManagedBy";
pub(super) const OWNER: &str = "zae-limiter";
pub(super) const NAME: &str = "zae-limiter:name";
pub(super) const TYPE: &str = "zae-limiter:type";
pub(super) const VERSION: &str = "zae-limiter:version";
pub(super) const SCHEMA: &str = "zae-limiter:schema-version";
pub(super) const LAMBDA: &str = "zae-limiter:lambda-version";

/// Prefix of stacks deployed by the Python package before 0.7.
pub(super) const LEGACY_PREFIX: &str = "ZAEL-";
/// The type of stacks with a table, as opposed to the Python package's load tests.
pub(super) const LIMITER: &str = "limiter";

/// Returns the display name of a stack.
pub(super) fn user_name(stack: &str) -> &str {
    stack.strip_prefix(LEGACY_PREFIX).unwrap_or(stack)
}

/// Returns all tags of the stack: existing ones, those set by the user, and our own, where later ones take precedence.
pub(super) fn all(
    stack: &str,
    current: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let own = [
        (MANAGED_BY, OWNER),
        (NAME, user_name(stack)),
        (TYPE, LIMITER),
        (VERSION, env!("CARGO_PKG_VERSION")),
        (SCHEMA, SCHEMA_VERSION),
        (LAMBDA, COMPATIBILITY_LEVEL),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let kept = current.iter().chain(wanted).map(|(key, value)| (key.clone(), value.clone()));
    kept.chain(own).collect()
}

/// Converts them to CloudFormation's type.
pub(super) fn requests(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_tags_win_and_others_stay() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let current = map(&[("team", "a"), ("env", "dev"), (VERSION, "0.0.1")]);
        let tags = all("ZAEL-prod", &current, &map(&[("env", "prod"), (NAME, "mine")]));
        assert_eq!((tags["team"].as_str(), tags["env"].as_str()), ("a", "prod"));
        assert_eq!(tags[NAME], "prod");
        assert_eq!(tags[VERSION], env!("CARGO_PKG_VERSION"));
        assert_eq!(tags.len(), 8);
    }
}
