//! Batches in, snapshots out.

use serde_json::{Value, json};

use crate::support::{
    World, counted, event, failures,
    records::{Bucket, NEW_YEAR, record, sequence},
};

/// 00:30 and 01:10 on the first day of 2026.
const EARLY: i64 = NEW_YEAR + 1_800;
const LATER: i64 = NEW_YEAR + 4_200;

fn traffic() -> Vec<Value> {
    let mut bucket = Bucket::new("key-1", "gpt-4");
    bucket.take(&[("rpm", 1), ("tpm", 200)]);
    let created = bucket.created(1, EARLY);
    vec![
        created,
        bucket.taking(&[("rpm", 1), ("tpm", 500)], 2, EARLY),
        bucket.taking(&[("tpm", -100)], 3, LATER),
        bucket.taking(&[("rpm", 2)], 4, LATER),
    ]
}

fn expected() -> std::collections::BTreeMap<String, std::collections::BTreeMap<String, i64>> {
    counted(&[
        ("key-1 gpt-4 hourly 2026-01-01T00:00:00Z", &[("rpm", 2), ("tpm", 700), ("total_events", 4)]),
        ("key-1 gpt-4 hourly 2026-01-01T01:00:00Z", &[("rpm", 2), ("tpm", -100), ("total_events", 2)]),
        ("key-1 gpt-4 daily 2026-01-01T00:00:00Z", &[("rpm", 4), ("tpm", 600), ("total_events", 6)]),
    ])
}

#[tokio::test]
async fn every_record_counts_in_the_windows_in_which_it_happened() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let answer = aggregator.invoke(&event(&traffic())).await;
    assert_eq!(failures(&answer), Vec::<&str>::new());
    assert_eq!((&answer["body"]["processed"], &answer["body"]["snapshots_updated"]), (&json!(4), &json!(3)));
    assert_eq!(world.usage().await, expected());

    let item = world.store.get("aB3x_9QwZ1k/ENTITY#key-1").await.unwrap();
    assert_eq!(item["SK"]["S"], "#USAGE#gpt-4#2026-01-01T00:00:00Z");
    assert_eq!(item["GSI2PK"]["S"], "aB3x_9QwZ1k/RESOURCE#gpt-4");
    assert_eq!(item["GSI2SK"]["S"], "USAGE#2026-01-01T00:00:00Z#key-1");
    assert_eq!(
        (&item["GSI4PK"]["S"], &item["GSI4SK"]["S"]),
        (&json!("aB3x_9QwZ1k"), &json!("aB3x_9QwZ1k/ENTITY#key-1"))
    );
    assert!(item["ttl"]["N"].is_string());
}

#[tokio::test]
async fn a_month_is_counted_on_request() {
    let world = World::new().await;
    let aggregator = world.aggregator_for("monthly").await;
    aggregator.invoke(&event(&traffic())).await;
    let month = [("key-1 gpt-4 monthly 2026-01-01T00:00:00Z", &[("rpm", 4), ("tpm", 600), ("total_events", 6)][..])];
    assert_eq!(world.usage().await, counted(&month));
}

#[tokio::test]
async fn a_batch_counts_once_however_it_is_cut_and_repeated() {
    let traffic = traffic();
    let cuts: [&[std::ops::Range<usize>]; 6] = [
        &[0..4, 0..4],
        &[0..2, 0..4, 2..4],
        &[0..1, 0..2, 0..3, 0..4],
        &[0..4, 1..3, 3..4, 0..1],
        // Bisected after a failure: both halves, then the whole again.
        &[0..2, 2..4, 0..4],
        &[0..3, 2..4, 1..4],
    ];
    for cut in cuts {
        let world = World::new().await;
        let aggregator = world.aggregator().await;
        for range in cut {
            let answer = aggregator.invoke(&event(&traffic[range.clone()])).await;
            assert_eq!(failures(&answer), Vec::<&str>::new());
        }
        assert_eq!(world.usage().await, expected(), "{cut:?}");
    }
}

#[tokio::test]
async fn the_same_record_twice_in_one_batch_counts_once() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let mut doubled: Vec<Value> = traffic().into_iter().flat_map(|record| [record.clone(), record]).collect();
    doubled.reverse();
    aggregator.invoke(&event(&doubled)).await;
    assert_eq!(world.usage().await, expected());
}

