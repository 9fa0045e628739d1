//! Templates in CloudFormation's formats, JSON or YAML, with every function in its long form.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, json};
use serde_saphyr::Tagged;

/// Parses a template.
///
/// # Errors
/// The parser's message if the text is neither JSON nor YAML, or not a template.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let read: Result<TemplateNode, _> = serde_saphyr::from_str(text);
    let TemplateNode(template) = read.map_err(|error| error.to_string())?;
    if template["Resources"].as_object().is_none_or(Map::is_empty) {
        return Err("At least one Resources member must be defined.".to_owned());
    }
    Ok(template)
}

/// A value of YAML, its tag resolved: `!Ref x` is `{"Ref": "x"}`.
struct TemplateNode(Value);

/// A value without its own tag.
struct Plain(Value);

impl<'de> Deserialize<'de> for TemplateNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Plain(value), tag) = Tagged::deserialize(deserializer)?;
        Ok(Self(match tag.as_deref().and_then(|tag| tag.strip_prefix('!')) {
            Some(name) => long_form(name, value),
            None => value,
        }))
    }
}

fn long_form(name: &str, value: Value) -> Value {
    match (name, value) {
        ("Ref" | "Condition", value) => json!({ name: value }),
        ("GetAtt", Value::String(path)) => match path.split_once('.') {
            Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
            None => json!({ "Fn::GetAtt": path }),
        },
        (name, value) => json!({ format!("Fn::{name}"): value }),
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a template")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(TemplateNode(value)) = access.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, TemplateNode(value))) = access.next_entry::<String, TemplateNode>()? {
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_functions_and_long_ones_are_the_same() {
        let short = "Resources: {T: {Type: X, P: !If [Big, !Sub '${A}-b', !Ref 'AWS::NoValue'], Q: !GetAtt T.Arn, \
                     N: !Not [!Condition Big], J: !Join ['', [!Ref A, 'x']], V: 2012-10-17, B: 'true', I: 300}}";
        let long = json!({"Resources": {"T": {
            "Type": "X",
            "P": {"Fn::If": ["Big", {"Fn::Sub": "${A}-b"}, {"Ref": "AWS::NoValue"}]},
            "Q": {"Fn::GetAtt": ["T", "Arn"]},
            "N": {"Fn::Not": [{"Condition": "Big"}]},
            "J": {"Fn::Join": ["", [{"Ref": "A"}, "x"]]},
            "V": "2012-10-17", "B": "true", "I": 300,
        }}});
        assert_eq!(parse(short).unwrap(), long);
        assert_eq!(parse(&long.to_string()).unwrap(), long);
        assert!(parse("{}").unwrap_err().contains("Resources") && parse("a: [").is_err());
        assert_eq!(parse(crate::template::TEMPLATE).unwrap()["AWSTemplateFormatVersion"], "2010-09-09");
    }
}
