//! SDK clients as a function needs them: region, credentials and endpoints from its environment, patient retries.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::Client;
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

use super::Tracer;

const CONNECT: Duration = Duration::from_secs(2);
const ATTEMPT: Duration = Duration::from_secs(5);
/// Everything written here may be repeated, so the SDK may try as often as it likes.
const ATTEMPTS: u32 = 5;

/// Settings of all clients of this function.
pub async fn sdk_config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .load()
        .await
}

/// What all clients connect with. The SDK's own would read the system's trusted certificates for each client at its start,
/// and again for the first call; they are most of the work of a cold start.
fn http_client() -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
    let connector = Connector::builder().connector_settings(settings);
    let connector = connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// A client for the table whose calls `tracer` records.
pub fn table_client(config: &SdkConfig, tracer: &Tracer) -> Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config).interceptor(tracer.clone()).build();
    Client::from_conf(config)
}

/// A client for the archive's bucket. Where an endpoint is set, it is one that knows buckets by path only.
pub fn archive_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let set = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().any(|name| std::env::var_os(name).is_some());
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(set).build();
    aws_sdk_s3::Client::from_conf(config)
}
