//! Operations on buckets: the record of one, and its write of each shard.
//!
//! The record lies in the partition of shard 0 under `#OP#{key}` and expires after three days. Beside the attributes of
//! the Python package it has `z_asked`, what was asked: the same key under which something else is asked is an error.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Item,
    bucket::{REFILL, SHARDS, TTL, fraction_attr, refunded_attr},
    expression::{Expression, ExpressionBuilder, Key},
    keys, time,
    values::{from_attribute, get_n, get_s, item, n, s, to_map},
};
use crate::{
    bucket::{
        image::Image,
        operation::{ShardLimitWrite, ShardWrite},
        quota::grant::inferred_count,
    },
    model::{
        name::{EntityId, LimitName, ResourceName, WCU},
        operation::Asked,
    },
};

/// Seconds for which a record is kept.
const KEPT_SECONDS: i64 = 259_200;
/// The amounts asked for, by limit.
const ASKED: &str = "z_asked";
/// Stands for an entity without a record.
const NOBODY: &str = "-";

/// An operation that was carried out.
#[derive(Clone, Debug)]
pub(crate) struct OperationRecord<'a> {
    /// The first part of its keys.
    pub(crate) ns: &'a str,
    /// The owner of the bucket.
    pub(crate) entity: &'a EntityId,
    /// The resource that it limits.
    pub(crate) resource: &'a ResourceName,
    /// The key under which it counts once.
    pub(crate) key: &'a str,
    /// The request.
    pub(crate) asked: &'a Asked,
    /// Identifies the call that wrote the record.
    pub(crate) writer: &'a str,
    /// The creation of the entity.
    pub(crate) incarnation: &'a str,
    /// Number of shards that were changed.
    pub(crate) shards: u32,
    /// Whole tokens by limit.
    pub(crate) amounts: &'a BTreeMap<LimitName, i64>,
}

/// A record as it was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundOperation {
    /// Number of shards that were changed.
    pub(crate) shards: u32,
    /// Whole tokens by limit.
    pub(crate) amounts: BTreeMap<LimitName, i64>,
    /// The name of the operation.
    operation: String,
    /// The amounts asked for; `None` in records of other clients.
    asked: Option<Value>,
}

impl FoundOperation {
    /// Returns true if the record is of what is `asked`. Other clients record only what was granted: the same limits
    /// then, and no more of them than is asked.
    pub(crate) fn is_of(&self, asked: &Asked) -> bool {
        if self.operation != asked.operation() {
            return false;
        }
        if let Some(found) = &self.asked {
            return *found == Value::Object(request(asked));
        }
        match asked {
            Asked::ResetAll => true,
            Asked::Reset(names) => self.amounts.keys().eq(names),
            Asked::TopUp(amounts) => {
                self.amounts.keys().eq(amounts.keys())
                    && self.amounts.values().zip(amounts.values()).all(|(granted, asked)| granted <= asked)
            }
        }
    }
}

/// The amounts asked for, by limit. A reset of whatever limits apply names none.
fn request(asked: &Asked) -> Map<String, Value> {
    match asked {
        Asked::ResetAll => Map::new(),
        Asked::Reset(names) => names.iter().map(|name| (name.to_string(), json!(0))).collect(),
        Asked::TopUp(amounts) => amounts.iter().map(|(name, tokens)| (name.to_string(), json!(tokens))).collect(),
    }
}

/// The key of the record.
pub(crate) fn key(ns: &str, entity: &EntityId, resource: &ResourceName, operation_key: &str) -> Key {
    Key::new(keys::pk_bucket(ns, entity.as_str(), resource.as_str(), 0), format!("#OP#{operation_key}"))
}

/// The beginning of the places that an entity's records have in the index of the namespace.
pub(crate) fn listed_prefix(entity: &EntityId) -> String {
    format!("OP#{entity}#")
}

/// The creation of an entity, given its record.
pub(crate) fn incarnation(meta: Option<&Item>) -> String {
    meta.map_or(NOBODY.to_owned(), |meta| super::owner::stamp(meta).incarnation.to_string())
}

/// The record, and the condition under which it is put: there is none, or only one of a deleted predecessor.
pub(crate) fn record(record: &OperationRecord<'_>, now_ms: i64) -> (Item, Expression) {
    let OperationRecord { ns, entity, resource, key: operation_key, asked, .. } = record;
    let amounts: Map<String, Value> =
        record.amounts.iter().map(|(name, tokens)| (name.to_string(), json!(tokens))).collect();
    let mut found = item([
        ("entity_id", s(entity.as_str())),
        ("resource", s(resource.as_str())),
        ("operation", s(asked.operation())),
        ("writer", s(record.writer)),
        ("ent", s(record.incarnation)),
        ("shards", n(record.shards)),
        ("amounts", to_map(&amounts)),
        (ASKED, to_map(&request(asked))),
        (TTL, n(time::epoch_seconds(now_ms).saturating_add(KEPT_SECONDS))),
        ("GSI4PK", s(*ns)),
        ("GSI4SK", s(format!("{}{resource}#{operation_key}", listed_prefix(entity)))),
    ]);
    found.extend(key(ns, entity, resource, operation_key).attributes());
    let condition = Expression::of(|e| {
        if record.incarnation == NOBODY {
            e.expect("PK", None::<i64>);
        } else {
            e.absent_or_of_others("ent", s(record.incarnation), s(NOBODY));
        }
    });
    (found, condition)
}

