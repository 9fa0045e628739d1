//! Processes one batch of the stream, and reports failures.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;
use zae_limiter::stream::{
    BucketActivity, Refill, RemovedAuditEvent, SequenceNumber, StreamChange, StreamRecord, StreamTable, UsageCounts,
};

use super::{Archive, Settings, retry::persistently};

/// Maximum number of concurrent writes.
const AT_ONCE: usize = 16;
/// Maximum number of errors in the response; all of them are logged.
const ERRORS_SHOWN: usize = 20;

/// Processes batches.
///
/// See the [module](crate::aggregator) for an example.
#[derive(Clone, Debug)]
pub struct Aggregator {
    table: StreamTable,
    settings: Settings,
    archive: Option<Archive>,
}

/// The result of a batch.
///
/// See the [module](crate::aggregator) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// Records received.
    pub processed: u64,
    /// Snapshots written.
    pub snapshots_updated: u64,
    /// Number of times that a record was already counted in a snapshot.
    pub duplicates: u64,
    /// Buckets refilled.
    pub refills_written: u64,
    /// Number of shards that were updated or created.
    pub shards_told: u64,
    /// Number of buckets whose shards were folded.
    pub buckets_folded: u64,
    /// Audit events archived.
    pub events_archived: u64,
    /// Number of unreadable records.
    pub unreadable: u64,
    /// Number of refills that failed; the next batch makes up for them.
    pub refills_failed: u64,
    /// The failed records, in order; the stream must be delivered again from the first one.
    pub failed: BTreeSet<SequenceNumber>,
    /// Errors, in words.
    pub errors: Vec<String>,
}

impl BatchOutcome {
    /// Returns the function's response: the failed records, and a summary for people.
    pub fn to_json(&self) -> Value {
        let failed: Vec<Value> =
            self.failed.iter().map(|sequence| json!({"itemIdentifier": sequence.as_str()})).collect();
        json!({
            "batchItemFailures": failed,
            "body": {
                "processed": self.processed,
                "snapshots_updated": self.snapshots_updated,
                "refills_written": self.refills_written,
                "events_archived": self.events_archived,
                "errors": self.errors,
            },
        })
    }

    fn error(&mut self, text: String) {
        if self.errors.len() < ERRORS_SHOWN {
            self.errors.push(text);
        }
    }

    /// Returns true for records before the first failed one, which will not be delivered again.
    fn is_settled(&self, sequence: &SequenceNumber) -> bool {
        self.failed.first().is_none_or(|first| sequence < first)
    }
}

impl Aggregator {
    /// Creates an aggregator of `table` without an archive.
    pub fn new(table: StreamTable, settings: Settings) -> Self {
        Self { table, settings, archive: None }
    }

