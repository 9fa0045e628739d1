//! Resolves a template for given parameters: conditions and functions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{ACCOUNT, refusal::Refusal, stack::Resource};
use crate::local::ports::REGION;

pub(super) type StackParameters = BTreeMap<String, String>;

/// Stands for a value that is only known once its resource is created.
const LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// The values that functions refer to.
pub(super) struct TemplateScope<'a> {
    pub(super) template: &'a Value,
    pub(super) stack: (&'a str, &'a str),
    pub(super) parameters: &'a StackParameters,
    pub(super) resources: &'a [Resource],
    /// The exports of other stacks.
    pub(super) exports: &'a BTreeMap<String, String>,
}

/// Returns the values of a template's parameters: given ones, those of the stack if `previous` contains them, and
/// defaults.
pub(super) fn parameters(
    template: &Value,
    given: &[[Option<&str>; 3]],
    current: &StackParameters,
) -> Result<StackParameters, Refusal> {
    let nothing = Map::new();
    let declared = template["Parameters"].as_object().unwrap_or(&nothing);
    let mut values = StackParameters::new();
    for [name, value, previous] in given {
        let name = name.unwrap_or_default();
        if !declared.contains_key(name) {
            return Err(Refusal::invalid(format!("Parameters: [{name}] do not exist in the template")));
        }
        let kept = current.get(name).filter(|_| *previous == Some("true")).cloned();
        if let Some(value) = kept.or_else(|| value.map(str::to_owned)) {
            values.insert(name.to_owned(), value);
        }
    }
    for (name, definition) in declared {
        let default = definition.get("Default").map(text);
        let Some(value) = values.get(name).cloned().or(default) else {
            return Err(Refusal::invalid(format!("Parameters: [{name}] must have values")));
        };
        let allowed = definition["AllowedValues"].as_array();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|allowed| text(allowed) == value)) {
            let allowed: Vec<String> = allowed.into_iter().flatten().map(text).collect();
            let allowed = allowed.join(", ");
            return Err(Refusal::invalid(format!("Parameter '{name}' must be one of AllowedValues: [{allowed}]")));
        }
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// Converts a scalar to text, as CloudFormation passes it.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the function in a value, with its argument.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, argument) = object.iter().next()?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name, argument))
}

