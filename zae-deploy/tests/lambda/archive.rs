//! Audit events that leave the table.

use serde_json::json;

use crate::support::{
    World, event, failures,
    records::{Bucket, NEW_YEAR, expired, sequence},
};

const FIRST: &str = "01KDW0N0000000000000000000";
const SECOND: &str = "01KDW0N0000000000000000001";

#[tokio::test]
async fn expired_events_become_one_object_a_batch() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let records = [
        expired(1, SECOND, "2024-01-15T23:30:00Z"),
        bucket.taking(&[("rpm", 1)], 2, NEW_YEAR),
        expired(3, FIRST, "2024-01-15T14:30:00Z"),
    ];
    for _ in 0..2 {
        let answer = aggregator.invoke(&event(&records)).await;
        assert_eq!((failures(&answer), &answer["body"]["events_archived"]), (vec![], &json!(2)));
    }
    let objects = world.s3.objects();
    assert_eq!(objects.len(), 1, "the same batch again replaces its object");
    let (key, headers, lines) = &objects[0];
    assert!(key.starts_with("archive/audit/year=2024/month=01/day=15/audit-"), "{key}");
    assert!(key.ends_with("-2024-01-15T14-30-00Z.jsonl.gz") && !key.contains([':', '+']), "{key}");
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert!(headers["content-encoding"].to_str().unwrap().contains("gzip"));
    assert_eq!(
        lines[0],
        json!({
            "event_id": SECOND, "entity_id": "$SYSTEM", "action": "limits_set", "timestamp": "2024-01-15T23:30:00Z",
            "principal": null, "resource": null, "details": {"limits": [{"name": "rpm", "capacity": 50}]},
            "namespace_id": "aB3x_9QwZ1k",
        })
    );
    assert_eq!(lines[1]["event_id"], FIRST);
}

#[tokio::test]
async fn what_s3_does_not_take_is_delivered_again() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let records = [bucket.taking(&[("rpm", 1)], 1, NEW_YEAR), expired(2, FIRST, "2024-01-15T14:30:00Z")];
    world.s3.refuse(usize::MAX);
    let answer = aggregator.invoke(&event(&records)).await;
    assert_eq!(failures(&answer), [sequence(2)]);
    assert!(answer["body"]["errors"][0].as_str().unwrap().contains("Error writing to S3"), "{answer}");
    world.s3.refuse(0);
    assert_eq!(failures(&aggregator.invoke(&event(&records[1..])).await), Vec::<&str>::new());
    assert_eq!(world.s3.objects().len(), 1);
}

#[tokio::test]
async fn events_behind_a_failed_record_are_archived_when_they_come_again() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let mut poison = Bucket::new("key-1", "gpt-4").created(2, NEW_YEAR);
    poison["eventName"] = json!("UPSERT");
    let records = [expired(1, FIRST, "2024-01-15T14:30:00Z"), poison, expired(3, SECOND, "2024-01-15T14:31:00Z")];
    assert_eq!(failures(&aggregator.invoke(&event(&records)).await), [sequence(2)]);
    aggregator.invoke(&event(&records[1..2])).await;
    aggregator.invoke(&event(&records[2..])).await;
    let mut ids: Vec<String> = Vec::new();
    for (_, _, lines) in world.s3.objects() {
        ids.extend(lines.iter().map(|line| line["event_id"].as_str().unwrap().to_owned()));
    }
    ids.sort();
    assert_eq!(ids, [FIRST, SECOND]);
}
