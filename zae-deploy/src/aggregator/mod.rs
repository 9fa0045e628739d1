//! The aggregator: what follows from the table's change stream.
//!
//! Each batch becomes usage snapshots, refilled buckets, told shards and archived audit events. Every record counts
//! once, however often and in whatever cuts it is delivered: see [`zae_limiter::stream`]. What failed is named in the
//! answer, so that Lambda delivers from there on again and sends what never works to the dead-letter queue.

mod archive;
mod batch;
mod handler;
mod retry;
mod settings;

pub use archive::{Archive, ArchiveError};
pub use batch::{Aggregator, Outcome};
pub use handler::handle;
pub use settings::{Settings, SettingsError};
