//! Keys, and expressions with their names and values.
//!
//! Two values for all requests: a [`Key`], and an [`Expression`] that [`ExpressionBuilder`] writes. Attribute names are
//! given as they are in the table; placeholders are the builder's business alone.

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
    /// Makes a key of its two parts.
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key of an item that was read.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        Some(Self::new(get_s(item, "PK")?, get_s(item, "SK")?))
    }

    /// The key as attributes.
    pub(crate) fn attributes(&self) -> Item {
        self.clone().into_attributes()
    }

    /// The key as attributes, without a copy.
    pub(crate) fn into_attributes(self) -> Item {
        item([("PK", s(self.pk)), ("SK", s(self.sk))])
    }
}

/// A condition or an update, with what its placeholders stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expression {
    /// An update's text; empty for a bare condition.
    pub(crate) update: String,
    /// A condition's text; empty for none.
    pub(crate) condition: String,
    /// The attributes that `#…` stand for.
    pub(crate) names: HashMap<String, String>,
    /// The values that `:…` stand for.
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// Builds an expression that names no limit.
    pub(crate) fn of(build: impl FnOnce(&mut ExpressionBuilder)) -> Self {
        let mut builder = ExpressionBuilder::for_limits(0);
        build(&mut builder);
        builder.finish()
    }

    /// There must be no such item.
    pub(crate) fn absent() -> Self {
        Self::of(|e| e.expect("PK", None::<i64>))
    }

    /// The condition, or `None`: the SDK takes an empty text for one.
    pub(crate) fn condition_text(&self) -> Option<String> {
        (!self.condition.is_empty()).then(|| self.condition.clone())
    }

    /// The names, or `None`: DynamoDB refuses an empty map.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// The values, or `None`, for the same reason.
    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
