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

/// One update, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Bare(UpdateItemFluentBuilder);

impl Bare {
    /// Through `client`, what `request` says in DynamoDB's JSON.
    pub(crate) fn new(client: &Client, request: &Value) -> Self {
        Self(Parts::of(request).update(client))
    }

    /// Makes a request of it and sends that; how long both took.
    ///
    /// # Panics
    /// When it does not go through.
    pub(crate) async fn timed(&self) -> Duration {
        let start = Instant::now();
        self.0.clone().send().await.expect("an update that goes through");
        start.elapsed()
    }
}

/// The same update by hand: put together each time, as texts and numbers differ from call to call, and its answer read.
#[derive(Debug)]
pub(crate) struct ByHand {
    client: Client,
    parts: Parts,
}

impl ByHand {
    pub(crate) fn new(client: &Client, request: &Value) -> Self {
        Self { client: client.clone(), parts: Parts::of(request) }
    }

    /// Puts it together, sends it and reads the numbers of the item that comes back; how long all of that took.
    ///
    /// # Panics
    /// When it does not go through.
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
