//! SDK clients for a function: region, credentials and endpoints from its environment, patient retries.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use zae_limiter::{
    aws::{Connect, Service},
    error::ConnectError,
};

use super::Tracer;

const CONNECT: Duration = Duration::from_secs(2);
const ATTEMPT: Duration = Duration::from_secs(5);
/// All writes of a function may be repeated, so the SDK may retry freely.
const ATTEMPTS: u32 = 5;

/// Loads the settings of all clients of this function.
///
/// # Errors
/// [`ConnectError`] for an invalid setting, and if there is no region.
pub async fn sdk_config() -> Result<SdkConfig, ConnectError> {
    let connect = Connect::to(Service::DynamoDb).and([Service::S3]);
    connect.connect_timeout(CONNECT).attempt_timeout(ATTEMPT).attempts(ATTEMPTS).load().await
}

/// Creates a client for the table whose calls `tracer` records.
pub fn table_client(config: &SdkConfig, tracer: &Tracer) -> Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config).interceptor(tracer.clone()).build();
    Client::from_conf(config)
}

/// Creates a client for the archive's bucket. A custom endpoint is assumed to support path-style addresses only.
pub fn archive_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let set = Service::S3.endpoint(config).is_some();
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(set).build();
    aws_sdk_s3::Client::from_conf(config)
}
