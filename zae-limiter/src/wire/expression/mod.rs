//! Keys, and expressions with their names and values.

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
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key of an item that was read.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        Some(Self::new(get_s(item, "PK")?, get_s(item, "SK")?))
    }

    pub(crate) fn attributes(&self) -> Item {
        self.clone().into_attributes()
    }

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
    pub(crate) names: HashMap<String, String>,
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

    pub(crate) fn condition_text(&self) -> Option<String> {
        (!self.condition.is_empty()).then(|| self.condition.clone())
    }

    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
