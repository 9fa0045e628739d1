//! The table's change stream: the meaning of a record, and the writes that follow from it.
//!
//! This is the part of the aggregator that knows keys and attributes. [`StreamRecord`] reads one record,
//! [`UsageCounts`] collects the consumption of a batch, and [`StreamTable`] makes the writes.
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
//!                 table.fold_quiet(change).await?; // nobody needs the shards any more
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
//! Lambda delivers the records of each item in order, and repeats them after a failure, possibly in other batches. Each
//! of the writes handles that in its own way:
//!
//! - **Counting** stores in each snapshot the last record counted per stream shard, in the same write that adds. A
//!   record that is not newer is a duplicate ([`StreamTable::count`]).
//! - **Refilling** is an acquire that takes nothing, under an acquire's conditions. Repeated, it finds nothing to gain
//!   ([`StreamTable::refill`]).
//! - **Propagating** a number of shards raises numbers and creates items that do not exist. Repeated, both conditions
//!   fail ([`StreamTable::propagate_shards`]).
//! - **Folding** is one transaction on the shards as they were read. Repeated, it finds one shard
//!   ([`StreamTable::fold_quiet`]).
//!
//! No acquire depends on any of this. Without an aggregator there is no usage history, and a bucket is refilled by its
//! users.

mod archive;
mod fold;
mod propagate;
mod record;
mod refill;
mod usage;
#[cfg(test)]
mod vectors;

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

/// A table as seen by its aggregator: all namespaces at once, distinguished by the records.
///
/// See the [module](crate::stream) for an example.
///
/// Amounts are counted in whole tokens, refills in millitokens as in an acquire. Created by [`StreamTable::new`].
#[derive(Clone, Debug)]
pub struct StreamTable {
    /// The table, with a client that retries.
    store: Store,
    /// The clock for computing refills.
    clock: Arc<dyn Clock>,
}

impl StreamTable {
    /// Creates it for the table of the stack `name`. All its writes may be repeated, so `client` should retry.
    #[expect(clippy::needless_pass_by_value, reason = "a client is handed over, as to a repository's builder")]
    pub fn new(client: Client, name: &StackName) -> Self {
        Self { store: Store::new(name.as_str().to_owned(), &client), clock: Arc::new(SystemClock) }
    }

    /// Creates it for the table of a simulation.
    #[cfg(feature = "sim")]
    pub(crate) fn of_model(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Replaces the system's clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}
