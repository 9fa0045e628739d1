//! Opening: from a builder's settings to a [`Repository`] or [`Registry`] with a usable table.
//!
//! The steps are ordered by the mistakes they detect: names and settings without a call, then the region and
//! credentials, then the table and its version, then the namespace. Each error is about the first mistake.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;

use super::{DEFAULT_NAMESPACE, DEFAULT_STACK, Missing, RepositoryBuilder};
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::name::{NamespaceName, StackName},
    repository::{
        AuditRetention, Inner, MissingVersion, Registry, Repository,
        connect::connect,
        open,
        provision::{self, ProvisionTarget},
        read_at::ReadAt,
        resolution::Resolutions,
    },
    store::Store,
};

impl RepositoryBuilder {
    /// Opens the table. Its namespace `default` is registered if it is missing, unless it was deleted.
    ///
    /// Cancel safe, and repeatable: everything created so far stays, and the next call continues from there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use zae_limiter::Repository;
    ///
    /// let repository = Repository::builder().embedded().config_cache_ttl(Duration::from_secs(5)).build().await?;
    /// assert_eq!(repository.namespace_name().as_str(), "default");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] for an invalid name or setting; [`RepositoryError::TableMissing`],
    /// [`RepositoryError::NamespaceNotFound`] or [`RepositoryError::NamespaceState`] (soft-deleted) if there is nothing
    /// to open; [`RepositoryError::MayNotRegister`] if `default` is missing and the credentials are an application's;
    /// [`RepositoryError::Connect`] if there is no region or a setting of the environment is invalid;
    /// [`RepositoryError::ClientTooOld`] or [`RepositoryError::IncompatibleSchema`] if the table's version does not
    /// fit; [`RepositoryError::NotProvisioned`] if the provisioner failed; [`RepositoryError::Store`] if the table is
    /// unreachable.
    pub async fn build(self) -> Result<Repository, RepositoryError> {
        let stack = StackName::new(choose(self.stack, "ZAEL_STACK", DEFAULT_STACK))?;
        let namespace = NamespaceName::new(choose(self.namespace, "ZAEL_NAMESPACE", DEFAULT_NAMESPACE))?;
        if self.audit_retention_days == Some(0) {
            return Err(ValidationError::new("audit_retention_days", "0", ValidationReason::NotPositive).into());
        }
        let (region, endpoint_url) = (self.region, self.endpoint_url);
        // Boxed: the futures of AWS calls are large, and a thread of a debug build has a stack of two MiB.
        let client = Box::pin(connect(self.place, region.clone(), endpoint_url.clone())).await?;
        let store = Box::pin(reach(&stack, client, self.missing)).await?;
        let id = match (self.missing, &self.provisioner) {
            (Missing::Create, _) => {
                store.check_version(&*self.clock, MissingVersion::Initialise).await?;
                Box::pin(open::require_or_register(&store, &*self.clock, &namespace)).await?
            }
            (_, Some(provisioner)) => {
                let region = region.or_else(|| store.client.config().region().map(ToString::to_string));
                let target = ProvisionTarget { stack: stack.clone(), region, endpoint_url: endpoint_url.clone() };
                Box::pin(provision::open(&**provisioner, &target, &store, &*self.clock, &namespace)).await?
            }
            (Missing::Fail, None) => {
                store.check_version(&*self.clock, MissingVersion::Leave).await?;
                open::require(&store, &namespace).await?
            }
            (Missing::Default, None) => {
                store.check_version(&*self.clock, MissingVersion::Leave).await?;
                Box::pin(open::require_or_register_default(&store, &*self.clock, &stack, &namespace)).await?
            }
        };
        let resolutions = Resolutions::new(self.settings.config_cache_ttl);
        resolutions.standings.found(&id, ReadAt::now(&*self.clock)).await;
        let repository = Repository::assemble(Inner {
            store,
            clock: self.clock,
            stack,
            endpoint_url,
            namespace_name: namespace,
            namespace_id: id,
            resolutions: Arc::new(resolutions),
            settings: self.settings,
            audit: AuditRetention::new(self.audit_retention_days),
        });
        repository.keep_settings(self.on_unavailable, self.audit_retention_days).await?;
        Ok(repository)
    }

    /// Opens the table's own records instead of one of its namespaces; settings of namespaces are ignored.
    ///
    /// Cancel safe, and repeatable.
    ///
    /// Nothing is read or written, except that [`RepositoryBuilder::create_table`] creates the table.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::Repository;
    ///
    /// let registry = Repository::builder().embedded().build_registry().await?;
    /// println!("{} namespaces", registry.namespaces().await?.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] for an invalid stack name; [`RepositoryError::Connect`] as
    /// [`RepositoryBuilder::build`]; [`RepositoryError::Store`] if the table cannot be created.
    pub async fn build_registry(self) -> Result<Registry, RepositoryError> {
        let stack = StackName::new(choose(self.stack, "ZAEL_STACK", DEFAULT_STACK))?;
        let client = connect(self.place, self.region, self.endpoint_url).await?;
        let store = reach(&stack, client, self.missing).await?;
        Ok(Registry { store, clock: self.clock, stack })
    }
}

/// Connects to the table of `stack`, creating it if requested.
async fn reach(stack: &StackName, client: Client, missing: Missing) -> Result<Store, RepositoryError> {
    let store = Store::new(stack.as_str().to_owned(), &client);
    if missing == Missing::Create {
        store.create_table().await?;
    }
    Ok(store)
}

/// Returns the given value, otherwise the environment's, otherwise the default; empty text counts as unset.
fn choose(given: Option<String>, variable: &str, default: &str) -> String {
    let given = given.filter(|text| !text.is_empty());
    let from_environment = || std::env::var(variable).ok().filter(|text| !text.is_empty());
    given.or_else(from_environment).unwrap_or_else(|| default.to_owned())
}
