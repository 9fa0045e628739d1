//! A DynamoDB in this process, for development and tests: [`EmbeddedStore`].
//!
//! It is an engine on SQLite behind an HTTP connector of the SDK: requests are serialised, checked, answered and parsed
//! as those to AWS, without a socket. [`limits`] rejects what DynamoDB rejects and the engine would accept: items and
//! keys that are too large, and expressions with too many operators. A test that passes here therefore does not fail
//! there for such a reason.
//!
//! # Limits of the stand-in
//!
//! It has no throughput limit, its indexes never lag, and its responses carry no `Date`. Tests of contention,
//! throttling and lag inject faults into the connector instead. Items do not expire in its tables, so tests of expiry
//! delete the item themselves.
//!
//! [`DatabaseFront`] serves the same data over HTTP to other programs, with the same checks before the engine's own
//! server.

mod connector;
mod front;
mod inside;
mod limits;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use axum::{Router, extract::Request};
use dynoxide::Database;
pub use front::DatabaseFront;
use tokio::net::TcpListener;

use crate::{
    error::{BoxError, RepositoryError, StoreError, StoreErrorKind},
    model::name::StackName,
    store::{EMBEDDED_REGION, Store},
};

/// The storage medium of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// Lost when the process ends.
    Memory,
    /// A file, which outlives the process.
    Disk(PathBuf),
}

/// An in-process DynamoDB on SQLite, in memory or in one file. Cheap to clone: clones share the data.
///
/// [`Repository::embedded`](crate::Repository::embedded) is the shortest way to a repository on one. Use this type for
/// the SDK client itself, or to serve the same data to other programs over HTTP.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{EmbeddedStore, Repository};
/// let store = EmbeddedStore::memory()?;
/// let repository = Repository::builder().embedded_store(&store).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EmbeddedStore {
    /// The engine, shared by clones.
    database: Database,
    /// Memory or a file: calls to a file run on a thread for blocking work.
    medium: Medium,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("medium", &self.medium).finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Creates a store that is lost when the process ends.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if SQLite cannot be opened.
    pub fn memory() -> Result<Self, RepositoryError> {
        Ok(Self { database: Database::memory().map_err(open_error)?, medium: Medium::Memory })
    }

    /// Opens a store in the file `path`, creating it if it is missing; its data survives a restart.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the file cannot be opened.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, RepositoryError> {
        let path = path.as_ref().to_owned();
        let opened = match path.to_str() {
            Some(text) => Database::new(text).map_err(BoxError::from),
            None => Err("the path is not UTF-8".into()),
        };
        let database = opened.map_err(|error| open_error(format!("{}: {error}", path.display())))?;
        Ok(Self { database, medium: Medium::Disk(path) })
    }

    /// Returns an SDK client whose requests are answered by this store, without a network.
    ///
    /// It has no retries and no timeouts, because no request can be lost.
    pub fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(EMBEDDED_REGION))
            .credentials_provider(Credentials::new("embedded", "embedded", None, None, "embedded"))
            .endpoint_url("http://embedded.invalid")
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .http_client(connector::EmbeddedHttp::new(self.clone()))
            .build();
        Client::from_conf(config)
    }

    /// Creates the table of the stack `name`, with its indexes and without a stream; an existing one is unchanged.
    ///
    /// Cancel safe, and repeatable: the table has been created or not.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EmbeddedStore, Repository, StackName};
    ///
    /// let store = EmbeddedStore::memory()?;
    /// store.create_table(&StackName::new("my-stack")?).await?;
    /// let repository = Repository::builder().stack("my-stack").client(store.client()).build().await?;
    /// assert_eq!(repository.namespace_name().as_str(), "default");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the store fails.
    pub async fn create_table(&self, name: &StackName) -> Result<(), RepositoryError> {
        Store::new(name.as_str().to_owned(), &self.client()).create_table().await
    }

    /// Serves the same data over HTTP to any DynamoDB client until `shutdown` completes; requests under way are
    /// answered.
    ///
    /// Dropping the future stops accepting connections without waiting for requests under way; use `shutdown` to end
    /// it.
    ///
    /// There is no authentication: bind to the loopback interface only.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::EmbeddedStore;
    ///
    /// let store = EmbeddedStore::memory()?;
    /// let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    /// println!("aws dynamodb list-tables --endpoint-url http://{}", listener.local_addr()?);
    /// store.serve(listener, async {}).await?; // a server would wait for a signal
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the server fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), RepositoryError> {
        let front = DatabaseFront::new(self.database.clone());
        let answer = move |request: Request| {
            let front = front.clone();
            async move { front.answer(request).await }
        };
        let served = axum::serve(listener, Router::new().fallback(answer)).with_graceful_shutdown(shutdown).await;
        served.map_err(|error| StoreError::new("serve", StoreErrorKind::Ambiguous, error).into())
    }

    /// Returns the engine.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the storage medium.
    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }
}

/// Creates the error of a store that could not be opened.
fn open_error(error: impl Into<BoxError>) -> RepositoryError {
    StoreError::new("open", StoreErrorKind::Rejected, error).into()
}
