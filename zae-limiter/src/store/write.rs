//! Writes: one item, many deletions, a transaction.
//!
//! A failed condition is a result ([`ConditionalWrite`]), not an error. A transaction reports which of its parts
//! failed. Deletions of many items are batches, and unprocessed ones are retried; they may be repeated after an
//! interruption.
//!
//! The SDK may send any of these writes twice, so all of them are idempotent or conditional on what they change.
//! Unconditional additions are reserved for the engine, and are in [`bucket`](super::bucket).
//!
//! DynamoDB rejects a single write that conflicts with a transaction on the same item, with
//! `TransactionConflictException`, and the SDK does not retry that. Both are retried here, a few times with growing
//! pauses, as are transactions that conflict with each other.

use aws_sdk_dynamodb::{
    error::{BuildError, SdkError},
    operation::update_item::UpdateItemError,
    types::{
        ConditionCheck, Delete, DeleteRequest, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update, WriteRequest,
    },
};

use crate::{
    error::{RepositoryError, StoreError, StoreErrorKind},
    store::{Store, read::Backoff, rejected},
    wire::{
        Item,
        expression::{Expression, Key},
    },
};

/// Maximum number of items per BatchWriteItem.
const BATCH: usize = 25;
/// Number of attempts at a write that conflicts with a transaction.
const CONFLICTS: usize = 5;
/// The error code of a write that conflicts with a transaction.
const CONFLICT: &str = "TransactionConflictException";

/// The result of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConditionalWrite {
    /// It was written.
    Done,
    /// Its condition did not hold; nothing was written.
    Refused,
}

/// The result of a conditional write, with the conflicting item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConditionalUpdate {
    /// It was written.
    Done,
    /// Its condition did not hold; contains the current item, `None` if there is none.
    Refused(Option<Item>),
}

#[cfg(feature = "sim")]
impl From<ConditionalUpdate> for ConditionalWrite {
    fn from(update: ConditionalUpdate) -> Self {
        match update {
            ConditionalUpdate::Done => Self::Done,
            ConditionalUpdate::Refused(_) => Self::Refused,
        }
    }
}

/// Puts a table's name and an expression's condition, names and values into a builder of the SDK. Six of these have the
/// same methods, and no trait in common.
macro_rules! conditioned {
    ($builder:expr, $table:expr, $expression:expr) => {
        $builder
            .table_name($table)
            .set_condition_expression($expression.condition_text())
            .set_expression_attribute_names($expression.names())
            .set_expression_attribute_values($expression.values())
    };
}

/// The result of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// All parts were written.
    Done,
    /// The conditions of the parts with these indices did not hold; nothing was written.
    Refused(Vec<usize>),
}

/// One part of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum TransactPart {
    /// Writes a complete item, under a condition.
    Put(Item, Expression),
    /// Changes an item, under a condition.
    Update(Key, Expression),
    /// Removes an item, under a condition.
    Delete(Key, Expression),
    /// Writes nothing; its condition must hold for the others to be written.
    Check(Key, Expression),
}

/// Retries a write of one item until no transaction conflicts with it; the SDK does not retry this.
async fn unhindered<F: Future<Output = Result<(), RepositoryError>> + Send>(
    send: impl Fn() -> F + Send + Sync,
) -> Result<ConditionalWrite, RepositoryError> {
    let mut backoff = Backoff::new();
    for _ in 1..CONFLICTS {
        match send().await {
            Err(RepositoryError::Store(error)) if error.code() == Some(CONFLICT) => backoff.pause().await,
            result => return written(result),
        }
    }
    written(send().await)
}

/// Converts a failed condition into a result.
fn written(result: Result<(), RepositoryError>) -> Result<ConditionalWrite, RepositoryError> {
    match result {
        Ok(()) => Ok(ConditionalWrite::Done),
        Err(RepositoryError::Store(StoreError { kind: StoreErrorKind::ConditionFailed, .. })) => {
            Ok(ConditionalWrite::Refused)
        }
        Err(error) => Err(error),
    }
}

impl Store {
    /// Writes a complete item.
    ///
    /// The SDK may repeat it, so a result of `Refused` after a broken connection may mean that this very write
    /// succeeded. A caller for whom that matters reads the item.
    pub(crate) async fn put(&self, item: Item, condition: Expression) -> Result<ConditionalWrite, RepositoryError> {
        #[cfg(feature = "sim")]
        if let Some(table) = &self.model {
            let request = super::model::Request::Put { item, condition: condition.condition };
            return super::model::change(self, &**table, "PutItem", request).await.map(ConditionalWrite::from);
        }
        let request = conditioned!(self.client.put_item(), &self.table, condition).set_item(Some(item));
        let send = || async { request.clone().send().await.map(drop).map_err(|error| self.fail("PutItem", error)) };
        unhindered(send).await
    }

    /// Changes an item. The SDK may repeat it, so it is for idempotent changes.
    pub(crate) async fn update(&self, key: &Key, change: Expression) -> Result<ConditionalWrite, RepositoryError> {
        #[cfg(feature = "sim")]
        if self.model.is_some() {
            return self.update_or_see(key, change).await.map(ConditionalWrite::from);
        }
        let request = conditioned!(self.client.update_item(), &self.table, change)
            .set_key(Some(key.attributes()))
            .update_expression(&change.update);
        let send = || async { request.clone().send().await.map(drop).map_err(|error| self.fail("UpdateItem", error)) };
        unhindered(send).await
    }

