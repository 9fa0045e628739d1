//! What a stack shall be: [`StackOptions`].

use std::collections::BTreeMap;

use super::{error::OptionError, names::NameFormat};

/// How long CloudWatch can keep logs, in days.
pub const LOG_RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const WINDOWS: [&str; 3] = ["hourly", "daily", "monthly"];
/// CloudFormation takes 50 tags, and six are our own.
const MAX_TAGS: usize = 44;
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;

/// What the index over buckets by resource holds. It is fixed when the table is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexProjection {
    /// Whole buckets, as the Python package reads them.
    #[default]
    Full,
    /// Their keys only: an acquire costs half the write units, and Python clients cannot list capacities or usage by
    /// resource.
    Lean,
}

impl IndexProjection {
    /// As the template has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Lean => "lean",
        }
    }
}

/// Point-in-time recovery of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    Off,
    Days(u32),
}

/// What a stack shall be. What is not set stays as it is in an existing stack, and gets its default in a new one.
///
/// | option | default |
/// |---|---|
/// | `snapshot_windows` | `hourly,daily` |
/// | `usage_retention_days`, `audit_retention_days` | 90 |
/// | `enable_aggregator`, `enable_alarms`, `enable_audit_archival`, `create_iam` | true |
/// | `create_iam_roles`, `enable_tracing`, `enable_deletion_protection` | false |
/// | `pitr_recovery_days` | none: no point-in-time recovery |
/// | `log_retention_days` | 30 |
/// | `lambda_timeout`, `lambda_memory` | 60 s, 256 MB |
/// | `lambda_duration_threshold_pct` | 80 |
/// | `audit_archive_glacier_days` | 90 |
/// | `index_projection` | full |
///
/// ```
/// use zae_deploy::stack::StackOptions;
/// let options = StackOptions::builder().usage_retention_days(30).enable_tracing(true).build()?;
/// assert!(StackOptions::builder().pitr_recovery_days(36).build().is_err());
/// # Ok::<(), zae_deploy::stack::OptionError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    pub(super) set: Set,
}

impl StackOptions {
    /// Starts choosing options.
    pub fn builder() -> StackOptionsBuilder {
        StackOptionsBuilder::default()
    }

    /// Whether IAM resources are wanted; `None` leaves it to the stack.
    pub fn creates_iam(&self) -> Option<bool> {
        self.set.create_iam
    }

    /// Whether the options name a role for the aggregator.
    pub fn has_aggregator_role(&self) -> bool {
        self.set.aggregator_role_arn.as_deref().is_some_and(|arn| !arn.is_empty())
    }

    /// For how many days audit events of the namespace `default` are kept.
    pub fn audit_retention(&self) -> Option<u32> {
        self.set.audit_retention_days
    }

    /// The tags of the stack that the user wants.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.set.tags
    }
}

/// The options as they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) snapshot_windows: Option<String>,
    pub(super) usage_retention_days: Option<u32>,
    pub(super) audit_retention_days: Option<u32>,
    pub(super) enable_aggregator: Option<bool>,
    pub(super) recovery: Option<Recovery>,
    pub(super) log_retention_days: Option<u32>,
    pub(super) lambda_timeout: Option<u32>,
    pub(super) lambda_memory: Option<u32>,
    pub(super) enable_alarms: Option<bool>,
    pub(super) alarm_sns_topic: Option<String>,
    pub(super) lambda_duration_threshold_pct: Option<u32>,
    pub(super) permission_boundary: Option<String>,
    pub(super) role_name_format: Option<NameFormat>,
    pub(super) policy_name_format: Option<NameFormat>,
    pub(super) enable_audit_archival: Option<bool>,
    pub(super) audit_archive_glacier_days: Option<u32>,
    pub(super) enable_tracing: Option<bool>,
    pub(super) create_iam_roles: Option<bool>,
    pub(super) create_iam: Option<bool>,
    pub(super) aggregator_role_arn: Option<String>,
    pub(super) enable_deletion_protection: Option<bool>,
    pub(super) index_projection: Option<IndexProjection>,
    pub(super) tags: BTreeMap<String, String>,
}

