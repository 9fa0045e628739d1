//! Records of the stream, as DynamoDB makes them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value, json};

/// The namespace's id in records made here.
pub(crate) const NS: &str = "aB3x_9QwZ1k";

type Item = HashMap<String, AttributeValue>;

/// 2026-01-01T00:00:00Z in epoch s.
pub(crate) const NEW_YEAR: i64 = 1_767_225_600;

/// The text of the sequence number `n`, as long as DynamoDB's.
pub(crate) fn sequence(n: u64) -> String {
    format!("{}", 400_000_000_000_000_000_000_u128 + u128::from(n))
}

/// A bucket and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) entity: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) shard: u32,
    pub(crate) shards: u32,
    /// When it was last refilled, epoch ms.
    pub(crate) last_refill: i64,
    /// Name, balance, capacity and refill (mt), period (ms), counter (mt).
    pub(crate) limits: Vec<(&'static str, i64, i64, i64, i64, i64)>,
}

impl Bucket {
    /// A bucket of `rpm` (1000/min) and `tpm` (100 000/min), full and untouched.
    pub(crate) fn new(entity: &'static str, resource: &'static str) -> Self {
        let limits = vec![
            ("rpm", 1_000_000, 1_000_000, 1_000_000, 60_000, 0),
            ("tpm", 100_000_000, 100_000_000, 100_000_000, 60_000, 0),
        ];
        Self { entity, resource, shard: 0, shards: 1, last_refill: NEW_YEAR * 1_000, limits }
    }

    /// Takes tokens (or gives them back) and bumps the counters.
    pub(crate) fn take(&mut self, amounts: &[(&str, i64)]) {
        for (name, tokens) in amounts {
            let limit = self.limits.iter_mut().find(|limit| limit.0 == *name).unwrap();
            limit.1 -= tokens * 1_000;
            limit.5 += tokens * 1_000;
        }
    }

    /// Its partition key.
    pub(crate) fn pk(&self) -> String {
        format!("{NS}/BUCKET#{}#{}#{}", self.entity, self.resource, self.shard)
    }

    /// The item.
    pub(crate) fn item(&self) -> Value {
        let (entity, resource, shard) = (self.entity, self.resource, self.shard);
        let mut item = json!({
            "PK": {"S": self.pk()}, "SK": {"S": "#STATE"}, "entity_id": {"S": entity}, "resource": {"S": resource},
            "rf": {"N": self.last_refill.to_string()}, "shard_count": {"N": self.shards.to_string()},
            "cascade": {"BOOL": false},
            "GSI2PK": {"S": format!("{NS}/RESOURCE#{resource}")}, "GSI2SK": {"S": format!("BUCKET#{entity}#{shard}")},
            "GSI3PK": {"S": format!("{NS}/ENTITY#{entity}")}, "GSI3SK": {"S": format!("BUCKET#{resource}#{shard}")},
            "GSI4PK": {"S": NS}, "GSI4SK": {"S": format!("BUCKET#{entity}#{resource}#{shard}")},
        });
        let wcu = ("wcu", 1_000_000, 1_000_000, 1_000_000, 1_000, 0);
        for (name, tokens, capacity, refill, period, consumed) in self.limits.iter().chain([&wcu]) {
            let fields = [("tk", tokens), ("cp", capacity), ("ra", refill), ("rp", period), ("tc", consumed)];
            for (field, value) in fields {
                item[format!("b_{name}_{field}")] = json!({"N": value.to_string()});
            }
        }
        item
    }

    /// The record of its creation.
    pub(crate) fn created(&self, number: u64, at: i64) -> Value {
        record("INSERT", number, at, None, Some(self.item()))
    }

    /// The record of a change from `before` to what it is now.
    pub(crate) fn changed(&self, before: &Self, number: u64, at: i64) -> Value {
        record("MODIFY", number, at, Some(before.item()), Some(self.item()))
    }

    /// Takes, and gives the record of that.
    pub(crate) fn taking(&mut self, amounts: &[(&str, i64)], number: u64, at: i64) -> Value {
        let before = self.clone();
        self.take(amounts);
        self.changed(&before, number, at)
    }
}

/// Any record.
pub(crate) fn record(kind: &str, number: u64, at: i64, old: Option<Value>, new: Option<Value>) -> Value {
    let image = new.as_ref().or(old.as_ref()).unwrap();
    let keys = json!({"PK": image["PK"], "SK": image["SK"]});
    let mut record = json!({
        "eventID": format!("event-{number}"), "eventName": kind, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1", "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/limiter/stream/x",
        "dynamodb": {
            "ApproximateCreationDateTime": at as f64, "Keys": keys, "SequenceNumber": sequence(number),
            "SizeBytes": 500, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    });
    if let Some(old) = old {
        record["dynamodb"]["OldImage"] = old;
    }
    if let Some(new) = new {
        record["dynamodb"]["NewImage"] = new;
    }
    record
}

/// The record of an audit event whose time is over.
pub(crate) fn expired(number: u64, event_id: &str, timestamp: &str) -> Value {
    let old = json!({
        "PK": {"S": format!("{NS}/AUDIT#$SYSTEM")}, "SK": {"S": format!("#AUDIT#{event_id}")},
        "entity_id": {"S": "$SYSTEM"}, "event_id": {"S": event_id}, "timestamp": {"S": timestamp},
        "action": {"S": "limits_set"}, "principal": {"NULL": true}, "resource": {"NULL": true},
        "details": {"M": {"limits": {"L": [{"M": {"name": {"S": "rpm"}, "capacity": {"N": "50"}}}]}}},
        "ttl": {"N": "1"}, "GSI4PK": {"S": NS}, "GSI4SK": {"S": format!("{NS}/AUDIT#$SYSTEM")},
    });
    let mut record = record("REMOVE", number, NEW_YEAR, Some(old), None);
    record["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    record
}

fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().and_then(|map| map.iter().next()).expect("one kind");
    let text = || value.as_str().expect("text").to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(value.as_bool().expect("a flag")),
        "NULL" => AttributeValue::Null(true),
        "M" => AttributeValue::M(from_json(value)),
        "L" => AttributeValue::L(value.as_array().expect("a list").iter().map(attribute).collect()),
        other => panic!("kind {other}"),
    }
}

pub(crate) fn from_json(value: &Value) -> Item {
    value.as_object().expect("an item").iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn json_attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(_) => json!({ "NULL": true }),
        AttributeValue::M(map) => json!({ "M": to_json(map) }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(json_attribute).collect::<Vec<_>>() }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn to_json(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), json_attribute(value))).collect::<Map<_, _>>())
}
