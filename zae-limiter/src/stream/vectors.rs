//! The shared vectors of the Python package's aggregator (`tests/vectors/aggregator.json`).

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::{BucketActivity, StreamChange, StreamRecord, StreamTable, UsageCounts};
use crate::{
    bucket::{
        apply::apply,
        image::{Image, LimitImage},
        plan::refill,
        quota::stored::Window,
    },
    embedded::EmbeddedStore,
    model::{name::StackName, usage::UsageWindow},
    store::Consistency,
    wire::{
        bucket,
        expression::{Expression, Key},
        values,
    },
};

const VECTORS: &str = include_str!("../../tests/vectors/aggregator.json");

fn vectors(function: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    all["vectors"].as_array().unwrap().iter().filter(|vector| vector["fn"] == function).cloned().collect()
}

/// An item's attributes as the stream has them.
fn item(plain: &Value) -> Value {
    let mut item = Map::from_iter([("SK".to_owned(), json!({"S": "#STATE"}))]);
    for (name, value) in plain.as_object().unwrap() {
        let typed = match value {
            Value::String(text) => json!({"S": text}),
            Value::Bool(flag) => json!({"BOOL": flag}),
            other => json!({"N": other.to_string()}),
        };
        item.insert(name.clone(), typed);
    }
    Value::Object(item)
}

fn record(new: &Value, old: &Value) -> StreamRecord {
    let record = json!({
        "eventName": "MODIFY",
        "dynamodb": {
            "SequenceNumber": "1", "ApproximateCreationDateTime": 1_772_442_000, "NewImage": item(new),
            "OldImage": item(old),
        },
    });
    StreamRecord::parse(&record).unwrap()
}

fn image(plain: &Value) -> Option<Image> {
    bucket::decode_plain(&values::from_wire(&item(plain)).unwrap()).ok().flatten()
}

/// The item after the update that the reference makes.
fn updated(plain: &Value, update: &Value) -> Value {
    let mut item = plain.as_object().unwrap().clone();
    for (name, value) in update["set"].as_object().into_iter().flatten() {
        item.insert(name.clone(), value.clone());
    }
    for (name, value) in update["add"].as_object().into_iter().flatten() {
        let sum = item[name].as_i64().unwrap() + value.as_i64().unwrap();
        item.insert(name.clone(), sum.into());
    }
    for name in update["remove"].as_array().into_iter().flatten() {
        item.remove(name.as_str().unwrap());
    }
    Value::Object(item)
}

/// Returns the bucket after our refill, if one is written.
fn refilled(input: &Value) -> Option<Image> {
    let mut old = input["new"].clone();
    for (name, counter) in input["old_tc"].as_object().unwrap() {
        old[name] = counter.clone();
    }
    let now = input["now_ms"].as_i64().unwrap();
    let activity = BucketActivity::of(&[record(&input["new"], &old)]).pop()?;
    let shards = activity.image.shards();
    let due = activity.is_due(&activity.image, shards, now);
    let write = refill(&activity.image, shards, now).filter(|_| due)?;
    let mut image = activity.image.clone();
    assert!(apply(&mut image, &write), "{write:?}");
    if let Some(wcu) = &mut image.wcu {
        wcu.tokens += write.wcu_credit;
    }
    Some(image)
}

/// Compares two refills of `before`; panics where ours is not at least as right.
fn compare(before: &Image, ours: &Image, theirs: &Image, now: i64) {
    assert_eq!((ours.last_refill, ours.wcu), (theirs.last_refill, theirs.wcu));
    // The reference leaves a stamp that is still valid, or absent. We renew it in each write, as an acquire does.
    let renewed = theirs.valid_until == before.valid_until && ours.valid_until.is_some_and(|until| until > now);
    assert!(ours.valid_until == theirs.valid_until || renewed, "{ours:?} {theirs:?}");
    for ((ours, theirs), before) in ours.limits.iter().zip(&theirs.limits).zip(&before.limits) {
        // The reference passes over a rate that would last for another batch, and still moves the refill instant: its
        // gain is lost. We credit every limit whenever the instant moves.
        let lost = before.quota.is_none() && theirs.tokens == before.tokens && ours.tokens > theirs.tokens;
        assert!(ours.tokens == theirs.tokens || lost, "{ours:?} {theirs:?}");
        // We forget the mark of a window that was told once it is applied.
        let period = |limit: &LimitImage| {
            let quota = limit.quota.clone()?;
            let window = Window { counter_mark: None, ..quota.window() };
            Some((quota.grant_count, quota.topped_up, quota.resets_by_hand, window))
        };
        assert_eq!(period(ours), period(theirs));
    }
}