/// Chooses [`StackOptions`]; [`build`](Self::build) checks them.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct StackOptionsBuilder {
    set: Set,
    role_name_format: Option<String>,
    policy_name_format: Option<String>,
}

impl StackOptionsBuilder {
    /// The windows of usage snapshots, separated by commas: `hourly`, `daily`, `monthly`.
    pub fn snapshot_windows(mut self, windows: impl Into<String>) -> Self {
        self.set.snapshot_windows = Some(windows.into());
        self
    }

    /// Days after which usage snapshots expire, 1 to 3650.
    pub fn usage_retention_days(mut self, days: u32) -> Self {
        self.set.usage_retention_days = Some(days);
        self
    }

    /// Days after which audit events of the namespace `default` expire, at least 1. Kept in the table, not in the stack.
    pub fn audit_retention_days(mut self, days: u32) -> Self {
        self.set.audit_retention_days = Some(days);
        self
    }

    /// Whether there is a Lambda function that turns the table's stream into usage snapshots.
    pub fn enable_aggregator(mut self, enable: bool) -> Self {
        self.set.enable_aggregator = Some(enable);
        self
    }

    /// Point-in-time recovery of the table, for this many days back: 1 to 35.
    pub fn pitr_recovery_days(mut self, days: u32) -> Self {
        self.set.recovery = Some(Recovery::Days(days));
        self
    }

    /// No point-in-time recovery of the table.
    pub fn no_pitr(mut self) -> Self {
        self.set.recovery = Some(Recovery::Off);
        self
    }

    /// Days that logs of the functions are kept: one of [`LOG_RETENTION_DAYS`].
    pub fn log_retention_days(mut self, days: u32) -> Self {
        self.set.log_retention_days = Some(days);
        self
    }

    /// Timeout of the aggregator in seconds, 1 to 900.
    pub fn lambda_timeout(mut self, seconds: u32) -> Self {
        self.set.lambda_timeout = Some(seconds);
        self
    }

    /// Memory of the aggregator in MB, 128 to 3008.
    pub fn lambda_memory(mut self, megabytes: u32) -> Self {
        self.set.lambda_memory = Some(megabytes);
        self
    }

    /// Whether there are CloudWatch alarms.
    pub fn enable_alarms(mut self, enable: bool) -> Self {
        self.set.enable_alarms = Some(enable);
        self
    }

    /// The ARN of the SNS topic that alarms notify; empty for none.
    pub fn alarm_sns_topic(mut self, arn: impl Into<String>) -> Self {
        self.set.alarm_sns_topic = Some(arn.into());
        self
    }

    /// The share of its timeout, in percent, that the aggregator may take on average before an alarm: 1 to 100.
    pub fn lambda_duration_threshold_pct(mut self, percent: u32) -> Self {
        self.set.lambda_duration_threshold_pct = Some(percent);
        self
    }

    /// Name or ARN of the permissions boundary of all roles; empty for none. IAM knows no boundaries of policies.
    pub fn permission_boundary(mut self, boundary: impl Into<String>) -> Self {
        self.set.permission_boundary = Some(boundary.into());
        self
    }

    /// Names of roles, with `{}` where `STACK-part` goes, for example `PowerUserPB-{}`.
    pub fn role_name_format(mut self, format: impl Into<String>) -> Self {
        self.role_name_format = Some(format.into());
        self
    }

    /// Names of managed policies, with `{}` where `STACK-part` goes.
    pub fn policy_name_format(mut self, format: impl Into<String>) -> Self {
        self.policy_name_format = Some(format.into());
        self
    }

    /// Whether audit events are archived to S3 when they expire.
    pub fn enable_audit_archival(mut self, enable: bool) -> Self {
        self.set.enable_audit_archival = Some(enable);
        self
    }

