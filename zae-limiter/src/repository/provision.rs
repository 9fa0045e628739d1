//! Stacks that are made on the way to opening them: [`Provisioner`].
//!
//! Opening goes on as without a provisioner once the stack is there. A provisioner is asked before anything is read but
//! the version record, so that it can bring a table up to date which would be refused otherwise; it has to be
//! repeatable, because two processes may open at the same time.

use std::{fmt, pin::Pin};

use super::{open, version::MissingVersion};
use crate::{
    clock::Clock,
    error::{BoxError, RepositoryError},
    model::name::{NamespaceId, NamespaceName, StackName},
    store::Store,
};

/// Makes the stack that a [`Repository`](crate::Repository) is opened on; attach one with
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
    /// When it is asked.
    fn occasion(&self) -> ProvisionOccasion;

    /// Makes the stack, and comes back when its table can be used. An existing stack is brought to what is wanted, or
    /// left as it is.
    ///
    /// # Errors
    /// Whatever kept it from doing so; [`RepositoryError::NotProvisioned`] carries it on.
    fn provision<'a>(&'a self, target: &'a ProvisionTarget) -> Provisioning<'a>;
}

/// The future that [`Provisioner::provision`] returns.
pub type Provisioning<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// When a [`Provisioner`] is asked.
///
/// See [`Provisioner`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProvisionOccasion {
    /// When the table does not exist.
    TableMissing,
    /// Whenever a repository is opened: what it declares shall be true.
    Always,
}

/// The stack that a [`Provisioner`] is asked for.
///
/// See [`Provisioner`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvisionTarget {
    /// The stack's name, which is the table's too.
    pub stack: StackName,
    /// The region that the repository was told, or that its client has.
    pub region: Option<String>,
    /// The endpoint that the repository was told.
    pub endpoint_url: Option<String>,
}

impl ProvisionTarget {
    /// The stack `stack` where every AWS tool would look for it.
    pub fn new(stack: StackName) -> Self {
        Self { stack, region: None, endpoint_url: None }
    }
}

/// Opens a namespace of a stack that `provisioner` may make. Returns its id.
///
/// A new stack gets the namespace asked for, and `default`; of an existing one only `default` is registered where it is
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
            // Deleting it was somebody's decision, and another namespace is wanted.
            Ok(_) | Err(RepositoryError::NamespaceState { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if fresh { open::require_or_register(store, clock, namespace).await } else { open::require(store, namespace).await }
}
