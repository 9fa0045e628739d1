//! The table's contents: [`Repository`].
//!
//! A [`Repository`] is one namespace of one table, with the caches that belong to it. It holds everything but buckets'
//! tokens: entities and their parents, limits at four levels, namespaces, the audit trail, usage, pauses, documents and
//! the provisioner's state. Each concern is a module with an `impl Repository` block of its own.
//!
//! - Changes are written with their audit event, under the principal of the handle ([`Repository::acting_as`]).
//! - A change of an entity's limits also reaches the buckets that it concerns, so that it holds with the next acquire.
//! - [`resolution`] answers which limits apply, the only question that the engine asks here.
//! - [`Registry`] is the part that is about all namespaces: it can be had without opening any of them.
//!
//! Reads and writes that may be repeated use the SDK's retries. Calls that change several items say in their
//! documentation what a dropped future leaves behind.
//!
//! # What is written together
//!
//! | change | written as | if interrupted |
//! |---|---|---|
//! | an entity, limits, defaults, a policy | one transaction with the registry and the audit event | all or nothing |
//! | buckets after a change of limits | one conditional write for each | the next acquire does it |
//! | a switch of a resource or an entity | one transaction, then a stamp on each of its buckets | repeat it; till then caches run out |
//! | a namespace | one transaction over its two records | all or nothing |
//! | deleting an entity, purging a namespace, folding a bucket | many writes, in an order that can be repeated | run it again |
//!
//! # Consistency
//!
//! Reads that decide a change are strong, and are conditions of the change. What is listed is read from indexes, which
//! lag behind by moments. What acquires need is cached for [`DEFAULT_CONFIG_CACHE_TTL`]; a change through this process
//! ends what it concerns at once ([`changes`](self::changes)), and other processes see it when their caches run out.

mod access;
mod apply;
mod audit;
mod audit_query;
mod buckets;
mod builder;
mod capacity;
mod cascade;
mod changes;
mod configs;
mod configured;
mod connect;
mod defaults;
mod documents;
mod entities;
mod fanout;
mod fold;
mod gate;
mod levels;
mod limits;
mod namespace_records;
mod namespaces;
mod open;
mod operations;
mod pauses;
mod pending;
mod provision;
mod provisioner;
mod purge;
mod read_at;
mod registry;
pub(crate) mod resolution;
mod settings;
mod softness;
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
///
/// Open one with [`Repository::open`] or [`Repository::builder`]; give it to a [`RateLimiter`](crate::RateLimiter) and
/// keep a clone for changes: through a clone they take effect on that limiter's next acquire. All methods take names as
/// text or as validated types, and amounts in whole tokens.
#[derive(Clone)]
pub struct Repository {
    /// Shared by clones and by handles of other principals.
    inner: Arc<Inner>,
    /// The author that the audit trail names.
    principal: Option<Principal>,
}

/// Settings chosen when the repository was built.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Lifetime of an idle bucket, in fill times; 0 keeps it.
    pub(crate) bucket_ttl_multiplier: u32,
    /// Time for which resolutions are believed.
    pub(crate) config_cache_ttl: Duration,
}

/// Everything that handles of one namespace share.
pub(crate) struct Inner {
    /// The table.
    pub(crate) store: Store,
    /// The wall clock, not yet held to the store's.
    pub(crate) clock: Arc<dyn Clock>,
    /// The stack's name, and so the table's.
    pub(crate) stack: StackName,
    /// The endpoint that the caller gave.
    pub(crate) endpoint_url: Option<String>,
    /// The name that it was opened by.
    pub(crate) namespace_name: NamespaceName,
    /// The first part of every key.
    pub(crate) namespace_id: NamespaceId,
    /// Caches, shared by the namespaces of one table.
    pub(crate) resolutions: Arc<Resolutions>,
    /// Settings from the builder.
    pub(crate) settings: Settings,
    /// The lifetime of audit events.
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
    /// Puts the parts together.
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
        resolutions.standings.found(&namespace_id, read_at::ReadAt::now(&**clock)).await;
        let scoped = Self::assemble(Inner {
            store: store.clone(),
            clock: Arc::clone(clock),
            stack: stack.clone(),
            endpoint_url: endpoint_url.clone(),
            namespace_name: namespace.clone(),
            namespace_id,
            resolutions: Arc::clone(resolutions),
            settings: settings.clone(),
            // Each namespace has an audit retention of its own.
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

    /// The table.
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The wall clock.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Returns the time of the repository's [clock](crate::RepositoryBuilder::clock), in ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    /// The namespace's id as text, for keys.
    pub(crate) fn ns(&self) -> &str {
        self.inner.namespace_id.as_str()
    }

    /// The caches.
    pub(crate) fn resolutions(&self) -> &Resolutions {
        &self.inner.resolutions
    }

    /// The lifetime of an idle bucket, in fill times.
    pub(crate) fn bucket_ttl_multiplier(&self) -> u32 {
        self.inner.settings.bucket_ttl_multiplier
    }
}
