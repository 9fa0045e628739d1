//! The version record as an item.

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

pub(crate) fn key() -> Key {
    Key::new(keys::pk_system(keys::RESERVED), keys::sk_version())
}

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

/// Writes a record over one whose minimum is still `seen`; attributes of newer clients stay.
pub(crate) fn encode(record: &VersionRecord, seen: Option<&str>) -> Expression {
    let update = Expression::update(
        "SET schema_version = :schema, lambda_version = :lambda, client_min_version = :minimum, \
         updated_at = :at, updated_by = :by, GSI4PK = :gsi4pk, GSI4SK = :gsi4sk",
    )
    .value(":schema", s(record.schema_version.as_deref().unwrap_or(SCHEMA_VERSION)))
    .value(":lambda", s_or_null(record.lambda_version.as_deref()))
    .value(":minimum", s(record.client_min_version.as_deref().unwrap_or("0.0.0")))
    .value(":at", s_or_null(record.updated_at.as_deref()))
    .value(":by", s_or_null(record.updated_by.as_deref()))
    .value(":gsi4pk", s(keys::RESERVED))
    .value(":gsi4sk", s(keys::pk_system(keys::RESERVED)));
    match seen {
        Some(seen) => update.when("client_min_version = :seen").value(":seen", s(seen)),
        None => update.when("attribute_not_exists(client_min_version)"),
    }
}
