//! Keys, attribute names and items: everything that is written in the table, and nothing that talks to it.
//!
//! The format is that of the Python package 0.17, item for item. One module per kind of item; each encodes and decodes
//! it, and none of them sends anything.
//!
//! | item | partition key | sort key | module |
//! |---|---|---|---|
//! | entity | `{ns}/ENTITY#{id}` | `#META` | repository |
//! | entity's limits | `{ns}/ENTITY#{id}` | `#CONFIG#{resource}` or `#CONFIG#_default_` | [`config`] |
//! | resource's limits | `{ns}/RESOURCE#{name}` | `#CONFIG` | [`config`] |
//! | system's limits | `{ns}/SYSTEM#` | `#CONFIG` | [`config`] |
//! | bucket, one shard of it | `{ns}/BUCKET#{entity}#{resource}#{shard}` | `#STATE` | [`bucket`] |
//! | usage of one window | `{ns}/ENTITY#{id}` | `#USAGE#{resource}#{start}` | [`usage`], [`snapshot`] |
//! | audit event | `{ns}/AUDIT#{target}` | `#AUDIT#{ulid}` | [`audit`] |
//! | provisioner's state | `{ns}/SYSTEM#` | `#PROVISIONER` | [`provisioner`] |
//! | fan-out that is owed | `{ns}/SYSTEM#` | `#PROVISIONER#PENDING#{kind}#{level}#{target}` | [`pending`] |
//! | document that processes share | `{ns}/SYSTEM#` | `#Z_DOCUMENT#{name}` | [`document`] |
//! | pause of a provider | `{ns}/BUCKET#z_pause#{scope}#0` | `#Z_PAUSE` | [`pause`] |
//! | namespace, by name and by id | `_/SYSTEM#` | `#NAMESPACE#{name}`, `#NSID#{id}` | [`namespace`] |
//! | version record | `_/SYSTEM#` | `#VERSION` | [`version`] |
//!
//! `ns` is a namespace's id, and `_` the reserved one for what all namespaces share. Buckets store thousandths of
//! tokens and milliseconds, configurations whole tokens and seconds. Attributes of our own begin with `z_`: other
//! clients keep what they do not know, and ignore it.
//!
//! # Rules of the format
//!
//! - Every number is a whole one. DynamoDB keeps numbers as text of up to 38 digits; balances are read within 64 bits,
//!   at the nearest bound, and counters that decide nothing as wide as they are.
//! - A missing attribute is a value of its own, never a zero, because conditions tell the two apart.
//! - What cannot be understood is an error that names the item and the attribute, for the acquire as for the operator;
//!   only listings leave such items out.
//! - Attributes are never renamed and never change their unit: a table outlives every client on it.
//! - `GSI4PK` and `GSI4SK` stand on everything that belongs to a namespace, or a purge would not find it.

pub(crate) mod audit;
pub(crate) mod bucket;
pub(crate) mod config;
pub(crate) mod document;
pub(crate) mod expression;
pub(crate) mod fold;
pub(crate) mod keys;
pub(crate) mod namespace;
pub(crate) mod operation;
pub(crate) mod owner;
pub(crate) mod pause;
pub(crate) mod pending;
pub(crate) mod provisioner;
pub(crate) mod schedule;
pub(crate) mod sequence;
pub(crate) mod snapshot;
pub(crate) mod switch;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod usage;
pub(crate) mod values;
pub(crate) mod version;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item as DynamoDB has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

#[cfg(test)]
mod key_vectors;
