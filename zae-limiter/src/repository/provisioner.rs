//! The part of a namespace that declarative configuration manages.

use super::Repository;
use crate::{
    error::RepositoryError,
    model::provisioner::ProvisionerState,
    store::{ConditionalWrite, Consistency},
    wire::{expression::Expression, provisioner},
};

impl Repository {
    /// Returns the state managed by the last applied manifest; empty if none was ever applied.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn provisioner_state(&self) -> Result<ProvisionerState, RepositoryError> {
        let item = self.store().get(&provisioner::key(self.ns()), Consistency::Strong).await?;
        Ok(item.as_ref().map(provisioner::decode).unwrap_or_default())
    }

    /// Replaces that state as a whole.
    ///
    /// Cancel safe: a dropped call has written all or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn put_provisioner_state(&self, state: &ProvisionerState) -> Result<(), RepositoryError> {
        self.store().put(provisioner::encode(self.ns(), state), Expression::default()).await.map(drop)
    }

    /// Replaces that state as a whole if it still equals `seen`, and returns if it did. An apply writes the record
    /// before and after its changes, so that two concurrent applies notice each other.
    ///
    /// Cancel safe: a dropped call has written all or nothing.
    ///
    /// [`ProvisionerState`] has an example.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn swap_provisioner_state(
        &self,
        seen: &ProvisionerState,
        state: &ProvisionerState,
    ) -> Result<bool, RepositoryError> {
        let written = self.store().put(provisioner::encode(self.ns(), state), provisioner::unchanged(seen)).await?;
        Ok(written == ConditionalWrite::Done)
    }
}
