//! Makes a namespace's limits what a manifest says: the plan, the application, and the Lambda function around both.
//!
//! The provisioner reads what is really stored and changes only what differs. What it manages is kept in the
//! namespace's own record, so that what a later manifest no longer names is removed, while what others set is left
//! alone. All changes go through the same calls as the imperative commands: registries, indexes, buckets and audit
//! trail follow.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use zae_deploy::{manifest::Manifest, provisioner::Provisioner};
//! use zae_limiter::Repository;
//! let provisioner = Provisioner::new(Repository::embedded().await?);
//! let manifest = Manifest::from_yaml("resources: { gpt-4: { limits: { rpm: { capacity: 500 } } } }")?;
//! assert_eq!(provisioner.plan(&manifest).await?.changes.len(), 1);
//! assert_eq!(provisioner.apply(&manifest).await?.created, 1);
//! assert!(provisioner.plan(&manifest).await?.changes.is_empty());
//! # Ok(())
//! # }
//! ```

mod apply;
mod debts;
mod declared;
mod event;
mod live;
mod owner;
mod plan;
mod resource;
mod respond;

use zae_limiter::{Repository, RepositoryError};

pub use apply::Applied;
pub use event::{Functions, HandlerError};
pub use plan::{Action, Change, Difference, Level, Plan};
pub use respond::{Responder, ResponseError};

use crate::manifest::Manifest;

/// Plans and applies manifests in one namespace.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Debug)]
pub struct Provisioner {
    repository: Repository,
    owner: owner::Owner,
}

/// The reason why nothing could be planned or applied.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The table cannot be read or written, or holds something that must not be replaced.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Another manifest was applied between reading and writing; nothing was changed.
    #[error("another manifest is being applied to namespace '{0}': run `limits plan` again and look at the result")]
    Busy(String),
    /// Applying would make other changes than the plan that was to be carried out; nothing was changed.
    #[error("the limits have changed since the plan was made: plan again and look at the result")]
    Moved(Box<Plan>),
}

impl Provisioner {
    /// A provisioner for the namespace of `repository`. The audit trail names the principal that the repository
    /// [acts as](Repository::acting_as).
    pub fn new(repository: Repository) -> Self {
        Self { repository, owner: owner::Owner::default() }
    }

    /// Sets the owner on whose behalf manifests are applied.
    #[must_use]
    fn owner(self, owner: owner::Owner) -> Self {
        Self { owner, ..self }
    }

    /// Returns the changes that applying `manifest` would make. Nothing is written; the manifest's own namespace is not
    /// looked at.
    ///
    /// # Errors
    /// [`ProvisionError::Repository`] when the stored limits cannot be read, or use a feature of newer clients.
    pub async fn plan(&self, manifest: &Manifest) -> Result<Plan, ProvisionError> {
        let state = self.repository.provisioner_state().await?;
        Ok(self.compare(manifest, &state).await?.plan())
    }
}