#[test]
fn a_refill_is_the_reference_s_or_better() {
    let (mut same, mut only_ours, mut only_theirs) = (0, 0, 0);
    for vector in vectors("refill") {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        let now = input["now_ms"].as_i64().unwrap();
        let before = image(&input["new"]);
        let theirs = (!expected.is_null()).then(|| image(&updated(&input["new"], expected)).unwrap());
        match (refilled(input), theirs) {
            (None, None) => same += 1,
            (Some(ours), Some(theirs)) => {
                compare(&before.unwrap(), &ours, &theirs, now);
                same += 1;
            }
            // The reference writes nothing if what was gained lasts for another batch, or if the grant of a period that
            // has begun happens to be what is left. We write if what is stored does not last, and begin the period.
            (Some(ours), None) => {
                let before = before.unwrap();
                for (ours, before) in ours.limits.iter().zip(&before.limits) {
                    assert!(ours.quota.is_none() || ours.tokens <= before.tokens, "a quota is minted: {input}");
                }
                only_ours += 1;
            }
            // Within the ms of the last refill nothing is due: the next record brings it.
            (None, Some(_)) => {
                assert_eq!(before.unwrap().last_refill, now, "{input}");
                only_theirs += 1;
            }
        }
    }
    println!("{same} agree, {only_ours} are written by us alone, {only_theirs} by the reference alone");
    assert_eq!((same + only_ours + only_theirs, only_theirs), (110, 1));
}

#[test]
fn usage_is_counted_as_by_the_reference() {
    for vector in vectors("usage") {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        let (now, delta) = (input["rf"].as_i64().unwrap(), input["tc_delta"].as_i64().unwrap());
        let mut new = json!({
            "PK": "ns/BUCKET#u#api#0", "rf": now, "b_t_tk": input["tk"], "b_t_cp": 60_000, "b_t_ra": 60_000,
            "b_t_rp": 60_000, "b_t_tc": 100_000,
        });
        if !input["soft"].is_null() {
            new["b_t_soft"] = input["soft"].clone();
        }
        let mut old = new.clone();
        old["b_t_tc"] = (100_000 - delta).into();
        let StreamRecord { sequence, change } = record(&new, &old);
        let StreamChange::Bucket(mut change) = change else { panic!("{change:?}") };
        // The reference counts at the last refill, and we at the time of the change.
        change.at = now;
        let mut counts = UsageCounts::new([UsageWindow::Hourly]);
        counts.add(&sequence, &change);
        let write = counts.into_writes().remove(0);
        assert_eq!(expected["window_start"], write.window_start());
        let (addition, _) = write.addition(&HashMap::new()).unwrap();
        let mut added = json!({"t": addition.tokens["t"], "total_events": addition.events});
        if let Some(times) = addition.overdrawn.get("t") {
            added["t#od"] = (*times).into();
        }
        assert_eq!(expected["add"], added, "{input}");
    }
}

#[tokio::test]
async fn shards_are_told_what_the_reference_tells_them_and_nothing_is_minted() {
    let name = StackName::new("limits").unwrap();
    for vector in vectors("clones") {
        let (input, calls) = (&vector["input"], &vector["expected"]["calls"]);
        let store = EmbeddedStore::memory().unwrap();
        store.create_table(&name).await.unwrap();
        let table = StreamTable::new(store.client(), &name);
        let key = |shard: &str| Key::new(format!("ns/BUCKET#u#api#{shard}"), "#STATE");
        for (shard, stored) in input["stored"].as_object().unwrap() {
            let mut stored = stored.clone();
            stored["PK"] = key(shard).pk.into();
            let stored = values::from_wire(&item(&stored)).unwrap();
            table.store.put(stored, Expression::default()).await.unwrap();
        }
        let mut old = input["new"].clone();
        old["shard_count"] = input["old_count"].clone();
        let StreamChange::Bucket(change) = record(&input["new"], &old).change else { panic!("{input}") };
        let told = table.propagate_shards(&change).await.unwrap();
        for update in calls.as_array().unwrap().iter().filter(|call| call["op"] == "UpdateItem") {
            let shard = update["pk"].as_str().unwrap().rsplit('#').next().unwrap();
            let after = table.store.get(&key(shard), Consistency::Strong).await.unwrap().unwrap();
            let sets = ["set", "set_if_absent"].map(|kind| update[kind].as_object().cloned().unwrap_or_default());
            for (name, value) in sets.into_iter().flatten() {
                assert_eq!(after[&name].as_n().unwrap(), &value.to_string(), "{name} of {shard} in {input}");
            }
        }
        let mut minted = BTreeMap::<String, i64>::new();
        for shard in 0..input["new"]["shard_count"].as_u64().unwrap() {
            let Some(item) = table.store.get(&key(&shard.to_string()), Consistency::Strong).await.unwrap() else {
                continue;
            };
            let before = &input["stored"][shard.to_string()];
            for (name, tokens) in item.iter().filter(|(name, _)| name.ends_with("_tk") && *name != "b_wcu_tk") {
                let tokens = tokens.as_n().unwrap().parse::<i64>().unwrap();
                *minted.entry(name.clone()).or_default() += tokens - before[name].as_i64().unwrap_or(0);
            }
        }
        // The reference gives each clone its share on top of what the first shard has. We give it a part of what that
        // holds beyond its own share, and of a quota nothing: whoever needs one asks the other shards.
        let plain = matches!(input["kind"].as_str(), Some("rate" | "owner"));
        let spare = if plain { 60_000 - 60_000 / 2 } else { 0 };
        assert!(minted.values().all(|minted| *minted <= spare), "{minted:?} of {spare} in {input}");
        assert_eq!(told.created, u32::from(plain), "{input}");
    }
}
