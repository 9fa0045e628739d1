//! Prepares a new table for its first use.

use aws_sdk_dynamodb::Client;
use zae_limiter::{
    Repository, RepositoryError, StackName,
    name::DEFAULT_NAMESPACE,
    version::{COMPATIBILITY_LEVEL, VersionUpdate},
};

use super::{cloud::Cloud, error::StackError};
#[cfg(feature = "local")]
use super::{
    error::OptionError,
    options::StackOptions,
    parameters::{self, Parameters},
    tags,
};

/// Returns the parameters and tags of a new stack with the default options.
#[cfg(feature = "local")]
pub(crate) fn new_stack(stack: &StackName) -> Result<(Parameters, Parameters), OptionError> {
    let wanted = parameters::wanted(&StackOptions::default(), None, stack, None)?;
    let none = Parameters::new();
    Ok((parameters::effective(&wanted, None), tags::all(stack.as_str(), &none, &none)))
}

/// Default retention of audit events in a new stack, in days.
pub(super) const DEFAULT_AUDIT_RETENTION_DAYS: u32 = 90;

/// Returns the name of the writer of the version record.
fn own_name() -> String {
    concat!("zae-deploy:", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Registers `default`, writes the version record, and stores the retention of audit events; `None` keeps the stored
/// one.
pub(super) async fn prepare(cloud: &Cloud, stack: &StackName, retention: Option<u32>) -> Result<(), StackError> {
    prepare_table(cloud.dynamodb(), stack, retention).await
}

/// Like [`prepare`], for a table behind `client`.
pub(crate) async fn prepare_table(client: Client, stack: &StackName, retention: Option<u32>) -> Result<(), StackError> {
    let mut builder = Repository::builder().client(client).stack(stack).namespace(DEFAULT_NAMESPACE).create_table();
    if let Some(days) = retention {
        builder = builder.audit_retention_days(days);
    }
    let repository = match builder.build().await {
        Ok(repository) => repository,
        // It was deleted deliberately, so it is left to its owner to recover.
        Err(RepositoryError::NamespaceState { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let level = COMPATIBILITY_LEVEL.parse()?;
    repository.set_version_record(&VersionUpdate::default().lambda_version(level).updated_by(own_name())).await?;
    Ok(())
}
