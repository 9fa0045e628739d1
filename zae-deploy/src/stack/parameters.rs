//! Converts options to parameters of the template.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types;
use zae_limiter::{StackName, version::SCHEMA_VERSION};

use super::{
    error::OptionError,
    names::{self, POLICIES, ROLES},
    options::{Recovery, Set, StackOptions},
};
use crate::package::Function;

const DEFAULT_LOG_RETENTION_DAYS: u32 = 30;
const DEFAULT_TIMEOUT: u32 = 60;
const DEFAULT_THRESHOLD_PCT: u32 = 80;

/// Parameters by name, as a deployed stack has them.
pub type Parameters = BTreeMap<String, String>;

/// The location of the Lambda packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CodeLocation {
    pub(crate) bucket: String,
    pub(crate) aggregator: String,
    pub(crate) provisioner: String,
    pub(crate) architecture: &'static str,
}

impl CodeLocation {
    fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let rows = [
            ("CodeBucket", self.bucket.as_str()),
            ("AggregatorCodeKey", &self.aggregator),
            ("ProvisionerCodeKey", &self.provisioner),
            ("LambdaArchitecture", self.architecture),
        ];
        rows.map(|(name, value)| (name, value.to_owned())).into_iter()
    }
}

/// The requested value of a template parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Value(String),
    /// The stack's current value.
    Previous,
}

/// Returns the parameters for a new stack, or for one whose parameters are `current`.
///
/// # Errors
/// [`OptionError`] if a name derived from the stack's is too long, or an immutable setting would change.
pub(super) fn wanted(
    options: &StackOptions,
    code: Option<&CodeLocation>,
    stack: &StackName,
    current: Option<&Parameters>,
) -> Result<BTreeMap<&'static str, Wanted>, OptionError> {
    let mut given = given(&options.set, stack, current)?;
    if let Some(code) = code {
        given.extend(code.parameters());
    }
    match current {
        None => defaults(&mut given),
        Some(current) => {
            projection_stays(options, current)?;
            // The Python package's template always enables recovery; taking over its stacks must not disable it.
            if !current.contains_key("EnablePITR") {
                given.entry("EnablePITR").or_insert_with(|| "true".to_owned());
            }
        }
    }
    check_functions(stack, &given, current)?;
    let previous = crate::template::parameter_names()
        .filter(|name| current.is_some_and(|current| current.contains_key(*name)))
        .map(|name| (name, Wanted::Previous));
    let mut wanted: BTreeMap<_, _> = previous.collect();
    wanted.extend(given.into_iter().map(|(name, value)| (name, Wanted::Value(value))));
    Ok(wanted)
}

/// Returns the given options in the template's terms.
fn given(
    set: &Set,
    stack: &StackName,
    current: Option<&Parameters>,
) -> Result<BTreeMap<&'static str, String>, OptionError> {
    let flag = |value: Option<bool>| value.map(|value| value.to_string());
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    let recovery = set.recovery.map(|recovery| match recovery {
        Recovery::Off => ("false", String::new()),
        Recovery::Days(days) => ("true", days.to_string()),
    });
    let (pitr, days) = recovery.map(|(on, days)| (on.to_owned(), days)).unzip();
    let rows = [
        ("SchemaVersion", Some(SCHEMA_VERSION.to_owned())),
        ("SnapshotWindows", set.snapshot_windows.clone()),
        ("SnapshotRetentionDays", number(set.usage_retention_days)),
        ("EnableAggregator", flag(set.enable_aggregator)),
        ("LogRetentionDays", number(set.log_retention_days)),
        ("LambdaTimeout", number(set.lambda_timeout)),
        ("LambdaMemorySize", number(set.lambda_memory)),
        ("LambdaDurationThreshold", threshold(set, current)),
        ("EnableAlarms", flag(set.enable_alarms)),
        ("EnableDashboard", flag(set.enable_dashboard)),
        ("AlarmSNSTopicArn", set.alarm_sns_topic.clone()),
        ("EnableTracing", flag(set.enable_tracing)),
        ("EnableIAM", flag(set.create_iam)),
        ("EnableIAMRoles", flag(set.create_iam_roles)),
        ("AggregatorRoleArn", set.aggregator_role_arn.clone()),
        ("PermissionBoundary", set.permission_boundary.clone()),
        ("EnableAuditArchival", flag(set.enable_audit_archival)),
        ("AuditArchiveGlacierTransitionDays", number(set.audit_archive_glacier_days)),
        ("EnablePITR", pitr),
        ("PITRRecoveryPeriodDays", days),
        ("EnableDeletionProtection", flag(set.enable_deletion_protection)),
        ("KmsKeyArn", set.kms_key_arn.clone()),
        ("IndexProjection", set.index_projection.map(|projection| projection.as_str().to_owned())),
        ("RoleNameFormat", set.role_name_format.as_ref().map(|format| format.as_str().to_owned())),
    ];
    let mut given: BTreeMap<_, _> = rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if let Some(format) = &set.role_name_format {
        for (parameter, part) in ROLES {
            given.insert(parameter, format.name(stack, part)?);
        }
    }
    if let Some(format) = &set.policy_name_format {
        for (parameter, part) in POLICIES {
            given.insert(parameter, format.name(stack, part)?);
        }
    }
    Ok(given)
}

