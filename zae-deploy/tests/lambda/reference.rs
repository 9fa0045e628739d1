//! The same stream for the published Python package's aggregator and for ours: the same usage if the package is right,
//! and the known differences otherwise.

use serde_json::Value;

use zae_testkit::venv;

use crate::support::{
    World, counted, event,
    function::Function,
    records::{Bucket, NEW_YEAR},
};

/// 14:00 on the first day of 2026, away from midnight.
const AFTERNOON: i64 = NEW_YEAR + 14 * 3_600;

/// Creates a table with each aggregator; `None` without the Python package.
async fn both() -> Option<[(World, Function); 2]> {
    let python = tokio::task::spawn_blocking(venv::interpreter).await;
    let python = python.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    let theirs = World::new().await;
    let reference = theirs.reference(&python).await;
    let ours = World::new().await;
    let aggregator = ours.aggregator().await;
    Some([(ours, aggregator), (theirs, reference)])
}

/// Creates a bucket that was last refilled in the hour of the test.
fn bucket(entity: &'static str) -> Bucket {
    Bucket { last_refill: AFTERNOON * 1_000, ..Bucket::new(entity, "gpt-4") }
}

#[tokio::test]
async fn usage_is_the_same_where_the_reference_is_right() {
    let Some(sides) = both().await else { return };
    let (mut one, mut two) = (bucket("key-1"), bucket("key-2"));
    let mut shard = Bucket { shard: 1, shards: 2, ..bucket("key-2") };
    two.shards = 2;
    let records: Vec<Value> = (0..60)
        .map(|n| match n % 4 {
            0 => one.taking(&[("rpm", 1), ("tpm", 137)], n, AFTERNOON + 60),
            1 => two.taking(&[("rpm", 1)], n, AFTERNOON + 61),
            2 => shard.taking(&[("rpm", 2), ("tpm", 1)], n, AFTERNOON + 62),
            _ => one.taking(&[("tpm", -37)], n, AFTERNOON + 63),
        })
        .collect();
    for batch in records.chunks(25) {
        for (_, function) in &sides {
            function.invoke(&event(batch)).await;
        }
    }
    let [(ours, _), (theirs, _)] = &sides;
    assert_eq!(ours.usage().await, theirs.usage().await);
    assert_eq!(ours.usage().await.len(), 4);
}

#[tokio::test]
async fn what_the_reference_counts_otherwise() {
    let Some([(ours, aggregator), (theirs, reference)]) = both().await else { return };
    // The first consumption of a bucket is an insertion; the next one happens an hour after the last refill.
    let mut early = bucket("early");
    early.take(&[("rpm", 5)]);
    let records = [early.created(1, AFTERNOON), early.taking(&[("rpm", 3)], 2, AFTERNOON + 3_600)];
    // Twice, as Lambda does if a response is lost.
    for _ in 0..2 {
        aggregator.invoke(&event(&records)).await;
        reference.invoke(&event(&records)).await;
    }
    let rpm = |n, events| [("rpm", n), ("total_events", events)];
    assert_eq!(
        ours.usage().await,
        counted(&[
            ("early gpt-4 hourly 2026-01-01T14:00:00Z", &rpm(5, 1)),
            ("early gpt-4 hourly 2026-01-01T15:00:00Z", &rpm(3, 1)),
            ("early gpt-4 daily 2026-01-01T00:00:00Z", &rpm(8, 2)),
        ])
    );
    assert_eq!(
        theirs.usage().await,
        counted(&[
            ("early gpt-4 hourly 2026-01-01T14:00:00Z", &rpm(6, 2)),
            ("early gpt-4 daily 2026-01-01T00:00:00Z", &rpm(6, 2)),
        ]),
        "without the insertion, in the hour of the refill, and twice"
    );
}

#[tokio::test]
async fn at_midnight_the_reference_counts_hour_and_day_in_one() {
    let Some([(ours, aggregator), (theirs, reference)]) = both().await else { return };
    let mut bucket = Bucket::new("key-1", "gpt-4");
    let records = [bucket.taking(&[("rpm", 7)], 1, NEW_YEAR + 60)];
    aggregator.invoke(&event(&records)).await;
    reference.invoke(&event(&records)).await;
    let totals = async |world: &World| world.usage().await.into_values().map(|c| c["rpm"]).collect::<Vec<_>>();
    assert_eq!(totals(&ours).await, [7, 7]);
    assert_eq!(totals(&theirs).await, [14]);
    // Our repository reads both.
    assert_eq!(ours.usage().await.len(), 2);
}