    /// Archives audit events that leave the table.
    #[must_use]
    pub fn archive(self, archive: Archive) -> Self {
        Self { archive: Some(archive), ..self }
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Processes `records` as delivered by Lambda. Everything that is not done by `deadline` counts as failed.
    ///
    /// Cancel safe: the work of a dropped call is not repeated when the records are delivered again.
    pub async fn process(&self, records: &[Value], deadline: Option<Instant>) -> BatchOutcome {
        let mut outcome = BatchOutcome { processed: records.len() as u64, ..BatchOutcome::default() };
        let records = read(records, &mut outcome);
        self.count(&records, deadline, &mut outcome).await;
        self.tell_shards(&records, deadline, &mut outcome).await;
        // Before the refills, which would make a quiet shard look like one in use.
        self.fold(&records, deadline, &mut outcome).await;
        self.refill(&records, deadline, &mut outcome).await;
        self.archive_removed(&records, &mut outcome).await;
        outcome
    }

    async fn count(&self, records: &[StreamRecord], deadline: Option<Instant>, outcome: &mut BatchOutcome) {
        let mut counts = UsageCounts::new(self.settings.windows.iter().cloned());
        for record in records {
            if let StreamChange::Bucket(change) = &record.change {
                counts.add(&record.sequence, change);
            }
        }
        let days = self.settings.retention_days;
        let mut writes = stream::iter(counts.into_writes())
            .map(|write| async move {
                let counted = persistently(deadline, || self.table.count(&write, days)).await;
                (write, counted)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((write, counted)) = writes.next().await {
            match counted {
                Ok(counted) => {
                    outcome.snapshots_updated += u64::from(counted.written);
                    outcome.duplicates += counted.duplicates;
                }
                Err(error) => {
                    tracing::error!(
                        target: "zae_limiter_aggregator.processor",
                        entity_id = write.entity(), resource = write.resource(), window = %write.window(),
                        window_start = write.window_start(), exception = %error, "Error updating snapshot"
                    );
                    outcome.failed.extend(write.first_sequence().cloned());
                    outcome.error(format!("Error updating snapshot: {error}"));
                }
            }
        }
    }

    async fn tell_shards(&self, records: &[StreamRecord], deadline: Option<Instant>, outcome: &mut BatchOutcome) {
        for record in records {
            let StreamChange::Bucket(change) = &record.change else { continue };
            let Some(shards) = change.raised_shards() else { continue };
            match persistently(deadline, || self.table.propagate_shards(change)).await {
                Ok(told) => {
                    let told = u64::from(told.updated) + u64::from(told.created);
                    outcome.shards_told += told;
                    tracing::info!(
                        target: "zae_limiter_aggregator.processor",
                        entity_id = change.entity(), resource = change.resource(), new_count = shards,
                        shards_updated = told, "Shard count propagated"
                    );
                }
                Err(error) => {
                    tracing::error!(
                        target: "zae_limiter_aggregator.processor",
                        entity_id = change.entity(), resource = change.resource(), exception = %error,
                        "Error propagating shard_count"
                    );
                    outcome.failed.insert(record.sequence.clone());
                    outcome.error(format!("Error propagating shard_count: {error}"));
                }
            }
        }
    }

    /// If a refill fails, the bucket's next user refills it; nothing has to be delivered again.
    async fn refill(&self, records: &[StreamRecord], deadline: Option<Instant>, outcome: &mut BatchOutcome) {
        let mut refills = stream::iter(BucketActivity::of(records))
            .map(|activity| async move {
                let refilled = persistently(deadline, || self.table.refill(&activity)).await;
                (activity, refilled)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((activity, refilled)) = refills.next().await {
            match refilled {
                Ok(Refill::Done) => outcome.refills_written += 1,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(
                        target: "zae_limiter_aggregator.processor",
                        entity_id = activity.entity(), resource = activity.resource(), exception = %error,
                        "Error refilling bucket"
                    );
                    outcome.refills_failed += 1;
                    outcome.error(format!("Error refilling bucket: {error}"));
                }
            }
        }
    }

    /// A bucket that is not folded now is folded after its next silence; nothing has to be delivered again.
    async fn fold(&self, records: &[StreamRecord], deadline: Option<Instant>, outcome: &mut BatchOutcome) {
        for record in records {
            let StreamChange::Bucket(change) = &record.change else { continue };
            if !change.ends_silence() {
                continue;
            }
            match persistently(deadline, || self.table.fold_quiet(change)).await {
                Ok(None) => {}
                Ok(Some(folded)) => {
                    outcome.buckets_folded += 1;
                    tracing::info!(
                        target: "zae_limiter_aggregator.processor",
                        entity_id = change.entity(), resource = change.resource(), shards = folded.shards_before,
                        "Quiet bucket folded"
                    );
                }
                Err(error) => tracing::warn!(
                    target: "zae_limiter_aggregator.processor",
                    entity_id = change.entity(), resource = change.resource(), exception = %error,
                    "Error folding bucket"
                ),
            }
        }
    }

    /// Events after a failed record are delivered again, and archived then.
    async fn archive_removed(&self, records: &[StreamRecord], outcome: &mut BatchOutcome) {
        let Some(archive) = &self.archive else { return };
        let removed: Vec<(&SequenceNumber, &RemovedAuditEvent)> = records
            .iter()
            .filter(|record| outcome.is_settled(&record.sequence))
            .filter_map(|record| match &record.change {
                StreamChange::AuditRemoved(event) => Some((&record.sequence, event)),
                _ => None,
            })
            .collect();
        let Some((first, _)) = removed.first() else { return };
        let events: Vec<&RemovedAuditEvent> = removed.iter().map(|(_, event)| *event).collect();
        match archive.put(&events).await {
            Ok(_) => outcome.events_archived = events.len() as u64,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(
                    target: "zae_limiter_aggregator.archiver",
                    events = events.len(), exception = %error, cause, "Error writing to S3"
                );
                outcome.failed.insert((*first).clone());
                outcome.error(format!("Error writing to S3: {error}"));
            }
        }
    }
}

/// Reads the records, each once. Unreadable ones have failed: Lambda retries them in vain and then puts them into the
/// dead-letter queue, and the shard continues.
fn read(records: &[Value], outcome: &mut BatchOutcome) -> Vec<StreamRecord> {
    let mut seen = BTreeSet::new();
    let mut read = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        match StreamRecord::parse(record) {
            Ok(record) => {
                if let StreamChange::Foreign(pk) = &record.change {
                    tracing::warn!(
                        target: "zae_limiter_aggregator.processor",
                        pk, "Skipping pre-migration record with unprefixed PK"
                    );
                }
                if seen.insert(record.sequence.clone()) {
                    read.push(record);
                }
            }
            Err(error) => {
                tracing::error!(
                    target: "zae_limiter_aggregator.processor",
                    record_index = index, exception = %error, "Error processing record"
                );
                outcome.unreadable += 1;
                outcome.error(format!("Error processing record: {error}"));
                outcome.failed.extend(error.sequence);
            }
        }
    }
    read
}
