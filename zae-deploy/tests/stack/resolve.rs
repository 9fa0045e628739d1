//! The template with its conditions resolved, as CloudFormation would for given parameters.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

pub(crate) type Parameters = BTreeMap<String, String>;

/// Returns the template as written.
pub(crate) fn template() -> Value {
    serde_saphyr::from_str(zae_deploy::template::TEMPLATE).expect("the template is YAML")
}

/// Returns all values of the template's parameters: those of `given`, and defaults.
pub(crate) fn values(template: &Value, given: &Parameters) -> Parameters {
    let parameters = template["Parameters"].as_object().unwrap();
    for name in given.keys() {
        assert!(parameters.contains_key(name), "the template has no parameter {name}");
    }
    let default = |definition: &Value| match &definition["Default"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let values = parameters.iter().map(|(name, definition)| {
        let value = given.get(name).cloned().unwrap_or_else(|| default(definition));
        if let Some(allowed) = definition["AllowedValues"].as_array() {
            let text = |allowed: &Value| allowed.as_str().map_or_else(|| allowed.to_string(), str::to_owned);
            assert!(allowed.iter().any(|allowed| text(allowed) == value), "{name} may not be {value:?}");
        }
        (name.clone(), value)
    });
    values.collect()
}

/// Evaluates the conditions of a template.
pub(crate) fn conditions(template: &Value, values: &Parameters) -> BTreeMap<String, bool> {
    let conditions = template["Conditions"].as_object().unwrap();
    conditions.iter().map(|(name, rule)| (name.clone(), holds(rule, conditions, values))).collect()
}

fn holds(rule: &Value, conditions: &Map<String, Value>, values: &Parameters) -> bool {
    let (function, argument) = single(rule);
    let list = || argument.as_array().unwrap_or_else(|| panic!("{function} takes a list"));
    match function {
        "Condition" => {
            let name = argument.as_str().unwrap();
            holds(conditions.get(name).unwrap_or_else(|| panic!("no condition {name}")), conditions, values)
        }
        "Fn::Equals" => text(&list()[0], values) == text(&list()[1], values),
        "Fn::Not" => !holds(&list()[0], conditions, values),
        "Fn::And" => list().iter().all(|rule| holds(rule, conditions, values)),
        "Fn::Or" => list().iter().any(|rule| holds(rule, conditions, values)),
        other => panic!("{other} in a condition"),
    }
}

/// Returns a value in a condition, where only parameters are known.
fn text(value: &Value, values: &Parameters) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    match single(value) {
        ("Ref", name) => values[name.as_str().unwrap()].clone(),
        ("Fn::Select", list) => {
            let (index, split) = (list[0].as_u64().unwrap(), single(&list[1]));
            assert_eq!(split.0, "Fn::Split");
            let whole = text(&split.1[1], values);
            let pieces: Vec<&str> = whole.split(split.1[0].as_str().unwrap()).collect();
            pieces[usize::try_from(index).unwrap()].to_owned()
        }
        (other, _) => panic!("{other} in a condition"),
    }
}

fn single(value: &Value) -> (&str, &Value) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is no function"));
    assert_eq!(object.len(), 1, "{value} is no function");
    let (name, argument) = object.iter().next().unwrap();
    (name, argument)
}

/// Returns the template for `given`, without conditions.
pub(crate) fn resolve(template: &Value, given: &Parameters) -> Value {
    let values = values(template, given);
    let conditions = conditions(template, &values);
    let mut resolved = template.clone();
    resolved.as_object_mut().unwrap().remove("Conditions");
    for section in ["Resources", "Outputs"] {
        let entries = resolved[section].as_object_mut().unwrap();
        entries.retain(|_, entry| match entry.as_object_mut().unwrap().remove("Condition") {
            Some(name) => conditions[name.as_str().unwrap()],
            None => true,
        });
        for entry in entries.values_mut() {
            *entry = branch(entry, &conditions).expect("an entry is a value");
        }
    }
    resolved
}

/// Resolves `Fn::If` in a value; `None` for `AWS::NoValue`.
fn branch(value: &Value, conditions: &BTreeMap<String, bool>) -> Option<Value> {
    match value {
        Value::Object(object) if object.len() == 1 && object.contains_key("Fn::If") => {
            let choice = object["Fn::If"].as_array().unwrap();
            assert_eq!(choice.len(), 3, "{value}");
            let held = conditions.get(choice[0].as_str().unwrap()).unwrap_or_else(|| panic!("{value}"));
            branch(&choice[if *held { 1 } else { 2 }], conditions)
        }
        Value::Object(_) if *value == json!({"Ref": "AWS::NoValue"}) => None,
        Value::Object(object) => {
            let kept = object.iter().filter_map(|(key, value)| Some((key.clone(), branch(value, conditions)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(list) => Some(list.iter().filter_map(|value| branch(value, conditions)).collect()),
        other => Some(other.clone()),
    }
}

/// Collects the names to which a value refers, by `Ref`, `Fn::GetAtt`, `Fn::Sub` and `DependsOn`.
pub(crate) fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("Ref" | "DependsOn", Value::String(name)) => drop(found.insert(name.clone())),
                    ("Fn::GetAtt", Value::Array(path)) => drop(found.insert(path[0].as_str().unwrap().to_owned())),
                    ("Fn::Sub", Value::String(text)) => {
                        let names = text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap());
                        found.extend(names.map(|name| name.split('.').next().unwrap().to_owned()));
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
