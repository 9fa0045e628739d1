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
        schedule::Resets,
    },
    wire::{
        Item,
        keys::{self, limit_attr},
        schedule,
        values::{n, s},
    },
};

/// The time zone of all schedules of an item.
const ZONE: &str = "sched_tz";
/// The instants at which a quota is restored.
const RESETS: &str = "rsched";
/// Windowed limits of newer clients have this prefix, so that older clients don't take them for rates.
const WINDOW_PREFIX: &str = "w_";
/// The beginning of a limit's attributes.
const LIMIT_PREFIX: &str = "l_";
/// Capacity, refill amount and period.
const FIELDS: [&str; 3] = ["cp", "ra", "rp"];
/// The field that marks a soft limit.
const SOFT: &str = "soft";

/// Reads the limits, each of which must be complete.
pub(super) fn decode_limits(item: &Item) -> Result<Option<Limits>, RepositoryError> {
    let malformed = |problem: String| RepositoryError::Malformed { key: key_text(item), problem };
    let mut found: BTreeMap<&str, [Option<u64>; 3]> = BTreeMap::new();
    let mut soft: Vec<&str> = Vec::new();
    for (name, value) in item {
        let Some((limit, field)) = keys::parse_limit_attr(name) else { continue };
        if field == SOFT && *value == AttributeValue::Bool(true) {
            soft.push(limit);
        }
        let Some(index) = FIELDS.iter().position(|known| *known == field) else { continue };
        let number = value.as_n().ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| malformed(format!("attribute {name} is not a whole number")))?;
        found.entry(limit).or_default()[index] = Some(number);
    }
    let mut limits = Vec::with_capacity(found.len());
    for (name, fields) in found {
        let [Some(capacity), Some(refill), Some(period)] = fields else {
            return Err(malformed(format!("limit {name} lacks capacity, refill amount or period")));
        };
        let limit = match resets(item, name)? {
            Some(resets) if refill == 0 => Limit::stored_quota(name, capacity, period, resets),
            Some(_) => {
                return Err(malformed(format!("limit {name} is refilled, and restored at certain instants too")));
            }
            None => Limit::of_seconds(name, capacity, refill, period),
        };
        let limit = limit.map_err(|error| malformed(format!("limit {name}: {error}")))?;
        limits.push(if soft.contains(&name) { limit.soft() } else { limit });
    }
    if limits.is_empty() {
        return Ok(None);
    }
    Limits::new(limits).map(Some).map_err(|error| malformed(error.to_string()))
}

/// The instants at which the limit called `name` is restored.
///
/// # Errors
/// `Unsupported` when they cannot be read: a newer client wrote them, or knows another zone.
fn resets(item: &Item, name: &str) -> Result<Option<Resets>, RepositoryError> {
    let attribute = limit_attr(name, RESETS);
    let Some(value) = item.get(&attribute) else { return Ok(None) };
    let zone = item.get(ZONE).map(|zone| zone.as_s().map(String::as_str));
    let read = match (value.as_s(), zone.transpose()) {
        (Ok(text), Ok(zone)) => schedule::resets(text, zone).ok(),
        _ => None,
    };
    read.ok_or_else(|| Unsupported { attribute, item: key_text(item) }.into())
}

/// The first attribute that would change what the limits mean.
pub(super) fn unsupported(item: &Item) -> Option<String> {
    let foreign = |name: &str| {
        let field = || {
            keys::parse_limit_attr(name).is_none_or(|(_, field)| match field {
                SOFT => !item.get(name).is_some_and(AttributeValue::is_bool),
                field => !FIELDS.contains(&field) && field != RESETS,
            })
        };
        name.starts_with(WINDOW_PREFIX) || (name.starts_with(LIMIT_PREFIX) && field())
    };
    let policy = super::cascade(item).err().map(|unsupported| unsupported.attribute);
    item.keys().filter(|name| foreign(name)).min().cloned().or(policy)
}

/// The attributes of `limits`.
pub(crate) fn encode_limits(limits: &Limits) -> impl Iterator<Item = (String, AttributeValue)> {
    limits.iter().flat_map(|limit| {
        let name = |field| limit_attr(limit.name().as_str(), field);
        let rate = [
            (name("cp"), n(limit.capacity())),
            (name("ra"), n(limit.refill_amount())),
            (name("rp"), n(limit.refill_period().as_secs())),
        ];
        let soft = limit.is_soft().then(|| (name(SOFT), AttributeValue::Bool(true)));
        let resets = limit.resets().map(|resets| (name(RESETS), s(resets.text())));
        // One for the item: the limits of a set share it.
        let zone = limit.zone().map(|zone| (ZONE.to_owned(), s(zone.name())));
        rate.into_iter().chain(soft).chain(resets).chain(zone)
    })
}

/// The names of the limits that `before` has and `after` has not.
pub(crate) fn dropped<'a>(before: &'a Limits, after: Option<&Limits>) -> Vec<&'a LimitName> {
    let gone = |name: &&LimitName| after.is_none_or(|after| after.get(name.as_str()).is_none());
    before.iter().map(Limit::name).filter(gone).collect()
}