    /// Days after which archived events move to Glacier Instant Retrieval, 1 to 3650.
    pub fn audit_archive_glacier_days(mut self, days: u32) -> Self {
        self.set.audit_archive_glacier_days = Some(days);
        self
    }

    /// Whether the aggregator is traced with X-Ray.
    pub fn enable_tracing(mut self, enable: bool) -> Self {
        self.set.enable_tracing = Some(enable);
        self
    }

    /// Whether there are roles for applications, administrators and monitoring.
    pub fn create_iam_roles(mut self, create: bool) -> Self {
        self.set.create_iam_roles = Some(create);
        self
    }

    /// Whether there are managed policies, and roles for the functions. Without, there is no provisioner, and an aggregator
    /// only with [`aggregator_role_arn`](Self::aggregator_role_arn).
    pub fn create_iam(mut self, create: bool) -> Self {
        self.set.create_iam = Some(create);
        self
    }

    /// An existing role for the aggregator; empty for a new one.
    pub fn aggregator_role_arn(mut self, arn: impl Into<String>) -> Self {
        self.set.aggregator_role_arn = Some(arn.into());
        self
    }

    /// Whether the table refuses to be deleted.
    pub fn enable_deletion_protection(mut self, enable: bool) -> Self {
        self.set.enable_deletion_protection = Some(enable);
        self
    }

    /// What the index over buckets holds; for new stacks only.
    pub fn index_projection(mut self, projection: IndexProjection) -> Self {
        self.set.index_projection = Some(projection);
        self
    }

    /// A tag for the stack and what is in it. The last value of a key counts.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set.tags.insert(key.into(), value.into());
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`OptionError`] naming the first option that cannot be used.
    pub fn build(self) -> Result<StackOptions, OptionError> {
        let Self { mut set, role_name_format, policy_name_format } = self;
        within("lambda_timeout", set.lambda_timeout, 1, 900)?;
        within("lambda_memory", set.lambda_memory, 128, 3008)?;
        within("lambda_duration_threshold_pct", set.lambda_duration_threshold_pct, 1, 100)?;
        if let Some(Recovery::Days(days)) = set.recovery {
            within("pitr_recovery_days", Some(days), 1, 35)?;
        }
        within("usage_retention_days", set.usage_retention_days, 1, 3650)?;
        within("audit_retention_days", set.audit_retention_days, 1, 36_500)?;
        if set.log_retention_days.is_some_and(|days| !LOG_RETENTION_DAYS.contains(&days)) {
            let known: Vec<_> = LOG_RETENTION_DAYS.iter().map(ToString::to_string).collect();
            return Err(OptionError::new("log_retention_days", format!("must be one of {}", known.join(", "))));
        }
        set.snapshot_windows = set.snapshot_windows.map(|windows| check_windows(&windows)).transpose()?;
        set.role_name_format = role_name_format.map(|format| NameFormat::role(&format)).transpose()?;
        set.policy_name_format = policy_name_format.map(|format| NameFormat::policy(&format)).transpose()?;
        within("audit_archive_glacier_days", set.audit_archive_glacier_days, 1, 3650)?;
        if set.create_iam_roles == Some(true) && set.create_iam == Some(false) {
            let problem = "needs create_iam: roles cannot be created without IAM resources";
            return Err(OptionError::new("create_iam_roles", problem));
        }
        if let Some(arn) = set.aggregator_role_arn.as_deref().filter(|arn| !arn.is_empty() && !is_role_arn(arn)) {
            let problem = format!("must be a valid IAM role ARN, got: {arn}");
            return Err(OptionError::new("aggregator_role_arn", problem));
        }
        check_tags(&set.tags)?;
        Ok(StackOptions { set })
    }
}

fn within(option: &'static str, value: Option<u32>, min: u32, max: u32) -> Result<(), OptionError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(OptionError::new(option, format!("must be between {min} and {max}")))
        }
        _ => Ok(()),
    }
}

