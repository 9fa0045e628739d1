//! Compares two tables, attribute by attribute.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::table::{Item, text};

/// A difference between two tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// The kind of record.
    pub(crate) record: &'static str,
    /// The attribute, or `*` for a whole item.
    pub(crate) attribute: String,
    /// Our value, if we write one, as DynamoDB's JSON.
    pub(crate) ours: Option<String>,
    /// Their value, if they write one.
    pub(crate) theirs: Option<String>,
}

/// An intended difference, and its reason.
#[derive(Debug)]
pub(crate) struct Known {
    /// The kind of record.
    pub(crate) record: &'static str,
    /// The attribute.
    pub(crate) attribute: &'static str,
    /// The values on either side.
    pub(crate) how: How,
    /// The reason.
    pub(crate) why: &'static str,
}

/// The values on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Only we write it.
    OnlyOurs,
    /// Only they write it.
    OnlyTheirs,
    /// Both write it, with other values; ours first.
    Values(&'static str, &'static str),
}

impl Known {
    fn explains(&self, difference: &Difference) -> bool {
        let sides = (difference.ours.as_deref(), difference.theirs.as_deref());
        let how = match self.how {
            How::OnlyOurs => matches!(sides, (Some(_), None)),
            How::OnlyTheirs => matches!(sides, (None, Some(_))),
            How::Values(ours, theirs) => sides == (Some(ours), Some(theirs)),
        };
        how && self.record == difference.record && self.attribute == difference.attribute
    }
}

/// Fails unless the differences between the tables are exactly the known ones.
pub(crate) fn assert_same(ours: &[Item], theirs: &[Item], known: &[Known]) {
    let differences = differences(&normal(ours), &normal(theirs));
    let unknown: Vec<_> = differences.iter().filter(|d| !known.iter().any(|known| known.explains(d))).collect();
    assert!(unknown.is_empty(), "unexplained differences: {unknown:#?}");
    for known in known {
        let Known { record, attribute, how, why } = known;
        let found = differences.iter().any(|difference| known.explains(difference));
        assert!(found, "{record} {attribute} ({how:?}) differs no more; it was explained by: {why}");
    }
}

type Normal = BTreeMap<String, BTreeMap<String, Value>>;

fn differences(ours: &Normal, theirs: &Normal) -> BTreeSet<Difference> {
    let mut found = BTreeSet::new();
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let record = record(key);
        let (Some(our), Some(their)) = (ours.get(key), theirs.get(key)) else {
            let side = |items: &Normal| items.contains_key(key).then(|| key.clone());
            found.insert(Difference { record, attribute: "*".to_owned(), ours: side(ours), theirs: side(theirs) });
            continue;
        };
        let attributes: BTreeSet<&String> = our.keys().chain(their.keys()).collect();
        let ours = |name: &String| our.get(name).map(recorded_by_both);
        for attribute in attributes.into_iter().filter(|name| ours(name).as_ref() != their.get(*name)) {
            let value = |item: &BTreeMap<String, Value>| item.get(attribute).map(Value::to_string);
            let (ours, theirs) = (value(our), value(their));
            found.insert(Difference { record, attribute: attribute.clone(), ours, theirs });
        }
    }
    found
}

/// Returns the value without the details that only we record: the configuration before a change, in audit events.
fn recorded_by_both(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(map) = value.get_mut("M").and_then(Value::as_object_mut) {
        map.retain(|name, _| !name.starts_with("previous_"));
    }
    value
}

