//! The write of an acquire without the engine around it: the baseline.

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use serde_json::Value;

/// An update that can be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Bare(UpdateItemFluentBuilder);

impl Bare {
    /// Creates the update in `request` (DynamoDB's JSON), to be sent through `client`.
    pub(crate) fn new(client: &Client, request: &Value) -> Self {
        Self(Parts::of(request).update(client))
    }

    /// Builds and sends the request; returns the duration of both.
    ///
    /// # Panics
    /// If it fails.
    pub(crate) async fn timed(&self) -> Duration {
        let start = Instant::now();
        self.0.clone().send().await.expect("an update that goes through");
        start.elapsed()
    }
}

/// The same update built each time, because texts and numbers differ between calls, with its response parsed.
#[derive(Debug)]
pub(crate) struct ByHand {
    client: Client,
    parts: Parts,
}

impl ByHand {
    pub(crate) fn new(client: &Client, request: &Value) -> Self {
        Self { client: client.clone(), parts: Parts::of(request) }
    }

    /// Builds and sends the update and parses the numbers of the returned item; returns the total duration.
    ///
    /// # Panics
    /// If it fails.
    pub(crate) async fn timed(&self) -> Duration {
        let start = Instant::now();
        let answer = self.parts.update(&self.client).send().await.expect("an update that goes through");
        let attributes = answer.attributes().expect("the item as it now is");
        let numbers = attributes.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_n().ok()?)));
        let item: HashMap<&str, i64> =
            numbers.filter_map(|(name, number)| Some((name, number.parse().ok()?))).collect();
        assert!(!black_box(item).is_empty());
        start.elapsed()
    }
}

/// The parts of an update request.
#[derive(Debug)]
struct Parts {
    table: String,
    update: String,
    condition: String,
    key: Vec<(String, AttributeValue)>,
    names: Vec<(String, String)>,
    values: Vec<(String, AttributeValue)>,
}

impl Parts {
    fn of(request: &Value) -> Self {
        let text = |field: &str| request[field].as_str().unwrap_or_default().to_owned();
        let values =
            |field: &str| entries(&request[field]).map(|(name, value)| (name.clone(), attribute(value))).collect();
        let names = entries(&request["ExpressionAttributeNames"]);
        Self {
            table: text("TableName"),
            update: text("UpdateExpression"),
            condition: text("ConditionExpression"),
            key: values("Key"),
            names: names.map(|(name, value)| (name.clone(), value.as_str().expect("a name").to_owned())).collect(),
            values: values("ExpressionAttributeValues"),
        }
    }

    fn update(&self, client: &Client) -> UpdateItemFluentBuilder {
        let mut update = client
            .update_item()
            .table_name(&self.table)
            .update_expression(&self.update)
            .condition_expression(&self.condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for (name, value) in &self.key {
            update = update.key(name, value.clone());
        }
        for (name, value) in &self.names {
            update = update.expression_attribute_names(name, value);
        }
        for (name, value) in &self.values {
            update = update.expression_attribute_values(name, value.clone());
        }
        update
    }
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn attribute(value: &Value) -> AttributeValue {
    match (value["S"].as_str(), value["N"].as_str()) {
        (Some(text), _) => AttributeValue::S(text.to_owned()),
        (_, Some(number)) => AttributeValue::N(number.to_owned()),
        _ => panic!("an update of a bucket has no {value}"),
    }
}
