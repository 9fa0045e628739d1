//! Attribute values: building them, reading them, and the mapping of free-form JSON.
//!
//! Numbers are text in DynamoDB, and any client may have written them. Reading never fails on an unexpected number: the
//! caller gets `None`, or an error that names the attribute, and decides. Free-form JSON of metadata and audit details
//! becomes maps and lists.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value};

use crate::{bucket::clamp, wire::Item};

/// Creates a string.
pub(crate) fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Creates a whole number.
///
/// Formatted without `core::fmt`, because a write contains a dozen of them.
pub(crate) fn n(value: impl Into<i128>) -> AttributeValue {
    let value: i128 = value.into();
    let mut digits = itoa::Buffer::new();
    // Nearly all of them fit into 64 bits, which is much faster.
    let digits = match i64::try_from(value) {
        Ok(value) => digits.format(value),
        Err(_) => digits.format(value),
    };
    AttributeValue::N(digits.to_owned())
}

/// Creates a string, or an explicit NULL.
pub(crate) fn s_or_null(value: Option<&str>) -> AttributeValue {
    value.map_or(AttributeValue::Null(true), s)
}

/// Creates an item from these attributes.
pub(crate) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns a string attribute; `None` if it is absent or of another type.
pub(crate) fn get_s<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// Returns a whole number; `None` if it is absent, of another type, or not a whole number of 64 bits.
pub(crate) fn get_n(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Returns a number that only counts, with DynamoDB's precision: 38 digits exactly, beyond that the nearest. Fractions
/// are truncated.
pub(crate) fn counter(value: &AttributeValue) -> Option<i128> {
    let text = value.as_n().ok()?;
    // The conversion saturates at the bounds of 128 bits.
    text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i128))
}

/// Returns such a number from an item, clamped to 64 bits.
pub(crate) fn get_count(item: &Item, name: &str) -> Option<i64> {
    counter(item.get(name)?).map(clamp)
}

/// Returns a flag; `None` if it is absent or of another type.
pub(crate) fn get_bool(item: &Item, name: &str) -> Option<bool> {
    item.get(name)?.as_bool().ok().copied()
}

/// Converts JSON to DynamoDB's types.
pub(crate) fn to_attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => s(text),
        Value::Array(values) => AttributeValue::L(values.iter().map(to_attribute).collect()),
        Value::Object(map) => {
            AttributeValue::M(map.iter().map(|(name, value)| (name.clone(), to_attribute(value))).collect())
        }
    }
}

/// Converts a map of JSON values to DynamoDB's types.
pub(crate) fn to_map<'a>(entries: impl IntoIterator<Item = (&'a String, &'a Value)>) -> AttributeValue {
    AttributeValue::M(entries.into_iter().map(|(name, value)| (name.clone(), to_attribute(value))).collect())
}

/// Converts DynamoDB's types to JSON; types without a counterpart (binary, sets) become null.
pub(crate) fn from_attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(text) => number(text),
        AttributeValue::Bool(flag) => Value::Bool(*flag),
        AttributeValue::L(values) => Value::Array(values.iter().map(from_attribute).collect()),
        AttributeValue::M(map) => Value::Object(from_map(map).into_iter().collect::<Map<_, _>>()),
        _ => Value::Null,
    }
}

/// Converts a map to JSON values.
pub(crate) fn from_map(map: &HashMap<String, AttributeValue>) -> BTreeMap<String, Value> {
    map.iter().map(|(name, value)| (name.clone(), from_attribute(value))).collect()
}

/// Parses an item in DynamoDB's own JSON, as streams deliver it.
///
/// # Errors
/// A description of the first problem.
pub(crate) fn from_wire(item: &Value) -> Result<Item, String> {
    let item = item.as_object().ok_or("it is no item")?;
    item.iter()
        .map(|(name, value)| {
            let value = attribute_from_wire(value).ok_or_else(|| format!("attribute {name} is no attribute value"))?;
            Ok((name.clone(), value))
        })
        .collect()
}

/// Parses one value of DynamoDB's JSON, such as `{"N": "12"}`.
fn attribute_from_wire(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = || value.as_array()?.iter().map(text).collect::<Option<Vec<_>>>();
    let binary = |value: &Value| Some(Blob::new(STANDARD.decode(value.as_str()?).ok()?));
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text(value)?),
        "N" => AttributeValue::N(text(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "M" => AttributeValue::M(from_wire(value).ok()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute_from_wire).collect::<Option<_>>()?),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        "B" => AttributeValue::B(binary(value)?),
        "BS" => AttributeValue::Bs(value.as_array()?.iter().map(binary).collect::<Option<_>>()?),
        _ => return None,
    })
}

/// Converts a number to JSON: whole if possible, otherwise the nearest double.
fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    text.parse::<f64>().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}
