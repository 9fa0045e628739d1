//! A document as a tree whose keys and values have positions.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::problem::{ManifestError, Place, Problem};

/// A value and its position.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Option<Place>,
    pub(super) value: Value,
}

/// A key with its position, and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Option<Place>,
    pub(super) value: Node,
}

/// A value in a document.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Whole(u64),
    /// A number that is negative, has a fraction or is too large: never valid, kept for the message.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl Value {
    /// Returns the kind of value, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Whole(_) | Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// Parses YAML (and thus JSON) text.
    pub(super) fn from_yaml(text: &str) -> Result<Self, ManifestError> {
        // Duplicate keys are rejected here, with this crate's message.
        let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
        let parsed: Result<Spanned<Raw>, _> = serde_saphyr::from_str_with_options(text, options);
        let parsed = parsed.map_err(|error| {
            let plain = error.without_snippet();
            let message = match plain {
                serde_saphyr::Error::MultipleDocuments { .. } => {
                    "one file holds one manifest: use a file for each namespace".to_owned()
                }
                other => other.to_string(),
            };
            let at = plain.location().map(|location| Place::of(&location));
            // The parser's own message ends with the position, which is already shown in front.
            let message = match message.rfind(" at line ") {
                Some(end) if at.is_some() => message[..end].trim_end_matches(',').to_owned(),
                _ => message,
            };
            ManifestError::from(Problem { place: at, path: String::new(), message })
        })?;
        let mut problems = Vec::new();
        let node = Self::of(parsed, "", &mut problems);
        if problems.is_empty() { Ok(node) } else { Err(ManifestError::new(problems)) }
    }

    /// Converts the tree under `path`. Keys that are not text, or duplicates, become problems.
    fn of(spanned: Spanned<Raw>, path: &str, problems: &mut Vec<Problem>) -> Self {
        let place = Some(Place::of(&spanned.referenced));
        let value = match spanned.value {
            Raw::Null => Value::Null,
            Raw::Flag(flag) => Value::Flag(flag),
            Raw::Whole(number) => Value::Whole(number),
            Raw::Number(text) => Value::Number(text),
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => {
                let item = |(index, item): (usize, Spanned<Raw>)| Self::of(item, &format!("{path}.{index}"), problems);
                Value::List(items.into_iter().enumerate().map(item).collect())
            }
            Raw::Map(raw) => Value::Map(Self::entries(raw, path, problems)),
        };
        Self { place, value }
    }

    fn entries(raw: Vec<RawEntry>, path: &str, problems: &mut Vec<Problem>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (key, value) in raw {
            let place = Place::of(&key.referenced);
            let mut problem =
                |message: String| problems.push(Problem { place: Some(place), path: path.to_owned(), message });
            let Some(key) = key.value else {
                problem("this entry has no key: name it, or remove it".to_owned());
                continue;
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let first = first.place.map(|place| format!("; the first one is on line {}", place.line));
                problem(format!("`{key}` is given twice{}", first.unwrap_or_default()));
                continue;
            }
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let value = Self::of(value, &below, problems);
            entries.push(Entry { key, place: Some(place), value });
        }
        entries
    }

    /// Converts a JSON value, which has no positions.
    pub(super) fn from_json(value: &serde_json::Value) -> Self {
        let value = match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(flag) => Value::Flag(*flag),
            serde_json::Value::Number(number) => {
                let whole = number.as_u64().or_else(|| number.as_f64().and_then(whole));
                whole.map_or_else(|| Value::Number(number.to_string()), Value::Whole)
            }
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => {
                let entry = |(key, value): (&String, &serde_json::Value)| Entry {
                    key: key.clone(),
                    place: None,
                    value: Self::from_json(value),
                };
                Value::Map(map.iter().map(entry).collect())
            }
        };
        Self { place: None, value }
    }
}

impl Place {
    fn of(location: &Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// The largest number up to which every whole number has a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Converts a float that is a whole number, as some tools write large ones: `1e+06`.
pub(super) fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
}

/// A key, which may be missing, and its value.
type RawEntry = (Spanned<Option<String>>, Spanned<Raw>);

/// A value as parsed by the YAML library.
enum Raw {
    Null,
    Flag(bool),
    Whole(u64),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<RawEntry>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
                deserializer.deserialize_any(Any)
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
                Ok(Raw::Flag(flag))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
                Ok(Raw::Whole(number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
                Ok(u64::try_from(number).map_or_else(|_| Raw::Number(number.to_string()), Raw::Whole))
            }
            fn visit_u128<E>(self, number: u128) -> Result<Raw, E> {
                Ok(Raw::Number(number.to_string()))
            }
            fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
                Ok(Raw::Number(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
                Ok(whole(number).map_or_else(|| Raw::Number(number.to_string()), Raw::Whole))
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
