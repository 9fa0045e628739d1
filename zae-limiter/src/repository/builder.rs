//! Opens a table: [`RepositoryBuilder`].
//!
//! Mistakes are detected when a table is opened: names are validated, the version record is compared, the namespace
//! must be in use, and the error for a missing table names the command that creates it. An existing repository is
//! therefore usable, and acquires do not repeat these checks, except that the namespace is still in use, once a minute.
//!
//! | | table | namespace `default` | another namespace |
//! |---|---|---|---|
//! | `build` | must exist | registered where it is missing | must be registered |
//! | `must_exist` | must exist | must be registered | must be registered |
//! | `create_table`, embedded stores | created | registered | registered |
//! | `provisioner` | made by it | registered | registered in a new stack only |

mod build;

#[cfg(feature = "embedded")]
use std::path::PathBuf;
use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_dynamodb::Client;

use super::{Repository, Settings, connect::StoreChoice, provision::Provisioner, resolution::DEFAULT_CONFIG_CACHE_TTL};
#[cfg(feature = "embedded")]
use crate::embedded::EmbeddedStore;
#[cfg(any(feature = "aws", feature = "embedded"))]
use crate::error::RepositoryError;
use crate::{
    clock::{Clock, SystemClock},
    model::status::StoredPolicy,
};

/// The stack if neither the caller nor `ZAEL_STACK` names one.
pub const DEFAULT_STACK: &str = "limiter";
/// The namespace if neither the caller nor `ZAEL_NAMESPACE` names one.
pub const DEFAULT_NAMESPACE: &str = "default";
/// Lifetime of an idle bucket of default limits, in fill times.
const DEFAULT_TTL_MULTIPLIER: u32 = 7;

/// The parts that are created if they are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Missing {
    /// Nothing.
    Fail,
    /// The namespace `default` of an existing table, and the table's version record.
    #[default]
    Default,
    /// The table, and any namespace.
    Create,
}

/// Settings of a [`Repository`]; start with [`Repository::builder`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zae_limiter::Repository;
/// let repository = Repository::builder()
///     .embedded()
///     .namespace("tenant-a")
///     .config_cache_ttl(Duration::from_secs(10))
///     .build()
///     .await?;
/// assert_eq!(repository.namespace_name().as_str(), "tenant-a");
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct RepositoryBuilder {
    /// The stack's name, not validated.
    stack: Option<String>,
    /// The namespace's name, not validated.
    namespace: Option<String>,
    /// The region, if the caller passed one.
    region: Option<String>,
    /// The endpoint, if the caller passed one.
    endpoint_url: Option<String>,
    /// The location of the table.
    place: StoreChoice,
    /// The parts that may be created.
    missing: Missing,
    /// Creates a missing stack.
    provisioner: Option<Arc<dyn Provisioner>>,
    /// The wall clock.
    clock: Arc<dyn Clock>,
    /// Settings of the repository.
    settings: Settings,
    /// A policy to store for all clients.
    on_unavailable: Option<StoredPolicy>,
    /// A retention to store.
    audit_retention_days: Option<u32>,
}