fn check_windows(windows: &str) -> Result<String, OptionError> {
    let pieces: Vec<&str> = windows.split(',').map(str::trim).collect();
    match pieces.iter().find(|piece| !WINDOWS.contains(piece)) {
        Some(unknown) => {
            let problem = format!("has the unknown window '{unknown}': use {}", WINDOWS.join(", "));
            Err(OptionError::new("snapshot_windows", problem))
        }
        None => Ok(pieces.join(",")),
    }
}

fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, role] = parts[..] else { return false };
    partition.split('-').next() == Some("aws")
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), OptionError> {
    let fail = |problem: String| Err(OptionError::new("tags", problem));
    if tags.len() > MAX_TAGS {
        return fail(format!("must be at most {MAX_TAGS}: a stack has 50, and 6 are set by this tool"));
    }
    for (key, value) in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return fail(format!("must not have the key '{key}': 'aws:' is reserved"));
        }
        if !(1..=MAX_TAG_KEY).contains(&key.chars().count()) {
            return fail(format!("must have keys of 1 to {MAX_TAG_KEY} characters, unlike '{key}'"));
        }
        if value.chars().count() > MAX_TAG_VALUE {
            return fail(format!("must have values of at most {MAX_TAG_VALUE} characters, unlike that of '{key}'"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: StackOptionsBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn numbers_have_ranges() {
        let b = StackOptions::builder;
        for (wrong, option) in [
            (b().lambda_timeout(0), "lambda_timeout"),
            (b().lambda_timeout(901), "lambda_timeout"),
            (b().lambda_memory(127), "lambda_memory"),
            (b().lambda_memory(3009), "lambda_memory"),
            (b().lambda_duration_threshold_pct(101), "lambda_duration_threshold_pct"),
            (b().pitr_recovery_days(0), "pitr_recovery_days"),
            (b().pitr_recovery_days(36), "pitr_recovery_days"),
            (b().usage_retention_days(0), "usage_retention_days"),
            (b().audit_retention_days(0), "audit_retention_days"),
            (b().log_retention_days(31), "log_retention_days"),
            (b().audit_archive_glacier_days(3651), "audit_archive_glacier_days"),
            (b().snapshot_windows("hourly,weekly"), "snapshot_windows"),
        ] {
            assert_eq!(wrong.build().unwrap_err().option(), option);
        }
        let right =
            b().pitr_recovery_days(35).lambda_memory(3008).log_retention_days(3653).audit_archive_glacier_days(1);
        right.snapshot_windows("hourly, monthly").build().unwrap();
    }

    #[test]
    fn roles_need_iam_and_arns_are_arns() {
        let error = refused(StackOptions::builder().create_iam(false).create_iam_roles(true));
        assert!(error.contains("create_iam_roles needs create_iam"), "{error}");
        for arn in ["arn:aws:iam::123456789012:role/x", "arn:aws-us-gov:iam::123456789012:role/a/b", ""] {
            StackOptions::builder().aggregator_role_arn(arn).build().unwrap();
        }
        for arn in
            ["x", "arn:aws:iam::1234:role/x", "arn:aws:iam::123456789012:user/x", "arn:aws:iam::123456789012:role/"]
        {
            let error = refused(StackOptions::builder().aggregator_role_arn(arn));
            assert!(error.contains("must be a valid IAM role ARN"), "{error}");
        }
    }

    #[test]
    fn tags_fit_into_a_stack() {
        let b = StackOptions::builder;
        assert!(refused(b().tag("aws:x", "1")).contains("reserved"));
        assert!(refused(b().tag("k".repeat(129), "1")).contains("1 to 128"));
        assert!(refused(b().tag("k", "v".repeat(257))).contains("256"));
        let many = |n: usize| (0..n).fold(b(), |b, i| b.tag(format!("k{i}"), "v"));
        assert!(refused(many(45)).contains("at most 44"));
        many(44).build().unwrap();
    }
}
