//! Rejects requests that DynamoDB rejects but the engine would accept, before they reach the engine.
//!
//! | request | checked here |
//! |---|---|
//! | `PutItem`, batches, transactions | attribute names, keys of indexes ([`items`]); conditions |
//! | `UpdateItem`, `DeleteItem` | operators and operands of expressions, names of placeholders ([`expressions`]) |
//! | `Query`, `Scan` | filters and key conditions |
//! | the rest | nothing: the engine underneath does it |
//!
//! The tests hold this module and Amazon's DynamoDB Local to the same table of refusals, at and over each limit.
//!
//! A request that is accepted by mistake is worse than one rejected by mistake: it makes a test pass that fails on AWS.
//! The checks were found by comparing both sides, request by request.

mod expressions;
mod items;

use dynoxide::{
    Database, DynoxideError,
    actions::{
        batch_get_item::BatchGetItemRequest,
        batch_write_item::{BatchWriteItemRequest, WriteRequest},
        create_table::CreateTableRequest,
        delete_item::DeleteItemRequest,
        delete_table::DeleteTableRequest,
        describe_table::DescribeTableRequest,
        describe_time_to_live::DescribeTimeToLiveRequest,
        get_item::GetItemRequest,
        list_tables::ListTablesRequest,
        put_item::PutItemRequest,
        query::QueryRequest,
        scan::ScanRequest,
        transact_get_items::TransactGetItemsRequest,
        transact_write_items::{TransactWriteItem, TransactWriteItemsRequest},
        update_item::UpdateItemRequest,
        update_time_to_live::UpdateTimeToLiveRequest,
    },
};
use expressions::RequestExpression;
use serde::de::DeserializeOwned;

/// A request that is subject to DynamoDB's limits.
pub(super) trait Limited {
    /// Rejects it with DynamoDB's error.
    fn check(&self, _: &Database) -> Result<(), DynoxideError> {
        Ok(())
    }
}

/// The engine itself performs all checks of these.
impl Limited for GetItemRequest {}
impl Limited for BatchGetItemRequest {}
impl Limited for TransactGetItemsRequest {}
impl Limited for CreateTableRequest {}
impl Limited for DescribeTableRequest {}
impl Limited for DeleteTableRequest {}
impl Limited for ListTablesRequest {}
impl Limited for UpdateTimeToLiveRequest {}
impl Limited for DescribeTimeToLiveRequest {}

impl Limited for UpdateItemRequest {
    fn check(&self, _: &Database) -> Result<(), DynoxideError> {
        let update = self.update_expression.as_deref().map(RequestExpression::Update);
        let condition = self.condition_expression.as_deref().map(RequestExpression::Condition);
        let (names, values) = (&self.expression_attribute_names, &self.expression_attribute_values);
        expressions::check([update, condition], names, values)
    }
}

impl Limited for PutItemRequest {
    fn check(&self, database: &Database) -> Result<(), DynoxideError> {
        items::check(database, &self.table_name, &self.item)?;
        let condition = self.condition_expression.as_deref().map(RequestExpression::Condition);
        expressions::check([condition], &self.expression_attribute_names, &self.expression_attribute_values)
    }
}

impl Limited for DeleteItemRequest {
    fn check(&self, _: &Database) -> Result<(), DynoxideError> {
        let condition = self.condition_expression.as_deref().map(RequestExpression::Condition);
        expressions::check([condition], &self.expression_attribute_names, &self.expression_attribute_values)
    }
}

impl Limited for QueryRequest {
    fn check(&self, _: &Database) -> Result<(), DynoxideError> {
        let (names, values) = (&self.expression_attribute_names, &self.expression_attribute_values);
        let filter = self.filter_expression.as_deref().map(RequestExpression::Filter);
        expressions::check([filter], names, values)?;
        self.key_condition_expression.iter().try_for_each(|text| expressions::check_key_condition(text, values))
    }
}

impl Limited for ScanRequest {
    fn check(&self, _: &Database) -> Result<(), DynoxideError> {
        let filter = self.filter_expression.as_deref().map(RequestExpression::Filter);
        expressions::check([filter], &self.expression_attribute_names, &self.expression_attribute_values)
    }
}

impl Limited for BatchWriteItemRequest {
    fn check(&self, database: &Database) -> Result<(), DynoxideError> {
        for (table, requests) in &self.request_items {
            for request in requests {
                if let WriteRequest { put_request: Some(_), delete_request: Some(_) } = request {
                    let why = "Supplied AttributeValue has more than one of PutRequest and DeleteRequest";
                    return Err(refused(why.to_owned()));
                }
                if let Some(put) = &request.put_request {
                    items::check(database, table, &put.item)?;
                }
            }
        }
        Ok(())
    }
}

impl Limited for TransactWriteItemsRequest {
    fn check(&self, database: &Database) -> Result<(), DynoxideError> {
        self.transact_items.iter().try_for_each(|action| check_action(database, action))
    }
}

/// Returns the refusal of a raw request; `None` if there is none, or if the engine parses and judges the request
/// itself.
pub(super) fn refusal(database: &Database, operation: &str, body: &[u8]) -> Option<DynoxideError> {
    /// Returns the refusal of a request of type `T`; `None` if it cannot be parsed.
    fn of<T: DeserializeOwned + Limited>(database: &Database, body: &[u8]) -> Option<DynoxideError> {
        serde_json::from_slice::<T>(body).ok()?.check(database).err()
    }
    match operation {
        "UpdateItem" => of::<UpdateItemRequest>(database, body),
        "PutItem" => of::<PutItemRequest>(database, body),
        "DeleteItem" => of::<DeleteItemRequest>(database, body),
        "Query" => of::<QueryRequest>(database, body),
        "Scan" => of::<ScanRequest>(database, body),
        "BatchWriteItem" => of::<BatchWriteItemRequest>(database, body),
        "TransactWriteItems" => of::<TransactWriteItemsRequest>(database, body),
        _ => None,
    }
}

/// Checks one part of a transaction.
fn check_action(database: &Database, action: &TransactWriteItem) -> Result<(), DynoxideError> {
    if let Some(put) = &action.put {
        items::check(database, &put.table_name, &put.item)?;
        let condition = put.condition_expression.as_deref().map(RequestExpression::Condition);
        expressions::check([condition], &put.expression_attribute_names, &put.expression_attribute_values)?;
    }
    if let Some(update) = &action.update {
        let condition = update.condition_expression.as_deref().map(RequestExpression::Condition);
        let expressions = [Some(RequestExpression::Update(&update.update_expression)), condition];
        expressions::check(expressions, &update.expression_attribute_names, &update.expression_attribute_values)?;
    }
    if let Some(delete) = &action.delete {
        let condition = delete.condition_expression.as_deref().map(RequestExpression::Condition);
        expressions::check([condition], &delete.expression_attribute_names, &delete.expression_attribute_values)?;
    }
    if let Some(check) = &action.condition_check {
        let condition = [Some(RequestExpression::Condition(&check.condition_expression))];
        expressions::check(condition, &check.expression_attribute_names, &check.expression_attribute_values)?;
    }
    Ok(())
}

/// Creates DynamoDB's error for a request that exceeds a limit.
fn refused(message: String) -> DynoxideError {
    DynoxideError::ValidationException(message)
}
