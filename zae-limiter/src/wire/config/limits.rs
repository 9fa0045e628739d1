//! The limits of a configuration item, attribute by attribute, and what newer clients may have added to them.
//!
//! A limit is three numbers (`cp`, `ra`, `rp`), and may have a mark (`soft`) or instants (`rsched`) beside them.
//! Reading is strict: a limit that lacks a number, or has one that is no whole number, is an error that names the
//! attribute, because a limit that is half understood would be enforced wrongly. Unknown attributes of a limit are not
//! skipped either: they make the item [`Unsupported`].

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::key_text;
use crate::{
    error::{RepositoryError, Unsupported},
    model::{
        limit::{Limit, Limits},
        name::LimitName,
        parameters::LimitSchedule,
        schedule::ScheduleError,
    },
    wire::{
        Item,
        keys::{limit_attr, parse_limit_attr},
        schedule,
        values::{n, s},
    },
};

/// The time zone of all schedules of an item.
const ZONE: &str = "sched_tz";
/// The instants at which a quota is restored.
const RESETS: &str = "rsched";
/// The parameters of a limit at certain times.
const SCHEDULE: &str = "sched";
/// The length of a session quota's window, in seconds.
const SESSION: &str = "rsa";
/// Session quotas have this prefix, so that older clients don't take them for rates.
const WINDOW_PREFIX: &str = "w_";
/// The beginning of a limit's attributes.
const LIMIT_PREFIX: &str = "l_";
/// Capacity, refill amount and period.
const FIELDS: [&str; 3] = ["cp", "ra", "rp"];
/// The field that marks a soft limit.
const SOFT: &str = "soft";

/// The attributes of one limit of an item.
#[derive(Default)]
struct StoredLimit {
    /// Capacity, refill amount and period.
    numbers: [Option<u64>; 3],
    /// The length of a window, in seconds.
    session: Option<u64>,
    /// True if it never refuses.
    soft: bool,
}

/// Reads the limits, each of which must be complete.
pub(super) fn decode_limits(item: &Item) -> Result<Option<Limits>, RepositoryError> {
    let malformed = |problem: String| RepositoryError::Malformed { key: key_text(item), problem };
    let mut found: BTreeMap<(&str, &str), StoredLimit> = BTreeMap::new();
    for (name, value) in item {
        let Some((prefix, limit, field)) = parse(name) else { continue };
        if field == SOFT && *value == AttributeValue::Bool(true) {
            found.entry((limit, prefix)).or_default().soft = true;
        }
        let place = FIELDS.iter().position(|known| *known == field);
        if place.is_none() && field != SESSION {
            continue;
        }
        let number = value.as_n().ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| malformed(format!("attribute {name} is not a whole number")))?;
        let stored = found.entry((limit, prefix)).or_default();
        match place {
            Some(place) => stored.numbers[place] = Some(number),
            None => stored.session = Some(number),
        }
    }
    let mut limits = Vec::with_capacity(found.len());
    for ((name, prefix), stored) in found {
        if stored.numbers == [None; 3] && stored.session.is_none() {
            continue;
        }
        let limit = limit(item, name, prefix, &stored)?;
        limits.push(if stored.soft { limit.soft() } else { limit });
    }
    if limits.is_empty() {
        return Ok(None);
    }
    Limits::new(limits).map(Some).map_err(|error| malformed(error.to_string()))
}

/// Reads one limit.
fn limit(item: &Item, name: &str, prefix: &str, stored: &StoredLimit) -> Result<Limit, RepositoryError> {
    let malformed = |problem: String| RepositoryError::Malformed { key: key_text(item), problem };
    let [Some(capacity), Some(refill), Some(period)] = stored.numbers else {
        return Err(malformed(format!("limit {name} lacks capacity, refill amount or period")));
    };
    let resets = scheduled(item, prefix, name, RESETS, schedule::resets)?;
    let limit = match (resets, stored.session) {
        (Some(_), None) if refill > 0 => {
            return Err(malformed(format!("limit {name} is refilled, and restored at certain instants too")));
        }
        (Some(resets), None) => Limit::stored_quota(name, capacity, period, resets),
        (None, Some(_)) if refill > 0 => {
            return Err(malformed(format!("limit {name} is refilled, and restored after a window too")));
        }
        (None, Some(seconds)) => Limit::stored_session(name, capacity, period, seconds),
        (Some(_), Some(_)) => {
            return Err(malformed(format!("limit {name} is restored by a calendar and after a window too")));
        }
        (None, None) if prefix == WINDOW_PREFIX => {
            return Err(malformed(format!("limit {name} lacks the length of its window")));
        }
        (None, None) => Limit::of_seconds(name, capacity, refill, period),
    };
    let limit = limit.map_err(|error| malformed(format!("limit {name}: {error}")))?;
    match scheduled(item, prefix, name, SCHEDULE, schedule::parameters)? {
        Some(schedule) => {
            let scheduled = limit.scheduled(LimitSchedule::stored(schedule));
            // A quota that is refilled at certain times, which newer clients may make sense of.
            let attribute = limit_attr(prefix, name, SCHEDULE);
            scheduled.map_err(|_| Unsupported { attribute, item: key_text(item) }.into())
        }
        None => Ok(limit),
    }
}

