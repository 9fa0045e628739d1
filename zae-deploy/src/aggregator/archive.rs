//! Archives audit events that leave the table to S3, or locally to a folder: gzip JSON lines, one object per batch.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use aws_sdk_s3::{Client, primitives::ByteStream};
use flate2::{Compression, GzBuilder};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use sha2::{Digest, Sha256};
use zae_limiter::stream::RemovedAuditEvent;

/// The destination of events.
///
/// See the [module](crate::aggregator) for an example.
#[derive(Clone, Debug)]
pub struct Archive {
    place: ArchivePlace,
}

#[derive(Clone)]
enum ArchivePlace {
    Bucket { client: Client, name: String },
    Folder(PathBuf),
}

impl fmt::Debug for ArchivePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { name, .. } => f.debug_tuple("Bucket").field(name).finish(),
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
        }
    }
}

/// The reason why events could not be archived.
///
/// See the [module](crate::aggregator) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// They could not be compressed.
    #[error("the events cannot be compressed")]
    Compress(#[source] io::Error),
    /// The file could not be written.
    #[error("{} cannot be written", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// S3 rejected them.
    #[error("S3 did not take {key}: may the function's role put objects into the archive's bucket?")]
    Put {
        /// The object.
        key: String,
        /// The reason.
        #[source]
        source: Box<aws_sdk_s3::error::SdkError<aws_sdk_s3::operation::put_object::PutObjectError>>,
    },
}

impl Archive {
    /// Archives to `bucket`.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { place: ArchivePlace::Bucket { client, name: bucket.into() } }
    }

    /// Archives to files in `folder`, named as the objects would be. It is created with the first of them.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self { place: ArchivePlace::Folder(folder.into()) }
    }

    /// Writes `events` to one object and returns its key.
    ///
    /// Key and content depend on the events alone, so that the same events replace the same object. The key's date is
    /// that of the earliest event.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing was written, or it will be replaced by the same content.
    pub(super) async fn put(&self, events: &[&RemovedAuditEvent]) -> Result<String, ArchiveError> {
        let key = key(events);
        let body = compress(events).map_err(ArchiveError::Compress)?;
        let size = body.len();
        let place = match &self.place {
            ArchivePlace::Bucket { client, name } => {
                let request = client.put_object().bucket(name).key(&key).body(ByteStream::from(body));
                let request = request.content_type("application/x-ndjson").content_encoding("gzip");
                let put = request.send().await;
                put.map_err(|error| ArchiveError::Put { key: key.clone(), source: Box::new(error) })?;
                name.clone()
            }
            ArchivePlace::Folder(folder) => {
                let file = folder.join(&key);
                write(&file, &body).map_err(|source| ArchiveError::Write { file, source })?;
                folder.display().to_string()
            }
        };
        tracing::info!(
            target: "zae_limiter_aggregator.archiver",
            bucket = place, key, events_count = events.len(), size_bytes = size, "S3 object created"
        );
        Ok(key)
    }
}

/// Writes a file completely or not at all.
fn write(file: &Path, body: &[u8]) -> io::Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    let new = file.with_extension("new");
    fs::write(&new, body)?;
    fs::rename(new, file)
}

fn compress(events: &[&RemovedAuditEvent]) -> io::Result<Vec<u8>> {
    // Without a time stamp, so that the same events result in the same bytes.
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
