//! The version record as an item.
//!
//! Written on the condition that its minimum is still the one that was read, because the minimum is only ever raised:
//! of two concurrent upgrades, the second reads again and raises what the first has written.

use super::{
    keys,
    values::{get_s, s, s_or_null},
};
use crate::{
    model::version::{SCHEMA_VERSION, VersionRecord},
    wire::{
        Item,
        expression::{Expression, Key},
    },
};

/// Returns the key of the table's single record.
pub(crate) fn key() -> Key {
    Key::new(keys::pk_system(keys::RESERVED), keys::sk_version())
}

/// Decodes the record; the reader judges missing parts.
pub(crate) fn decode(item: &Item) -> VersionRecord {
    let text = |name| get_s(item, name).map(str::to_owned);
    VersionRecord {
        schema_version: text("schema_version"),
        lambda_version: text("lambda_version"),
        client_min_version: text("client_min_version"),
        updated_at: text("updated_at"),
        updated_by: text("updated_by"),
    }
}

/// Raises the minimum for clients from `seen`, on an existing record.
pub(crate) fn raise_minimum(minimum: &str, seen: Option<&str>) -> Expression {
    Expression::of(|e| {
        e.expect_item();
        e.expect("client_min_version", seen.map(s));
        e.set("client_min_version", s(minimum));
    })
}

/// Replaces a record whose minimum is still `seen`; attributes of newer clients stay.
pub(crate) fn encode(record: &VersionRecord, seen: Option<&str>) -> Expression {
    Expression::of(|e| {
        e.set("schema_version", s(record.schema_version.as_deref().unwrap_or(SCHEMA_VERSION)));
        e.set("lambda_version", s_or_null(record.lambda_version.as_deref()));
        e.set("client_min_version", s(record.client_min_version.as_deref().unwrap_or("0.0.0")));
        e.set("updated_at", s_or_null(record.updated_at.as_deref()));
        e.set("updated_by", s_or_null(record.updated_by.as_deref()));
        e.list_in_namespace(keys::RESERVED, &keys::pk_system(keys::RESERVED));
        e.expect("client_min_version", seen.map(s));
    })
}
