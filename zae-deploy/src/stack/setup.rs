//! What a new table needs before anybody can use it.

use zae_limiter::{COMPATIBILITY_LEVEL, DEFAULT_NAMESPACE, Repository, RepositoryError, StackName, VersionUpdate};

use super::{cloud::Cloud, error::StackError, options::StackOptions};

const DEFAULT_AUDIT_RETENTION_DAYS: u32 = 90;

/// Who writes the version record.
fn own_name() -> String {
    concat!("zae-deploy:", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Registers `default`, writes the version record, and stores how long audit events are kept: in a `new` stack always, in
/// an existing one when it was asked for.
pub(super) async fn prepare(
    cloud: &Cloud,
    stack: &StackName,
    options: &StackOptions,
    new: bool,
) -> Result<(), StackError> {
    let retention = options.audit_retention().or_else(|| new.then_some(DEFAULT_AUDIT_RETENTION_DAYS));
    let mut builder =
        Repository::builder().client(cloud.dynamodb()).stack(stack).namespace(DEFAULT_NAMESPACE).create_table();
    if let Some(days) = retention {
        builder = builder.audit_retention_days(days);
    }
    let repository = match builder.build().await {
        Ok(repository) => repository,
        // Somebody deleted it on purpose; it is theirs to recover.
        Err(RepositoryError::NamespaceState { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let level = COMPATIBILITY_LEVEL.parse()?;
    repository.set_version_record(&VersionUpdate::default().lambda_version(level).updated_by(own_name())).await?;
    Ok(())
}
