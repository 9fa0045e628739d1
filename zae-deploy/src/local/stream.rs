//! Reads the change stream in this process and passes it to the aggregator as Lambda would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dynoxide::{
    Database, DynoxideError,
    actions::{
        describe_stream::DescribeStreamRequest, get_records::GetRecordsRequest,
        get_shard_iterator::GetShardIteratorRequest, list_streams::ListStreamsRequest,
    },
};
use serde_json::Value;

use super::position::Position;
use crate::aggregator::Aggregator;

/// Records per batch, as deployed.
const BATCH: usize = 100;
/// Time to wait for more records if there are none.
const IDLE: Duration = Duration::from_millis(200);
/// Number of attempts at a record before it is put aside, as deployed.
const TRIES: u32 = 4;
const RETRY: Duration = Duration::from_millis(500);
/// Time between two searches for expired items.
const SWEEP: Duration = Duration::from_secs(2);

/// Counts the records that have been read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) records: AtomicU64,
    pub(super) dead_letters: AtomicU64,
}

/// Reads the stream from `position` on, forever. Records that were already counted are not counted again.
pub(super) async fn follow(
    database: Database,
    table: String,
    aggregator: Aggregator,
    mut position: Position,
    progress: Arc<Progress>,
) {
    loop {
        let read = {
            let (database, table) = (database.clone(), table.clone());
            let position = position.last().map(str::to_owned);
            tokio::task::spawn_blocking(move || read(&database, &table, position.as_deref())).await
        };
        match read {
            Ok(Ok(records)) if records.is_empty() => tokio::time::sleep(IDLE).await,
            Ok(Ok(mut records)) => {
                let last = records.last().and_then(sequence).map(str::to_owned);
                records.retain(is_delivered);
                deliver(&aggregator, &records, &progress).await;
                progress.records.fetch_add(records.len() as u64, Ordering::Relaxed);
                if let Some(last) = last {
                    position.advance(&last);
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error.to_json(), "the stream cannot be read");
                tokio::time::sleep(RETRY).await;
            }
            // The runtime is shutting down.
            Err(_) => return,
        }
    }
}

/// Returns true for the records that the filters of the stack's event source select: buckets, and audit events that
/// expired. Explicitly deleted ones, for example with their namespace, are not archived.
fn is_delivered(record: &Value) -> bool {
    let key = record["dynamodb"]["Keys"]["SK"]["S"].as_str().unwrap_or_default();
    if record["eventName"] == "REMOVE" {
        return key.starts_with("#AUDIT#") && record["userIdentity"]["principalId"] == "dynamodb.amazonaws.com";
    }
    key == "#STATE"
}

fn sequence(record: &Value) -> Option<&str> {
    record["dynamodb"]["SequenceNumber"].as_str()
}

/// Delivers a batch, repeating it from the failed record, and puts aside records that keep failing.
async fn deliver(aggregator: &Aggregator, records: &[Value], progress: &Progress) {
    let mut left = records;
    let mut tried = 0;
    while !left.is_empty() {
        let outcome = aggregator.process(left, None).await;
        if outcome.snapshots_updated + outcome.refills_written + outcome.shards_told + outcome.events_archived > 0 {
            tracing::info!(
                records = left.len(),
                snapshots_updated = outcome.snapshots_updated,
                refills_written = outcome.refills_written,
                events_archived = outcome.events_archived,
                "batch aggregated"
            );
        }
        let Some(first) = outcome.failed.first() else { return };
        let at = left.iter().position(|record| sequence(record) == Some(first.as_str())).unwrap_or(0);
        if at > 0 {
            tried = 0;
        }
        left = &left[at..];
        tried += 1;
        if tried < TRIES {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        tracing::error!(record = %left[0], errors = ?outcome.errors, "a record was put aside");
        progress.dead_letters.fetch_add(1, Ordering::Relaxed);
        left = &left[1..];
        tried = 0;
    }
}

fn read(database: &Database, table: &str, after: Option<&str>) -> Result<Vec<Value>, DynoxideError> {
    let streams =
        database.list_streams(ListStreamsRequest { table_name: Some(table.to_owned()), ..Default::default() })?;
    let Some(stream) = streams.streams.into_iter().next() else { return Ok(Vec::new()) };
    let described = database
        .describe_stream(DescribeStreamRequest { stream_arn: stream.stream_arn.clone(), ..Default::default() })?;
    let Some(shard) = described.stream_description.shards.into_iter().next() else { return Ok(Vec::new()) };
    let iterator = database.get_shard_iterator(GetShardIteratorRequest {
        stream_arn: stream.stream_arn,
        shard_id: shard.shard_id,
        shard_iterator_type: if after.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" }.to_owned(),
        sequence_number: after.map(str::to_owned),
    })?;
    let Some(shard_iterator) = iterator.shard_iterator else { return Ok(Vec::new()) };
    let records = database.get_records(GetRecordsRequest { shard_iterator, limit: Some(BATCH) })?.records;
    let records: Result<Vec<Value>, _> = records.iter().map(serde_json::to_value).collect();
    records.map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Removes expired items, forever.
pub(super) async fn sweep(database: Database) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::debug!(removed, "expired items were removed"),
            Ok(Err(error)) => tracing::warn!(error = %error.to_json(), "expired items cannot be removed"),
            Err(_) => return,
        }
    }
}
