//! Audit events that leave the table.
//!
//! DynamoDB's time to live removes an event when its retention ends, and the stream contains the removed item. An
//! archive in S3 stores a line of JSON for each. Fields are written in a fixed order and unknown ones are omitted, so
//! the lines of the same event are equal however often it is delivered, and an archive can drop duplicates by comparing
//! them.

use std::fmt::Write;

use crate::wire::{Item, keys, values};

/// The attributes of an event that are archived, in the order of writing.
const FIELDS: [&str; 6] = ["event_id", "entity_id", "action", "timestamp", "principal", "resource"];

/// An audit event that was removed from the table.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Debug)]
pub struct RemovedAuditEvent {
    /// The namespace's id.
    namespace: String,
    /// The event's ULID.
    event_id: String,
    /// The time as stored.
    timestamp: String,
    /// The JSON, without a line break.
    line: String,
}

impl RemovedAuditEvent {
    /// Reads a removed item; the error names what is missing.
    pub(super) fn new(item: &Item) -> Result<Self, String> {
        let text = |name: &str| values::get_s(item, name).unwrap_or_default().to_owned();
        let pk = text("PK");
        let namespace = keys::parse_namespace(&pk).map(|(namespace, _)| namespace.to_owned()).unwrap_or_default();
        let sk = text("SK");
        let event_id = sk.strip_prefix(keys::AUDIT_PREFIX).unwrap_or(&sk).to_owned();
        if values::get_s(item, "action").is_none() {
            return Err(format!("audit event {event_id} has no action"));
        }
        let mut line = String::from("{");
        for name in FIELDS {
            if let Some(value) = item.get(name) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\"{name}\":{},", values::from_attribute(value));
            }
        }
        let details = item.get("details").filter(|value| value.is_m()).map(values::from_attribute);
        let details = details.unwrap_or_else(|| serde_json::json!({}));
        let _ =
            write!(line, "\"details\":{details},\"namespace_id\":{}}}", serde_json::Value::from(namespace.as_str()));
        Ok(Self { namespace, event_id, timestamp: text("timestamp"), line })
    }

    /// Returns its id, a ULID.
    pub fn event_id(&self) -> &str {
        &self.event_id
    }

    /// Returns the namespace's id.
    pub fn namespace_id(&self) -> &str {
        &self.namespace
    }

    /// Returns the time of the change, as stored: `YYYY-MM-DDTHH:MM:SSZ`.
    pub fn timestamp(&self) -> &str {
        &self.timestamp
    }

    /// Returns the event as one line of JSON, without a line break: id, entity, action, time, principal, resource,
    /// details, and the namespace's id, which an archive of many tenants needs.
    pub fn json_line(&self) -> &str {
        &self.line
    }
}
