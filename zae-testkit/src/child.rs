//! The Python package in a process of its own.

use std::{path::Path, process::Command};

/// Creates the command that runs the script `driver`, with the DynamoDB at `endpoint` in `ZAE_DRIVER_ENDPOINT`.
pub fn command(interpreter: &Path, driver: &Path, endpoint: &str) -> Command {
    let mut command = Command::new(interpreter);
    command
        .args(["-W", "ignore"])
        .arg(driver)
        // Excludes the machine's own AWS configuration, above all its credentials.
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_ACCESS_KEY_ID", "embedded")
        .env("AWS_SECRET_ACCESS_KEY", "embedded")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // A call without a principal asks STS for the caller's identity, which must not leave this machine.
        .env("AWS_ENDPOINT_URL_STS", endpoint)
        .env("NO_PROXY", "127.0.0.1")
        .env("ZAE_DRIVER_ENDPOINT", endpoint);
    command
}
