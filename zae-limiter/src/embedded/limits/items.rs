//! The limits on stored data: attribute names, and the keys of indexes.
//!
//! A partition key has at most 2048 bytes and a sort key 1024, in the table and in each index. The engine checks those
//! of the table. An index only concerns items that have its keys, so its check needs the table's definition; it is
//! skipped for items whose values are all short.

use std::collections::HashMap;

use dynoxide::{
    Database, DynoxideError,
    types::{AttributeValue, KeySchemaElement, KeyType},
};
use serde::Deserialize;

use super::refused;

/// Maximum length of an attribute's name, in bytes.
const MAX_NAME: usize = 65_535;
/// Maximum length of a partition key, in bytes.
const MAX_PARTITION: usize = 2_048;
/// Maximum length of a sort key, in bytes.
const MAX_SORT: usize = 1_024;

/// The part of an index's definition that is read from the engine's table of tables.
#[derive(Debug, Deserialize)]
struct Index {
    /// The attributes of its key.
    #[serde(rename = "KeySchema")]
    key_schema: Vec<KeySchemaElement>,
}

/// Checks an item that is put into `table`.
pub(super) fn check(
    database: &Database,
    table: &str,
    item: &HashMap<String, AttributeValue>,
) -> Result<(), DynoxideError> {
    if let Some(name) = item.keys().find(|name| name.len() > MAX_NAME) {
        let why = "One or more parameter values were invalid: Attribute name is too large, must be at most";
        return Err(refused(format!("{why} {MAX_NAME} bytes, has {}", name.len())));
    }
    // Most items have no value that could be too long for a key.
    if item.values().all(|value| size(value) <= MAX_SORT) {
        return Ok(());
    }
    indexes(database, table)?.iter().flat_map(|index| &index.key_schema).try_for_each(|key| {
        let (kind, max) = match key.key_type {
            KeyType::HASH => ("hashkey", MAX_PARTITION),
            KeyType::RANGE => ("rangekey", MAX_SORT),
        };
        match item.get(&key.attribute_name).map(size) {
            Some(size) if size > max => {
                let why = format!("Size of {kind} has exceeded the maximum size limit of {max} bytes");
                Err(refused(format!("One or more parameter values were invalid: {why}")))
            }
            _ => Ok(()),
        }
    })
}

/// Returns the indexes of `table`; none if there is no such table, which the engine reports itself.
fn indexes(database: &Database, table: &str) -> Result<Vec<Index>, DynoxideError> {
    let Some(metadata) = database.get_table_metadata(table)? else { return Ok(Vec::new()) };
    let mut indexes = Vec::new();
    for definitions in metadata.gsi_definitions.iter().chain(&metadata.lsi_definitions) {
        let read: Vec<Index> = serde_json::from_str(definitions)
            .map_err(|error| DynoxideError::InternalServerError(format!("the indexes of {table}: {error}")))?;
        indexes.extend(read);
    }
    Ok(indexes)
}

/// Returns the size in bytes of a value that can be a key.
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.len(),
        _ => 0,
    }
}
