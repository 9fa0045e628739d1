//! Bucket items: reading them into an [`Image`], creating them, and updating them.
//!
//! | attribute | type | meaning |
//! |---|---|---|
//! | `rf` | N | up to when refill is credited, epoch ms; an item without it is no bucket |
//! | `b_{limit}_tk` | N | balance at `rf`, mt; negative in debt |
//! | `b_{limit}_cp`, `_ra`, `_rp` | N | capacity (mt), refill per period (mt), period (ms), of the whole bucket |
//! | `b_{limit}_tc` | N | net consumption, mt; the change stream counts its differences |
//! | `b_wcu_*` | N | the reference's limit of writes; refilled here and never charged |
//! | `shard_count` | N | the number of shards; capacity and refill are divided by it |
//! | `ttl` | N | when DynamoDB may remove the item, epoch s; absent for ever |
//! | `cascade`, `parent_id`, `pinc`, `pgen` | BOOL, S, S, N | copies of the owner's record, see [`owner`] |
//! | `disabled`, `bypass`, `vu`, … | | settings of newer clients; a plain write expects them absent, or as they were seen |
//! | `entity_id`, `resource`, `GSI2*`, `GSI3*`, `GSI4*` | S | names, and keys of indexes |
//!
//! Seven attributes are our own and unknown to the reference, which keeps what it does not know:
//!
//! - `z_{limit}_fr` (N): the fraction of a millitoken left over by the last refill, in 1/period mt;
//! - `z_{limit}_rb` (N): all that was refunded of tokens whose place was known, in mt ([`crate::bucket::refund`]);
//! - `z_rid` (N): the number of the last refund;
//! - `z_r0` to `z_r7` (N): the largest numbers of refunds, so that one which is delivered twice counts once
//!   ([`crate::bucket::refund_stamp`]);
//! - `z_inc` (S): which creation of the bucket this is, so that a refund does not reach a bucket that was deleted and
//!   created again;
//! - `z_ahead` (S): `{rf}/{epoch ms}`, since when that `rf` is known to lie too far ahead;
//! - `z_shared` (N): until when the bucket counts as shared by several processes, in epoch ms.
//!
//! Sharding leaves parameters as they are: every shard stores those of the whole bucket, and whoever computes divides.
//! A bucket of a few limits with short names stays below a kilobyte, so that a write costs one write unit, and those
//! of the indexes that change.

#[cfg(test)]
mod bounds;
mod found;
mod ladder;
mod quota;
mod update;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
pub(crate) use update::{encode_counted, encode_removal, encode_update};

use found::Found;
use quota::OverTime;

use super::{
    keys,
    values::{counter, n, s},
};
use crate::{
    bucket::{
        clamp,
        image::{Image, Leftover, LimitImage, StoredParams, WcuImage},
        owner::{Owner, OwnerStamp},
        refund_stamp::{SLOTS, StoredRefunds},
        stamp::TimedStamp,
        watch::Watch,
    },
    error::{RepositoryError, Unsupported},
    model::name::{EntityId, LimitName, NamespaceId, ResourceName, WCU},
    wire::{
        Item,
        owner::{self, PARENT},
    },
};

/// Up to when refill is credited.
pub(in crate::wire) const REFILL: &str = "rf";
/// The number of shards.
pub(in crate::wire) const SHARDS: &str = "shard_count";
/// Until when plain writes are allowed, as newer clients stamp it.
pub(in crate::wire) const VALID_UNTIL: &str = "vu";
/// The creation of the bucket.
const INCARNATION: &str = "z_inc";
/// The end of a fraction's attribute.
const FRACTION: &str = "_fr";
/// The end of the attribute of a count of refunds.
const REFUNDED: &str = "_rb";
/// When DynamoDB may remove the item.
pub(in crate::wire) const TTL: &str = "ttl";
/// The note about a refill instant that lies too far ahead.
const AHEAD: &str = "z_ahead";
/// Until when the bucket counts as shared.
const SHARED: &str = "z_shared";
/// The number of the last refund.
const LAST_REFUND: &str = "z_rid";
/// The slots of refunds' numbers.
const REFUND_SLOTS: [&str; SLOTS] = ["z_r0", "z_r1", "z_r2", "z_r3", "z_r4", "z_r5", "z_r6", "z_r7"];
/// Tells if the owner charges its parent.
pub(in crate::wire) const CASCADE: &str = "cascade";
/// The switch of an operator, or of newer clients.
pub(in crate::wire) const DISABLED: &str = "disabled";
/// Until when newer clients let everything through.
pub(in crate::wire) const BYPASS: &str = "bypass";
/// Fields of a limit that is a quota; those left over when the limit is a rate again decide nothing.
const QUOTA_FIELDS: [&str; 7] = ["_ws", "_rsa", "_wa", "_wtc", "_gc", "_tu", "_rn"];

