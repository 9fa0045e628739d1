//! A client for AWS itself.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::Client;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

/// How long a connection may take to open. Neither an acquire nor an attempt waits for it longer than its own time; the
/// connection then serves the next one.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one attempt may take. Acquires cut theirs shorter; this is for reading configuration and for management.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How often reads and repeatable writes are tried; what adds tokens is sent once, whatever this says.
const ATTEMPTS: u32 = 3;

/// Region, endpoint and credentials are those that every AWS tool would use, unless they are given.
pub(super) async fn client(region: Option<String>, endpoint_url: Option<String>) -> Client {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    Client::new(&loader.load().await)
}