/// Reads a record, unless it is of a deleted predecessor of the entity.
pub(crate) fn found(item: &Item, incarnation: &str) -> Option<FoundOperation> {
    let owner = get_s(item, "ent").unwrap_or(NOBODY);
    if owner != incarnation && owner != NOBODY && incarnation != NOBODY {
        return None;
    }
    let map = |name: &str| Some(item.get(name)?.as_m().ok()?.iter().map(|(name, value)| (name, from_attribute(value))));
    let amounts =
        map("amounts")?.filter_map(|(name, value)| Some((LimitName::new(name.as_str()).ok()?, value.as_i64()?)));
    Some(FoundOperation {
        shards: get_n(item, "shards").and_then(|shards| u32::try_from(shards).ok()).unwrap_or(0),
        amounts: amounts.collect(),
        operation: get_s(item, "operation").unwrap_or_default().to_owned(),
        asked: map(ASKED).map(|asked| asked.map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>().into()),
    })
}

/// Tells a shard that lags behind that the bucket has `count` shards. Grants that nobody has noted are noted before, as
/// they follow from the count until now.
pub(crate) fn raise(image: &Image, count: u32) -> Expression {
    Expression::of(|e| {
        let (refill, shards) = (e.name(REFILL), e.name(SHARDS));
        e.expect_some(&refill);
        e.absent_or(&shards, "<", i64::from(count));
        e.set(&shards, i64::from(count));
        for limit in &image.limits {
            let (Some(_), Some(tokens), Some(capacity)) = (&limit.quota, limit.tokens, limit.params.capacity) else {
                continue;
            };
            let granted = e.name(keys::bucket_attr(limit.name.as_str(), "gc"));
            e.set_once(&granted, i64::from(inferred_count(tokens, capacity, image.shards())));
        }
    })
}

/// The update of one shard: nothing but consumption may have happened to it since it was read.
///
/// `ttl` is the new lifetime in epoch s: `Some(None)` removes it. A longer one that somebody else has set is a
/// condition lost.
pub(crate) fn shard(write: &ShardWrite, ttl: Option<Option<i64>>) -> Expression {
    let mut e = ExpressionBuilder::for_limits(write.limits.len());
    let (refill, shards, valid, incarnation) = (e.name(REFILL), e.name(SHARDS), e.name("vu"), e.name("z_inc"));
    e.expect(&refill, Some(write.expect_refill));
    e.expect(&shards, write.expect_shards.map(i64::from));
    e.expect(&incarnation, write.expect_incarnation.as_ref().map(|incarnation| s(incarnation.to_string())));
    e.set(&refill, write.set_refill);
    // Every client looks at the bucket once before it goes on.
    e.set(&valid, 0);
    write.limits.iter().for_each(|part| limit(&mut e, part));
    if write.wcu_credit != 0 {
        let name = e.name(keys::bucket_attr(WCU, "tk"));
        e.add(&name, write.wcu_credit);
    }
    if let Some(ttl) = ttl {
        let name = e.name(TTL);
        if let Some(ttl) = ttl {
            e.absent_or(&name, "<=", ttl);
        }
        e.set_or_remove(&name, ttl);
    }
    e.finish()
}

/// One limit's part.
fn limit(e: &mut ExpressionBuilder, limit: &ShardLimitWrite) {
    let name = limit.name.as_str();
    let params = limit.expect_params;
    for (field, value) in [("cp", params.capacity), ("ra", params.refill), ("rp", params.period)] {
        let name = e.name(keys::bucket_attr(name, field));
        e.expect(&name, value);
    }
    if limit.add != 0 {
        let tokens = e.name(keys::bucket_attr(name, "tk"));
        e.compare(&tokens, "<=", limit.seen);
        e.add(&tokens, limit.add);
    }
    if limit.refunded > 0 {
        let refunded = e.name(refunded_attr(name));
        e.add(&refunded, limit.refunded);
    }
    let fraction = e.name(fraction_attr(name));
    if limit.expect_fraction != 0 {
        e.expect(&fraction, Some(limit.expect_fraction));
    }
    e.set_or_remove(&fraction, (limit.set_fraction != 0).then_some(limit.set_fraction));
    if let Some(grant_count) = limit.grant_count {
        let name = e.name(keys::bucket_attr(name, "gc"));
        e.set(&name, i64::from(grant_count));
    }
    if let Some(topped_up) = limit.topped_up {
        let name = e.name(keys::bucket_attr(name, "tu"));
        e.set_or_remove(&name, topped_up);
    }
    if limit.counts_reset {
        let name = e.name(keys::bucket_attr(name, "rn"));
        e.add(&name, 1);
    }
}
