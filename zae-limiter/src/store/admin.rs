//! The table itself: creation, removal, status.
//!
//! Deployments create their table with CloudFormation, with a stream, alarms and point-in-time recovery. A table
//! created here has the same keys and indexes and nothing else, for development and tests.

use std::time::Duration;

use aws_sdk_dynamodb::{operation::create_table::CreateTableError, types::TableStatus};

use crate::{
    error::{RepositoryError, StoreError, StoreErrorKind},
    store::{Store, rejected},
    wire::table::{self, Stream},
};

/// The region of embedded stores, whose tables have no stream: no process would read it, and the store would keep it
/// forever.
pub(crate) const EMBEDDED_REGION: &str = "embedded";
/// Interval between status checks of a table that is being created.
const POLL: Duration = Duration::from_millis(500);
/// Number of checks before giving up: two minutes in total.
const POLLS: u32 = 240;

impl Store {
    /// Creates the table if it is missing and waits until it can be used.
    pub(crate) async fn create_table(&self) -> Result<(), RepositoryError> {
        if self.table_status().await? == Some(TableStatus::Active) {
            return Ok(());
        }
        let embedded = self.client.config().region().is_some_and(|region| region.as_ref() == EMBEDDED_REGION);
        let stream = if embedded { Stream::Off } else { Stream::NewAndOldImages };
        let request =
            table::create(&self.client, &self.table, stream).map_err(|error| rejected("CreateTable", error))?;
        if let Err(error) = request.send().await {
            let exists = error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception);
            if !exists {
                return Err(self.fail("CreateTable", error));
            }
        }
        for _ in 0..POLLS {
            if self.table_status().await? == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        let slow = "the table did not become active within two minutes";
        Err(StoreError::new("CreateTable", StoreErrorKind::Ambiguous, slow).into())
    }

    /// Removes the table with all its items; a missing table is fine.
    pub(crate) async fn delete_table(&self) -> Result<(), RepositoryError> {
        match self.client.delete_table().table_name(&self.table).send().await {
            Ok(_) => Ok(()),
            Err(error) => match self.fail("DeleteTable", error) {
                RepositoryError::TableMissing { .. } => Ok(()),
                other => Err(other),
            },
        }
    }

    /// Returns the table's status; `None` if there is no such table.
    async fn table_status(&self) -> Result<Option<TableStatus>, RepositoryError> {
        match self.client.describe_table().table_name(&self.table).send().await {
            Ok(answer) => Ok(answer.table.and_then(|table| table.table_status)),
            Err(error) => match self.fail("DescribeTable", error) {
                RepositoryError::TableMissing { .. } => Ok(None),
                other => Err(other),
            },
        }
    }
}
