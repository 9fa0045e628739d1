//! Documents that all processes on the table share.
//!
//! A document is replaced as a whole, by whoever has read its last version. Readers that follow it read the item again
//! from time to time: there is no other notice of a change.

use std::time::Duration;

use super::Repository;
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::{
        document::SharedDocument,
        name::{IntoName, ResourceName},
    },
    store::{ConditionalWrite, Consistency},
    wire::document,
};

impl Repository {
    /// Returns the document `name`; `None` if there is none. Makes one strongly consistent read, which costs a read
    /// unit for each 4 KiB; not cached.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn document(&self, name: impl IntoName<ResourceName>) -> Result<Option<SharedDocument>, RepositoryError> {
        let name = name.into_name()?;
        let item = self.store().get(&document::key(self.ns(), name.as_str()), Consistency::Strong).await?;
        Ok(item.as_ref().and_then(document::decode))
    }

    /// Writes the document `name`, if the stored one is still of `version`: [`SharedDocument::ABSENT`] if there is
    /// none. Returns true if it was written.
    ///
    /// Cancel safe: it has been written or not.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if it is longer than [`SharedDocument::MAX_BYTES`], [`RepositoryError::Store`] if
    /// the table cannot be written.
    pub async fn put_document(
        &self,
        name: impl IntoName<ResourceName>,
        version: u64,
        body: &[u8],
    ) -> Result<bool, RepositoryError> {
        let name = name.into_name()?;
        if body.len() > SharedDocument::MAX_BYTES {
            let reason = ValidationReason::TooLong { max: SharedDocument::MAX_BYTES };
            return Err(ValidationError::new("document", name.as_str(), reason).into());
        }
        let next =
            SharedDocument { version: version.saturating_add(1), written_ms: self.now_ms(), body: body.to_vec() };
        let item = document::encode(self.ns(), name.as_str(), next);
        Ok(self.store().put(item, document::unchanged(version)).await? == ConditionalWrite::Done)
    }

    /// Waits until the document `name` has another version than `version`, which is looked for every `pause`. Failed
    /// reads are logged, and looked past.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use zae_limiter::{Repository, ResourceName, SharedDocument};
    /// let repository = Repository::embedded().await?;
    /// let prices = ResourceName::new("prices")?;
    /// let change = repository.changed_document(&prices, SharedDocument::ABSENT, Duration::from_millis(10));
    /// let write = repository.put_document(&prices, SharedDocument::ABSENT, b"new");
    /// let (changed, written) = tokio::join!(change, write);
    /// assert!(written? && changed.body == b"new");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn changed_document(&self, name: &ResourceName, version: u64, pause: Duration) -> SharedDocument {
        loop {
            match self.document(name).await {
                Ok(Some(document)) if document.version != version => return document,
                Ok(_) => {}
                Err(error) => tracing::warn!(%name, %error, "a shared document could not be read"),
            }
            tokio::time::sleep(pause).await;
        }
    }
}
