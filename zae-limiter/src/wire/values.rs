//! Attribute values: building them, reading them, and the mapping of free-form JSON.
//!
//! Numbers are text in DynamoDB, and anybody may have written them. Reading never fails on one that is no number of
//! ours: the caller gets `None`, or an error that names the attribute, and decides. Free-form JSON of metadata and
//! audit details becomes maps and lists.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value};

use crate::{bucket::clamp, wire::Item};

/// A text.
pub(crate) fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A whole number.
///
/// Formatted without the formatter's machinery, because a write has a dozen of them.
pub(crate) fn n(value: impl Into<i128>) -> AttributeValue {
    let value: i128 = value.into();
    let mut digits = itoa::Buffer::new();
    // Nearly all of them have 64 bits, which is a lot faster.
    let digits = match i64::try_from(value) {
        Ok(value) => digits.format(value),
        Err(_) => digits.format(value),
    };
    AttributeValue::N(digits.to_owned())
}

/// Text, or an explicit NULL.
pub(crate) fn s_or_null(value: Option<&str>) -> AttributeValue {
    value.map_or(AttributeValue::Null(true), s)
}

/// An item of these attributes.
pub(crate) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A text attribute; `None` when it is absent or of another type.
pub(crate) fn get_s<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// A whole number; `None` when it is absent, of another type, or no whole number of 64 bits.
pub(crate) fn get_n(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A number that decides nothing, as wide as DynamoDB keeps it: 38 digits to the last, beyond that the nearest of them.
/// A fraction is cut off.
pub(crate) fn counter(value: &AttributeValue) -> Option<i128> {
    let text = value.as_n().ok()?;
    // The conversion keeps within what 128 bits hold.
    text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i128))
}

/// The same of an item's attribute, kept within 64 bits.
pub(crate) fn get_count(item: &Item, name: &str) -> Option<i64> {
    counter(item.get(name)?).map(clamp)
}

/// A flag; `None` when it is absent or of another type.
pub(crate) fn get_bool(item: &Item, name: &str) -> Option<bool> {
    item.get(name)?.as_bool().ok().copied()
}

/// JSON as DynamoDB keeps it.
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

/// A map of JSON values as DynamoDB keeps it.
pub(crate) fn to_map<'a>(entries: impl IntoIterator<Item = (&'a String, &'a Value)>) -> AttributeValue {
    AttributeValue::M(entries.into_iter().map(|(name, value)| (name.clone(), to_attribute(value))).collect())
}

/// Converts what DynamoDB keeps to JSON; kinds that have no counterpart (binary, sets) become null.
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

/// A map as JSON values.
pub(crate) fn from_map(map: &HashMap<String, AttributeValue>) -> BTreeMap<String, Value> {
    map.iter().map(|(name, value)| (name.clone(), from_attribute(value))).collect()
}

/// An item in DynamoDB's own JSON, as streams deliver it.
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

/// One value of DynamoDB's JSON, such as `{"N": "12"}`.
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

/// A number as JSON has it: whole if it can be, else the nearest double.
fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    text.parse::<f64>().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}
