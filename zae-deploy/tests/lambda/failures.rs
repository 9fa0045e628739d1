//! Unreadable records, and a store or archive that rejects writes.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    World, aggregator, event, failures,
    records::{Bucket, NEW_YEAR, expired, record, sequence},
};

#[tokio::test]
async fn a_poison_record_is_named_and_stops_nobody_else() {
    let world = World::new().await;
    let aggregator = world.aggregator_for("hourly").await;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let mut other = Bucket::new("key-2", "gpt-4");
    let first = bucket.taking(&[("rpm", 1)], 1, NEW_YEAR);
    let mut poison = bucket.taking(&[("rpm", 1)], 2, NEW_YEAR);
    poison["dynamodb"]["NewImage"]["b_rpm_tc"]["N"] = json!("many");
    let records = [first, poison.clone(), other.taking(&[("rpm", 5)], 3, NEW_YEAR)];
    let answer = aggregator.invoke(&event(&records)).await;
    assert_eq!(failures(&answer), [sequence(2)]);
    let error = answer["body"]["errors"][0].as_str().unwrap();
    assert!(error.contains("Error processing record") && error.contains("b_rpm_tc"), "{error}");
    let total = |usage: &std::collections::BTreeMap<String, std::collections::BTreeMap<String, i64>>, entity: &str| {
        usage[&format!("{entity} gpt-4 hourly 2026-01-01T00:00:00Z")]["rpm"]
    };
    // As Lambda does: it retries from the failed record on, then that record alone, then sends it to the queue.
    for retry in [&records[1..], &records[1..2], &records[2..]] {
        aggregator.invoke(&event(retry)).await;
        let usage = world.usage().await;
        assert_eq!((total(&usage, "key-1"), total(&usage, "key-2")), (1, 5));
    }
}

#[tokio::test]
async fn every_way_of_being_unreadable_is_named() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let good = || Bucket::new("key-1", "gpt-4").taking(&[("rpm", 1)], 7, NEW_YEAR);
    let mut without_new = good();
    without_new["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    let mut without_old = good();
    without_old["dynamodb"].as_object_mut().unwrap().remove("OldImage");
    let mut no_attribute = good();
    no_attribute["dynamodb"]["NewImage"]["b_rpm_tk"] = json!({"Q": "1"});
    let mut fraction = good();
    fraction["dynamodb"]["NewImage"]["rf"] = json!({"N": "1.5"});
    let mut kind = good();
    kind["eventName"] = json!("UPSERT");
    let mut audit = expired(7, "01KDW0N0000000000000000000", "2025-10-01T00:00:00Z");
    audit["dynamodb"]["OldImage"].as_object_mut().unwrap().remove("action");
    for record in [
        without_new,
        without_old,
        no_attribute,
        fraction,
        kind,
        audit,
        json!({"dynamodb": {"SequenceNumber": sequence(7)}}),
    ] {
        let answer = aggregator.invoke(&event(std::slice::from_ref(&record))).await;
        assert_eq!(failures(&answer), [sequence(7)], "{record}");
    }
    // Without a sequence number it cannot be reported; the log mentions it.
    let answer = aggregator.invoke(&event(&[json!({}), json!("text")])).await;
    assert_eq!((failures(&answer), answer["body"]["errors"].as_array().unwrap().len()), (vec![], 2));
    assert!(world.usage().await.is_empty());
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let world = World::new().await;
    let aggregator = world.aggregator_for("hourly").await;
    world.store.throttle(7);
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let answer = aggregator.invoke(&event(&[bucket.taking(&[("rpm", 1)], 1, NEW_YEAR)])).await;
    assert_eq!(failures(&answer), Vec::<&str>::new());
    assert_eq!(world.usage().await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_written_in_time_is_delivered_again_and_counts_once() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let mut one = Bucket::new("key-1", "gpt-4");
    let mut two = Bucket::new("key-2", "gpt-4");
    let records = [one.taking(&[("rpm", 1)], 1, NEW_YEAR), two.taking(&[("rpm", 1)], 2, NEW_YEAR)];
    world.store.throttle(usize::MAX);
    let answer = aggregator.invoke_within(&event(&records), Duration::from_secs(4)).await.unwrap();
    assert_eq!(failures(&answer), [sequence(1), sequence(2)]);
    assert!(answer["body"]["errors"][0].as_str().unwrap().contains("Error updating snapshot"), "{answer}");
    world.store.throttle(0);
    for _ in 0..2 {
        assert_eq!(failures(&aggregator.invoke(&event(&records)).await), Vec::<&str>::new());
    }
    let usage = world.usage().await;
    assert_eq!(usage.values().map(|counters| counters["rpm"]).sum::<i64>(), 4, "{usage:?}");
}

#[tokio::test]
async fn a_table_that_is_gone_fails_the_batch() {
    let world = World::new().await;
    let aggregator = world.aggregator_for("hourly").await;
    world.store.client().delete_table().table_name("limiter").send().await.unwrap();
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let records = [bucket.taking(&[("rpm", 1)], 1, NEW_YEAR), record("REMOVE", 2, NEW_YEAR, Some(bucket.item()), None)];
    let answer = aggregator.invoke(&event(&records)).await;
    assert_eq!(failures(&answer), [sequence(1)]);
}

#[tokio::test]
async fn a_function_that_cannot_start_says_why() {
    for (settings, reasons) in [
        (vec![("TABLE_NAME", "a_b")], ["TABLE_NAME cannot be used", "must not contain underscores"]),
        (vec![("ENABLE_ARCHIVAL", "true")], ["ARCHIVE_BUCKET_NAME is empty", "turn archival off"]),
    ] {
        let mut command = tokio::process::Command::new(aggregator());
        let output = command.env_clear().envs(settings).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(reasons.iter().all(|reason| log.contains(reason)), "{log}");
    }
}
