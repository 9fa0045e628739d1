//! The options of `deploy`.

use clap::{Args, ValueEnum};

use crate::{
    cli::CliError,
    stack::{IndexProjection, LOG_RETENTION_DAYS, StackOptions},
};

/// The desired state of the stack. Omitted options are unchanged in an existing stack.
#[derive(Args, Debug)]
pub(super) struct StackArgs {
    /// Days after which usage snapshots expire [default: 90]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650), help_heading = "Data")]
    usage_retention_days: Option<u32>,
    /// Days after which audit events of the namespace `default` expire [default: 90]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Data")]
    audit_retention_days: Option<u32>,
    /// Recover the table to any point of this many days, 1-35 [default: no recovery]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=35), help_heading = "Data")]
    pitr_recovery_days: Option<u32>,
    /// Disable point-in-time recovery
    #[arg(long, conflicts_with = "pitr_recovery_days", help_heading = "Data")]
    no_pitr: bool,
    /// Protect the table against deletion
    #[arg(long, overrides_with = "no_deletion_protection", help_heading = "Data")]
    enable_deletion_protection: bool,
    /// Permit deletion of the table [default]
    #[arg(long, overrides_with = "enable_deletion_protection", help_heading = "Data")]
    no_deletion_protection: bool,
    /// Customer-managed key for table, logs, environment, dead letters and archive; "" for keys of AWS
    #[arg(long, value_name = "ARN", help_heading = "Data")]
    kms_key_arn: Option<String>,
    /// Content of the index over buckets; lean halves the write units of an acquire, and can only be chosen when the
    /// stack is created [default: full]
    #[arg(long, value_name = "KIND", help_heading = "Data")]
    index_projection: Option<Projection>,

    /// Deploy the Lambda aggregator: usage snapshots, refills, audit archive [default]
    #[arg(long, overrides_with = "no_aggregator", help_heading = "Aggregator")]
    enable_aggregator: bool,
    /// Do not deploy the aggregator
    #[arg(long, overrides_with = "enable_aggregator", help_heading = "Aggregator")]
    no_aggregator: bool,
    /// Windows of usage snapshots: hourly, daily, monthly [default: hourly,daily]
    #[arg(long, value_name = "LIST", help_heading = "Aggregator")]
    snapshot_windows: Option<String>,
    /// Timeout of the aggregator, 1-900 [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Aggregator")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=900))]
    lambda_timeout: Option<u32>,
    /// Memory of the aggregator, 128-3008 [default: 256]
    #[arg(long, value_name = "MB", help_heading = "Aggregator")]
    #[arg(value_parser = clap::value_parser!(u32).range(128..=3008))]
    lambda_memory: Option<u32>,
    /// Days that CloudWatch keeps the functions' logs [default: 30]
    #[arg(long, value_name = "DAYS", value_parser = log_retention, help_heading = "Aggregator")]
    log_retention_days: Option<u32>,
    /// Trace the aggregator with X-Ray
    #[arg(long, overrides_with = "no_tracing", help_heading = "Aggregator")]
    enable_tracing: bool,
    /// Do not trace the aggregator [default]
    #[arg(long, overrides_with = "enable_tracing", help_heading = "Aggregator")]
    no_tracing: bool,
    /// Archive expired audit events to S3 [default]
    #[arg(long, overrides_with = "no_audit_archival", help_heading = "Aggregator")]
    enable_audit_archival: bool,
    /// Do not archive: expired audit events are lost
    #[arg(long, overrides_with = "enable_audit_archival", help_heading = "Aggregator")]
    no_audit_archival: bool,
    /// Days after which archived events move to Glacier Instant Retrieval, 1-3650 [default: 90]
    #[arg(long, value_name = "DAYS", help_heading = "Aggregator")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3650))]
    audit_archive_glacier_days: Option<u32>,

    /// Create CloudWatch alarms [default]
    #[arg(long, overrides_with = "no_alarms", help_heading = "Alarms")]
    enable_alarms: bool,
    /// Do not create alarms
    #[arg(long, overrides_with = "enable_alarms", help_heading = "Alarms")]
    no_alarms: bool,
    /// SNS topic that alarms notify; "" for none
    #[arg(long, value_name = "ARN", help_heading = "Alarms")]
    alarm_sns_topic: Option<String>,
    /// Percentage of its timeout above which the aggregator raises an alarm, 1-100 [default: 80]
    #[arg(long, value_name = "PERCENT", help_heading = "Alarms")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    lambda_duration_threshold_pct: Option<u32>,
    /// Create a CloudWatch dashboard: capacity, throttling, contention, latency, functions, dead letters
    #[arg(long, overrides_with = "no_dashboard", help_heading = "Alarms")]
    enable_dashboard: bool,
    /// Do not create a dashboard [default]
    #[arg(long, overrides_with = "enable_dashboard", help_heading = "Alarms")]
    no_dashboard: bool,

