//! The record of a namespace: [`NamespaceInfo`].
//!
//! A namespace has a human-readable name, and an id that is the first part of every key. Data only contains the id, so
//! deleting a namespace and registering its name again yields an empty one, and the old data stays recoverable under
//! the old id until it is purged.

use serde::Serialize;

use crate::{
    error::NamespaceState,
    model::name::{NamespaceId, NamespaceName},
};

/// A namespace in the registry.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{NamespaceName, Repository, error::NamespaceState};
///
/// let repository = Repository::embedded().await?;
/// let tenant = NamespaceName::new("tenant-alpha")?;
/// repository.register_namespace(&tenant).await?;
/// let info = repository.namespace_info(&tenant).await?.expect("it was just registered");
/// assert_eq!(info.state, NamespaceState::Active);
/// # Ok(())
/// # }
/// ```
///
/// Listed by [`Registry`](crate::namespace::Registry).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NamespaceInfo {
    /// Its name. A deleted namespace keeps it, although another may have taken it since.
    pub name: NamespaceName,
    /// Its id, the first part of its keys.
    pub id: NamespaceId,
    /// The state of the namespace, such as in use or deleted.
    pub state: NamespaceState,
    /// Time of registration, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: Option<String>,
    /// Time of deletion; `None` while it is in use, or if a deletion was interrupted.
    pub deleted_at: Option<String>,
}
