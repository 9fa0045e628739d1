//! `delete`: removes a stack.

use clap::Args;
use serde::Serialize;
use zae_limiter::StackName;

use super::{cloud, failed, watch};
use crate::{
    cli::{
        CliError, Context,
        args::YesArgs,
        output::{Page, Report, units},
        prompt::confirm,
    },
    stack::{Cloud, DeployedStack, StackError, deletable, delete, start_delete},
};

/// Deletes a stack, its table and all its data. Events archived to S3 are kept, as is the bucket with the Lambda
/// packages, which other stacks use.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zae-deploy delete --name limiter --region us-east-1
  zae-deploy delete --name limiter --yes")]
pub(crate) struct Delete {
    /// Wait until CloudFormation is done [default]
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Do not wait
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    #[command(flatten)]
    yes: YesArgs,
}

#[derive(Serialize)]
struct DeletionReport {
    stack: String,
    /// True if it was deleted; false if it did not exist, and without waiting.
    deleted: bool,
    outcome: DeleteOutcome,
    archive_bucket: Option<String>,
    #[serde(skip)]
    next: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum DeleteOutcome {
    Deleted,
    Started,
    /// There was no such stack.
    Absent,
}

impl DeletionReport {
    fn new(stack: &StackName, outcome: DeleteOutcome, next: String) -> Self {
        let deleted = outcome == DeleteOutcome::Deleted;
        Self { stack: stack.to_string(), deleted, outcome, archive_bucket: None, next }
    }
}

impl Report for DeletionReport {
    fn page(&self, page: &mut Page) {
        match self.outcome {
            DeleteOutcome::Absent => {
                page.line(format!("There is no stack '{}'; nothing to delete", self.stack));
                return page.line(format!("  {} lists the stacks of the region", self.next));
            }
            DeleteOutcome::Started => {
                return page.line(format!("Stack deletion initiated. {} shows its progress.", self.next));
            }
            DeleteOutcome::Deleted => {}
        }
        page.done(&format!("Stack '{}' deleted successfully", self.stack));
        if let Some(bucket) = &self.archive_bucket {
            page.line(format!("  Kept:   s3://{bucket}, with the archived audit events"));
            page.line("  Remove: empty it with all versions in the S3 console, then");
            page.line(format!("          `aws s3api delete-bucket --bucket {bucket}`"));
        }
    }
}

impl Delete {
    pub(super) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let stack = cx.named_stack()?;
        let out = cx.output();
        let cloud = cloud(cx).await?;
        let action = format!("delete stack '{stack}'");
        let fail = |error: StackError| failed(&action, error);
        let found = match deletable(&cloud, &stack).await {
            Err(StackError::NotFound { .. }) => {
                return out.show(&DeletionReport::new(&stack, DeleteOutcome::Absent, cx.elsewhere("list")));
            }
            found => found.map_err(fail)?,
        };
        confirm(&format!("Are you sure you want to delete stack '{stack}'?"), &losses(&cloud, &found).await, self.yes)?;
        out.progress(&format!("Deleting stack: {stack}"));
        let status = cx.command("status");
        if self.no_wait {
            start_delete(&cloud, &stack).await.map_err(fail)?;
            return out.show(&DeletionReport::new(&stack, DeleteOutcome::Started, status));
        }
        let watch = watch::ShownEvents::new(cx, &out);
        let work = async { delete(&cloud, &stack, &watch).await.map_err(fail) };
        let left = || format!("CloudFormation continues deleting stack {stack}: {status} shows its progress.");
        let deleted = watch::unless_interrupted(work, left).await?;
        out.show(&DeletionReport {
            archive_bucket: deleted.archive_bucket,
            ..DeletionReport::new(&stack, DeleteOutcome::Deleted, status)
        })
    }
}

/// Lists what will be lost, and what will remain.
async fn losses(cloud: &Cloud, stack: &DeployedStack) -> Vec<String> {
    let table = cloud.dynamodb().describe_table().table_name(&stack.name).send().await.ok().and_then(|t| t.table);
    let mut losses = Vec::new();
    if let Some(table) = table {
        let items = units::roughly(table.item_count.unwrap_or_default().unsigned_abs());
        let size = units::bytes_roughly(table.table_size_bytes.unwrap_or_default().unsigned_abs());
        losses.push(format!(
            "table {} with {items} items ({size}): limits, entities, buckets, usage and audit of all its namespaces",
            stack.name
        ));
    }
    let policies = stack.outputs.keys().filter(|name| name.ends_with("PolicyArn")).count();
    let roles = stack.outputs.keys().filter(|name| name.ends_with("RoleArn")).count();
    if policies + roles > 0 {
        losses.push(format!("{policies} IAM policies and {roles} roles that applications may be using"));
    }
    if let Some(bucket) = stack.outputs.get("AuditArchiveBucketName") {
        losses.push(format!("not the archived audit events: s3://{bucket} stays unless it is empty"));
    }
    losses
}
