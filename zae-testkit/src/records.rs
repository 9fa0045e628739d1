//! Stream records as DynamoDB creates them.

use serde_json::{Value, json};

use crate::raw;

/// The namespace's id in records made here.
pub const NS: &str = "aB3x_9QwZ1k";

/// 2026-01-01T00:00:00Z in epoch s.
pub const NEW_YEAR: i64 = 1_767_225_600;

/// Returns the text of the sequence number `n`, with the length of DynamoDB's.
pub fn sequence(n: u64) -> String {
    format!("{}", 400_000_000_000_000_000_000_u128 + u128::from(n))
}

/// A bucket and its changes.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub entity: &'static str,
    pub resource: &'static str,
    pub shard: u32,
    pub shards: u32,
    /// Time of its last refill, epoch ms.
    pub last_refill: i64,
    /// Name, balance, capacity and refill (mt), period (ms), counter (mt).
    pub limits: Vec<(&'static str, i64, i64, i64, i64, i64)>,
}

impl Bucket {
    /// Creates a bucket of `rpm` (1000/min) and `tpm` (100 000/min), full and unused.
    pub fn new(entity: &'static str, resource: &'static str) -> Self {
        let limits = vec![
            ("rpm", 1_000_000, 1_000_000, 1_000_000, 60_000, 0),
            ("tpm", 100_000_000, 100_000_000, 100_000_000, 60_000, 0),
        ];
        Self { entity, resource, shard: 0, shards: 1, last_refill: NEW_YEAR * 1_000, limits }
    }

    /// Takes tokens (or gives them back) and updates the counters.
    pub fn take(&mut self, amounts: &[(&str, i64)]) {
        for (name, tokens) in amounts {
            let limit = self.limits.iter_mut().find(|limit| limit.0 == *name).unwrap();
            limit.1 -= tokens * 1_000;
            limit.5 += tokens * 1_000;
        }
    }

    /// Returns its partition key.
    pub fn pk(&self) -> String {
        format!("{NS}/BUCKET#{}#{}#{}", self.entity, self.resource, self.shard)
    }

    /// Returns the item.
    pub fn item(&self) -> Value {
        let limits: Vec<_> = self.limits.iter().map(|&(name, tk, cp, ra, rp, _)| (name, tk, cp, ra, rp)).collect();
        let (of, shards) = ((self.entity, self.resource), (self.shard, self.shards));
        let mut item = raw::bucket_in(NS, of, shards, self.last_refill, &limits);
        for (name, .., consumed) in &self.limits {
            item[format!("b_{name}_tc")] = json!({"N": consumed.to_string()});
        }
        item
    }

    /// Returns the item as a limiter's split leaves it: a creation of its own, without a lifetime.
    pub fn split_item(&self) -> Value {
        let mut item = self.item();
        item["z_inc"] = json!({"S": format!("{:016x}", self.shard + 1)});
        item.as_object_mut().expect("an item is a map").remove("ttl");
        item
    }

    /// Returns the record of its creation.
    pub fn created(&self, number: u64, at: i64) -> Value {
        record("INSERT", number, at, None, Some(self.item()))
    }

    /// Returns the record of a change from `before` to its current state.
    pub fn changed(&self, before: &Self, number: u64, at: i64) -> Value {
        record("MODIFY", number, at, Some(before.item()), Some(self.item()))
    }

    /// Takes tokens, and returns the record of the change.
    pub fn taking(&mut self, amounts: &[(&str, i64)], number: u64, at: i64) -> Value {
        let before = self.clone();
        self.take(amounts);
        self.changed(&before, number, at)
    }
}

/// Creates any record.
pub fn record(kind: &str, number: u64, at: i64, old: Option<Value>, new: Option<Value>) -> Value {
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

/// Creates the record of an expired audit event.
pub fn expired(number: u64, event_id: &str, timestamp: &str) -> Value {
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
