//! The aggregator, which processes the table's change stream.
//!
//! Each batch results in usage snapshots, refilled buckets, updated shards and archived audit events. Every record
//! counts once, however often and in whatever batches it is delivered: see [`zae_limiter::stream`]. Failures are
//! reported in the response, so that Lambda delivers again from there and sends persistent failures to the dead-letter
//! queue.
//!
//! ```no_run
//! use serde_json::Value;
//! use zae_deploy::aggregator::{Aggregator, Archive, BatchOutcome, Settings, SettingsError};
//! use zae_limiter::stream::StreamTable;
//!
//! async fn process(client: aws_sdk_dynamodb::Client, records: &[Value]) -> Result<BatchOutcome, SettingsError> {
//!     let settings = Settings::from_environment(|name| std::env::var(name).ok())?;
//!     let table = StreamTable::new(client, &settings.table);
//!     let aggregator = Aggregator::new(table, settings).archive(Archive::folder("/var/lib/audit"));
//!     let outcome = aggregator.process(records, None).await;
//!     println!("{} processed, {} to be delivered again", outcome.processed, outcome.failed.len());
//!     Ok(outcome)
//! }
//! ```

mod archive;
mod batch;
mod handler;
mod retry;
mod settings;

pub use archive::{Archive, ArchiveError};
pub use batch::{Aggregator, BatchOutcome};
pub use handler::handle;
pub use settings::{Settings, SettingsError};
