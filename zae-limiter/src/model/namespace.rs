//! The record of a namespace: [`NamespaceInfo`].
//!
//! A namespace has a name for people and an id that stands first in every key. Only the id is in the data, so deleting
//! a namespace and registering its name again yields an empty one, and the old data stays recoverable under the old id
//! until it is purged.

use serde::Serialize;

use crate::{
    error::NamespaceState,
    model::name::{NamespaceId, NamespaceName},
};

/// One namespace as the registry knows it.
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
    /// Its name. A deleted namespace keeps it, though another may have taken it since.
    pub name: NamespaceName,
    /// Its id, the first part of its keys.
    pub id: NamespaceId,
    /// The state of the namespace, such as in use or deleted.
    pub state: NamespaceState,
    /// When it was registered, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: Option<String>,
    /// When it was deleted; `None` while it is in use, or when a deletion was interrupted.
    pub deleted_at: Option<String>,
}
