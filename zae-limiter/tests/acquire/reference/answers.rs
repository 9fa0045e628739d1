//! Our answers in the notation of the vectors.

use serde_json::{Value, json};
use zae_limiter::{
    AcquireError, Lease, LeaseOrigin, LimitStatus, RepositoryError, ValidationError, error::StoreErrorKind,
    operation::OperationReport,
};

pub(super) fn granted(lease: &Lease) -> Value {
    json!({
        "ok": true,
        "consumed": lease.consumed(),
        "bypassed": lease.is_bypassed(),
        "overdrawn": lease.overdrawn(),
        "resources": lease.resources().map(ToString::to_string).collect::<Vec<_>>(),
        "degraded": lease.origin() != LeaseOrigin::Stored,
    })
}

/// Returns the answer of a lease that was adjusted after `first`.
pub(super) fn adjusted(first: Value, lease: &Lease) -> Value {
    let mut answer = first;
    answer["after_body"] = json!({"consumed": lease.consumed(), "overdrawn": lease.overdrawn()});
    answer
}

fn status(status: &LimitStatus) -> Value {
    json!({
        "entity": status.entity_id,
        "resource": status.resource,
        "limit": status.limit.name(),
        "capacity": status.limit.capacity(),
        "available": status.available,
        "requested": status.requested,
        "exceeded": status.exceeded,
        "retry_after": status.retry_after.as_secs_f64(),
        "resets_at_ms": resets_at_ms(status),
        "soft": status.limit.is_soft(),
    })
}

/// Returns the end of a session's window; the reference does not name that of a calendar quota's period.
pub(super) fn resets_at_ms(status: &LimitStatus) -> Option<u64> {
    status.limit.session()?;
    let since = status.resets_at?.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    Some(u64::try_from(since.as_millis()).unwrap())
}

pub(super) fn refused(error: &AcquireError) -> Value {
    match error {
        AcquireError::Exceeded(exceeded) => json!({
            "raises": "RateLimitExceeded",
            "retry_after_seconds": exceeded.retry_after().as_secs_f64(),
            // Ours also names the limits of which nothing was asked.
            "statuses": exceeded.statuses().iter().filter(|s| s.requested > 0).map(status).collect::<Vec<_>>(),
        }),
        AcquireError::NeverFits(_) => json!({"raises": "NeverFits"}),
        AcquireError::Disabled(disabled) => json!({"raises": "ResourceDisabled", "level": disabled.level}),
        AcquireError::Invalid(error) => invalid(error),
        AcquireError::NoLimits { .. } => json!({"raises": "ValidationError", "field": "limits"}),
        // An item that cannot be understood is an outage to the reference, and an error of its own here.
        AcquireError::Unsupported(_) | AcquireError::Unavailable(_) => json!({"raises": "RateLimiterUnavailable"}),
        AcquireError::Repository(error) => failed(error),
        other => panic!("{other:?}"),
    }
}

pub(super) fn invalid(error: &ValidationError) -> Value {
    json!({"raises": "ValidationError", "field": error.field()})
}

pub(super) fn failed(error: &RepositoryError) -> Value {
    match error {
        RepositoryError::Invalid(error) => invalid(error),
        RepositoryError::EntityNotFound(_) => json!({"raises": "EntityNotFoundError"}),
        RepositoryError::FunctionsTooOld { functions, .. } => {
            json!({"raises": "VersionMismatchError", "can_auto_update": functions.is_some()})
        }
        RepositoryError::FanoutIncomplete { stamped, .. } => json!({"raises": "FanoutIncomplete", "stamped": stamped}),
        RepositoryError::Disabled(disabled) => json!({"raises": "ResourceDisabled", "level": disabled.level}),
        RepositoryError::Store(error) if error.kind() == StoreErrorKind::AccessDenied => {
            json!({"raises": "PermissionDenied"})
        }
        RepositoryError::Unsupported(_) => json!({"raises": "RateLimiterUnavailable"}),
        other => panic!("{other:?}"),
    }
}

/// Returns the number of buckets that a change reached, or the error.
pub(super) fn stamped(answer: Result<u64, RepositoryError>) -> Value {
    answer.map_or_else(|error| failed(&error), Value::from)
}

pub(super) fn operated(answer: Result<OperationReport, RepositoryError>) -> Value {
    match answer {
        Ok(report) => json!({
            "entity_id": report.entity_id,
            "resource": report.resource,
            "shards": report.shards,
            "amounts": report.amounts,
        }),
        Err(error) => failed(&error),
    }
}

/// Returns an answer with the names of errors that we know, and its lists in one order.
pub(super) fn normal(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let Some(members) = answer.as_object_mut() else { return answer };
    // A contended bucket is another error here, and not a kind of refusal.
    members.remove("contended");
    if let Some(class) = members.get_mut("raises")
        && ["ValueError", "InvalidNameError"].iter().any(|name| class == name)
    {
        *class = "ValidationError".into();
    }
    if let Some(Value::Array(statuses)) = members.get_mut("statuses") {
        statuses.sort_by_key(|status| ["entity", "resource", "limit"].map(|name| status[name].to_string()));
        statuses.iter_mut().for_each(|status| without_margin(&mut status["retry_after"]));
    }
    for (name, member) in members.iter_mut() {
        match (name.as_str(), member) {
            ("retry_after_seconds", wait) => without_margin(wait),
            ("consumed", amounts) | ("after_body", amounts) => without_zeros(amounts),
            // Found by a check: the balance, true if it is too little, the wait, and the end of the period.
            (_, Value::Array(found)) if found.len() == 4 && found[2].is_f64() => without_margin(&mut found[2]),
            _ => {}
        }
    }
    answer
}

/// Takes off the millisecond that the reference adds to every wait.
fn without_margin(wait: &mut Value) {
    if let Some(seconds) = wait.as_f64() {
        *wait = json!((seconds * 100.0).floor() / 100.0);
    }
}

/// Takes out limits of which nothing was consumed, which we do not name.
fn without_zeros(amounts: &mut Value) {
    if let Some(amounts) = amounts.as_object_mut() {
        amounts.retain(|_, amount| *amount != 0);
        amounts.values_mut().for_each(without_zeros);
    }
}