impl fmt::Debug for RepositoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryBuilder")
            .field("stack", &self.stack)
            .field("namespace", &self.namespace)
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .field("missing", &self.missing)
            .field("provisioner", &self.provisioner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl RepositoryBuilder {
    /// Starts with the defaults documented at each setter.
    fn new() -> Self {
        Self {
            stack: None,
            namespace: None,
            region: None,
            endpoint_url: None,
            place: StoreChoice::default(),
            missing: Missing::default(),
            provisioner: None,
            clock: Arc::new(SystemClock),
            settings: Settings {
                bucket_ttl_multiplier: DEFAULT_TTL_MULTIPLIER,
                config_cache_ttl: DEFAULT_CONFIG_CACHE_TTL,
            },
            on_unavailable: None,
            audit_retention_days: None,
        }
    }

    /// Sets the stack, which is also the table. Default: `ZAEL_STACK`, otherwise [`DEFAULT_STACK`].
    pub fn stack(mut self, name: impl AsRef<str>) -> Self {
        self.stack = Some(name.as_ref().to_owned());
        self
    }

    /// Sets the namespace. Default: `ZAEL_NAMESPACE`, otherwise [`DEFAULT_NAMESPACE`].
    pub fn namespace(mut self, name: impl AsRef<str>) -> Self {
        self.namespace = Some(name.as_ref().to_owned());
        self
    }

    /// Sets the AWS region. By default, or if it is empty, it is resolved as by every AWS tool.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets another DynamoDB than AWS's own, for example `http://localhost:8000`. On this machine it needs neither a
    /// region nor credentials. By default, or if it is empty, it is resolved as by every AWS tool.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint_url = Some(url.into());
        self
    }

    /// Uses an existing client, with its own region and endpoint.
    ///
    /// Its timeouts should fit into an acquire's deadline. Writes that add tokens are sent once, regardless of its
    /// retries.
    pub fn client(mut self, client: Client) -> Self {
        self.place = StoreChoice::Client(client);
        self
    }

    /// Uses a table in this process's memory, which is lost when it ends. Table and namespace are created.
    #[cfg(feature = "embedded")]
    pub fn embedded(mut self) -> Self {
        self.place = StoreChoice::Memory;
        self.create_table()
    }

    /// Uses a table in the file `path`, which is created if it is missing. Table and namespace are created, too.
    ///
    /// One process at a time: the file is a database of its own, not a server.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Repository};
    ///
    /// let file = std::env::temp_dir().join(format!("zae-{}.sqlite", std::process::id()));
    /// let repository = Repository::embedded_at(&file).await?;
    /// repository.set_system_defaults(Limit::per_minute("rpm", 100)?).await?;
    /// drop(repository);
    /// assert!(Repository::embedded_at(&file).await?.system_defaults().await?.limits.is_some());
    /// # std::fs::remove_file(file)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "embedded")]
    pub fn embedded_at(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = StoreChoice::File(path.into());
        self.create_table()
    }

    /// Uses a table in `store`. Table and namespace are created if they are missing.
    #[cfg(feature = "embedded")]
    pub fn embedded_store(mut self, store: &EmbeddedStore) -> Self {
        self.place = StoreChoice::Store(store.clone());
        self.create_table()
    }

    /// Creates the table if it is missing, and registers the namespace if its name is new. For development and tests:
    /// a deployed stack has more than its table.
    pub fn create_table(mut self) -> Self {
        self.missing = Missing::Create;
        self
    }

    /// Creates nothing at all, not even the namespace `default` in a new table. For tools that only read.
    pub fn must_exist(mut self) -> Self {
        self.missing = Missing::Fail;
        self
    }

    /// Creates the stack with `provisioner` if its table is missing, or updates it to the declared state; then the
    /// namespace `default` is registered if it is missing, and the requested one if the stack is new.
    pub fn provisioner(mut self, provisioner: impl Provisioner + 'static) -> Self {
        self.provisioner = Some(Arc::new(provisioner));
        self
    }

    /// Replaces the system's clock.
    ///
    /// Tests use a [`ManualClock`](crate::ManualClock). The limiter corrects the system's clock by DynamoDB's; other
    /// clocks are trusted unless they request the same ([`Clock::follows_store`]).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the time for which stored limits are cached, 60 s by default; zero reads them every time. Changes made
    /// through this repository take effect at once.
    ///
    /// Each entity and resource in use costs one batch read of six small items per cache time and process: 1000 active
    /// keys and 60 s are about 17 batch reads a second. With a longer time, changes from elsewhere take effect later; a
    /// deleted namespace is also served for that long.
    pub fn config_cache_ttl(mut self, ttl: Duration) -> Self {
        self.settings.config_cache_ttl = ttl;
        self
    }

    /// Sets the lifetime of an idle bucket of default limits, in fill times: 7 by default; 0 keeps buckets forever.
    ///
    /// A bucket that takes a minute to fill is then removed seven minutes after its last write, or when its debt is
    /// paid, whichever is later. Removal costs nothing and creates no tokens, because such a bucket is full; without
    /// it, an item would remain for every address that ever called.
    pub fn bucket_ttl_multiplier(mut self, times: u32) -> Self {
        self.settings.bucket_ttl_multiplier = times;
        self
    }

    /// Stores the retention of this namespace's audit events, in days.
    pub fn audit_retention_days(mut self, days: u32) -> Self {
        self.audit_retention_days = Some(days);
        self
    }

    /// Stores the policy for acquires of this namespace while the table is unreachable, for all clients.
    pub fn on_unavailable(mut self, policy: StoredPolicy) -> Self {
        self.on_unavailable = Some(policy);
        self
    }
}

impl Repository {
    /// Creates a builder.
    pub fn builder() -> RepositoryBuilder {
        RepositoryBuilder::new()
    }

    /// Opens a namespace of a deployed stack. The stack is `ZAEL_STACK` or `limiter`; an empty `namespace` stands for
    /// `ZAEL_NAMESPACE` or `default`. Region, endpoint, credentials and proxies are resolved as by every AWS tool, see
    /// [`aws`](crate::aws).
    ///
    /// A missing table or namespace is an error that names the command to create it; only `default` is registered if it
    /// is missing, because every stack has it. [`RepositoryBuilder::must_exist`] prevents that, too.
    ///
    /// # Errors
    /// See [`RepositoryBuilder::build`].
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), zae_limiter::RepositoryError> {
    /// let repository = zae_limiter::Repository::open("default").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "aws")]
    pub async fn open(namespace: impl AsRef<str>) -> Result<Self, RepositoryError> {
        Self::builder().namespace(namespace).build().await
    }

    /// Opens a table in this process's memory, for development and tests.
    ///
    /// # Errors
    /// See [`RepositoryBuilder::build`].
    #[cfg(feature = "embedded")]
    pub async fn embedded() -> Result<Self, RepositoryError> {
        Self::builder().embedded().build().await
    }

    /// Opens a table in the file `path`; its data survives a restart.
    ///
    /// # Errors
    /// See [`RepositoryBuilder::build`].
    #[cfg(feature = "embedded")]
    pub async fn embedded_at(path: impl Into<PathBuf>) -> Result<Self, RepositoryError> {
        Self::builder().embedded_at(path).build().await
    }
}
