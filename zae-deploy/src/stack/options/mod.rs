//! The settings of a stack: [`StackOptions`].

mod builder;
mod check;

use std::collections::BTreeMap;

pub use builder::StackOptionsBuilder;
pub use check::LOG_RETENTION_DAYS;

use super::{error::OptionError, names::NameFormat};

/// The content of the index over buckets by resource. It is fixed when the table is created.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexProjection {
    /// Whole buckets, as the Python package reads them.
    #[default]
    Full,
    /// Only their keys: an acquire costs half the write units, and Python clients cannot list capacities or usage by
    /// resource.
    Lean,
}

impl IndexProjection {
    /// Returns the template's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Lean => "lean",
        }
    }
}

/// Point-in-time recovery of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stack) enum Recovery {
    Off,
    Days(u32),
}

/// The desired settings of a stack. An option that is not set is unchanged in an existing stack, and gets its default
/// in a new one.
///
/// | option | default |
/// |---|---|
/// | `snapshot_windows` | `hourly,daily` |
/// | `usage_retention_days`, `audit_retention_days` | 90 |
/// | `enable_aggregator`, `enable_alarms`, `enable_audit_archival`, `create_iam` | true |
/// | `create_iam_roles`, `enable_tracing`, `enable_deletion_protection`, `enable_dashboard` | false |
/// | `pitr_recovery_days` | none: no point-in-time recovery |
/// | `log_retention_days` | 30 |
/// | `lambda_timeout`, `lambda_memory` | 60 s, 256 MB |
/// | `lambda_duration_threshold_pct` | 80 |
/// | `audit_archive_glacier_days` | 90 |
/// | `kms_key_arn` | none: keys of AWS |
/// | `index_projection` | full |
///
/// ```
/// use zae_deploy::stack::StackOptions;
/// let options = StackOptions::builder().usage_retention_days(30).enable_tracing().build()?;
/// assert!(StackOptions::builder().pitr_recovery_days(36).build().is_err());
/// # Ok::<(), zae_deploy::stack::OptionError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    pub(in crate::stack) set: Set,
}

impl StackOptions {
    /// Starts building options.
    pub fn builder() -> StackOptionsBuilder {
        StackOptionsBuilder::default()
    }

    /// Returns true if IAM resources are wanted; `None` keeps the stack's setting.
    pub fn creates_iam(&self) -> Option<bool> {
        self.set.create_iam
    }

    /// Returns true if the options name a role for the aggregator.
    pub fn has_aggregator_role(&self) -> bool {
        self.set.aggregator_role_arn.as_deref().is_some_and(|arn| !arn.is_empty())
    }

    /// Returns the number of days that audit events of the namespace `default` are kept.
    pub fn audit_retention(&self) -> Option<u32> {
        self.set.audit_retention_days
    }

    /// Returns the stack's tags set by the user.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.set.tags
    }
}

/// The options as given.
#[derive(Clone, Debug, Default)]
pub(in crate::stack) struct Set {
    pub(in crate::stack) snapshot_windows: Option<String>,
    pub(in crate::stack) usage_retention_days: Option<u32>,
    pub(in crate::stack) audit_retention_days: Option<u32>,
    pub(in crate::stack) enable_aggregator: Option<bool>,
    pub(in crate::stack) recovery: Option<Recovery>,
    pub(in crate::stack) log_retention_days: Option<u32>,
    pub(in crate::stack) lambda_timeout: Option<u32>,
    pub(in crate::stack) lambda_memory: Option<u32>,
    pub(in crate::stack) enable_alarms: Option<bool>,
    pub(in crate::stack) enable_dashboard: Option<bool>,
    pub(in crate::stack) alarm_sns_topic: Option<String>,
    pub(in crate::stack) lambda_duration_threshold_pct: Option<u32>,
    pub(in crate::stack) permission_boundary: Option<String>,
    pub(in crate::stack) role_name_format: Option<NameFormat>,
    pub(in crate::stack) policy_name_format: Option<NameFormat>,
    pub(in crate::stack) enable_audit_archival: Option<bool>,
    pub(in crate::stack) audit_archive_glacier_days: Option<u32>,
    pub(in crate::stack) enable_tracing: Option<bool>,
    pub(in crate::stack) create_iam_roles: Option<bool>,
    pub(in crate::stack) create_iam: Option<bool>,
    pub(in crate::stack) aggregator_role_arn: Option<String>,
    pub(in crate::stack) enable_deletion_protection: Option<bool>,
    pub(in crate::stack) kms_key_arn: Option<String>,
    pub(in crate::stack) index_projection: Option<IndexProjection>,
    pub(in crate::stack) tags: BTreeMap<String, String>,
}
