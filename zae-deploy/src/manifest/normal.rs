//! The normal form of a manifest and its hash.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use zae_limiter::{
    Limit, Limits, StoredPolicy,
    access::{Access, Cascade},
};

use super::{Manifest, Section};

/// Every declaration with exactly capacity, amount and period, and `soft` where it is; sections only where there is
/// something in them.
pub(super) fn json(manifest: &Manifest) -> Value {
    let mut root = Map::new();
    if let Some(namespace) = &manifest.namespace {
        root.insert("namespace".to_owned(), namespace.as_str().into());
    }
    if let Some(system) = &manifest.system {
        let mut section = json!({ "limits": system.limits.as_ref().map_or_else(|| json!({}), limits) });
        if let Some(policy) = system.on_unavailable {
            section["on_unavailable"] = StoredPolicy::as_str(policy).into();
        }
        root.insert("system".to_owned(), section);
    }
    if !manifest.resources.is_empty() {
        let entries = manifest.resources.iter();
        let entries = entries.map(|(name, declared)| (name.to_string(), section(declared)));
        root.insert("resources".to_owned(), Value::Object(entries.collect()));
    }
    if !manifest.entities.is_empty() {
        let entries = manifest.entities.iter().map(|(entity, scopes)| {
            let scopes = scopes.iter().map(|(scope, declared)| (scope.to_string(), section(declared)));
            (entity.to_string(), json!({ "resources": scopes.collect::<Map<_, _>>() }))
        });
        root.insert("entities".to_owned(), Value::Object(entries.collect()));
    }
    Value::Object(root)
}

fn section(section: &Section) -> Value {
    let mut declared = json!({ "limits": section.limits.as_ref().map_or_else(|| json!({}), limits) });
    if let Some(access) = section.access {
        declared["disabled"] = disabled(access);
    }
    if let Some(policy) = section.cascade {
        declared["cascade"] = Value::Bool(policy == Cascade::On);
    }
    declared
}

/// The value of `disabled` for a switch.
pub(super) fn disabled(access: Access) -> Value {
    match access {
        Access::Bypassed => Value::from("bypass"),
        access => Value::Bool(access == Access::Disabled),
    }
}

fn limits(limits: &Limits) -> Value {
    let entry = |limit: &Limit| {
        let mut declared = json!({
            "capacity": limit.capacity(),
            "refill_amount": limit.refill_amount(),
            "refill_period": limit.refill_period().as_secs(),
        });
        if limit.is_soft() {
            declared["soft"] = true.into();
        }
        for (name, value) in over_time(limit) {
            declared[name] = value;
        }
        (limit.name().to_string(), declared)
    };
    Value::Object(limits.iter().map(entry).collect())
}

/// The keys of a limit that are about time: `schedule`, `reset_schedule` and `reset_after_seconds`, where it has them.
pub(super) fn over_time(limit: &Limit) -> impl Iterator<Item = (&'static str, Value)> {
    // Text and numbers are always written.
    let mut limit = serde_json::to_value(limit).unwrap_or_default();
    let names = ["schedule", "reset_schedule", "reset_after_seconds"];
    names.into_iter().filter_map(move |name| Some((name, limit.as_object_mut()?.remove(name)?)))
}

pub(super) fn hash(manifest: &Manifest) -> String {
    let mut text = String::new();
    write(&json(manifest), &mut text);
    format!("sha256:{:x}", Sha256::digest(text.as_bytes()))
}

/// JSON as Python's `json.dumps(value, sort_keys=True)` writes it; the values here are maps, lists, text and whole
/// numbers.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_text(key, out);
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn write_text(text: &str, out: &mut String) {
    for character in Value::from(text).to_string().chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
}
