//! `status`: the status of a stack.

use std::time::Instant;

use aws_sdk_dynamodb::{error::ProvideErrorMetadata, types::TableDescription};
use serde::Serialize;
use zae_limiter::StackName;

use super::{
    cloud,
    lacks::{self, Lack, Records},
};
use crate::{
    cli::{
        CliError, Context,
        output::{Output, Page, Report, units},
    },
    package::Function,
    stack::{Cloud, DeployedFunction, DeployedStack, Runs, StackError, StackState, describe, functions},
};

const POLICIES: [(&str, &str); 6] = [
    ("AcquireOnly", "AcquireOnlyPolicyArn"),
    ("FullAccess", "FullAccessPolicyArn"),
    ("ReadOnly", "ReadOnlyPolicyArn"),
    ("NsAcquire", "NamespaceAcquirePolicyArn"),
    ("NsFullAccess", "NamespaceFullAccessPolicyArn"),
    ("NsReadOnly", "NamespaceReadOnlyPolicyArn"),
];
const ROLES: [(&str, &str); 3] = [("App", "AppRoleArn"), ("Admin", "AdminRoleArn"), ("ReadOnly", "ReadOnlyRoleArn")];

#[derive(Serialize)]
struct StatusReport {
    stack: String,
    region: String,
    available: bool,
    latency_ms: Option<u64>,
    stack_status: Option<String>,
    stack_status_reason: Option<String>,
    table_status: Option<String>,
    aggregator: bool,
    provisioner: bool,
    client_version: &'static str,
    schema_version: Option<String>,
    lambda_version: Option<String>,
    items: Option<u64>,
    size_bytes: Option<u64>,
    deletion_protection: bool,
    /// The ARN of the customer-managed key of the table.
    kms_key_arn: Option<String>,
    functions: Vec<DeployedFunction>,
    lacks: Vec<Lack>,
    policies: Vec<Arn>,
    roles: Vec<Arn>,
    #[serde(skip)]
    closing: Option<&'static str>,
}

#[derive(Serialize)]
struct Arn {
    name: &'static str,
    arn: String,
}

impl Report for StatusReport {
    fn page(&self, page: &mut Page) {
        let yes = |yes: bool, on: &str, off: &str| if yes { on.to_owned() } else { off.to_owned() };
        let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
        page.blank();
        page.heading(&format!("Status: {}", self.stack));
        page.rule('=', 50);
        section(
            page,
            "Connectivity",
            [
                ("Available", yes(self.available, "✓ Yes", "✗ No")),
                ("Latency", self.latency_ms.map_or_else(|| "N/A".to_owned(), |ms| format!("{ms}ms"))),
                ("Region", self.region.clone()),
            ],
        );
        section(
            page,
            "Infrastructure",
            [
                ("Stack", or(&self.stack_status, "Not found")),
                ("Table", or(&self.table_status, "Not found")),
                ("Aggregator", self.code(Function::Aggregator, self.aggregator)),
                ("Provisioner", self.code(Function::Provisioner, self.provisioner)),
                ("Protected", yes(self.deletion_protection, "Yes", "No")),
                ("Encryption", or(&self.kms_key_arn, "AWS's own key")),
            ],
        );
        if let Some(reason) = &self.stack_status_reason {
            page.line(format!("  Reason:        {reason}"));
        }
        section(
            page,
            "Versions",
            [
                ("Client", self.client_version.to_owned()),
                ("Schema", or(&self.schema_version, "N/A")),
                ("Lambda", or(&self.lambda_version, "N/A")),
            ],
        );
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "N/A".to_owned());
        section(
            page,
            "Table Metrics",
            [
                ("Items", or_none(self.items.map(units::roughly))),
                ("Size", or_none(self.size_bytes.map(units::bytes_roughly))),
            ],
        );
        for (title, arns) in [("IAM Policies", &self.policies), ("IAM Roles", &self.roles)] {
            if !arns.is_empty() {
                section(page, title, arns.iter().map(|arn| (arn.name, arn.arn.clone())));
            }
        }
        page.blank();
        for lack in &self.lacks {
            page.line(format!("⚠️  {}", lack.what));
            page.line(format!("  → {}", lack.next));
        }
        if let Some(closing) = self.closing {
            page.line(closing);
        }
    }
}

impl StatusReport {
    /// Describes the presence of a function, and its code if that is not this project's package.
    fn code(&self, function: Function, enabled: bool) -> String {
        let deployed = self.functions.iter().find(|deployed| deployed.function() == function);
        let Some(deployed) = deployed.filter(|_| enabled) else {
            return if enabled { "Enabled" } else { "Disabled" }.to_owned();
        };
        match deployed.runs {
            Runs::Placeholder => "Placeholder".to_owned(),
            Runs::Missing => "Missing".to_owned(),
            Runs::PythonPackage => "Enabled (Python package)".to_owned(),
            Runs::Other => format!("Enabled (other code: {})", deployed.handler.as_deref().unwrap_or("unknown")),
            Runs::Package | Runs::Unknown => "Enabled".to_owned(),
        }
    }
}

/// Writes a title, and labels in a column of the same width in every section.
fn section<'a>(page: &mut Page, title: &str, rows: impl IntoIterator<Item = (&'a str, String)>) {
    page.blank();
    page.heading(title);
    for (label, value) in rows {
        page.line(format!("  {:<14} {value}", format!("{label}:")));
    }
}

