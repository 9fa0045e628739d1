//! The builder of options.

use super::{IndexProjection, NameFormat, OptionError, Recovery, Set, StackOptions, check};

/// Builder of [`StackOptions`]; [`build`](Self::build) validates them.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct StackOptionsBuilder {
    set: Set,
    role_name_format: Option<String>,
    policy_name_format: Option<String>,
}

impl StackOptionsBuilder {
    /// Sets the windows of usage snapshots, separated by commas: `hourly`, `daily`, `monthly`.
    pub fn snapshot_windows(mut self, windows: impl Into<String>) -> Self {
        self.set.snapshot_windows = Some(windows.into());
        self
    }

    /// Sets the days after which usage snapshots expire, 1 to 3650.
    pub fn usage_retention_days(mut self, days: u32) -> Self {
        self.set.usage_retention_days = Some(days);
        self
    }

    /// Sets the days after which audit events of the namespace `default` expire, 1 to 36500. Stored in the table, not
    /// in the stack.
    pub fn audit_retention_days(mut self, days: u32) -> Self {
        self.set.audit_retention_days = Some(days);
        self
    }

    /// Enables the Lambda function that turns the table's stream into usage snapshots.
    pub fn enable_aggregator(mut self) -> Self {
        self.set.enable_aggregator = Some(true);
        self
    }

    /// Disables the Lambda function that turns the table's stream into usage snapshots.
    pub fn disable_aggregator(mut self) -> Self {
        self.set.enable_aggregator = Some(false);
        self
    }

    /// Enables point-in-time recovery of the table, for this many days back: 1 to 35.
    pub fn pitr_recovery_days(mut self, days: u32) -> Self {
        self.set.recovery = Some(Recovery::Days(days));
        self
    }

    /// Disables point-in-time recovery of the table.
    pub fn no_pitr(mut self) -> Self {
        self.set.recovery = Some(Recovery::Off);
        self
    }

    /// Sets the days that logs of the functions are kept: one of
    /// [`LOG_RETENTION_DAYS`](crate::stack::LOG_RETENTION_DAYS).
    pub fn log_retention_days(mut self, days: u32) -> Self {
        self.set.log_retention_days = Some(days);
        self
    }

    /// Sets the timeout of the aggregator in seconds, 1 to 900.
    pub fn lambda_timeout(mut self, seconds: u32) -> Self {
        self.set.lambda_timeout = Some(seconds);
        self
    }

    /// Sets the memory of the aggregator in MB, 128 to 3008.
    pub fn lambda_memory(mut self, megabytes: u32) -> Self {
        self.set.lambda_memory = Some(megabytes);
        self
    }

    /// Enables CloudWatch alarms.
    pub fn enable_alarms(mut self) -> Self {
        self.set.enable_alarms = Some(true);
        self
    }

    /// Disables CloudWatch alarms.
    pub fn disable_alarms(mut self) -> Self {
        self.set.enable_alarms = Some(false);
        self
    }

    /// Enables the CloudWatch dashboard.
    pub fn enable_dashboard(mut self) -> Self {
        self.set.enable_dashboard = Some(true);
        self
    }

    /// Disables the CloudWatch dashboard.
    pub fn disable_dashboard(mut self) -> Self {
        self.set.enable_dashboard = Some(false);
        self
    }

    /// Sets the ARN of the SNS topic that alarms notify; empty for none.
    pub fn alarm_sns_topic(mut self, arn: impl Into<String>) -> Self {
        self.set.alarm_sns_topic = Some(arn.into());
        self
    }

    /// Sets the average share of its timeout, in percent, above which the aggregator's duration raises an alarm: 1 to
    /// 100.
    pub fn lambda_duration_threshold_pct(mut self, percent: u32) -> Self {
        self.set.lambda_duration_threshold_pct = Some(percent);
        self
    }

    /// Sets the name or ARN of the permissions boundary of all roles; empty for none. IAM has no boundaries for
    /// policies.
    pub fn permission_boundary(mut self, boundary: impl Into<String>) -> Self {
        self.set.permission_boundary = Some(boundary.into());
        self
    }

