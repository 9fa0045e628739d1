//! Validation of options.

use std::collections::BTreeMap;

use super::{OptionError, Recovery, Set};

/// Periods for which CloudWatch can keep logs, in days.
pub const LOG_RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const WINDOWS: [&str; 3] = ["hourly", "daily", "monthly"];
/// CloudFormation accepts 50 tags, and six are set by this tool.
const MAX_TAGS: usize = 44;
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;

/// Checks the options that have a range.
pub(super) fn numbers(set: &Set) -> Result<(), OptionError> {
    within("lambda_timeout", set.lambda_timeout, 1, 900)?;
    within("lambda_memory", set.lambda_memory, 128, 3008)?;
    within("lambda_duration_threshold_pct", set.lambda_duration_threshold_pct, 1, 100)?;
    if let Some(Recovery::Days(days)) = set.recovery {
        within("pitr_recovery_days", Some(days), 1, 35)?;
    }
    within("usage_retention_days", set.usage_retention_days, 1, 3650)?;
    within("audit_retention_days", set.audit_retention_days, 1, 36_500)?;
    within("audit_archive_glacier_days", set.audit_archive_glacier_days, 1, 3650)?;
    if set.log_retention_days.is_some_and(|days| !LOG_RETENTION_DAYS.contains(&days)) {
        let known: Vec<_> = LOG_RETENTION_DAYS.iter().map(ToString::to_string).collect();
        return Err(OptionError::new("log_retention_days", format!("must be one of {}", known.join(", "))));
    }
    Ok(())
}

/// Checks the options about roles.
pub(super) fn roles(set: &Set) -> Result<(), OptionError> {
    if set.create_iam_roles == Some(true) && set.create_iam == Some(false) {
        let problem = "needs create_iam: roles cannot be created without IAM resources";
        return Err(OptionError::new("create_iam_roles", problem));
    }
    if let Some(arn) = set.aggregator_role_arn.as_deref().filter(|arn| !arn.is_empty() && !is_role_arn(arn)) {
        let problem = format!("must be a valid IAM role ARN, got: {arn}");
        return Err(OptionError::new("aggregator_role_arn", problem));
    }
    Ok(())
}

/// Checks the key's ARN. Aliases are not accepted: logs and functions need the key itself.
pub(super) fn key(set: &Set) -> Result<(), OptionError> {
    match set.kms_key_arn.as_deref().filter(|arn| !arn.is_empty() && !is_key_arn(arn)) {
        Some(arn) => {
            let problem = format!("must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), got: {arn}");
            Err(OptionError::new("kms_key_arn", problem))
        }
        None => Ok(()),
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

pub(super) fn windows(windows: &str) -> Result<String, OptionError> {
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

fn is_key_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, account, key] = parts[..] else { return false };
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    account && word(partition) && word(region) && key.strip_prefix("key/").is_some_and(word)
}

pub(super) fn tags(tags: &BTreeMap<String, String>) -> Result<(), OptionError> {
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
    use super::super::{StackOptions, StackOptionsBuilder};

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
        let error = refused(StackOptions::builder().no_iam().create_iam_roles());
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
    fn a_key_is_named_by_its_arn() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        for partition in ["aws", "aws-cn", "aws-us-gov"] {
            let arn = format!("arn:{partition}:kms:eu-central-1:123456789012:key/{id}");
            StackOptions::builder().kms_key_arn(arn).build().unwrap();
        }
        StackOptions::builder().kms_key_arn("").build().unwrap();
        for wrong in [
            id.to_owned(),
            "alias/mine".to_owned(),
            "arn:aws:kms:eu-central-1:123456789012:alias/mine".to_owned(),
            format!("arn:aws:kms::123456789012:key/{id}"),
            format!("arn:aws:kms:eu-central-1:1:key/{id}"),
            "arn:aws:kms:eu-central-1:123456789012:key/".to_owned(),
        ] {
            let error = refused(StackOptions::builder().kms_key_arn(&wrong));
            assert!(error.contains("must be the ARN of a KMS key"), "{wrong}: {error}");
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
