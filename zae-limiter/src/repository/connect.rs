//! The client that a repository's table is reached by.
//!
//! One function for all ways: AWS as the environment describes it, a client of the caller's, or an embedded store.
//! After it nobody knows which it was.
//!
//! A client that the caller brings is used as it is. Otherwise the environment decides as for every AWS tool, which
//! takes the feature `aws`; without it, and without an embedded store, there is nothing to connect to.

#[cfg(feature = "embedded")]
use std::path::PathBuf;
#[cfg(feature = "aws")]
use std::time::Duration;

use aws_sdk_dynamodb::Client;

#[cfg(feature = "aws")]
use crate::aws::{Connect, Service};
use crate::error::RepositoryError;
#[cfg(not(feature = "aws"))]
use crate::error::{ValidationError, ValidationReason};
#[cfg(feature = "embedded")]
use crate::{embedded::EmbeddedStore, store::rejected};

/// Maximum duration of one attempt. Acquires cut theirs shorter; this is for reading configuration and for management.
#[cfg(feature = "aws")]
const ATTEMPT: Duration = Duration::from_secs(3);

/// The place of the table.
#[derive(Default)]
pub(super) enum StoreChoice {
    /// AWS, or an endpoint that the environment or the caller names.
    #[default]
    Aws,
    /// A client made elsewhere.
    Client(Client),
    /// An embedded store that is gone with the process.
    #[cfg(feature = "embedded")]
    Memory,
    /// An embedded store in a file.
    #[cfg(feature = "embedded")]
    File(PathBuf),
    /// An embedded store made elsewhere.
    #[cfg(feature = "embedded")]
    Store(EmbeddedStore),
}

/// Returns the client that `choice` stands for.
pub(super) async fn connect(
    choice: StoreChoice,
    region: Option<String>,
    endpoint_url: Option<String>,
) -> Result<Client, RepositoryError> {
    match choice {
        StoreChoice::Client(client) => Ok(client),
        #[cfg(feature = "embedded")]
        StoreChoice::Memory => Ok(EmbeddedStore::memory()?.client()),
        #[cfg(feature = "embedded")]
        StoreChoice::File(path) => {
            // Opening means waiting for the disk.
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::at(path)).await;
            Ok(opened.map_err(|error| rejected("open", error))??.client())
        }
        #[cfg(feature = "embedded")]
        StoreChoice::Store(store) => Ok(store.client()),
        #[cfg(feature = "aws")]
        StoreChoice::Aws => {
            let connect = Connect::to(Service::DynamoDb).attempt_timeout(ATTEMPT);
            let connect = connect.region(region.unwrap_or_default()).endpoint_url(endpoint_url.unwrap_or_default());
            Ok(Client::new(&connect.load().await?))
        }
        #[cfg(not(feature = "aws"))]
        StoreChoice::Aws => {
            drop((region, endpoint_url));
            let reason = "is needed: this build has no `aws` feature and cannot make one".to_owned();
            Err(ValidationError::new("client", "", ValidationReason::Other(reason)).into())
        }
    }
}
