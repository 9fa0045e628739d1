//! The table's change stream: what a record says, and the writes that follow from it.
//!
//! This is the half of the aggregator that knows keys and attributes. [`StreamRecord`] reads one record,
//! [`UsageCounts`] collects what a batch consumed, and [`StreamTable`] makes the writes.
//!
//! ```
//! use zae_limiter::{RepositoryError, usage::UsageWindow};
//! use zae_limiter::stream::{BucketActivity, StreamChange, StreamRecord, StreamTable, UsageCounts};
//!
//! async fn process(table: &StreamTable, batch: &[StreamRecord]) -> Result<(), RepositoryError> {
//!     let mut counts = UsageCounts::new([UsageWindow::Hourly, UsageWindow::Daily]);
//!     for record in batch {
//!         match &record.change {
//!             StreamChange::Bucket(change) => {
//!                 counts.add(&record.sequence, change);
//!                 table.propagate_shards(change).await?; // a client raised the number of shards
//!             }
//!             StreamChange::AuditRemoved(event) => println!("{}", event.json_line()), // to the archive
//!             _ => {}
//!         }
//!     }
//!     for write in counts.into_writes() {
//!         let counted = table.count(&write, 90).await?; // kept for 90 days
//!         println!("{} records counted, {} seen before", counted.records, counted.duplicates);
//!     }
//!     for activity in BucketActivity::of(batch) {
//!         table.refill(&activity).await?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Exactly once, out of at least once
//!
//! Lambda delivers records in order for each item, and again after a failure, in other batches. Each of the three
//! writes copes with that in its own way:
//!
//! - **Counting** remembers in each snapshot the last record counted, for each shard, in the same write that adds. A
//!   record that is not newer is a duplicate ([`StreamTable::count`]).
//! - **Refilling** is an acquire that takes nothing, under an acquire's conditions. Repeated, it finds nothing to gain
//!   ([`StreamTable::refill`]).
//! - **Propagating** a number of shards raises numbers and creates items that do not exist. Repeated, both conditions
//!   fail ([`StreamTable::propagate_shards`]).
//!
//! Nothing in an acquire depends on any of this. Without an aggregator there is no usage history, and a bucket is
//! refilled by those who use it.

mod archive;
mod propagate;
mod record;
mod refill;
mod usage;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;

pub use crate::wire::sequence::SequenceNumber;
pub use archive::RemovedAuditEvent;
pub use propagate::Propagated;
pub use record::{BucketChange, StreamChange, StreamRecord, StreamRecordError};
pub use refill::{BucketActivity, Refill};
pub use usage::{Counted, UsageCounts, UsageWrite};

use crate::{
    clock::{Clock, SystemClock},
    model::name::StackName,
    store::Store,
};

/// A table as its aggregator sees it: all namespaces at once, told apart by the records.
///
/// See the [module](crate::stream) for an example.
///
/// Amounts are counted in whole tokens, refills in millitokens as in an acquire. Made by [`StreamTable::new`].
#[derive(Clone, Debug)]
pub struct StreamTable {
    /// The table, with a client that retries.
    store: Store,
    /// The clock that refills are computed by.
    clock: Arc<dyn Clock>,
}

impl StreamTable {
    /// The table of the stack `name`. All writes made here may be repeated, so that `client` should retry.
    #[expect(clippy::needless_pass_by_value, reason = "a client is handed over, as to a repository's builder")]
    pub fn new(client: Client, name: &StackName) -> Self {
        Self { store: Store::new(name.as_str().to_owned(), &client), clock: Arc::new(SystemClock) }
    }

    /// The table of a simulation.
    #[cfg(feature = "sim")]
    pub(crate) fn of_model(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}
