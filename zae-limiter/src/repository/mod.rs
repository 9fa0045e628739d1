//! The table's contents: [`Repository`].
//!
//! A [`Repository`] is one namespace of one table, with the caches that belong to it. It holds everything but buckets'
//! tokens: entities and their parents, limits at four levels, namespaces, the audit trail, usage, pauses and the
//! provisioner's state. Each concern is a module with an `impl Repository` block of its own.
//!
//! - Changes are written with their audit event, under the principal of the handle ([`Repository::acting_as`]).
//! - A change of limits also reaches the buckets that it concerns, so that it holds with the next acquire.
//! - [`resolution`] answers which limits apply, the only question that the engine asks here.
//! - [`Registry`] is the part that is about all namespaces: it can be had without opening any of them.
//!
//! Reads and writes that may be repeated use the SDK's retries. Calls that change several items say in their
//! documentation what a dropped future leaves behind.

mod access;
mod apply;
mod audit;
mod audit_query;
mod buckets;
mod builder;
mod capacity;
mod changes;
mod configs;
mod configured;
mod connect;
mod defaults;
mod entities;
mod fanout;
mod fold;
mod limits;
mod namespaces;
mod open;
mod pauses;
mod provision;
mod provisioner;
mod purge;
mod registry;
pub(crate) mod resolution;
mod standing;
mod switches;
mod table;
mod trail;
mod usage;
pub(crate) mod validity;
mod version;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    error::{RepositoryError, ValidationError},
    model::name::{IntoName, NamespaceId, NamespaceName, Principal, StackName},
    store::Store,
};
use resolution::Resolutions;
pub use resolution::{ConfigCacheStats, DEFAULT_CONFIG_CACHE_TTL};

pub(crate) use audit::AuditRetention;
pub(crate) use version::MissingVersion;

pub use builder::{DEFAULT_NAMESPACE, DEFAULT_STACK, RepositoryBuilder};
pub use limits::EntityPage;
pub use provision::{ProvisionOccasion, ProvisionTarget, Provisioner, Provisioning};
pub use registry::Registry;

/// One namespace of one table. Cheap to clone: clones share client and caches.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Limit, Repository, ResourceName};
/// let repository = Repository::embedded().await?;
/// let model = ResourceName::new("gpt-4")?;
/// repository.set_resource_defaults(&model, Limit::per_minute("rpm", 100)?).await?;
/// assert_eq!(repository.resources_with_defaults().await?, [model]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
    principal: Option<Principal>,
}

/// Settings chosen when the repository was built.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) bucket_ttl_multiplier: u32,
    pub(crate) config_cache_ttl: Duration,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stack: StackName,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) namespace_name: NamespaceName,
    pub(crate) namespace_id: NamespaceId,
    pub(crate) resolutions: Arc<Resolutions>,
    pub(crate) settings: Settings,
    pub(crate) audit: AuditRetention,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { stack, namespace_name, namespace_id, .. } = &*self.inner;
        f.debug_struct("Repository")
            .field("stack", stack)
            .field("namespace", namespace_name)
            .field("namespace_id", namespace_id)
            .finish_non_exhaustive()
    }
}

impl Repository {
    pub(crate) fn assemble(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), principal: None }
    }

    /// The same namespace, through the same client and caches, with changes that the audit trail records as made by
    /// `principal`. Those made through `self` keep naming whom they named, which is nobody at first.
    ///
    /// # Errors
    /// [`ValidationError`] when the principal is neither an identifier nor an ARN.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository, audit::AuditTarget};
    /// let repository = Repository::embedded().await?;
    /// repository.acting_as("ops@example.com")?.set_system_defaults(Limit::per_minute("rpm", 100)?).await?;
    /// let trail = repository.audit_events(&AuditTarget::System, 1, None).await?;
    /// assert_eq!(trail.events[0].principal.as_deref(), Some("ops@example.com"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn acting_as(&self, principal: impl IntoName<Principal>) -> Result<Self, ValidationError> {
        let principal = principal.into_name()?;
        Ok(Self { inner: Arc::clone(&self.inner), principal: Some(principal) })
    }

    /// The principal that the audit trail names for changes made through this handle.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// Another namespace of the same table, through the same client and caches, for the same principal.
    ///
    /// Cancel safe: nothing is written.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{NamespaceName, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let tenant = NamespaceName::new("tenant-alpha")?;
    /// repository.register_namespace(&tenant).await?;
    /// let theirs = repository.scoped(&tenant).await?;
    /// assert_eq!(theirs.namespace_name(), &tenant);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::NamespaceNotFound`] when no namespace of that name is active,
    /// [`RepositoryError::NamespaceState`] when it was soft-deleted.
    pub async fn scoped(&self, namespace: impl IntoName<NamespaceName>) -> Result<Self, RepositoryError> {
        let namespace = &namespace.into_name()?;
        let Inner { store, clock, stack, endpoint_url, resolutions, settings, .. } = &*self.inner;
        let namespace_id = open::require(store, namespace).await?;
        resolutions.standings.found(&namespace_id, clock.now_ms()).await;
        let scoped = Self::assemble(Inner {
            store: store.clone(),
            clock: Arc::clone(clock),
            stack: stack.clone(),
            endpoint_url: endpoint_url.clone(),
            namespace_name: namespace.clone(),
            namespace_id,
            resolutions: Arc::clone(resolutions),
            settings: settings.clone(),
            // How long audit events are kept is each namespace's own.
            audit: AuditRetention::default(),
        });
        Ok(Self { principal: self.principal.clone(), ..scoped })
    }

    /// The stack's name, which is the table's too.
    pub fn stack(&self) -> &StackName {
        &self.inner.stack
    }

    /// The stack and how the repository was told to reach it, for what works with more of it than its table.
    pub fn target(&self) -> ProvisionTarget {
        ProvisionTarget {
            stack: self.inner.stack.clone(),
            region: self.client().config().region().map(ToString::to_string),
            endpoint_url: self.inner.endpoint_url.clone(),
        }
    }

    /// The namespace's name.
    pub fn namespace_name(&self) -> &NamespaceName {
        &self.inner.namespace_name
    }

    /// The namespace's opaque id, the first part of its keys.
    pub fn namespace_id(&self) -> &NamespaceId {
        &self.inner.namespace_id
    }

    /// The SDK client it works with.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.inner.store.client
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    pub(crate) fn ns(&self) -> &str {
        self.inner.namespace_id.as_str()
    }

    pub(crate) fn resolutions(&self) -> &Resolutions {
        &self.inner.resolutions
    }

    pub(crate) fn bucket_ttl_multiplier(&self) -> u32 {
        self.inner.settings.bucket_ttl_multiplier
    }
}