/// The attribute of a limit's fraction.
pub(in crate::wire) fn fraction_attr(limit: &str) -> String {
    ["z_", limit, FRACTION].concat()
}

/// The attribute of a limit's count of refunds.
pub(in crate::wire) fn refunded_attr(limit: &str) -> String {
    ["z_", limit, REFUNDED].concat()
}

/// Reads a bucket item. `None` when it is no bucket: a skeleton that an adjustment left behind has no refill instant.
///
/// On the way of every write, so the item is walked through once and nothing is looked up. For those who know the
/// limits that apply: what is over if they are plain rates is found in the image.
///
/// # Errors
/// `Unsupported` when the item uses a feature of newer clients, `Malformed` when a number is none.
pub(crate) fn decode(item: &Item) -> Result<Option<Image>, RepositoryError> {
    let found = Found::in_item(item);
    let number = |name: &str, value| whole_number(item, value, || name.to_owned());
    let counted = |name: &str, value| count(item, value, || name.to_owned());
    let Some(last_refill) = number(REFILL, found.last_refill)? else { return Ok(None) };
    let unsupported = |attribute: &str| Unsupported { attribute: attribute.to_owned(), item: key(item) };
    let mut image = Image {
        last_refill,
        disabled: match found.disabled {
            None => false,
            Some(AttributeValue::Bool(true)) => true,
            Some(_) => return Err(unsupported(DISABLED).into()),
        },
        bypass: found.bypass.map(|value| timed_stamp(value).ok_or_else(|| unsupported(BYPASS))).transpose()?,
        leftovers: leftovers(&found).map_err(unsupported)?,
        shard_count: number(SHARDS, found.shards)?.map(|count| u32::try_from(count.max(1)).unwrap_or(u32::MAX)),
        ttl: counted(TTL, found.ttl)?.map(clamp),
        refunds: StoredRefunds { last: number(LAST_REFUND, found.last_refund)?, slots: None },
        shared_until: number(SHARED, found.shared)?,
        watch: text(found.ahead).and_then(parse_watch),
        valid_until: number(VALID_UNTIL, found.valid_until)?,
        owner: Owner {
            cascade: matches!(found.cascade, Some(AttributeValue::Bool(true))),
            parent: text(found.parent).map(Into::into),
            stamp: text(found.owner_incarnation)
                .map(|incarnation| {
                    let generation = number(owner::GENERATION, found.owner_generation)?.unwrap_or(0);
                    Ok::<_, RepositoryError>(OwnerStamp { incarnation: incarnation.into(), generation })
                })
                .transpose()?,
        },
        scheduled: found.schedule.is_some() || found.resets.is_some(),
        incarnation: text(found.incarnation).map(Into::into),
        ..Image::default()
    };
    for (slot, value) in &found.refund_slots {
        let stored = number(REFUND_SLOTS[*slot], Some(value))?;
        stored.into_iter().for_each(|number| image.refunds.note(*slot, number));
    }
    for stored in &found.limits {
        let number = |field, value| whole_number(item, value, || keys::bucket_attr(stored.name, field));
        let tokens = balance(item, stored.tokens, || keys::bucket_attr(stored.name, "tk"))?;
        let params = StoredParams {
            capacity: number("cp", stored.capacity)?,
            refill: number("ra", stored.refill)?,
            period: number("rp", stored.period)?,
        };
        if stored.name == WCU {
            image.wcu = tokens.zip(params.complete()).map(|(tokens, params)| WcuImage { tokens, params });
            continue;
        }
        // A name that is no limit name cannot have been written by any client; it can't be charged either.
        let Ok(name) = LimitName::new(stored.name) else { continue };
        let fraction = whole_number(item, stored.fraction, || fraction_attr(stored.name))?.unwrap_or(0);
        let consumed = count(item, stored.consumed, || keys::bucket_attr(stored.name, "tc"))?;
        let refunded = balance(item, stored.refunded, || refunded_attr(stored.name))?;
        let soft = stored.soft.map(|value| timed_stamp(value).ok_or_else(|| keys::bucket_attr(stored.name, "soft")));
        let soft = soft.transpose().map_err(|attribute| unsupported(&attribute))?;
        let OverTime { quota, schedule } = quota::read(item, &found, stored, params)?;
        image.limits.push(LimitImage { name, tokens, params, fraction, refunded, soft, consumed, quota, schedule });
    }
    quota::claim(&mut image);
    Ok(Some(image))
}