/// Returns the alarm's threshold in ms, if timeout or share is given.
fn threshold(set: &Set, current: Option<&Parameters>) -> Option<String> {
    set.lambda_timeout.or(set.lambda_duration_threshold_pct)?;
    let deployed = |name: &str| current?.get(name)?.parse::<u32>().ok();
    let deployed_timeout = deployed("LambdaTimeout").unwrap_or(DEFAULT_TIMEOUT);
    let timeout = set.lambda_timeout.unwrap_or(deployed_timeout);
    // Keeps the stack's current share if only the timeout changes.
    let deployed_pct = deployed("LambdaDurationThreshold").map(|ms| ms / (deployed_timeout * 10));
    let pct = set.lambda_duration_threshold_pct.or(deployed_pct).unwrap_or(DEFAULT_THRESHOLD_PCT);
    Some((timeout * 10 * pct.clamp(1, 100)).to_string())
}

/// Fills in the defaults of this tool that differ from the template's.
fn defaults(given: &mut BTreeMap<&'static str, String>) {
    given.entry("LogRetentionDays").or_insert_with(|| DEFAULT_LOG_RETENTION_DAYS.to_string());
}

/// Checks that the projection of an existing index does not change.
fn projection_stays(options: &StackOptions, current: &Parameters) -> Result<(), OptionError> {
    let deployed = current.get("IndexProjection").map_or("full", String::as_str);
    match options.set.index_projection.map(super::IndexProjection::as_str) {
        Some(wanted) if wanted != deployed => Err(OptionError::new(
            "index_projection",
            format!("is {deployed} and cannot change: DynamoDB would have to rebuild the index under another name"),
        )),
        _ => Ok(()),
    }
}

fn check_functions(
    stack: &StackName,
    given: &BTreeMap<&'static str, String>,
    current: Option<&Parameters>,
) -> Result<(), OptionError> {
    let value = |name: &str| given.get(name).or_else(|| current.and_then(|current| current.get(name)));
    let on = |name: &str| value(name).is_none_or(|value| value == "true");
    let named = |name: &str| value(name).is_some_and(|value| !value.is_empty());
    if on("EnableAggregator") && (on("EnableIAM") || named("AggregatorRoleArn")) {
        names::check_function(Function::Aggregator, stack)?;
    }
    if on("EnableProvisioner") && on("EnableIAM") {
        names::check_function(Function::Provisioner, stack)?;
    }
    Ok(())
}

/// Returns the values that a stack will have, without the template's own defaults.
pub(super) fn effective(wanted: &BTreeMap<&'static str, Wanted>, current: Option<&Parameters>) -> Parameters {
    let value = |name: &str, wanted: &Wanted| match wanted {
        Wanted::Value(value) => Some(value.clone()),
        Wanted::Previous => current?.get(name).cloned(),
    };
    wanted.iter().filter_map(|(name, wanted)| Some(((*name).to_owned(), value(name, wanted)?))).collect()
}

/// Returns the parameters for updating only the code of a stack.
///
/// # Errors
/// [`OptionError`] if its template takes no code from S3.
pub(super) fn code_only(
    code: &CodeLocation,
    current: &Parameters,
) -> Result<BTreeMap<&'static str, Wanted>, OptionError> {
    if !current.contains_key("CodeBucket") {
        let problem = "cannot be used here: the deployed template takes no code from S3; upgrade the whole stack";
        return Err(OptionError::new("lambda_only", problem));
    }
    let known = crate::template::parameter_names().filter(|name| current.contains_key(*name));
    let mut wanted: BTreeMap<_, _> = known.map(|name| (name, Wanted::Previous)).collect();
    wanted.extend(code.parameters().map(|(name, value)| (name, Wanted::Value(value))));
    Ok(wanted)
}

