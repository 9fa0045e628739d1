//! The cost of a thousand records of one busy bucket.

use serde_json::Value;
use zae_limiter::{Clock, SystemClock};

use crate::support::{World, event, failures, records::Bucket};

/// Records of one bucket with two limits, in batches as the deployed mapping makes them.
#[tokio::test]
async fn a_thousand_records_cost_at_most_fifty_writes() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let now = SystemClock.now_ms() / 1_000;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    bucket.last_refill = now * 1_000 - 1_000;
    // Nearly empty, so that every batch triggers a refill.
    bucket.take(&[("rpm", 999), ("tpm", 99_000)]);
    let records: Vec<Value> = (0..1_000).map(|n| bucket.taking(&[("rpm", 1), ("tpm", 2)], n, now)).collect();
    world.store.put(&bucket.item()).await;
    world.store.take_writes();
    let mut refills = 0;
    for batch in records.chunks(100) {
        let answer = aggregator.invoke(&event(batch)).await;
        assert_eq!(failures(&answer), Vec::<&str>::new());
        refills += answer["body"]["refills_written"].as_u64().unwrap();
    }
    let writes = world.store.take_writes();
    println!("1000 records, 2 limits, 2 windows: {writes} writes, {refills} of them refills (reference: 4000)");
    assert!(writes <= 50, "{writes} writes");
    let totals: Vec<_> = world.usage().await.into_values().map(|counters| (counters["rpm"], counters["tpm"])).collect();
    assert_eq!(totals, [(1_000, 2_000), (1_000, 2_000)]);
}
