//! Tags that tell what a stack is.

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

/// Stacks of the reference before 0.7 begin with this.
pub(super) const LEGACY_PREFIX: &str = "ZAEL-";
/// The type of stacks with a table, in contrast to the reference's load tests.
pub(super) const LIMITER: &str = "limiter";

/// The name that users know a stack by.
pub(super) fn user_name(stack: &str) -> &str {
    stack.strip_prefix(LEGACY_PREFIX).unwrap_or(stack)
}

/// All tags of the stack: those it has, those the user wants, and our own, the later ones winning.
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

/// As CloudFormation takes them.
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