/// Converts them to CloudFormation's type.
pub(super) fn requests(wanted: &BTreeMap<&'static str, Wanted>) -> Vec<types::Parameter> {
    wanted
        .iter()
        .map(|(name, wanted)| {
            let parameter = types::Parameter::builder().parameter_key(*name);
            match wanted {
                Wanted::Value(value) => parameter.parameter_value(value.as_str()),
                Wanted::Previous => parameter.use_previous_value(true),
            }
            .build()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(options: &StackOptions) -> BTreeMap<&'static str, Wanted> {
        wanted(options, None, &StackName::new("mystack").unwrap(), None).unwrap()
    }

    fn value(text: &str) -> Wanted {
        Wanted::Value(text.to_owned())
    }

    #[test]
    fn a_new_stack_gets_what_differs_from_the_template() {
        let sent = new(&StackOptions::default());
        assert_eq!(sent, BTreeMap::from([("SchemaVersion", value("0.10.0")), ("LogRetentionDays", value("30"))]));
    }

    #[test]
    fn options_become_parameters() {
        let options = StackOptions::builder()
            .lambda_timeout(120)
            .pitr_recovery_days(7)
            .no_iam()
            .role_name_format("app-{}")
            .alarm_sns_topic("arn:aws:sns:us-east-1:123456789012:ops");
        let sent = new(&options.build().unwrap());
        assert_eq!(sent["LambdaDurationThreshold"], value("96000"));
        assert_eq!((&sent["EnablePITR"], &sent["PITRRecoveryPeriodDays"]), (&value("true"), &value("7")));
        assert_eq!(sent["EnableIAM"], value("false"));
        assert_eq!(sent["ProvisionerRoleName"], value("app-mystack-prov"));
        assert!(!sent.contains_key("TableName") && !sent.contains_key("AcquireOnlyPolicyName"));
        assert!(sent.keys().all(|name| crate::template::parameter_names().any(|known| known == *name)));
    }

    #[test]
    fn an_existing_stack_keeps_what_is_not_given() {
        let current = ["EnableDeletionProtection", "EnablePITR", "LambdaTimeout", "LambdaDurationThreshold", "Unknown"];
        let values = ["true", "true", "100", "90000", "x"];
        let current: Parameters = current.map(str::to_owned).into_iter().zip(values.map(str::to_owned)).collect();
        let options = StackOptions::builder().lambda_timeout(200).build().unwrap();
        let sent = wanted(&options, None, &StackName::new("mystack").unwrap(), Some(&current)).unwrap();
        assert_eq!(sent["EnableDeletionProtection"], Wanted::Previous);
        assert_eq!(sent["EnablePITR"], Wanted::Previous);
        assert_eq!(sent["LambdaDurationThreshold"], value("180000"), "90 % as before");
        assert!(!sent.contains_key("LogRetentionDays") && !sent.contains_key("Unknown"));
    }

    #[test]
    fn a_stack_of_the_reference_keeps_its_recovery() {
        let current = Parameters::from([("SchemaVersion".to_owned(), "0.10.0".to_owned())]);
        let stack = StackName::new("mystack").unwrap();
        let sent = wanted(&StackOptions::default(), None, &stack, Some(&current)).unwrap();
        assert_eq!(sent["EnablePITR"], value("true"));
    }

    #[test]
    fn what_cannot_change_is_refused() {
        let stack = StackName::new("mystack").unwrap();
        let lean = StackOptions::builder().index_projection(crate::stack::IndexProjection::Lean).build().unwrap();
        let error = wanted(&lean, None, &stack, Some(&Parameters::new())).unwrap_err();
        assert_eq!(error.option(), "index_projection");
        wanted(&lean, None, &stack, None).unwrap();
    }

    #[test]
    fn long_names_are_refused_where_a_function_would_have_them() {
        let stack = StackName::new("s".repeat(50)).unwrap();
        assert_eq!(wanted(&StackOptions::default(), None, &stack, None).unwrap_err().option(), "name");
        let bare = StackOptions::builder().no_iam().build().unwrap();
        wanted(&bare, None, &stack, None).unwrap();
    }
}
