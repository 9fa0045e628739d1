//! The two calls of the acquire path: creating a bucket, and updating it.
//!
//! Both return the item, whichever way they end: a success returns the new image, and a failed condition the old one
//! (`ReturnValuesOnConditionCheckFailure`). The engine therefore never needs a read to learn what it collided with: a
//! lost race costs one round trip and one write unit, and the next plan starts from the current state.
//!
//! | outcome | the engine |
//! |---|---|
//! | [`WriteOutcome::Done`] | answers those it served, and remembers the image |
//! | [`WriteOutcome::Lost`] | plans again; `None` means that there is no bucket, so it creates one |
//! | [`WriteOutcome::Moved`] | looks again how many shards the bucket has |
//! | [`WriteOutcome::NotApplied`] | keeps asks and settlements for a later write |
//! | [`WriteOutcome::Failed`] | decides by the error whether the write counts as done |
//!
//! A creation is conditional on `attribute_not_exists(rf)` and not on the key: a Python client's adjustment of a
//! deleted bucket leaves a skeleton (keys and a counter, no refill instant), which does not count as a bucket.
//!
//! Successful writes report their consumed capacity, which is the cost of an acquire.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{ConsumedCapacity, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use crate::{
    bucket::{image::Image, key::BucketKey, write::BucketWrite},
    error::{RepositoryError, StoreError, StoreErrorKind},
    model::name::NamespaceId,
    store::{Consistency, Store},
    wire::{
        Item,
        bucket::{self, NewBucket},
        expression::Key,
        keys,
    },
};

/// Also true for the skeleton that a Python client's adjustment of a deleted bucket leaves.
pub(super) const IS_NO_BUCKET: &str = "attribute_not_exists(rf)";

/// A write and its cost.
#[derive(Debug)]
pub(crate) struct WriteReport {
    /// The outcome.
    pub(crate) outcome: WriteOutcome,
    /// Write units, indexes included. DynamoDB does not report those of a failed condition: one is assumed, which is
    /// the cost for an item of less than a KiB.
    pub(crate) units: f64,
}

/// The outcome of a write.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    /// The write succeeded; contains the new item.
    Done(Image),
    /// A condition did not hold; contains the current item, `None` if there is no bucket.
    Lost(Option<Image>),
    /// It was to create a shard that the bucket does not have (any more).
    Moved,
    /// It certainly had no effect and may be retried.
    NotApplied(StoreError),
    /// It failed, possibly with an effect; it must not be repeated.
    Failed(RepositoryError),
}

impl From<WriteOutcome> for WriteReport {
    fn from(outcome: WriteOutcome) -> Self {
        let units = if matches!(outcome, WriteOutcome::Lost(_)) { 1.0 } else { 0.0 };
        Self { outcome, units }
    }
}

/// Returns the write units of a successful write, those of the indexes included.
fn units(consumed: Option<&ConsumedCapacity>) -> f64 {
    consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0)
}

/// Reads the image from a response's item.
fn decode(item: Option<&Item>) -> Result<Option<Image>, RepositoryError> {
    item.map_or(Ok(None), bucket::decode)
}

/// Converts the item of a successful write into its outcome.
pub(super) fn done(item: Option<&Item>) -> WriteOutcome {
    match decode(item) {
        Ok(Some(image)) => WriteOutcome::Done(image),
        // The write succeeded, but left an item of another kind.
        Ok(None) => WriteOutcome::Failed(RepositoryError::Malformed {
            key: item.and_then(Key::of).map(|key| key.pk).unwrap_or_default(),
            problem: "the bucket lost its refill instant".to_owned(),
        }),
        Err(error) => WriteOutcome::Failed(error),
    }
}

/// Converts the item of a failed condition into its outcome.
pub(super) fn lost(item: Option<&Item>) -> WriteOutcome {
    match decode(item) {
        Ok(image) => WriteOutcome::Lost(image),
        Err(error) => WriteOutcome::Failed(error),
    }
}

