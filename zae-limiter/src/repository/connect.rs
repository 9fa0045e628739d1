//! Creates the client for a repository's table.
//!
//! One function covers all cases: AWS according to the environment, a client of the caller's, or an embedded store. The
//! rest of the code does not depend on the choice.
//!
//! A client passed by the caller is used unchanged. Otherwise the environment decides as for every AWS tool, which
//! requires the feature `aws`; without it, and without an embedded store, there is nothing to connect to.

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

/// Maximum duration of one attempt. Acquires bound theirs more tightly; this is for reading configuration and for
/// management.
#[cfg(feature = "aws")]
const ATTEMPT: Duration = Duration::from_secs(3);

/// The location of the table.
#[derive(Default)]
pub(super) enum StoreChoice {
    /// AWS, or an endpoint set by the environment or the caller.
    #[default]
    Aws,
    /// An existing client.
    Client(Client),
    /// An embedded store that is lost with the process.
    #[cfg(feature = "embedded")]
    Memory,
    /// An embedded store in a file.
    #[cfg(feature = "embedded")]
    File(PathBuf),
    /// An existing embedded store.
    #[cfg(feature = "embedded")]
    Store(EmbeddedStore),
}

/// Returns the client for `choice`.
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
            // Opening waits for the disk.
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
