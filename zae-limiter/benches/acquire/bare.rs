//! The write that an acquire makes, made without the engine: what there is to compare with.

use std::time::{Duration, Instant};

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
        let text = |field: &str| request[field].as_str().map(str::to_owned);
        let mut update = client
            .update_item()
            .set_table_name(text("TableName"))
            .set_update_expression(text("UpdateExpression"))
            .set_condition_expression(text("ConditionExpression"))
            .set_return_values(text("ReturnValues").map(|value| ReturnValue::from(value.as_str())))
            .set_return_values_on_condition_check_failure(
                text("ReturnValuesOnConditionCheckFailure")
                    .map(|value| ReturnValuesOnConditionCheckFailure::from(value.as_str())),
            )
            .set_return_consumed_capacity(
                text("ReturnConsumedCapacity").map(|value| ReturnConsumedCapacity::from(value.as_str())),
            );
        for (name, value) in entries(&request["Key"]) {
            update = update.key(name, attribute(value));
        }
        for (name, value) in entries(&request["ExpressionAttributeNames"]) {
            update = update.expression_attribute_names(name, value.as_str().expect("a name"));
        }
        for (name, value) in entries(&request["ExpressionAttributeValues"]) {
            update = update.expression_attribute_values(name, attribute(value));
        }
        Self(update)
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
