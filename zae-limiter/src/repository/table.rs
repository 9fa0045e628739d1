//! The table as a whole.

use std::time::Duration;

use super::Repository;
use crate::{
    error::RepositoryError,
    store::Consistency,
    wire::{expression::Key, keys},
};

impl Repository {
    /// Returns true if DynamoDB responds.
    ///
    /// All errors count as no response, including a missing table or permission. Cancel safe: it only reads.
    pub async fn ping(&self) -> bool {
        let key = Key::new(keys::pk_system(keys::RESERVED), keys::sk_version());
        self.store().get(&key, Consistency::Eventual).await.is_ok()
    }

    /// Returns true if DynamoDB responds within `timeout`.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use zae_limiter::Repository;
    ///
    /// let repository = Repository::embedded().await?;
    /// assert!(repository.is_available(Duration::from_secs(1)).await); // for a readiness probe
    /// # Ok(())
    /// # }
    /// ```
    pub async fn is_available(&self, timeout: Duration) -> bool {
        tokio::time::timeout(timeout, self.ping()).await.unwrap_or(false)
    }

    /// Creates the table if it is missing and waits until it is usable; for development and tests, because deploying a
    /// stack does more. Expiry of items is not enabled.
    ///
    /// Cancel safe, and repeatable: DynamoDB completes a table once its creation has started.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be created.
    pub async fn create_table(&self) -> Result<(), RepositoryError> {
        self.store().create_table().await
    }

    /// Deletes the table, **with the data of all its namespaces**; a missing table is fine.
    ///
    /// Cancel safe: an accepted deletion is completed even if nobody waits.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Repository, RepositoryError};
    ///
    /// let repository = Repository::embedded().await?;
    /// repository.delete_table().await?;
    /// let missing = repository.namespaces().await;
    /// assert!(matches!(missing, Err(RepositoryError::TableMissing { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be deleted.
    pub async fn delete_table(&self) -> Result<(), RepositoryError> {
        self.store().delete_table().await
    }
}