/// Reads a schedule of the limit called `name`.
///
/// # Errors
/// `Unsupported` when it cannot be read: a newer client wrote it, or knows another zone.
fn scheduled<T>(
    item: &Item,
    prefix: &str,
    name: &str,
    field: &str,
    read: impl FnOnce(&str, Option<&str>) -> Result<Option<T>, ScheduleError>,
) -> Result<Option<T>, RepositoryError> {
    let attribute = limit_attr(prefix, name, field);
    let Some(value) = item.get(&attribute) else { return Ok(None) };
    let zone = item.get(ZONE).map(|zone| zone.as_s().map(String::as_str));
    let read = match (value.as_s(), zone.transpose()) {
        (Ok(text), Ok(zone)) => read(text, zone).ok(),
        _ => None,
    };
    read.ok_or_else(|| Unsupported { attribute, item: key_text(item) }.into())
}

/// The prefix, limit and field of an attribute.
fn parse(name: &str) -> Option<(&'static str, &str, &str)> {
    [LIMIT_PREFIX, WINDOW_PREFIX].into_iter().find_map(|prefix| {
        let (limit, field) = parse_limit_attr(name, prefix)?;
        Some((prefix, limit, field))
    })
}

/// The first attribute that would change what the limits mean.
pub(super) fn unsupported(item: &Item) -> Option<String> {
    let foreign = |name: &str| {
        let has_prefix = name.starts_with(LIMIT_PREFIX) || name.starts_with(WINDOW_PREFIX);
        let field = || {
            parse(name).is_none_or(|(prefix, _, field)| match field {
                SOFT => !item.get(name).is_some_and(AttributeValue::is_bool),
                SESSION => prefix != WINDOW_PREFIX,
                RESETS => prefix != LIMIT_PREFIX,
                field => !FIELDS.contains(&field) && field != SCHEDULE,
            })
        };
        has_prefix && field()
    };
    let policy = super::cascade(item).err().map(|unsupported| unsupported.attribute);
    item.keys().filter(|name| foreign(name)).min().cloned().or(policy)
}

/// The attributes of `limits`.
pub(crate) fn encode_limits(limits: &Limits) -> impl Iterator<Item = (String, AttributeValue)> {
    limits.iter().flat_map(|limit| {
        let prefix = if limit.session().is_some() { WINDOW_PREFIX } else { LIMIT_PREFIX };
        let name = move |field| limit_attr(prefix, limit.name().as_str(), field);
        let rate = [
            (name("cp"), n(limit.capacity())),
            (name("ra"), n(limit.refill_amount())),
            (name("rp"), n(limit.refill_period().as_secs())),
        ];
        let others = [
            limit.session().map(|session| (name(SESSION), n(session.as_secs()))),
            limit.is_soft().then(|| (name(SOFT), AttributeValue::Bool(true))),
            limit.resets().map(|resets| (name(RESETS), s(resets.text()))),
            limit.parameter_schedule().map(|schedule| (name(SCHEDULE), s(schedule.text()))),
            // One for the item: the limits of a set share it.
            limit.zone().map(|zone| (ZONE.to_owned(), s(zone.name()))),
        ];
        rate.into_iter().chain(others.into_iter().flatten())
    })
}

/// The names of the limits that `before` has and `after` has not.
pub(crate) fn dropped<'a>(before: &'a Limits, after: Option<&Limits>) -> Vec<&'a LimitName> {
    let gone = |name: &&LimitName| after.is_none_or(|after| after.get(name.as_str()).is_none());
    before.iter().map(Limit::name).filter(gone).collect()
}