    /// Create managed policies, and roles for the functions [default]
    #[arg(long, overrides_with = "no_iam", help_heading = "IAM")]
    iam: bool,
    /// Do not create IAM resources; then there is no provisioner, and an aggregator only with --aggregator-role-arn
    #[arg(long, overrides_with = "iam", help_heading = "IAM")]
    no_iam: bool,
    /// Create roles for applications, administrators and monitoring
    #[arg(long, visible_alias = "enable-iam-roles", overrides_with = "no_create_iam_roles", help_heading = "IAM")]
    create_iam_roles: bool,
    /// Do not create these roles [default]
    #[arg(long, visible_alias = "no-iam-roles", overrides_with = "create_iam_roles", help_heading = "IAM")]
    no_create_iam_roles: bool,
    /// Existing role for the aggregator; "" for a new one
    #[arg(long, value_name = "ARN", help_heading = "IAM")]
    aggregator_role_arn: Option<String>,
    /// Permissions boundary of all roles, by name or ARN; "" for none
    #[arg(long, value_name = "POLICY", help_heading = "IAM")]
    permission_boundary: Option<String>,
    /// Format of the names of roles, with {} for STACK-part, such as 'PowerUserPB-{}'
    #[arg(long, value_name = "FORMAT", help_heading = "IAM")]
    role_name_format: Option<String>,
    /// Format of the names of managed policies, with {} for STACK-part
    #[arg(long, value_name = "FORMAT", help_heading = "IAM")]
    policy_name_format: Option<String>,

    /// Tag of the stack and its resources; repeatable
    #[arg(short, long, value_name = "KEY=VALUE")]
    tag: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Projection {
    Full,
    Lean,
}

fn log_retention(text: &str) -> Result<u32, String> {
    let known = || LOG_RETENTION_DAYS.map(|days| days.to_string()).join(", ");
    let days = text.parse().ok().filter(|days| LOG_RETENTION_DAYS.contains(days));
    days.ok_or_else(|| format!("CloudWatch keeps logs for {} days", known()))
}

impl StackArgs {
    /// Parses the tags, each of the form `KEY=VALUE`.
    fn tags(&self) -> Result<Vec<(&str, &str)>, CliError> {
        let wrong = |tag: &String| format!("Invalid tag format '{tag}'. Use KEY=VALUE.");
        self.tag.iter().map(|tag| tag.split_once('=').ok_or_else(|| CliError::Invalid(wrong(tag)))).collect()
    }

    /// Validates the options.
    pub(super) fn options(&self) -> Result<StackOptions, CliError> {
        if self.no_iam && self.create_iam_roles {
            return Err(CliError::Invalid("--create-iam-roles cannot be used with --no-iam".to_owned()));
        }
        let mut builder = StackOptions::builder();
        macro_rules! given {
            ($($option:ident = $value:expr;)*) => {
                $(if let Some(value) = $value { builder = builder.$option(value); })*
            };
        }
        macro_rules! flags {
            ($($flag:ident => $choice:ident;)*) => {
                $(if self.$flag { builder = builder.$choice(); })*
            };
        }
        given! {
            usage_retention_days = self.usage_retention_days;
            audit_retention_days = self.audit_retention_days;
            pitr_recovery_days = self.pitr_recovery_days;
            kms_key_arn = self.kms_key_arn.as_ref();
            index_projection = self.index_projection.map(|projection| match projection {
                Projection::Full => IndexProjection::Full,
                Projection::Lean => IndexProjection::Lean,
            });
            snapshot_windows = self.snapshot_windows.as_ref();
            lambda_timeout = self.lambda_timeout;
            lambda_memory = self.lambda_memory;
            log_retention_days = self.log_retention_days;
            audit_archive_glacier_days = self.audit_archive_glacier_days;
            alarm_sns_topic = self.alarm_sns_topic.as_ref();
            lambda_duration_threshold_pct = self.lambda_duration_threshold_pct;
            aggregator_role_arn = self.aggregator_role_arn.as_ref();
            permission_boundary = self.permission_boundary.as_ref();
            role_name_format = self.role_name_format.as_ref();
            policy_name_format = self.policy_name_format.as_ref();
        }
        // Of two opposite flags, clap keeps the last.
        flags! {
            no_pitr => no_pitr;
            enable_deletion_protection => enable_deletion_protection;
            no_deletion_protection => disable_deletion_protection;
            enable_aggregator => enable_aggregator;
            no_aggregator => disable_aggregator;
            enable_tracing => enable_tracing;
            no_tracing => disable_tracing;
            enable_audit_archival => enable_audit_archival;
            no_audit_archival => disable_audit_archival;
            enable_alarms => enable_alarms;
            no_alarms => disable_alarms;
            enable_dashboard => enable_dashboard;
            no_dashboard => disable_dashboard;
            iam => create_iam;
            no_iam => no_iam;
            create_iam_roles => create_iam_roles;
            no_create_iam_roles => no_iam_roles;
        }
        for (key, value) in self.tags()? {
            builder = builder.tag(key, value);
        }
        builder.build().map_err(|error| super::failed("deploy", error.into()))
    }
}