/// Collects the names of resources to which a value, or a resource with its `DependsOn`, refers.
pub(super) fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("Ref" | "DependsOn", Value::String(name)) => drop(found.insert(name.clone())),
                    ("DependsOn", Value::Array(names)) => found.extend(names.iter().map(text)),
                    ("Fn::GetAtt", Value::Array(path)) => found.extend(path.first().map(text)),
                    ("Fn::GetAtt", Value::String(path)) => found.extend(path.split('.').next().map(str::to_owned)),
                    ("Fn::Sub", argument) => {
                        let whole = argument.get(0).unwrap_or(argument).as_str().unwrap_or_default();
                        let names = whole.split("${").skip(1).filter_map(|rest| rest.split(['}', '.']).next());
                        found.extend(names.map(str::to_owned));
                        references(argument, found);
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

impl TemplateScope<'_> {
    /// Returns true if the condition of that name holds.
    pub(super) fn condition(&self, name: &str) -> Result<bool, Refusal> {
        match self.template["Conditions"].get(name) {
            Some(rule) => self.holds(rule),
            None => Err(Refusal::invalid(format!(
                "Template format error: Unresolved condition dependency {name} in the template"
            ))),
        }
    }

    fn holds(&self, rule: &Value) -> Result<bool, Refusal> {
        let object = rule.as_object().filter(|object| object.len() == 1);
        let Some((name, argument)) = object.and_then(|object| object.iter().next()) else {
            return Err(unknown("Conditions"));
        };
        let list = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name.as_str(), list) {
            ("Condition", _) => self.condition(argument.as_str().unwrap_or_default()),
            ("Fn::Equals", [a, b]) => Ok(self.scalar(a)? == self.scalar(b)?),
            ("Fn::Not", [rule]) => Ok(!self.holds(rule)?),
            ("Fn::And", rules) => rules.iter().try_fold(true, |held, rule| Ok(held && self.holds(rule)?)),
            ("Fn::Or", rules) => rules.iter().try_fold(false, |held, rule| Ok(held || self.holds(rule)?)),
            _ => Err(unknown(name)),
        }
    }

    fn scalar(&self, value: &Value) -> Result<String, Refusal> {
        Ok(self.value(value)?.as_ref().map(text).unwrap_or_default())
    }

    /// Returns the value with its functions resolved; `None` for `AWS::NoValue`.
    pub(super) fn value(&self, value: &Value) -> Result<Option<Value>, Refusal> {
        if let Some((name, argument)) = function(value) {
            return self.call(name, argument);
        }
        match value {
            Value::Object(object) => {
                let mut resolved = Map::new();
                for (key, value) in object {
                    if let Some(value) = self.value(value)? {
                        resolved.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(resolved)))
            }
            Value::Array(list) => {
                let resolved: Result<Vec<_>, _> = list.iter().map(|value| self.value(value)).collect();
                Ok(Some(Value::Array(resolved?.into_iter().flatten().collect())))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Option<Value>, Refusal> {
        let list = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        let found = match (name, list) {
            ("Ref", _) => return self.reference(argument.as_str().unwrap_or_default()),
            ("Fn::If", [condition, yes, no]) => {
                let held = self.condition(condition.as_str().unwrap_or_default())?;
                return self.value(if held { yes } else { no });
            }
            ("Fn::GetAtt", [resource, attribute]) => self.attribute(&text(resource), &self.scalar(attribute)?)?,
            ("Fn::GetAtt", _) => {
                let (resource, attribute) = argument.as_str().and_then(|path| path.split_once('.')).unwrap_or_default();
                self.attribute(resource, attribute)?
            }
            ("Fn::Sub", [whole, names]) => self.substitute(whole.as_str().unwrap_or_default(), names)?,
            ("Fn::Sub", _) => self.substitute(argument.as_str().unwrap_or_default(), &Value::Null)?,
            ("Fn::Join", [by, parts]) => {
                let parts = self.value(parts)?.unwrap_or_default();
                let parts: Vec<String> = parts.as_array().into_iter().flatten().map(text).collect();
                parts.join(&text(by))
            }
            ("Fn::Split", [by, whole]) => {
                let whole = self.scalar(whole)?;
                return Ok(Some(whole.split(&text(by)).collect()));
            }
            ("Fn::Select", [index, list]) => {
                let list = self.value(list)?.unwrap_or_default();
                let index: Option<usize> = self.scalar(index)?.parse().ok();
                let chosen = index.and_then(|index| list.get(index));
                text(chosen.ok_or_else(|| {
                    Refusal::invalid("Template error: Fn::Select cannot select nonexistent value at index")
                })?)
            }
            ("Fn::ImportValue", _) => {
                let export = self.scalar(argument)?;
                let value = self.exports.get(&export).cloned();
                value.ok_or_else(|| Refusal::invalid(format!("No export named {export} found.")))?
            }
            _ => return Err(unknown(name)),
        };
        Ok(Some(found.into()))
    }

    fn reference(&self, name: &str) -> Result<Option<Value>, Refusal> {
        let pseudo = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::StackName" => self.stack.0,
            "AWS::StackId" => self.stack.1,
            "AWS::AccountId" => ACCOUNT,
            "AWS::Region" => REGION,
            "AWS::Partition" => "aws",
            "AWS::URLSuffix" => "amazonaws.com",
            _ => match self.parameters.get(name) {
                Some(value) => value,
                None => {
                    return self.made(name, |resource| Some(resource.physical_id.clone())).map(|id| Some(id.into()));
                }
            },
        };
        Ok(Some(pseudo.into()))
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<String, Refusal> {
        self.made(resource, |made| made.attributes.get(attribute).cloned())
    }

    /// Returns an attribute of a resource; a placeholder if it has not been created yet.
    fn made(&self, name: &str, of: impl Fn(&Resource) -> Option<String>) -> Result<String, Refusal> {
        let missing = || {
            Refusal::invalid(format!(
                "Template format error: Unresolved resource dependencies [{name}] in the Resources block of the \
                 template"
            ))
        };
        if self.template["Resources"].get(name).is_none() {
            return Err(missing());
        }
        match self.resources.iter().find(|resource| resource.logical_id == name) {
            Some(resource) => of(resource).ok_or_else(missing),
            None => Ok(LATER.to_owned()),
        }
    }

    fn substitute(&self, whole: &str, names: &Value) -> Result<String, Refusal> {
        let mut parts = whole.split("${");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else { return Err(unknown("Fn::Sub")) };
            match (name.strip_prefix('!'), names.get(name), name.split_once('.')) {
                (Some(literal), _, _) => out.push_str(&format!("${{{literal}}}")),
                (None, Some(value), _) => out.push_str(&self.scalar(value)?),
                (None, None, Some((resource, attribute))) => out.push_str(&self.attribute(resource, attribute)?),
                (None, None, None) => out.push_str(&self.scalar(&json!({ "Ref": name }))?),
            }
            out.push_str(rest);
        }
        Ok(out)
    }
}

fn unknown(function: &str) -> Refusal {
    Refusal::invalid(format!("Template error: a local stack does not know this form of {function}"))
}
