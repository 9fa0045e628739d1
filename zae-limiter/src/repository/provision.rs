//! Stacks that are created when they are opened: [`Provisioner`].
//!
//! Once the stack exists, opening continues as without a provisioner. The provisioner is called before anything but the
//! version record is read, so that it can upgrade a table that would otherwise be refused; it has to be repeatable,
//! because two processes may open the table at the same time.

use std::{fmt, pin::Pin};

use super::{open, version::MissingVersion};
use crate::{
    clock::Clock,
    error::{BoxError, RepositoryError},
    model::name::{NamespaceId, NamespaceName, StackName},
    store::Store,
};

/// Creates the stack on which a [`Repository`](crate::Repository) is opened; attach one with
/// [`RepositoryBuilder::provisioner`](crate::RepositoryBuilder::provisioner).
///
/// The crate `zae-deploy` has one that deploys with CloudFormation.
///
/// ```
/// use zae_limiter::provision::{ProvisionOccasion, ProvisionTarget, Provisioner, Provisioning};
///
/// /// Refuses, and tells people what to do.
/// #[derive(Debug)]
/// struct Refuse;
///
/// impl Provisioner for Refuse {
///     fn occasion(&self) -> ProvisionOccasion {
///         ProvisionOccasion::TableMissing
///     }
///
///     fn provision<'a>(&'a self, target: &'a ProvisionTarget) -> Provisioning<'a> {
///         Box::pin(async move { Err(format!("ask the platform team for the stack {}", target.stack).into()) })
///     }
/// }
/// ```
pub trait Provisioner: fmt::Debug + Send + Sync {
    /// Returns the occasion on which it is called.
    fn occasion(&self) -> ProvisionOccasion;

    /// Creates the stack, and returns when its table is usable. An existing stack is updated to the desired state, or
    /// left unchanged.
    ///
    /// # Errors
    /// Any failure, which [`RepositoryError::NotProvisioned`] wraps.
    fn provision<'a>(&'a self, target: &'a ProvisionTarget) -> Provisioning<'a>;
}

/// The future that [`Provisioner::provision`] returns.
pub type Provisioning<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// The occasion on which a [`Provisioner`] is called.
///
/// See [`Provisioner`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProvisionOccasion {
    /// When the table does not exist.
    TableMissing,
    /// Whenever a repository is opened: its declaration has to be in effect.
    Always,
}

/// The stack for a [`Provisioner`].
///
/// See [`Provisioner`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvisionTarget {
    /// The stack's name, which is also the table's.
    pub stack: StackName,
    /// The repository's region, or its client's.
    pub region: Option<String>,
    /// The repository's endpoint.
    pub endpoint_url: Option<String>,
}

impl ProvisionTarget {
    /// Selects the stack `stack` in the region and account that every AWS tool would use.
    pub fn new(stack: StackName) -> Self {
        Self { stack, region: None, endpoint_url: None }
    }
}

/// Opens a namespace of a stack that `provisioner` may create. Returns its id.
///
/// A new stack gets the requested namespace and `default`; in an existing one only `default` is registered if it is
/// missing, so that a mistyped name stays an error.
pub(super) async fn open(
    provisioner: &dyn Provisioner,
    target: &ProvisionTarget,
    store: &Store,
    clock: &dyn Clock,
    namespace: &NamespaceName,
) -> Result<NamespaceId, RepositoryError> {
    let mut fresh = matches!(store.version_record().await, Err(RepositoryError::TableMissing { .. }));
    if fresh || provisioner.occasion() == ProvisionOccasion::Always {
        let made = provisioner.provision(target).await;
        made.map_err(|source| RepositoryError::NotProvisioned { stack: target.stack.clone(), source })?;
    }
    store.check_version(clock, MissingVersion::Initialise).await?;
    let default = NamespaceName::new(super::DEFAULT_NAMESPACE)?;
    if *namespace == default {
        fresh = true;
    } else if store.find_namespace(&default).await?.is_none() {
        match open::require_or_register(store, clock, &default).await {
            // It was deleted deliberately, and another namespace is requested.
            Ok(_) | Err(RepositoryError::NamespaceState { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if fresh { open::require_or_register(store, clock, namespace).await } else { open::require(store, namespace).await }
}