/// Reads a bucket item without knowing which limits apply, to look at it.
///
/// # Errors
/// As [`decode`]; also `Unsupported` when it has a limit of a kind that is not known here.
pub(crate) fn decode_shown(item: &Item) -> Result<Option<Image>, RepositoryError> {
    let image = decode(item)?;
    match image.as_ref().and_then(Image::quota) {
        Some(leftover) => Err(Unsupported { attribute: leftover.attribute.clone(), item: key(item) }.into()),
        None => Ok(image),
    }
}

/// Reads a bucket item without knowing which limits apply, to change it.
///
/// # Errors
/// As [`decode`]; also `Unsupported` when it has a quota, or anything that is left of one.
pub(crate) fn decode_plain(item: &Item) -> Result<Option<Image>, RepositoryError> {
    let image = decode(item)?;
    match image.as_ref().and_then(|image| image.leftovers.first()) {
        Some(leftover) => Err(Unsupported { attribute: leftover.attribute.clone(), item: key(item) }.into()),
        None => Ok(image),
    }
}

/// A stamp as an item has it.
fn stamp_value(stamp: TimedStamp) -> AttributeValue {
    match stamp {
        TimedStamp::Until(until) => n(until),
        TimedStamp::Flag(flag) => AttributeValue::Bool(flag),
    }
}

/// Reads a stamp; `None` if it is none that we know.
fn timed_stamp(value: &AttributeValue) -> Option<TimedStamp> {
    match value {
        AttributeValue::N(until) => until.parse().ok().map(TimedStamp::Until),
        AttributeValue::Bool(flag) => Some(TimedStamp::Flag(*flag)),
        _ => None,
    }
}

/// Returns what is left of quotas; as the error, the name of an attribute that makes no sense.
fn leftovers<'a>(found: &Found<'a>) -> Result<Vec<Leftover>, &'a str> {
    let left = |(attribute, value): &(&'a str, &AttributeValue)| match value {
        AttributeValue::N(number) => Ok(Leftover { attribute: (*attribute).to_owned(), value: number.clone() }),
        _ => Err(*attribute),
    };
    let mut leftovers = found.leftovers.iter().map(left).collect::<Result<Vec<_>, _>>()?;
    leftovers.sort_unstable_by(|one, other| one.attribute.cmp(&other.attribute));
    Ok(leftovers)
}

/// The item's partition key, for messages.
fn key(item: &Item) -> String {
    text(item.get("PK")).unwrap_or_default().to_owned()
}

/// A text, if it is one.
fn text(value: Option<&AttributeValue>) -> Option<&str> {
    value?.as_s().ok().map(String::as_str)
}

/// A number of 64 bits, or an error that names the attribute.
fn whole_number(
    item: &Item,
    value: Option<&AttributeValue>,
    name: impl FnOnce() -> String,
) -> Result<Option<i64>, RepositoryError> {
    let parse = |value: &AttributeValue| value.as_n().ok()?.parse().ok();
    parsed(item, value, parse, || format!("attribute {} is not a whole number of 64 bits", name()))
}

/// A balance: what is beyond 64 bits counts as the most, or the deepest debt, that there is.
fn balance(
    item: &Item,
    value: Option<&AttributeValue>,
    name: impl FnOnce() -> String,
) -> Result<Option<i64>, RepositoryError> {
    let parse = |value: &AttributeValue| value.as_n().ok()?.parse().ok().map(clamp);
    parsed(item, value, parse, || format!("attribute {} is not a whole number", name()))
}

/// A number that decides nothing, as wide as DynamoDB keeps it.
fn count(
    item: &Item,
    value: Option<&AttributeValue>,
    name: impl FnOnce() -> String,
) -> Result<Option<i128>, RepositoryError> {
    parsed(item, value, counter, || format!("attribute {} is not a number", name()))
}

/// A value as `parse` reads it; `None` where it is absent.
fn parsed<T>(
    item: &Item,
    value: Option<&AttributeValue>,
    parse: impl FnOnce(&AttributeValue) -> Option<T>,
    problem: impl FnOnce() -> String,
) -> Result<Option<T>, RepositoryError> {
    let Some(value) = value else { return Ok(None) };
    parse(value).map(Some).ok_or_else(|| RepositoryError::Malformed { key: key(item), problem: problem() })
}

