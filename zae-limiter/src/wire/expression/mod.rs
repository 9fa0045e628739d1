//! Keys, and expressions with their names and values.
//!
//! Two types for all requests: a [`Key`], and an [`Expression`] written by [`ExpressionBuilder`]. Attribute names are
//! given as in the table; the builder handles placeholders.

mod build;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

pub(crate) use build::ExpressionBuilder;

use crate::wire::{
    Item,
    values::{get_s, item, s},
};

/// A primary key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The partition key's value.
    pub(crate) pk: String,
    /// The sort key's value.
    pub(crate) sk: String,
}

impl Key {
    /// Creates a key from its two parts.
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// Returns the key of an item.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        Some(Self::new(get_s(item, "PK")?, get_s(item, "SK")?))
    }

    /// Returns the key as attributes.
    pub(crate) fn attributes(&self) -> Item {
        self.clone().into_attributes()
    }

    /// Converts the key to attributes, without a copy.
    pub(crate) fn into_attributes(self) -> Item {
        item([("PK", s(self.pk)), ("SK", s(self.sk))])
    }
}

/// A condition or an update, with the names and values of its placeholders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expression {
    /// An update's text; empty for a bare condition.
    pub(crate) update: String,
    /// A condition's text; empty for none.
    pub(crate) condition: String,
    /// The attribute names of `#…` placeholders.
    pub(crate) names: HashMap<String, String>,
    /// The values of `:…` placeholders.
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// Builds an expression without names of limits.
    pub(crate) fn of(build: impl FnOnce(&mut ExpressionBuilder)) -> Self {
        let mut builder = ExpressionBuilder::for_limits(0);
        build(&mut builder);
        builder.finish()
    }

    /// Requires that the item does not exist.
    pub(crate) fn absent() -> Self {
        Self::of(|e| e.expect("PK", None::<i64>))
    }

    /// Returns the condition; `None` if it is empty, which the SDK would take for a condition.
    pub(crate) fn condition_text(&self) -> Option<String> {
        (!self.condition.is_empty()).then(|| self.condition.clone())
    }

    /// Returns the names; `None` if there are none, because DynamoDB rejects an empty map.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// Returns the values; `None` if there are none, for the same reason.
    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