    /// Removes an item and returns its last state; `None` if there was none (or if a repetition found it gone).
    ///
    /// The result is the item at the instant of its removal, which a preceding read could not guarantee: everything
    /// that others took until then is accounted for.
    pub(crate) async fn take(&self, key: &Key) -> Result<Option<Item>, RepositoryError> {
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key.attributes()));
        let answer = request.return_values(ReturnValue::AllOld).send().await;
        Ok(answer.map_err(|error| self.fail("DeleteItem", error))?.attributes.filter(|item| !item.is_empty()))
    }

    /// Changes an item like [`Store::update`], and returns the conflicting item.
    ///
    /// For writes that are planned again from the current item, without a read in between.
    pub(crate) async fn update_or_see(
        &self,
        key: &Key,
        change: Expression,
    ) -> Result<ConditionalUpdate, RepositoryError> {
        #[cfg(feature = "sim")]
        if let Some(table) = &self.model {
            return super::model::change(self, &**table, "UpdateItem", super::model::update(key.clone(), change)).await;
        }
        let request = conditioned!(self.client.update_item(), &self.table, change)
            .set_key(Some(key.attributes()))
            .update_expression(&change.update)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Ok(ConditionalUpdate::Done),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(failure) => {
                        Ok(ConditionalUpdate::Refused(failure.item))
                    }
                    _ => Ok(ConditionalUpdate::Refused(None)),
                }
            }
            Err(error) => Err(self.fail("UpdateItem", error)),
        }
    }

    /// Removes items, in batches; unprocessed ones are retried until they are gone.
    ///
    /// Conditions are not possible here, so it is only for items that no process needs, regardless of their content.
    pub(crate) async fn batch_delete(&self, keys: &[Key]) -> Result<(), RepositoryError> {
        for chunk in keys.chunks(BATCH) {
            let requests: Result<Vec<_>, BuildError> = chunk
                .iter()
                .map(|key| {
                    let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build()?;
                    Ok(WriteRequest::builder().delete_request(delete).build())
                })
                .collect();
            let mut open = requests.map_err(|error| rejected("BatchWriteItem", error))?;
            let mut backoff = Backoff::new();
            while !open.is_empty() {
                let answer = self.client.batch_write_item().request_items(&self.table, open).send().await;
                let mut answer = answer.map_err(|error| self.fail("BatchWriteItem", error))?;
                let left = answer.unprocessed_items.as_mut().and_then(|tables| tables.remove(&self.table));
                open = left.unwrap_or_default();
                if !open.is_empty() {
                    backoff.pause().await;
                }
            }
        }
        Ok(())
    }

    /// Writes all parts or none. Conflicts with other transactions are retried.
    ///
    /// Takes two write units for each unit of a part. Parts are rejected together; the indices identify the conditions
    /// that did not hold, so a caller can report the reason.
    pub(crate) async fn transact(&self, parts: &[TransactPart]) -> Result<Committed, RepositoryError> {
        let mut backoff = Backoff::new();
        for _ in 1..CONFLICTS {
            match self.transact_once(parts).await {
                Err(RepositoryError::Store(error)) if error.kind == StoreErrorKind::NotApplied => backoff.pause().await,
                answer => return answer,
            }
        }
        self.transact_once(parts).await
    }

    /// Writes all parts or none, like [`transact`](Self::transact); whoever is in conflict or throttled is told.
    pub(crate) async fn transact_once(&self, parts: &[TransactPart]) -> Result<Committed, RepositoryError> {
        #[cfg(feature = "sim")]
        if let Some(table) = &self.model {
            return super::model::transact(self, &**table, parts).await;
        }
        let items: Result<Vec<_>, _> = parts.iter().map(|part| self.part(part)).collect();
        let items = items.map_err(|error| rejected("TransactWriteItems", error))?;
        let request = self.client.transact_write_items().set_transact_items(Some(items));
        let Err(error) = request.send().await else { return Ok(Committed::Done) };
        let reasons: Vec<String> = match error.as_service_error() {
            Some(service) if service.is_transaction_canceled_exception() => cancellation(service),
            _ => return Err(self.fail("TransactWriteItems", error)),
        };
        let refused = reasons.iter().enumerate().filter(|(_, code)| *code == "ConditionalCheckFailed");
        let refused: Vec<usize> = refused.map(|(index, _)| index).collect();
        if !refused.is_empty() {
            return Ok(Committed::Refused(refused));
        }
        let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        if !reasons.iter().any(|code| passing.contains(&code.as_str())) {
            return Err(self.fail("TransactWriteItems", error));
        }
        let error = StoreError::from_sdk("TransactWriteItems", error);
        Err(StoreError { kind: StoreErrorKind::NotApplied, ..error }.into())
    }

    /// Converts one part to the SDK's type.
    fn part(&self, part: &TransactPart) -> Result<TransactWriteItem, BuildError> {
        let item = TransactWriteItem::builder();
        let table = &self.table;
        Ok(match part {
            TransactPart::Put(attributes, expression) => {
                item.put(conditioned!(Put::builder(), table, expression).set_item(Some(attributes.clone())).build()?)
            }
            TransactPart::Update(key, expression) => {
                let update = conditioned!(Update::builder(), table, expression).update_expression(&expression.update);
                item.update(update.set_key(Some(key.attributes())).build()?)
            }
            TransactPart::Delete(key, expression) => {
                item.delete(conditioned!(Delete::builder(), table, expression).set_key(Some(key.attributes())).build()?)
            }
            TransactPart::Check(key, expression) => {
                let check = conditioned!(ConditionCheck::builder(), table, expression);
                item.condition_check(check.set_key(Some(key.attributes())).build()?)
            }
        }
        .build())
    }
}

/// Returns the code of each part of a cancelled transaction, `None` for parts that did not fail.
fn cancellation(error: &aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError) -> Vec<String> {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as E;
    match error {
        E::TransactionCanceledException(cancelled) => {
            cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or_default().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}