#[tokio::test]
async fn shards_of_the_stream_may_overtake_each_other() {
    // Two shards of one bucket live in different shards of the stream: their sequence numbers say nothing about each
    // other.
    let mut first = Bucket::new("key-1", "gpt-4");
    let mut second = Bucket { shard: 1, ..Bucket::new("key-1", "gpt-4") };
    (first.shards, second.shards) = (2, 2);
    let of_first: Vec<Value> = (0..4).map(|i| first.taking(&[("rpm", 1)], 1_000 + i, EARLY)).collect();
    let of_second: Vec<Value> = (0..4).map(|i| second.taking(&[("rpm", 10)], 10 + i, EARLY)).collect();
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    for batch in [&of_first[..2], &of_second[..3], &of_first[1..], &of_second[2..], &of_first[..], &of_second[..]] {
        aggregator.invoke(&event(batch)).await;
    }
    let rpm: &[(&str, i64)] = &[("rpm", 44), ("total_events", 8)];
    let hour = ("key-1 gpt-4 hourly 2026-01-01T00:00:00Z", rpm);
    assert_eq!(world.usage().await, counted(&[hour, ("key-1 gpt-4 daily 2026-01-01T00:00:00Z", rpm)]));
}

#[tokio::test]
async fn what_is_no_consumption_is_not_counted() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let untouched = bucket.clone();
    bucket.last_refill += 5_000;
    let config = json!({"PK": {"S": "aB3x_9QwZ1k/ENTITY#key-1"}, "SK": {"S": "#META"}, "entity_id": {"S": "key-1"}});
    let old_table = json!({"PK": {"S": "ENTITY#key-1"}, "SK": {"S": "#BUCKET#gpt-4"}, "entity_id": {"S": "key-1"}});
    let records = [
        untouched.created(1, EARLY),
        bucket.changed(&untouched, 2, EARLY),
        record("INSERT", 3, EARLY, None, Some(config.clone())),
        record("MODIFY", 4, EARLY, Some(config.clone()), Some(config)),
        record("REMOVE", 5, EARLY, Some(bucket.item()), None),
        record("MODIFY", 6, EARLY, Some(old_table.clone()), Some(old_table)),
    ];
    let answer = aggregator.invoke(&event(&records)).await;
    assert_eq!(failures(&answer), Vec::<&str>::new());
    assert_eq!(answer["body"]["processed"], 6);
    assert!(world.usage().await.is_empty());
    let warnings = aggregator.log_lines().into_iter().filter(|line| line["level"] == "WARNING");
    let warnings: Vec<Value> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(
        (&warnings[0]["pk"], &warnings[0]["logger"]),
        (&json!("ENTITY#key-1"), &json!("zae_limiter_aggregator.processor"))
    );
    assert!(warnings[0]["message"].as_str().unwrap().contains("pre-migration"));

    let empty = aggregator.invoke(&json!({})).await;
    assert_eq!(
        empty["body"],
        json!({"processed": 0, "snapshots_updated": 0, "refills_written": 0, "events_archived": 0, "errors": []})
    );
}

#[tokio::test]
async fn limits_may_have_any_name_and_those_of_a_snapshot_s_own_attributes_do_no_harm() {
    let world = World::new().await;
    let aggregator = world.aggregator_for("hourly").await;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    for name in ["tpm.v2-x", "a_tc", "ttl", "resource", "PK"] {
        bucket.limits.push((name, 1_000_000, 1_000_000, 1_000_000, 60_000, 0));
    }
    let all = [("tpm.v2-x", 3), ("a_tc", 4), ("ttl", 5), ("resource", 6), ("PK", 7), ("rpm", 1)];
    let answer = aggregator.invoke(&event(&[bucket.taking(&all, 1, EARLY)])).await;
    assert_eq!(failures(&answer), Vec::<&str>::new());
    let usage: &[(&str, i64)] = &[("rpm", 1), ("tpm.v2-x", 3), ("a_tc", 4), ("total_events", 6)];
    assert_eq!(world.usage().await, counted(&[("key-1 gpt-4 hourly 2026-01-01T00:00:00Z", usage)]));
}

#[tokio::test]
async fn every_invocation_leaves_its_log_and_metrics() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    aggregator.invoke(&event(&traffic())).await;
    let second = aggregator.invoke(&event(&traffic())).await;
    assert_eq!(second["body"]["snapshots_updated"], 0);
    let lines = aggregator.log_lines();
    let message = |text: &str| lines.iter().filter(|line| line["message"] == text).collect::<Vec<_>>();
    let started = message("Lambda invocation started");
    assert_eq!((&started[0]["request_id"], &started[0]["record_count"]), (&json!("request-0"), &json!(4)));
    let completed = message("Lambda invocation completed");
    assert_eq!((&completed[1]["duplicates"], &completed[1]["snapshots_updated"]), (&json!(8), &json!(0)));
    assert!(completed.iter().all(|line| line["processing_time_ms"].is_number() && line["timestamp"].is_string()));
    let metrics: Vec<_> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    assert_eq!(metrics.len(), 2);
    assert_eq!((&metrics[0]["TableName"], &metrics[0]["SnapshotsUpdated"]), (&json!("limiter"), &json!(3.0)));
    assert_eq!(sequence(1).len(), 21);
}
