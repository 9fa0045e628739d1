//! Items and differences in the notation of the vectors: plain numbers, texts and flags, and `NS` for the namespace.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The values on either side of a difference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sides {
    pub(super) reference: Value,
    pub(super) ours: Value,
}

/// The scenarios that were played, and the differences in the ends of ours, by scenario and place.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) played: BTreeSet<String>,
    pub(super) differences: BTreeMap<(String, String), Sides>,
}

impl Findings {
    /// Notes the values of a place in a scenario if they differ.
    pub(super) fn compare(&mut self, scenario: &str, place: String, reference: &Value, ours: &Value) {
        let same = match (reference.as_f64(), ours.as_f64()) {
            (Some(reference), Some(ours)) => (reference - ours).abs() < 1e-9,
            _ => reference == ours,
        };
        if !same {
            let sides = Sides { reference: reference.clone(), ours: ours.clone() };
            self.differences.insert((scenario.to_owned(), place), sides);
        }
    }

    /// Compares two items attribute by attribute.
    pub(super) fn compare_items(&mut self, scenario: &str, item: &str, reference: &Value, ours: &Value) {
        let (reference, ours) = match (reference, ours) {
            (Value::Null, Value::Null) => return,
            (Value::Object(reference), Value::Object(ours)) => (reference, ours),
            (reference, ours) => {
                let there = |item: &Value| Value::from(if item.is_null() { "no item" } else { "an item" });
                return self.compare(scenario, item.to_owned(), &there(reference), &there(ours));
            }
        };
        let names: BTreeSet<&String> = reference.keys().chain(ours.keys()).collect();
        let compared = names.into_iter().filter(|name| !is_apart(name));
        for name in compared {
            let value = |item: &Map<String, Value>| item.get(name).cloned().unwrap_or_else(absent);
            let (reference, ours) = (value(reference), value(ours));
            // A bucket of ours may be kept for longer: it counts debts, and slow hours of a schedule.
            let kept = |value: &Value| value.as_i64().unwrap_or(i64::MAX);
            if name != "ttl" || kept(&ours) < kept(&reference) {
                self.compare(scenario, format!("{item} {name}"), &reference, &ours);
            }
        }
    }
}

/// Stands for an attribute that an item does not have; `null` is a value of its own.
pub(super) fn absent() -> Value {
    Value::from("absent")
}

/// Returns true for attributes that either side writes for itself: the limit on writes, and ours, which the reference
/// carries along; and for marks that are drawn.
fn is_apart(name: &str) -> bool {
    ["b_wcu_", "z_"].iter().any(|prefix| name.starts_with(prefix))
        || ["event_id", "timestamp", "created_at", "writer", "ent"].contains(&name)
}

/// Returns a bucket without its index keys, which the vectors leave out, and with the schedules of each limit: they may
/// stand once for all limits, of which those without one have a `-`.
pub(super) fn normal_bucket(bucket: &Value) -> Value {
    let mut bucket = bucket.clone();
    let Some(item) = bucket.as_object_mut() else { return bucket };
    item.retain(|name, _| !name.starts_with("GSI"));
    let limits: Vec<String> =
        item.keys().filter_map(|name| name.strip_prefix("b_")?.strip_suffix("_cp").map(str::to_owned)).collect();
    for kind in ["sched", "rsched"] {
        let shared = item.remove(kind);
        for limit in &limits {
            let name = format!("b_{limit}_{kind}");
            match item.remove(&name).or(shared.clone()) {
                Some(schedule) if schedule != "-" => drop(item.insert(name, schedule)),
                _ => {}
            }
        }
    }
    bucket
}

/// Returns the index keys of the bucket with this partition key.
fn index_keys(pk: &str) -> [(String, String); 6] {
    let (ns, bucket) = pk.split_once("/BUCKET#").unwrap();
    let [entity, resource, shard] = bucket.split('#').collect::<Vec<_>>().try_into().unwrap();
    [
        ("GSI2PK", format!("{ns}/RESOURCE#{resource}")),
        ("GSI2SK", format!("BUCKET#{entity}#{shard}")),
        ("GSI3PK", format!("{ns}/ENTITY#{entity}")),
        ("GSI3SK", format!("BUCKET#{resource}#{shard}")),
        ("GSI4PK", ns.to_owned()),
        ("GSI4SK", format!("BUCKET#{bucket}")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// Turns a bucket of the vectors into DynamoDB's JSON.
pub(super) fn raw_bucket(item: &Value, ns: &str) -> Value {
    let raw = |(name, value): (&String, &Value)| (name.clone(), raw_value(value, ns));
    let mut bucket: Map<String, Value> = item.as_object().unwrap().iter().map(raw).collect();
    let pk = bucket["PK"]["S"].as_str().unwrap().to_owned();
    bucket.extend(index_keys(&pk).map(|(name, value)| (name, json!({"S": value}))));
    Value::Object(bucket)
}

fn raw_value(value: &Value, ns: &str) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(flag) => json!({"BOOL": flag}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) if text == "NS" || text.starts_with("NS/") => json!({"S": text.replacen("NS", ns, 1)}),
        Value::String(text) => json!({"S": text}),
        other => panic!("no bucket has {other}"),
    }
}

/// Turns an item in DynamoDB's JSON into the notation of the vectors.
pub(super) fn plain_item(item: &Value, ns: &str) -> Value {
    match item {
        Value::Object(item) => {
            Value::Object(item.iter().map(|(name, value)| (name.clone(), plain_value(value, ns))).collect())
        }
        other => other.clone(),
    }
}

fn plain_value(value: &Value, ns: &str) -> Value {
    let (kind, value) = value.as_object().and_then(|map| map.iter().next()).unwrap();
    match kind.as_str() {
        "N" => serde_json::from_str(value.as_str().unwrap()).unwrap(),
        "NULL" => Value::Null,
        "M" => plain_item(value, ns),
        "L" => value.as_array().unwrap().iter().map(|value| plain_value(value, ns)).collect(),
        "S" => match value.as_str().unwrap().strip_prefix(ns) {
            Some(remainder) => Value::from(format!("NS{remainder}")),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}
