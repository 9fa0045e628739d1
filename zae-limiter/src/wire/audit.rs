//! Audit events as items.
//!
//! An event is stored under its target, so the trail of one target is one query, and sorted by a ULID, which begins
//! with the time. It has a `ttl`, by default of 90 days. When it expires, the aggregator finds its removal in the
//! change stream and archives it.

use serde_json::Value;

use super::{
    keys, time,
    values::{from_map, get_s, item, n, s, s_or_null, to_map},
};
use crate::{
    model::{
        audit::{AuditAction, AuditEvent, AuditTarget},
        name::{LimitScope, Principal},
    },
    wire::Item,
};

/// Seconds in a day of retention.
const SECONDS_PER_DAY: i64 = 86_400;

/// An event to be written.
#[derive(Debug)]
pub(crate) struct NewEvent<'a> {
    /// The event's ULID.
    pub(crate) id: String,
    /// The changed entity, resource or system: the partition.
    pub(crate) target: &'a AuditTarget,
    /// The action that was taken.
    pub(crate) action: AuditAction,
    /// The author, if known.
    pub(crate) principal: Option<&'a Principal>,
    /// The resource of the limits.
    pub(crate) scope: Option<&'a LimitScope>,
    /// An object; anything else counts as an empty one.
    pub(crate) details: Value,
    /// Time of the event, in epoch ms.
    pub(crate) now_ms: i64,
    /// Days until the event expires.
    pub(crate) retention_days: u32,
}

/// Writes the event as an item.
pub(crate) fn encode(ns: &str, event: &NewEvent<'_>) -> Item {
    let target = event.target.to_string();
    let pk = keys::pk_audit(ns, &target);
    let kept = i64::from(event.retention_days) * SECONDS_PER_DAY;
    let empty = serde_json::Map::new();
    item([
        ("PK", s(&pk)),
        ("SK", s(keys::sk_audit(&event.id))),
        ("entity_id", s(target)),
        ("event_id", s(&event.id)),
        ("timestamp", s(time::timestamp(event.now_ms))),
        ("action", s(event.action.as_str())),
        ("principal", s_or_null(event.principal.map(Principal::as_str))),
        ("resource", s_or_null(event.scope.map(LimitScope::as_str))),
        ("details", to_map(event.details.as_object().unwrap_or(&empty))),
        ("ttl", n(time::epoch_seconds(event.now_ms).saturating_add(kept))),
        ("GSI4PK", s(ns)),
        ("GSI4SK", s(pk)),
    ])
}

/// Decodes an event of `target`; `None` for an item that is not an event (without an action).
pub(crate) fn decode(target: &AuditTarget, item: &Item) -> Option<AuditEvent> {
    let action = get_s(item, "action")?;
    let event_id = get_s(item, "SK")?.strip_prefix(keys::AUDIT_PREFIX)?;
    let details = item.get("details").and_then(|value| value.as_m().ok()).map(from_map);
    Some(AuditEvent {
        event_id: event_id.to_owned(),
        timestamp: get_s(item, "timestamp").unwrap_or_default().to_owned(),
        target: target.clone(),
        action: action.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}),
        principal: get_s(item, "principal").map(str::to_owned),
        resource: get_s(item, "resource").map(str::to_owned),
        details: details.unwrap_or_default(),
    })
}
