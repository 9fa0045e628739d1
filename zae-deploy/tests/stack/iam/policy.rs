//! The part of IAM that the template uses: allowing statements with `ForAllValues:StringLike`, `StringNotEquals` and
//! `Null`.
//!
//! Anything else, such as another operator, effect or element, panics.

use std::collections::BTreeMap;

use serde_json::Value;

use super::calls::{Call, Target};

/// The caller: the tags of the principal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Principal {
    tags: BTreeMap<String, String>,
}

impl Principal {
    /// Creates a principal whose tag names a namespace.
    pub(crate) fn of_namespace(id: &str) -> Self {
        Self { tags: BTreeMap::from([("zael_namespace_id".to_owned(), id.to_owned())]) }
    }
}

/// A policy document of the resolved template.
#[derive(Clone, Debug)]
pub(crate) struct Policy(Value);

impl Policy {
    pub(crate) fn new(document: Value) -> Self {
        assert_eq!(document["Version"], "2012-10-17", "policy variables need it");
        Self(document)
    }

    /// Returns true if `principal` may make `call` with this policy alone.
    pub(crate) fn allows(&self, principal: &Principal, call: &Call) -> bool {
        self.0["Statement"].as_array().unwrap().iter().any(|statement| {
            let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
            let fields = statement.as_object().unwrap();
            assert!(fields.keys().all(|key| known.contains(&key.as_str())), "{statement}");
            assert_eq!(statement["Effect"], "Allow", "{statement}");
            list(&statement["Action"]).iter().any(|action| like(&literal(action.as_str().unwrap()), &call.action))
                && list(&statement["Resource"]).iter().any(|resource| covers(resource, &call.target))
                && holds(&statement["Condition"], principal, call)
        })
    }
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

/// Returns true if a resource of the template matches the target.
fn covers(resource: &Value, target: &Target) -> bool {
    let table = *resource == serde_json::json!({"Fn::GetAtt": ["RateLimitsTable", "Arn"]});
    let index = *resource == serde_json::json!({"Fn::Sub": "${RateLimitsTable.Arn}/index/*"});
    match target {
        Target::Table => table,
        Target::Index(_) => index,
    }
}

fn holds(conditions: &Value, principal: &Principal, call: &Call) -> bool {
    let Some(conditions) = conditions.as_object() else { return true };
    conditions.iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, wanted)| {
            let found = values(key, principal, call);
            let wanted = list(wanted);
            match operator.as_str() {
                "Null" => wanted == [&Value::from("false")] && found.is_some(),
                // For a missing key it is true.
                "ForAllValues:StringLike" => found.unwrap_or_default().iter().all(|value| {
                    wanted.iter().any(|text| {
                        substituted(text.as_str().unwrap(), principal).is_some_and(|pattern| like(&pattern, value))
                    })
                }),
                // A negated operator is true for a missing key.
                "StringNotEquals" => {
                    let found = found.unwrap_or_default();
                    found.iter().all(|value| wanted.iter().all(|text| text.as_str().unwrap() != value))
                }
                other => panic!("{other} is not known here"),
            }
        })
    })
}

/// Returns the values of a condition key in a call; `None` if it has none.
fn values(key: &str, principal: &Principal, call: &Call) -> Option<Vec<String>> {
    match key.split_once('/') {
        None if key == "dynamodb:LeadingKeys" => Some(call.leading_keys.clone()).filter(|keys| !keys.is_empty()),
        Some(("aws:PrincipalTag", tag)) => principal.tags.get(tag).map(|value| vec![value.clone()]),
        _ => panic!("{key} is not known here"),
    }
}

/// A character of a pattern; characters from a variable are never wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Char(char),
}

fn literal(text: &str) -> Vec<Part> {
    let part = |c| match c {
        '*' => Part::Any,
        '?' => Part::One,
        c => Part::Char(c),
    };
    text.chars().map(part).collect()
}

/// Substitutes the variables of a pattern; `None` if one has no value, so that nothing matches.
fn substituted(text: &str, principal: &Principal) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, after) = after.split_once('}').expect("a variable ends");
        let tag = variable.strip_prefix("aws:PrincipalTag/").expect("no other variables");
        parts.extend(literal(before));
        parts.extend(principal.tags.get(tag)?.chars().map(Part::Char));
        rest = after;
    }
    parts.extend(literal(rest));
    Some(parts)
}

fn like(pattern: &[Part], text: &str) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Part::Any, rest)) => {
            like(rest, text) || text.chars().next().is_some_and(|c| like(pattern, &text[c.len_utf8()..]))
        }
        Some((part, rest)) => text
            .chars()
            .next()
            .is_some_and(|c| (*part == Part::One || *part == Part::Char(c)) && like(rest, &text[c.len_utf8()..])),
    }
}

mod tests {
    use serde_json::json;

    use super::*;

    fn call(action: &str, keys: &[&str]) -> Call {
        let leading_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Call { action: action.to_owned(), target: Target::Table, leading_keys }
    }

    fn policy(condition: &Value) -> Policy {
        let table = json!({"Fn::GetAtt": ["RateLimitsTable", "Arn"]});
        let statement =
            json!({"Effect": "Allow", "Action": ["dynamodb:Put*"], "Resource": table, "Condition": condition});
        Policy::new(json!({"Version": "2012-10-17", "Statement": [statement]}))
    }

    #[test]
    fn actions_resources_and_wildcards_are_as_in_iam() {
        let all = policy(&json!({}));
        let nobody = Principal::default();
        assert!(all.allows(&nobody, &call("dynamodb:PutItem", &["x"])));
        assert!(!all.allows(&nobody, &call("dynamodb:GetItem", &["x"])));
        let index = Call { target: Target::Index("GSI1".to_owned()), ..call("dynamodb:PutItem", &["x"]) };
        assert!(!all.allows(&nobody, &index));
    }

    #[test]
    fn a_set_operator_alone_is_open_where_the_key_is_absent() {
        let keys = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["a/*"]}});
        let put = |keys: &[&str]| call("dynamodb:PutItem", keys);
        let nobody = Principal::default();
        assert!(policy(&keys).allows(&nobody, &put(&["a/x", "a/y"])));
        assert!(!policy(&keys).allows(&nobody, &put(&["a/x", "b/y"])), "all of them");
        assert!(policy(&keys).allows(&nobody, &put(&[])), "the trap");
        let mut closed = keys.clone();
        closed["Null"] = json!({"dynamodb:LeadingKeys": "false"});
        assert!(!policy(&closed).allows(&nobody, &put(&[])));
        assert!(policy(&closed).allows(&nobody, &put(&["a/x"])));
    }

    #[test]
    fn variables_are_literal_and_match_nothing_without_a_value() {
        let own = policy(&json!({"ForAllValues:StringLike": {
            "dynamodb:LeadingKeys": ["${aws:PrincipalTag/zael_namespace_id}/*"]
        }}));
        let put = call("dynamodb:PutItem", &["abc/x"]);
        assert!(own.allows(&Principal::of_namespace("abc"), &put));
        assert!(!own.allows(&Principal::of_namespace("abd"), &put));
        assert!(!own.allows(&Principal::of_namespace("*"), &put), "a wildcard in a tag is a character");
        assert!(!own.allows(&Principal::default(), &put));
    }
}
