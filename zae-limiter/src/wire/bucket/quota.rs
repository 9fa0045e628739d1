//! Schedules and quotas on a bucket item.
//!
//! | attribute | meaning |
//! |---|---|
//! | `sched`, `rsched` | schedules of the limits that have none of their own; `-` stands for none |
//! | `b_{limit}_sched`, `b_{limit}_rsched` | a limit's own |
//! | `sched_tz` | the zone of all of them; `UTC` where it is absent |
//! | `b_{limit}_gc` | number of shards by which the grant of the running period was cut |
//! | `b_{limit}_tu` | topped up in this period, in mt |
//! | `b_{limit}_rn` | number of resets by hand |
//!
//! A limit is a calendar quota if its refill is 0 and a reset schedule applies to it.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    count,
    found::{Found, FoundLimit},
    key, s,
};
use crate::{
    bucket::{
        clamp,
        image::{Image, Leftover, StoredParams},
        quota::stored::{QuotaWrite, StoredQuota},
        write::BucketWrite,
    },
    error::{RepositoryError, Unsupported},
    wire::{
        Item,
        expression::ExpressionBuilder,
        keys,
        schedule::{self, NONE},
        values::n,
    },
};

/// The schedule of parameters of a limit, which newer clients write.
pub(in crate::wire) const SCHEDULE: &str = "sched";
/// The instants at which a quota is restored, in compact text.
pub(in crate::wire) const RESETS: &str = "rsched";
/// The time zone of all schedules of the item.
pub(in crate::wire) const ZONE: &str = "sched_tz";

/// Reads the quota that a limit of the item is.
///
/// # Errors
/// `Unsupported` when its parameters change with the time of day, or its schedule cannot be read.
pub(super) fn read(
    item: &Item,
    found: &Found<'_>,
    limit: &FoundLimit<'_>,
    params: StoredParams,
) -> Result<Option<StoredQuota>, RepositoryError> {
    // Without a capacity it is no limit, only what is left of one.
    if params.capacity.is_none() {
        return Ok(None);
    }
    let unsupported = |field: &str, own: Option<&AttributeValue>| {
        let attribute = own.map_or_else(|| field.to_owned(), |_| keys::bucket_attr(limit.name, field));
        RepositoryError::from(Unsupported { attribute, item: key(item) })
    };
    let applying = |field: &str, own: Option<&AttributeValue>, of_item: Option<&AttributeValue>| {
        let Some(value) = own.or(of_item) else { return Ok::<_, RepositoryError>(None) };
        let text = value.as_s().map_err(|_| unsupported(field, own))?;
        Ok((!text.is_empty() && text != NONE).then(|| text.clone()))
    };
    if applying(SCHEDULE, limit.schedule, found.schedule)?.is_some() {
        return Err(unsupported(SCHEDULE, limit.schedule));
    }
    if params.refill != Some(0) {
        return Ok(None);
    }
    let Some(text) = applying(RESETS, limit.resets, found.resets)? else { return Ok(None) };
    let zone = match found.zone {
        Some(zone) => Some(zone.as_s().map_err(|_| unsupported(ZONE, None))?.as_str()),
        None => None,
    };
    let resets = schedule::resets(&text, zone).map_err(|_| unsupported(RESETS, limit.resets))?;
    let number = |field: &str, value| {
        Ok::<_, RepositoryError>(count(item, value, || keys::bucket_attr(limit.name, field))?.map(clamp))
    };
    let grant_count = number("gc", limit.grant_count)?.map(|count| u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    let topped_up = number("tu", limit.topped_up)?;
    let resets_by_hand = number("rn", limit.resets_by_hand)?.unwrap_or(0);
    Ok(resets.map(|resets| StoredQuota { resets, grant_count, topped_up, resets_by_hand }))
}

/// The names of the attributes that a quota may have.
fn attributes(limit: &str) -> [String; 3] {
    ["gc", "tu", "rn"].map(|field| keys::bucket_attr(limit, field))
}

/// Takes the attributes that a quota has off the list of what is left of quotas.
pub(super) fn claim(image: &mut Image) {
    let owned: Vec<String> = image
        .limits
        .iter()
        .filter(|limit| limit.quota.is_some())
        .flat_map(|limit| attributes(limit.name.as_str()))
        .collect();
    image.leftovers.retain(|Leftover { attribute, .. }| !owned.contains(attribute));
}

/// The attributes of a quota on a new item.
pub(super) fn put_new(item: &mut Item, limit: &str, quota: &StoredQuota) {
    item.insert(ZONE.to_owned(), s(quota.resets.zone().name()));
    item.insert(keys::bucket_attr(limit, RESETS), s(quota.resets.text()));
    if let Some(count) = quota.grant_count {
        item.insert(keys::bucket_attr(limit, "gc"), n(count));
    }
    if let Some(topped_up) = quota.topped_up {
        item.insert(keys::bucket_attr(limit, "tu"), n(topped_up));
    }
}

/// Adds the change of quotas to an update.
pub(super) fn update(e: &mut ExpressionBuilder, write: &BucketWrite) {
    let mut zone = None;
    for limit in &write.limits {
        let attribute = |field: &str| keys::bucket_attr(limit.name.as_str(), field);
        let (grant_count, topped_up) = match &limit.quota {
            QuotaWrite::Nothing => continue,
            QuotaWrite::Ends => {
                for own in [SCHEDULE, RESETS] {
                    let own = e.name(attribute(own));
                    e.set(&own, s(NONE));
                }
                for owned in attributes(limit.name.as_str()) {
                    let owned = e.name(owned);
                    e.remove(&owned);
                }
                continue;
            }
            QuotaWrite::Restored { grant_count, topped_up } => (Some(*grant_count), *topped_up),
            QuotaWrite::Becomes { resets, grant_count, topped_up } => {
                let (schedule, own) = (e.name(attribute(SCHEDULE)), e.name(attribute(RESETS)));
                e.set(&schedule, s(NONE));
                e.set(&own, s(resets.text()));
                zone.get_or_insert(resets.zone());
                (*grant_count, *topped_up)
            }
        };
        if let Some(count) = grant_count {
            let name = e.name(attribute("gc"));
            e.set(&name, i64::from(count));
        }
        if topped_up {
            let name = e.name(attribute("tu"));
            e.remove(&name);
        }
    }
    if let Some(zone) = zone {
        let name = e.name(ZONE);
        e.set(&name, s(zone.name()));
    }
}