pub(super) async fn run(cx: &Context, out: &Output) -> Result<(), CliError> {
    let name = cx.named_stack()?;
    let cloud = cloud(cx).await?;
    // A table without a stack, as in a local DynamoDB, has a status, too.
    let stack = describe(&cloud, &name).await;
    let begun = Instant::now();
    let table = describe_table(&cloud, &name).await;
    let latency = u64::try_from(begun.elapsed().as_millis()).ok();
    let causes = [stack.as_ref().err(), table.as_ref().err()];
    let causes: Vec<String> = causes.into_iter().flatten().map(|error| format!("the cause: {error}")).collect();
    let status = collect(cx, &cloud, &name, stack.ok().flatten(), table.ok().flatten(), latency).await;
    out.show(&status)?;
    if !status.available {
        let mut error = CliError::problem("Infrastructure is not available");
        if status.stack_status.is_none() && causes.is_empty() {
            error = error
                .next(format!("{} creates it", cx.command("deploy")))
                .next("`zae-deploy list` shows the stacks of a region");
        }
        return Err(causes.into_iter().fold(error, CliError::next));
    }
    let state = status.stack_status.as_deref().map(StackState::new);
    match state.filter(|state| state.is_failed() && !state.is_in_progress() && !state.is_usable()) {
        Some(state) => {
            let error = CliError::problem(format!("Stack is in failed state {state}"));
            Err(state.advice(&name).into_iter().fold(error, CliError::next))
        }
        None => Ok(()),
    }
}

async fn describe_table(cloud: &Cloud, name: &StackName) -> Result<Option<TableDescription>, StackError> {
    match cloud.dynamodb().describe_table().table_name(name.as_str()).send().await {
        Ok(answer) => Ok(answer.table),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(StackError::from_sdk("dynamodb:DescribeTable", error)),
    }
}

async fn collect(
    cx: &Context,
    cloud: &Cloud,
    name: &StackName,
    stack: Option<DeployedStack>,
    table: Option<TableDescription>,
    latency: Option<u64>,
) -> StatusReport {
    let records = match &table {
        Some(_) => records(cloud, name).await,
        None => None,
    };
    let functions = match &stack {
        Some(stack) => functions(cloud, stack).await,
        None => Vec::new(),
    };
    let lacks = records.iter().filter_map(|records| records.lack(cx));
    let lacks: Vec<Lack> = lacks.chain(functions.iter().filter_map(|function| lacks::function(cx, function))).collect();
    let record = records.and_then(|records| records.version).unwrap_or_default();
    // The record contains the level of a deployment; a placeholder has none.
    let runs_nothing = |function: &DeployedFunction| {
        function.function() == Function::Aggregator && matches!(function.runs, Runs::Placeholder | Runs::Missing)
    };
    let lambda_version = record.lambda_version.filter(|_| !functions.iter().any(runs_nothing));
    let output = |key: &str| stack.as_ref().and_then(|stack| stack.outputs.get(key)).cloned();
    let arns = |rows: &[(&'static str, &str)]| -> Vec<Arn> {
        rows.iter().filter_map(|(name, key)| Some(Arn { name, arn: output(key)? })).collect()
    };
    let available = table.is_some();
    let closing = match stack.as_ref().map(|stack| &stack.state) {
        _ if !available => None,
        Some(state) if state.is_in_progress() => Some("⏳ Operation in progress..."),
        Some(state) if state.is_healthy() && !lacks.is_empty() => Some("⚠️  Infrastructure is not complete"),
        Some(state) if state.is_healthy() => Some("✓ Infrastructure is ready"),
        Some(state) if state.is_usable() => Some("⚠️  The last update was rolled back; the stack works as before"),
        _ => None,
    };
    let count = |value: Option<i64>| value.map(i64::unsigned_abs);
    StatusReport {
        stack: name.to_string(),
        region: cloud.region().to_owned(),
        available,
        latency_ms: latency.filter(|_| available),
        aggregator: output("AggregatorFunctionName").is_some(),
        provisioner: output("ProvisionerFunctionName").is_some(),
        client_version: env!("CARGO_PKG_VERSION"),
        schema_version: record.schema_version,
        lambda_version,
        items: count(table.as_ref().and_then(|table| table.item_count)),
        size_bytes: count(table.as_ref().and_then(|table| table.table_size_bytes)),
        deletion_protection: table.as_ref().and_then(|table| table.deletion_protection_enabled) == Some(true),
        kms_key_arn: table.as_ref().and_then(key_of),
        functions,
        lacks,
        table_status: table.and_then(|table| table.table_status).map(|status| status.as_str().to_owned()),
        policies: arns(&POLICIES),
        roles: arns(&ROLES),
        stack_status_reason: stack.as_ref().and_then(|stack| stack.reason.clone()),
        stack_status: stack.map(|stack| stack.state.to_string()),
        closing,
    }
}

/// Reads the table's own records, if they are readable.
async fn records(cloud: &Cloud, name: &StackName) -> Option<Records> {
    let builder = zae_limiter::Repository::builder().stack(name).client(cloud.dynamodb());
    Records::read(&builder.build_registry().await.ok()?).await.ok()
}

/// Returns the customer-managed key of a table, if it has one.
fn key_of(table: &TableDescription) -> Option<String> {
    table.sse_description()?.kms_master_key_arn().map(str::to_owned)
}
