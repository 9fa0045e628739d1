//! Summarises the desired stack in a few lines.

use crate::{
    cli::output::Output,
    stack::{Parameters, StackOptions},
};

/// Describes a stack with `parameters`; one that is missing has the template's default.
pub(super) fn show(out: &Output, parameters: &Parameters, options: &StackOptions) {
    let value = |name: &str, default: &str| {
        parameters.get(name).filter(|value| !value.is_empty()).map_or(default, String::as_str).to_owned()
    };
    let on = |name: &str, default: bool| value(name, if default { "true" } else { "false" }) == "true";
    let able = |on: bool| if on { "enabled" } else { "disabled" };
    let line = |label: &str, value: &str| out.progress(&format!("  {label}: {value}"));

    let iam = on("EnableIAM", true);
    let role = value("AggregatorRoleArn", "");
    let aggregator = on("EnableAggregator", true) && (iam || !role.is_empty());
    line("Snapshot windows", &value("SnapshotWindows", "hourly,daily"));
    line("Usage retention days", &value("SnapshotRetentionDays", "90"));
    if let Some(days) = options.audit_retention() {
        line("Audit retention days", &days.to_string());
    }
    line("Aggregator", able(aggregator));
    if aggregator {
        line("Lambda timeout", &format!("{}s", value("LambdaTimeout", "60")));
        line("Lambda memory", &format!("{}MB", value("LambdaMemorySize", "256")));
        line("Log retention days", &value("LogRetentionDays", "14"));
        line("X-Ray tracing", able(on("EnableTracing", false)));
        let archival = on("EnableAuditArchival", true);
        line("Audit archival", able(archival));
        if archival {
            line("Glacier transition", &format!("{} days", value("AuditArchiveGlacierTransitionDays", "90")));
        }
    }
    let alarms = on("EnableAlarms", true);
    line("Alarms", able(alarms));
    let topic = value("AlarmSNSTopicArn", "");
    if alarms && !topic.is_empty() {
        line("Alarm SNS topic", &topic);
    }
    line("Dashboard", able(on("EnableDashboard", false)));
    line("IAM resources", able(iam));
    if iam {
        line("IAM roles", able(on("EnableIAMRoles", false)));
    }
    if !role.is_empty() {
        line("External role", &role);
    }
    let days = value("PITRRecoveryPeriodDays", "");
    match (on("EnablePITR", false), days.as_str()) {
        (_, days) if !days.is_empty() => line("Point-in-time recovery", &format!("{days} days")),
        (true, _) => line("Point-in-time recovery", "enabled"),
        (false, _) => line("Point-in-time recovery", "disabled"),
    }
    line("Deletion protection", able(on("EnableDeletionProtection", false)));
    let key = value("KmsKeyArn", "");
    if !key.is_empty() {
        line("Encryption key", &key);
    }
    if value("IndexProjection", "full") == "lean" {
        line("Index projection", "lean");
    }
    if !options.tags().is_empty() {
        line("Tags", &format!("{} user-defined", options.tags().len()));
        options.tags().iter().for_each(|(key, value)| out.progress(&format!("    {key}={value}")));
    }
    out.progress("");
}
