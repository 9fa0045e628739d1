//! Removing a stack: [`delete`].

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use zae_limiter::StackName;

use super::{
    cloud::Cloud,
    describe::{DeployedStack, describe, is_limiter},
    error::{Protected, StackError},
    progress::{Follow, Watch},
};

/// The stack's resources that outlive its deletion.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DeletedStack {
    /// The bucket with archived audit events. An empty one is deleted, too.
    pub archive_bucket: Option<String>,
}

/// Returns the stack that [`delete`] would remove.
///
/// # Errors
/// [`StackError::NotFound`]; [`StackError::NameTaken`] if it is not a rate limiter; [`StackError::Protected`].
pub async fn deletable(cloud: &Cloud, stack: &StackName) -> Result<DeployedStack, StackError> {
    let Some(found) = describe(cloud, stack).await? else {
        return Err(StackError::NotFound { stack: stack.clone() });
    };
    // A stack whose creation failed, or that is partially deleted, may have no table to be recognised by.
    if !found.state.is_failed() && !is_limiter(cloud, &found).await? {
        return Err(StackError::NameTaken { stack: stack.clone() });
    }
    let protected = |what| Err(StackError::Protected { stack: stack.clone(), what });
    if found.protected {
        return protected(Protected::Stack);
    }
    match cloud.dynamodb().describe_table().table_name(stack.as_str()).send().await {
        Ok(answer) if answer.table().and_then(|table| table.deletion_protection_enabled) == Some(true) => {
            protected(Protected::Table)
        }
        Ok(_) => Ok(found),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(found),
        Err(error) => Err(StackError::from_sdk("dynamodb:DescribeTable", error)),
    }
}

/// Removes a stack with its table and **all data in it**, and waits until it is gone. Archived audit events stay.
///
/// Dropping the future does not stop CloudFormation.
///
/// # Errors
/// [`StackError::Failed`] with the resource that could not be deleted and its reason.
pub async fn delete(cloud: &Cloud, stack: &StackName, watch: &dyn Watch) -> Result<DeletedStack, StackError> {
    let found = deletable(cloud, stack).await?;
    let mut follow = Follow::from_now(cloud, stack, &found.id).await?;
    start(cloud, stack).await?;
    let gone = match follow.until_done(watch).await {
        Ok(gone) => gone,
        // A stand-in may forget a deleted stack immediately.
        Err(StackError::NotFound { .. }) => return remains(cloud, &found).await,
        Err(error) => return Err(error),
    };
    if !gone.state.is_deleted() {
        let (stack, state) = (stack.clone(), gone.state);
        return Err(StackError::Failed { stack, state, failure: follow.take_failure() });
    }
    remains(cloud, &found).await
}

/// Starts the removal of a stack without waiting.
///
/// # Errors
/// [`StackError::Denied`] and [`StackError::Service`].
pub async fn start_delete(cloud: &Cloud, stack: &StackName) -> Result<(), StackError> {
    deletable(cloud, stack).await?;
    start(cloud, stack).await
}

async fn start(cloud: &Cloud, stack: &StackName) -> Result<(), StackError> {
    let answer = cloud.cloudformation().delete_stack().stack_name(stack.as_str()).send().await;
    answer.map(drop).map_err(|error| StackError::from_sdk("cloudformation:DeleteStack", error))
}

/// Removes the archive's bucket if nothing was ever archived.
async fn remains(cloud: &Cloud, stack: &DeployedStack) -> Result<DeletedStack, StackError> {
    let Some(bucket) = stack.outputs.get("AuditArchiveBucketName") else { return Ok(DeletedStack::default()) };
    match cloud.s3().delete_bucket().bucket(bucket).send().await {
        Ok(_) => Ok(DeletedStack::default()),
        Err(error) if error.code() == Some("NoSuchBucket") => Ok(DeletedStack::default()),
        // It is not empty, or cannot be removed; in both cases it remains, and its owner should know.
        Err(error) => {
            tracing::debug!(%error, bucket, "the archive stays");
            Ok(DeletedStack { archive_bucket: Some(bucket.clone()) })
        }
    }
}
