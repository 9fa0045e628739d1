//! Keys, attribute names and items: everything that is written in the table, and nothing that talks to it.

pub(crate) mod audit;
pub(crate) mod bucket;
pub(crate) mod config;
pub(crate) mod expression;
pub(crate) mod fold;
pub(crate) mod keys;
pub(crate) mod namespace;
pub(crate) mod pause;
pub(crate) mod provisioner;
pub(crate) mod sequence;
pub(crate) mod snapshot;
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