/// Classifies a failure by the safety of a retry.
pub(super) fn failed(error: StoreError) -> WriteOutcome {
    match error.kind {
        StoreErrorKind::NotApplied => WriteOutcome::NotApplied(error),
        _ => WriteOutcome::Failed(error.into()),
    }
}

/// Reads the bucket's state; `None` if there is none.
///
/// Strongly consistent, one read unit for an item below 4 KB.
pub(crate) async fn read(
    store: &Store,
    namespace: &NamespaceId,
    key: &BucketKey,
) -> Result<Option<Image>, RepositoryError> {
    let pk = keys::pk_bucket(namespace.as_str(), key.entity.as_str(), key.resource.as_str(), key.shard);
    let item = store.get(&Key::new(pk, keys::sk_state()), Consistency::Strong).await?;
    decode(item.as_ref())
}

/// Updates an existing bucket. Sent once: nothing below retries.
///
/// Dropping the future is safe for this process only: like any sent request, the call may still be executed. The lane
/// therefore never drops one while tokens depend on it (see [`drive`](crate::engine::lane::drive)).
pub(crate) async fn update(
    store: &Store,
    namespace: &NamespaceId,
    key: &BucketKey,
    write: &BucketWrite,
) -> WriteReport {
    let update = bucket::encode_update(write);
    let pk = keys::pk_bucket(namespace.as_str(), key.entity.as_str(), key.resource.as_str(), key.shard);
    #[cfg(feature = "sim")]
    if let Some(table) = &store.model {
        let request = super::model::update(Key::new(pk, keys::sk_state()), update);
        return super::model::write(store, &**table, "UpdateItem", request).await;
    }
    let request = store
        .once
        .update_item()
        .table_name(&store.table)
        .set_key(Some(Key::new(pk, keys::sk_state()).into_attributes()))
        .set_update_expression((!update.update.is_empty()).then_some(update.update))
        .condition_expression(update.condition)
        .set_expression_attribute_names((!update.names.is_empty()).then_some(update.names))
        .set_expression_attribute_values(Some(update.values))
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let outcome = match request.send().await {
        Ok(output) => {
            let outcome = done(output.attributes());
            return WriteReport { outcome, units: units(output.consumed_capacity()) };
        }
        Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
            match error.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failure) => lost(failure.item()),
                _ => WriteOutcome::Lost(None),
            }
        }
        Err(error) => failed(StoreError::from_sdk("UpdateItem", error)),
    };
    outcome.into()
}

/// Creates a bucket that does not exist.
///
/// The returned image is the one that was sent: DynamoDB does not return the item of a PutItem.
pub(crate) async fn create(store: &Store, namespace: &NamespaceId, key: &BucketKey, image: Image) -> WriteReport {
    let item = bucket::encode_new(&NewBucket {
        namespace,
        entity: &key.entity,
        resource: &key.resource,
        shard: key.shard,
        image: &image,
    });
    #[cfg(feature = "sim")]
    if let Some(table) = &store.model {
        let put = super::model::Request::Put { item, condition: IS_NO_BUCKET.to_owned() };
        let mut report = super::model::write(store, &**table, "PutItem", put).await;
        if matches!(report.outcome, WriteOutcome::Done(_)) {
            report.outcome = WriteOutcome::Done(image);
        }
        return report;
    }
    let request = store
        .once
        .put_item()
        .table_name(&store.table)
        .set_item(Some(item))
        .condition_expression(IS_NO_BUCKET)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let outcome = match request.send().await {
        Ok(output) => {
            return WriteReport { outcome: WriteOutcome::Done(image), units: units(output.consumed_capacity()) };
        }
        Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
            match error.into_err() {
                PutItemError::ConditionalCheckFailedException(failure) => lost(failure.item()),
                _ => WriteOutcome::Lost(None),
            }
        }
        Err(error) => failed(StoreError::from_sdk("PutItem", error)),
    };
    outcome.into()
}
