//! Items as stored in the table, in DynamoDB's own JSON.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value, json};
use zae_limiter::Repository;

pub use crate::table::Item;

pub fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().and_then(|map| map.iter().next()).expect("one kind");
    let text = || value.as_str().expect("text").to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(value.as_bool().expect("a flag")),
        "NULL" => AttributeValue::Null(true),
        "M" => AttributeValue::M(item(value)),
        "L" => AttributeValue::L(value.as_array().expect("a list").iter().map(attribute).collect()),
        other => panic!("kind {other}"),
    }
}

pub fn item(value: &Value) -> Item {
    value.as_object().expect("an item").iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn json_attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(_) => json!({ "NULL": true }),
        AttributeValue::M(map) => json!({ "M": json_item(map) }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(json_attribute).collect::<Vec<_>>() }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        other => panic!("{other:?}"),
    }
}

pub fn json_item(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), json_attribute(value))).collect::<Map<_, _>>())
}

pub async fn put(repository: &Repository, value: &Value) {
    let request = repository.client().put_item().table_name(repository.stack().as_str());
    request.set_item(Some(item(value))).send().await.unwrap();
}

/// Returns the item as JSON; null if there is none.
pub async fn get(repository: &Repository, pk: &str, sk: &str) -> Value {
    let request = repository.client().get_item().table_name(repository.stack().as_str()).consistent_read(true);
    let request = request.key("PK", AttributeValue::S(pk.to_owned())).key("SK", AttributeValue::S(sk.to_owned()));
    request.send().await.unwrap().item.map_or(Value::Null, |item| json_item(&item))
}

/// Returns the first page of a partition.
pub async fn partition(repository: &Repository, pk: &str) -> Vec<Value> {
    let request = repository.client().query().table_name(repository.stack().as_str()).consistent_read(true);
    let request = request.key_condition_expression("PK = :pk");
    let request = request.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
    request.send().await.unwrap().items().iter().map(json_item).collect()
}

/// Returns the number in an attribute; `None` if it is absent.
pub fn number(item: &Value, name: &str) -> Option<i64> {
    item.get(name)?["N"].as_str()?.parse().ok()
}

/// Creates a bucket as the Python package writes it: `limits` are name, balance, capacity, refill (all mt) and period
/// (ms).
pub fn bucket(
    repository: &Repository,
    (entity, resource): (&str, &str),
    (shard, shards): (u32, u32),
    last_refill: i64,
    limits: &[(&str, i64, i64, i64, i64)],
) -> Value {
    bucket_in(repository.namespace_id().as_str(), (entity, resource), (shard, shards), last_refill, limits)
}

/// Creates such a bucket in the namespace with the id `ns`.
pub fn bucket_in(
    ns: &str,
    (entity, resource): (&str, &str),
    (shard, shards): (u32, u32),
    last_refill: i64,
    limits: &[(&str, i64, i64, i64, i64)],
) -> Value {
    let mut bucket = json!({
        "PK": {"S": format!("{ns}/BUCKET#{entity}#{resource}#{shard}")}, "SK": {"S": "#STATE"},
        "entity_id": {"S": entity}, "resource": {"S": resource},
        "rf": {"N": last_refill.to_string()}, "shard_count": {"N": shards.to_string()},
        "cascade": {"BOOL": false}, "ttl": {"N": (last_refill / 1_000 + 420).to_string()},
        "GSI2PK": {"S": format!("{ns}/RESOURCE#{resource}")}, "GSI2SK": {"S": format!("BUCKET#{entity}#{shard}")},
        "GSI3PK": {"S": format!("{ns}/ENTITY#{entity}")}, "GSI3SK": {"S": format!("BUCKET#{resource}#{shard}")},
        "GSI4PK": {"S": ns}, "GSI4SK": {"S": format!("BUCKET#{entity}#{resource}#{shard}")},
    });
    let wcu = ("wcu", 1_000_000, 1_000_000, 1_000_000, 1_000);
    for (name, tokens, capacity, refill, period) in limits.iter().chain([&wcu]) {
        for (field, value) in [("tk", tokens), ("cp", capacity), ("ra", refill), ("rp", period), ("tc", &0)] {
            bucket[format!("b_{name}_{field}")] = json!({ "N": value.to_string() });
        }
    }
    bucket
}
