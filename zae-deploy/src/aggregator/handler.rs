//! The Lambda handler around a batch: logs, metrics, and the remaining time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::Instant;

use super::Aggregator;
use crate::function::{Metric, emit_metrics};

/// The part of an invocation's time that is reserved for the response.
const RESERVE: Duration = Duration::from_secs(2);

/// Processes one event of the stream and returns the failed records. `ends_at_ms` is the end of the invocation's time,
/// in epoch ms.
pub async fn handle(aggregator: &Aggregator, event: &Value, request_id: &str, ends_at_ms: u64) -> Value {
    let started = Instant::now();
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let settings = aggregator.settings();
    let windows: Vec<&str> = settings.windows.iter().map(zae_limiter::usage::UsageWindow::as_str).collect();
    tracing::info!(
        target: "zae_limiter_aggregator.handler",
        request_id, record_count = records.len(), table_name = %settings.table, snapshot_windows = windows.join(","),
        enable_archival = settings.archive_bucket.is_some(), "Lambda invocation started"
    );
    let outcome = aggregator.process(records, deadline(ends_at_ms)).await;
    let elapsed = started.elapsed().as_secs_f64() * 1_000.0;
    let elapsed = (elapsed * 100.0).round() / 100.0;
    tracing::info!(
        target: "zae_limiter_aggregator.handler",
        request_id, processed = outcome.processed, snapshots_updated = outcome.snapshots_updated,
        duplicates = outcome.duplicates, refills_written = outcome.refills_written,
        buckets_folded = outcome.buckets_folded,
        events_archived = outcome.events_archived, failed = outcome.failed.len(), error_count = outcome.errors.len(),
        processing_time_ms = elapsed, "Lambda invocation completed"
    );
    let mut metrics = vec![
        Metric::count("RecordsProcessed", outcome.processed),
        Metric::count("SnapshotsUpdated", outcome.snapshots_updated),
        Metric::count("DuplicateRecords", outcome.duplicates),
        Metric::count("RefillsWritten", outcome.refills_written),
        Metric::count("RefillsFailed", outcome.refills_failed),
        Metric::count("EventsArchived", outcome.events_archived),
        Metric::count("RecordsUnreadable", outcome.unreadable),
        Metric::count("RecordsFailed", outcome.failed.len() as u64),
        Metric::milliseconds("ProcessingTime", elapsed),
    ];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(newest) = records.last().and_then(|record| record["dynamodb"]["ApproximateCreationDateTime"].as_f64()) {
        metrics.push(Metric::milliseconds("StreamLag", ((now.as_secs_f64() - newest) * 1_000.0).max(0.0)));
    }
    emit_metrics(settings.table.as_str(), i64::try_from(now.as_millis()).unwrap_or(i64::MAX), &metrics);
    outcome.to_json()
}

fn deadline(ends_at_ms: u64) -> Option<Instant> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(ends_at_ms).checked_sub(now)?;
    Some(Instant::now() + left.saturating_sub(RESERVE))
}