/// Returns the kind of the record with this normal key.
fn record(key: &str) -> &'static str {
    let (pk, sk) = key.split_once(' ').unwrap_or((key, ""));
    let remainder = pk.split_once('/').map_or("", |(_, remainder)| remainder);
    match (remainder, sk) {
        (_, "#META") => "entity",
        (_, "#STATE") => "bucket",
        ("SYSTEM#", "#CONFIG") => "system config",
        ("SYSTEM#", "#RESOURCES") => "resource registry",
        ("SYSTEM#", "#ENTITY_CONFIG_RESOURCES") => "entity config registry",
        ("SYSTEM#", "#PROVISIONER") => "provisioner",
        ("SYSTEM#", "#VERSION") => "version",
        (_, "#CONFIG") => "resource config",
        _ if sk.starts_with("#CONFIG#") => "entity config",
        _ if sk.starts_with("#OP#") => "operation",
        _ if sk.starts_with("#AUDIT#") => "audit",
        _ if sk.starts_with("#NAMESPACE#") => "namespace",
        _ if sk.starts_with("#NSID#") => "namespace id",
        _ => "unknown record",
    }
}

/// Normalises items by key: random namespace ids, event ids and times are checked for their form and replaced by words.
fn normal(items: &[Item]) -> Normal {
    let ids: BTreeMap<String, String> = items
        .iter()
        .filter(|item| text(item, "SK").starts_with("#NAMESPACE#") || text(item, "SK").starts_with("#NSID#"))
        .map(|item| (text(item, "namespace_id"), format!("<{}>", text(item, "namespace_name"))))
        .collect();
    assert!(ids.keys().all(|id| id.len() == 11 && !id.starts_with('-')), "{ids:?}");
    let mut normal = Normal::new();
    for item in items {
        let mut item: BTreeMap<String, Value> =
            item.iter().map(|(name, value)| (name.clone(), plain(value, &ids))).collect();
        for (name, digits) in [("pinc", 16), ("ent", 16), ("writer", 24)] {
            let Some(mark) = item.get_mut(name) else { continue };
            let is_hex = |mark: &str| mark.len() == digits && u128::from_str_radix(mark, 16).is_ok();
            assert!(mark["S"].as_str().is_some_and(is_hex), "{name} {mark}");
            *mark = json!("RANDOM");
        }
        let key = |name: &str| item[name]["S"].as_str().expect("keys are strings").to_owned();
        let key = format!("{} {}", key("PK"), key("SK"));
        // Events of one target differ only in their ids, and are sorted by them.
        let same = normal.keys().filter(|known| known.starts_with(&key)).count();
        let key = if key.ends_with("#AUDIT#ULID") { format!("{key} {same}") } else { key };
        normal.insert(key, item);
    }
    normal
}

fn plain(value: &AttributeValue, ids: &BTreeMap<String, String>) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": plain_text(text, ids) }),
        AttributeValue::N(text) => json!({ "N": text }),
        AttributeValue::Bool(value) => json!({ "BOOL": value }),
        AttributeValue::Null(value) => json!({ "NULL": value }),
        AttributeValue::Ss(texts) => json!({ "SS": texts.iter().collect::<BTreeSet<_>>() }),
        AttributeValue::L(values) => {
            let mut values: Vec<Value> = values.iter().map(|v| plain(v, ids)).collect();
            // The order of a list of names depends on the store.
            if values.iter().all(|value| value["S"].is_string()) {
                values.sort_by_key(Value::to_string);
            }
            json!({ "L": values })
        }
        AttributeValue::M(map) => {
            json!({ "M": map.iter().map(|(name, v)| (name.clone(), plain(v, ids))).collect::<BTreeMap<_, _>>() })
        }
        other => panic!("no record has {other:?}"),
    }
}

fn plain_text(text: &str, ids: &BTreeMap<String, String>) -> String {
    let mut text = ids.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name));
    if is_time(&text) {
        return "TIME".to_owned();
    }
    let tail = text.len().saturating_sub(26);
    if text.is_char_boundary(tail) && is_ulid(&text[tail..]) {
        text.replace_range(tail.., "ULID");
    }
    text
}

/// `YYYY-MM-DDTHH:MM:SSZ`.
fn is_time(text: &str) -> bool {
    text.len() == 20
        && text.bytes().zip("dddd-dd-ddTdd:dd:ddZ".bytes()).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            _ => byte == shape,
        })
}

/// 26 characters of Crockford's base 32, in upper case.
fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() && !b"ILOU".contains(&byte))
}
