//! The store that a test works on: embedded, or a database of its own on a DynamoDB Local ([`endpoint::SWITCH`]).

mod blocking;
pub mod endpoint;

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use endpoint::Endpoint;
use tokio::net::TcpListener;
use zae_limiter::{EmbeddedStore, Repository, RepositoryBuilder, RepositoryError, StackName};

/// An empty DynamoDB. Clones share the data.
#[derive(Clone, Debug)]
pub enum TestStore {
    Embedded(EmbeddedStore),
    Local(Endpoint),
}

impl TestStore {
    pub fn new() -> Self {
        match endpoint::local() {
            Some(endpoint) => Self::Local(endpoint),
            None => Self::embedded(),
        }
    }

    pub fn embedded() -> Self {
        Self::Embedded(EmbeddedStore::memory().unwrap())
    }

    /// An embedded store behind a socket: requests pass the whole HTTP client, as they do to DynamoDB.
    pub fn served() -> Self {
        let url = blocking::serve(EmbeddedStore::memory().unwrap());
        Self::Local(Endpoint { url, access_key: "test".to_owned(), region: "us-east-1".to_owned() })
    }

    /// A client that never lets a driven clock run ahead of an answer.
    pub fn client(&self) -> Client {
        let endpoint = match self {
            Self::Embedded(store) => return store.client(),
            Self::Local(endpoint) => endpoint,
        };
        // As the embedded store's client: whatever fails is seen by the test.
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(endpoint.region.clone()))
            .credentials_provider(Credentials::new(&endpoint.access_key, "test", None, None, "test"))
            .endpoint_url(&endpoint.url)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .http_client(blocking::BlockingHttp)
            .build();
        Client::from_conf(config)
    }

    /// Opens the table of the default stack, which is created if it is missing.
    pub fn builder(&self) -> RepositoryBuilder {
        Repository::builder().client(self.client()).create_table()
    }

    /// The table of the default stack, created.
    pub async fn repository(&self) -> Repository {
        self.builder().build().await.unwrap()
    }

    pub async fn create_table(&self, stack: &StackName) -> Result<(), RepositoryError> {
        Repository::builder().client(self.client()).stack(stack).create_table().build_registry().await.map(drop)
    }

    /// Lets other programs use the same data until the runtime ends.
    pub async fn serve(&self) -> Endpoint {
        let store = match self {
            Self::Embedded(store) => store.clone(),
            Self::Local(endpoint) => return endpoint.clone(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { store.serve(listener, std::future::pending()).await.unwrap() });
        Endpoint { url, access_key: "test".to_owned(), region: "us-east-1".to_owned() }
    }
}
