//! Audit events that leave the table go to S3: gzip JSON lines, one object per batch.

use std::io::Write;

use aws_sdk_s3::{Client, primitives::ByteStream};
use flate2::{Compression, GzBuilder};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use sha2::{Digest, Sha256};
use zae_limiter::stream::RemovedAuditEvent;

/// Where events go.
#[derive(Clone, Debug)]
pub struct Archive {
    client: Client,
    bucket: String,
}

/// Why events are not archived yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// They could not be compressed.
    #[error("the events cannot be compressed")]
    Compress(#[source] std::io::Error),
    /// S3 did not take them.
    #[error("S3 did not take {key}")]
    Put {
        /// The object.
        key: String,
        /// Why.
        #[source]
        source: Box<aws_sdk_s3::error::SdkError<aws_sdk_s3::operation::put_object::PutObjectError>>,
    },
}

impl Archive {
    /// Archives to `bucket`.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    /// Writes `events` to one object and answers its key.
    ///
    /// Key and content depend on the events alone, so that the same events again replace the object by itself. The key's
    /// date is that of the earliest event.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing was written then, or what was written will be replaced by the same.
    pub(super) async fn put(&self, events: &[&RemovedAuditEvent]) -> Result<String, ArchiveError> {
        let key = key(events);
        let body = compress(events).map_err(ArchiveError::Compress)?;
        let size = body.len();
        let request = self.client.put_object().bucket(&self.bucket).key(&key).body(ByteStream::from(body));
        let request = request.content_type("application/x-ndjson").content_encoding("gzip");
        match request.send().await {
            Ok(_) => {
                tracing::info!(
                    target: "zae_limiter_aggregator.archiver",
                    bucket = self.bucket, key, events_count = events.len(), size_bytes = size, "S3 object created"
                );
                Ok(key)
            }
            Err(error) => Err(ArchiveError::Put { key, source: Box::new(error) }),
        }
    }
}

fn compress(events: &[&RemovedAuditEvent]) -> Result<Vec<u8>, std::io::Error> {
    // No time stamp in it: the same events make the same bytes.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    for event in events {
        writeln!(gzip, "{}", event.json_line())?;
    }
    gzip.finish()
}

fn key(events: &[&RemovedAuditEvent]) -> String {
    let earliest = events.iter().map(|event| event.timestamp()).min().unwrap_or_default();
    let date = earliest.get(..10).and_then(|text| text.parse::<Date>().ok());
    let date = date.unwrap_or_else(|| {
        tracing::warn!(target: "zae_limiter_aggregator.archiver", "Invalid timestamp, using current time");
        Timestamp::now().to_zoned(TimeZone::UTC).date()
    });
    let mut hash = Sha256::new();
    for event in events {
        hash.update(event.event_id().as_bytes());
        hash.update(event.namespace_id().as_bytes());
        hash.update([0]);
    }
    let id: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let safe = earliest.replace(':', "-").replace('+', "");
    let (year, month, day) = (date.year(), date.month(), date.day());
    format!("audit/year={year}/month={month:02}/day={day:02}/audit-{id}-{safe}.jsonl.gz")
}