    /// Sets the format of names of roles, with `{}` for `STACK-part`, for example `PowerUserPB-{}`.
    pub fn role_name_format(mut self, format: impl Into<String>) -> Self {
        self.role_name_format = Some(format.into());
        self
    }

    /// Sets the format of names of managed policies, with `{}` for `STACK-part`.
    pub fn policy_name_format(mut self, format: impl Into<String>) -> Self {
        self.policy_name_format = Some(format.into());
        self
    }

    /// Enables the archival of audit events to S3 when they expire.
    pub fn enable_audit_archival(mut self) -> Self {
        self.set.enable_audit_archival = Some(true);
        self
    }

    /// Disables the archival of audit events to S3 when they expire.
    pub fn disable_audit_archival(mut self) -> Self {
        self.set.enable_audit_archival = Some(false);
        self
    }

    /// Sets the days after which archived events move to Glacier Instant Retrieval, 1 to 3650.
    pub fn audit_archive_glacier_days(mut self, days: u32) -> Self {
        self.set.audit_archive_glacier_days = Some(days);
        self
    }

    /// Enables the tracing of the aggregator with X-Ray.
    pub fn enable_tracing(mut self) -> Self {
        self.set.enable_tracing = Some(true);
        self
    }

    /// Disables the tracing of the aggregator with X-Ray.
    pub fn disable_tracing(mut self) -> Self {
        self.set.enable_tracing = Some(false);
        self
    }

    /// Creates roles for applications, administrators and monitoring.
    pub fn create_iam_roles(mut self) -> Self {
        self.set.create_iam_roles = Some(true);
        self
    }

    /// Creates no roles for applications, administrators and monitoring.
    pub fn no_iam_roles(mut self) -> Self {
        self.set.create_iam_roles = Some(false);
        self
    }

    /// Creates managed policies, and roles for the functions.
    pub fn create_iam(mut self) -> Self {
        self.set.create_iam = Some(true);
        self
    }

    /// Creates no managed policies, and no roles for the functions. Without them, there is no provisioner, and an
    /// aggregator only with [`aggregator_role_arn`](Self::aggregator_role_arn).
    pub fn no_iam(mut self) -> Self {
        self.set.create_iam = Some(false);
        self
    }

    /// Sets an existing role for the aggregator; empty for a new one.
    pub fn aggregator_role_arn(mut self, arn: impl Into<String>) -> Self {
        self.set.aggregator_role_arn = Some(arn.into());
        self
    }

    /// Enables the table's protection against deletion.
    pub fn enable_deletion_protection(mut self) -> Self {
        self.set.enable_deletion_protection = Some(true);
        self
    }

    /// Disables the table's protection against deletion.
    pub fn disable_deletion_protection(mut self) -> Self {
        self.set.enable_deletion_protection = Some(false);
        self
    }

    /// Sets the ARN of a customer-managed key for table, logs, environment, dead letters and archive; empty for keys of
    /// AWS.
    pub fn kms_key_arn(mut self, arn: impl Into<String>) -> Self {
        self.set.kms_key_arn = Some(arn.into());
        self
    }

    /// Sets the content of the index over buckets; for new stacks only.
    pub fn index_projection(mut self, projection: IndexProjection) -> Self {
        self.set.index_projection = Some(projection);
        self
    }

    /// Adds a tag for the stack and its resources. The last value of a key counts.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set.tags.insert(key.into(), value.into());
        self
    }

    /// Validates the options.
    ///
    /// # Errors
    /// [`OptionError`] naming the first invalid option.
    pub fn build(self) -> Result<StackOptions, OptionError> {
        let Self { mut set, role_name_format, policy_name_format } = self;
        check::numbers(&set)?;
        set.snapshot_windows = set.snapshot_windows.map(|windows| check::windows(&windows)).transpose()?;
        set.role_name_format = role_name_format.map(|format| NameFormat::role(&format)).transpose()?;
        set.policy_name_format = policy_name_format.map(|format| NameFormat::policy(&format)).transpose()?;
        check::roles(&set)?;
        check::key(&set)?;
        check::tags(&set.tags)?;
        Ok(StackOptions { set })
    }
}
