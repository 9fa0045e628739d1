//! A CloudFormation template that carries a manifest.

use std::fmt::Write;

use serde_json::Value;
use zae_limiter::{Limits, NamespaceName, StackName, StoredPolicy, access::Cascade};

use super::{
    Manifest, Section,
    normal::{disabled, over_time},
};

/// A template with one `Custom::ZaeLimiterLimits` resource, whose provisioner is the one of `stack`.
///
/// The stack's template exports the function's ARN as `{stack}-ProvisionerArn`. Everything is spelled out, so that a
/// changed default never changes what a deployed template means.
pub fn template(manifest: &Manifest, stack: &StackName, namespace: &NamespaceName) -> String {
    let mut text = String::new();
    let mut line = |depth: usize, content: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:width$}{content}", "", width = depth * 2);
    };
    line(0, "AWSTemplateFormatVersion: '2010-09-09'".to_owned());
    line(0, format!("Description: {}", quoted(&format!("Declarative limits for namespace '{namespace}'"))));
    line(0, "Resources:".to_owned());
    line(1, "TenantLimits:".to_owned());
    line(2, "Type: Custom::ZaeLimiterLimits".to_owned());
    line(2, "Properties:".to_owned());
    line(3, format!("ServiceToken: !ImportValue {stack}-ProvisionerArn"));
    line(3, format!("TableName: {}", scalar(stack.as_str())));
    line(3, format!("Namespace: {}", scalar(namespace.as_str())));
    if let Some(system) = &manifest.system {
        let empty = system.on_unavailable.is_none() && system.limits.is_none();
        line(3, if empty { "System: {}" } else { "System:" }.to_owned());
        if let Some(policy) = system.on_unavailable {
            line(4, format!("OnUnavailable: {}", StoredPolicy::as_str(policy)));
        }
        if let Some(limits) = &system.limits {
            write_limits(&mut line, 4, limits);
        }
    }
    if !manifest.resources.is_empty() {
        line(3, "Resources:".to_owned());
        for (resource, section) in &manifest.resources {
            line(4, format!("{}:", scalar(resource.as_str())));
            write_section(&mut line, 5, section);
        }
    }
    if !manifest.entities.is_empty() {
        line(3, "Entities:".to_owned());
        for (entity, scopes) in &manifest.entities {
            line(4, format!("{}:", scalar(entity.as_str())));
            line(5, "Resources:".to_owned());
            for (scope, section) in scopes {
                line(6, format!("{}:", scalar(scope.as_str())));
                write_section(&mut line, 7, section);
            }
        }
    }
    text
}

fn write_section(line: &mut impl FnMut(usize, String), depth: usize, section: &Section) {
    if let Some(access) = section.access {
        let switch = disabled(access);
        line(depth, format!("Disabled: {}", switch.as_str().map_or_else(|| switch.to_string(), str::to_owned)));
    }
    if let Some(policy) = section.cascade {
        line(depth, format!("Cascade: {}", policy == Cascade::On));
    }
    if let Some(limits) = &section.limits {
        write_limits(line, depth, limits);
    }
}

fn write_limits(line: &mut impl FnMut(usize, String), depth: usize, limits: &Limits) {
    line(depth, "Limits:".to_owned());
    for limit in limits {
        line(depth + 1, format!("{}:", scalar(limit.name().as_str())));
        line(depth + 2, format!("Capacity: {}", limit.capacity()));
        line(depth + 2, format!("RefillAmount: {}", limit.refill_amount()));
        line(depth + 2, format!("RefillPeriod: {}", limit.refill_period().as_secs()));
        if limit.is_soft() {
            line(depth + 2, "Soft: true".to_owned());
        }
        for (name, value) in over_time(limit) {
            match value.as_array() {
                Some(entries) => {
                    line(depth + 2, format!("{}:", camel(name)));
                    entries.iter().for_each(|entry| write_entry(line, depth + 3, entry));
                }
                None => line(depth + 2, format!("{}: {value}", camel(name))),
            }
        }
    }
}

/// One entry of a schedule.
fn write_entry(line: &mut impl FnMut(usize, String), depth: usize, entry: &Value) {
    let values = ENTRY.into_iter().filter_map(|name| Some((name, entry.get(name)?)));
    for (index, (name, value)) in values.enumerate() {
        let sign = if index == 0 { "-" } else { " " };
        line(depth, format!("{sign} {}: {value}", camel(name)));
    }
}

/// The values of an entry, in the order in which they are written.
const ENTRY: [&str; 6] = ["cron", "tz", "scale", "capacity", "refill_amount", "refill_period_seconds"];

/// A key as properties spell it.
fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// Text as YAML reads it back as text: quoted where a reader of YAML 1.1 might see something else in it.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    // A JSON string is a double-quoted YAML scalar.
    serde_json::Value::from(text).to_string()
}
