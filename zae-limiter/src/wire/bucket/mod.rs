//! Bucket items: reading them into an [`Image`], creating them, and updating them.
//!
//! Two attributes are our own and unknown to the reference, which keeps what it does not know:
//! `z_{limit}_fr` (N), the fraction of a millitoken left over by the last refill in 1/period mt, and `z_inc` (S), which
//! creation of the bucket this is, so that a refund does not reach a bucket that was deleted and made anew.

mod update;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
pub(crate) use update::{encode_removal, encode_update};

use super::keys;
use crate::{
    bucket::{MILLI, Params},
    engine::image::{Image, LimitImage, Owner, StoredParams, WcuImage},
    error::{RepositoryError, Unsupported},
    model::name::{EntityId, LimitName, NamespaceId, ResourceName, WCU},
    repository::store::Item,
};

pub(in crate::wire) const REFILL: &str = "rf";
pub(in crate::wire) const SHARDS: &str = "shard_count";
const VALID_UNTIL: &str = "vu";
const INCARNATION: &str = "z_inc";
const TTL: &str = "ttl";
const CASCADE: &str = "cascade";
/// Features of newer clients that a plain conditional write would enforce wrongly.
const UNSUPPORTED: [&str; 5] = ["disabled", "bypass", "sched", "rsched", "sched_tz"];
const UNSUPPORTED_FIELDS: [&str; 10] =
    ["_soft", "_sched", "_rsched", "_ws", "_rsa", "_wa", "_wtc", "_gc", "_tu", "_rn"];
/// The reserved limit on a new bucket: 1000 write units, refilled at 1000 per second.
const WCU_PARAMS: Params = Params { capacity: 1_000 * MILLI, refill: 1_000 * MILLI, period: 1_000 };

pub(in crate::wire) fn fraction_attr(limit: &str) -> String {
    format!("z_{limit}_fr")
}

fn n(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Reads a bucket item. `None` when it is no bucket: a skeleton that an adjustment left behind has no refill instant.
///
/// # Errors
/// `Unsupported` when the item uses a feature of newer clients, `Malformed` when a number is none.
pub(crate) fn decode(item: &Item) -> Result<Option<Image>, RepositoryError> {
    let key = || item.get("PK").and_then(|v| v.as_s().ok()).cloned().unwrap_or_default();
    let number = |name: &str| -> Result<Option<i64>, RepositoryError> {
        let Some(value) = item.get(name) else { return Ok(None) };
        let parsed = value.as_n().ok().and_then(|text| text.parse::<i64>().ok());
        parsed.map(Some).ok_or_else(|| RepositoryError::Malformed {
            key: key(),
            problem: format!("attribute {name} is not a whole number of 64 bits"),
        })
    };
    let Some(last_refill) = number(REFILL)? else { return Ok(None) };
    if let Some(attribute) = unsupported(item) {
        return Err(Unsupported { attribute, item: key() }.into());
    }
    let mut image = Image {
        last_refill,
        shard_count: number(SHARDS)?.map(|count| u32::try_from(count.max(1)).unwrap_or(u32::MAX)),
        ttl: number(TTL)?,
        valid_until: number(VALID_UNTIL)?,
        owner: Owner {
            cascade: matches!(item.get(CASCADE), Some(AttributeValue::Bool(true))),
            parent: item.get("parent_id").and_then(|v| v.as_s().ok()).map(|parent| parent.as_str().into()),
        },
        owner_stamped: item.contains_key("pgen") || item.contains_key("pinc"),
        incarnation: item.get(INCARNATION).and_then(|v| v.as_s().ok()).map(|text| text.as_str().into()),
        ..Image::default()
    };
    let stored_params = |name: &str| -> Result<StoredParams, RepositoryError> {
        let field = |field| number(&keys::bucket_attr(name, field));
        Ok(StoredParams { capacity: field("cp")?, refill: field("ra")?, period: field("rp")? })
    };
    let mut names: Vec<&str> = item.keys().filter_map(|name| keys::parse_bucket_attr(name)).map(|(l, _)| l).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let tokens = number(&keys::bucket_attr(name, "tk"))?;
        let params = stored_params(name)?;
        if name == WCU {
            image.wcu = tokens.zip(params.complete()).map(|(tokens, params)| WcuImage { tokens, params });
            continue;
        }
        // A name that is no limit name cannot have been written by any client; it can't be charged either.
        let Ok(name) = LimitName::new(name) else { continue };
        image.limits.push(LimitImage {
            tokens,
            params,
            fraction: number(&fraction_attr(name.as_str()))?.unwrap_or(0),
            consumed: number(&keys::bucket_attr(name.as_str(), "tc"))?,
            name,
        });
    }
    Ok(Some(image))
}

fn unsupported(item: &Item) -> Option<String> {
    if let Some(name) = UNSUPPORTED.iter().find(|name| item.contains_key(**name)) {
        return Some((*name).to_owned());
    }
    // `a_ws` is a fine name for a limit: its own `b_a_ws_tk` ends in a known field.
    let per_limit =
        |name: &&String| name.starts_with("b_") && UNSUPPORTED_FIELDS.iter().any(|field| name.ends_with(field));
    item.keys().find(per_limit).cloned()
}

/// Everything a new bucket starts with.
#[derive(Debug)]
pub(crate) struct NewBucket<'a> {
    pub(crate) namespace: &'a NamespaceId,
    pub(crate) entity: &'a EntityId,
    pub(crate) resource: &'a ResourceName,
    pub(crate) shard: u32,
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
        item.insert("parent_id".to_owned(), s(&**parent));
    }
    if let Some(ttl) = image.ttl {
        item.insert(TTL.to_owned(), n(ttl));
    }
    if let Some(incarnation) = &image.incarnation {
        item.insert(INCARNATION.to_owned(), s(&**incarnation));
    }
    let mut put = |name: &str, tokens: i64, params: StoredParams, consumed: i64| {
        let fields = [
            ("tk", Some(tokens)),
            ("cp", params.capacity),
            ("ra", params.refill),
            ("rp", params.period),
            ("tc", Some(consumed)),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                item.insert(keys::bucket_attr(name, field), n(value));
            }
        }
    };
    put(WCU, WCU_PARAMS.capacity, WCU_PARAMS.into(), 0);
    for limit in &image.limits {
        put(limit.name.as_str(), limit.tokens.unwrap_or(0), limit.params, limit.consumed.unwrap_or(0));
    }
    item
}

/// The reserved limit of a new bucket, as an image has it.
pub(crate) fn new_wcu() -> WcuImage {
    WcuImage { tokens: WCU_PARAMS.capacity, params: WCU_PARAMS }
}