/// Writes a note about a refill instant.
fn watch_text(watch: Watch) -> String {
    format!("{}/{}", watch.refill, watch.since)
}

/// Reads such a note; one that cannot be read is none.
fn parse_watch(text: &str) -> Option<Watch> {
    let (refill, since) = text.split_once('/')?;
    Some(Watch { refill: refill.parse().ok()?, since: since.parse().ok()? })
}

/// Everything a new bucket starts with.
#[derive(Debug)]
pub(crate) struct NewBucket<'a> {
    /// The first part of its keys.
    pub(crate) namespace: &'a NamespaceId,
    /// Its owner.
    pub(crate) entity: &'a EntityId,
    /// The resource that it limits.
    pub(crate) resource: &'a ResourceName,
    /// Its place among the bucket's shards.
    pub(crate) shard: u32,
    /// Its content.
    pub(crate) image: &'a Image,
}

/// The item of a new bucket.
pub(crate) fn encode_new(bucket: &NewBucket<'_>) -> Item {
    let NewBucket { namespace, entity, resource, shard, image } = bucket;
    let (ns, id, res) = (namespace.as_str(), entity.as_str(), resource.as_str());
    let mut item = HashMap::from([
        ("PK".to_owned(), s(keys::pk_bucket(ns, id, res, *shard))),
        ("SK".to_owned(), s(keys::sk_state())),
        ("entity_id".to_owned(), s(id)),
        ("resource".to_owned(), s(res)),
        (REFILL.to_owned(), n(image.last_refill)),
        (CASCADE.to_owned(), AttributeValue::Bool(image.owner.cascade)),
        (SHARDS.to_owned(), n(i64::from(image.shards()))),
        ("GSI2PK".to_owned(), s(keys::gsi2_pk_resource(ns, res))),
        ("GSI2SK".to_owned(), s(keys::gsi2_sk_bucket(id, *shard))),
        ("GSI3PK".to_owned(), s(keys::gsi3_pk_entity(ns, id))),
        ("GSI3SK".to_owned(), s(keys::gsi3_sk_bucket(res, *shard))),
        ("GSI4PK".to_owned(), s(ns)),
        ("GSI4SK".to_owned(), s(keys::gsi4_sk_bucket(id, res, *shard))),
    ]);
    if let Some(parent) = &image.owner.parent {
        item.insert(PARENT.to_owned(), s(&**parent));
    }
    if let Some(OwnerStamp { incarnation, generation }) = &image.owner.stamp {
        item.insert(owner::INCARNATION.to_owned(), s(&**incarnation));
        item.insert(owner::GENERATION.to_owned(), n(*generation));
    }
    if let Some(ttl) = image.ttl {
        item.insert(TTL.to_owned(), n(ttl));
    }
    if let Some(incarnation) = &image.incarnation {
        item.insert(INCARNATION.to_owned(), s(incarnation.to_string()));
    }
    let mut put = |name: &str, tokens: i64, params: StoredParams, consumed: i128| {
        let [tokens, capacity, refill, period] =
            [Some(tokens), params.capacity, params.refill, params.period].map(|value| value.map(i128::from));
        let fields = [("tk", tokens), ("cp", capacity), ("ra", refill), ("rp", period), ("tc", Some(consumed))];
        for (field, value) in fields {
            if let Some(value) = value {
                item.insert(keys::bucket_attr(name, field), n(value));
            }
        }
    };
    let wcu = WcuImage::full();
    put(WCU, wcu.tokens, wcu.params.into(), 0);
    for limit in &image.limits {
        put(limit.name.as_str(), limit.tokens.unwrap_or(0), limit.params, limit.consumed.unwrap_or(0));
    }
    for limit in &image.limits {
        if let Some(stamp) = limit.soft {
            item.insert(keys::bucket_attr(limit.name.as_str(), "soft"), stamp_value(stamp));
        }
        quota::put_new(&mut item, limit);
    }
    if let Some(stamp) = image.bypass {
        item.insert(BYPASS.to_owned(), stamp_value(stamp));
    }
    if let Some(until) = image.valid_until {
        item.insert(VALID_UNTIL.to_owned(), n(until));
    }
    if let Some(until) = image.shared_until {
        item.insert(SHARED.to_owned(), n(until));
    }
    item
}
