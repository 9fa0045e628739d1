//! The function is killed at every write of a batch, and the batch is delivered again.

use serde_json::Value;

use crate::support::{
    World, counted, event, failures,
    records::{Bucket, NEW_YEAR, expired, record},
    steps::When,
};

const BEFORE_ONE: i64 = NEW_YEAR + 3_599;
const AFTER_ONE: i64 = NEW_YEAR + 3_600;

/// Three entities, two hours, a nearly empty bucket, one whose number of shards was doubled, one that is to be folded,
/// and two expired audit events.
fn batch() -> (Vec<Value>, Vec<Value>) {
    let mut drained = Bucket::new("key-1", "gpt-4");
    drained.take(&[("rpm", 995), ("tpm", 100)]);
    let mut sharded = Bucket::new("key-2", "gpt-4");
    let mut records = vec![
        drained.taking(&[("rpm", 3), ("tpm", 200)], 1, BEFORE_ONE),
        sharded.taking(&[("rpm", 1)], 2, BEFORE_ONE),
        expired(3, "01KDW0N0000000000000000000", "2025-10-01T00:00:00Z"),
        drained.taking(&[("rpm", 2)], 4, AFTER_ONE),
    ];
    let before = sharded.clone();
    sharded.shards = 2;
    records.push(sharded.changed(&before, 5, AFTER_ONE));
    records.push(expired(6, "01KDW0N0000000000000000001", "2025-10-01T00:00:01Z"));
    let quiet = |shard| Bucket { shard, shards: 2, ..Bucket::new("key-3", "gpt-4") };
    let mut old = quiet(1).split_item();
    old["rf"]["N"] = (NEW_YEAR * 1_000 - 400_000).to_string().into();
    records.push(record("MODIFY", 7, NEW_YEAR, Some(old), Some(quiet(1).split_item())));
    let items = [drained.item(), sharded.item(), quiet(0).split_item(), quiet(1).split_item()];
    (records, items.to_vec())
}

/// Checks everything that a batch writes.
async fn check(world: &World, context: &str) {
    let five = |rpm, tpm, events| -> Vec<(&str, i64)> { vec![("rpm", rpm), ("tpm", tpm), ("total_events", events)] };
    let expected = counted(&[
        ("key-1 gpt-4 hourly 2026-01-01T00:00:00Z", &five(3, 200, 2)),
        ("key-1 gpt-4 hourly 2026-01-01T01:00:00Z", &[("rpm", 2), ("total_events", 1)]),
        ("key-1 gpt-4 daily 2026-01-01T00:00:00Z", &five(5, 200, 3)),
        ("key-2 gpt-4 hourly 2026-01-01T00:00:00Z", &[("rpm", 1), ("total_events", 1)]),
        ("key-2 gpt-4 daily 2026-01-01T00:00:00Z", &[("rpm", 1), ("total_events", 1)]),
    ]);
    assert_eq!(world.usage().await, expected, "{context}");
    let number = |item: &Value, name: &str| item[name]["N"].as_str().unwrap().parse::<i64>().unwrap();
    let drained = world.store.get("aB3x_9QwZ1k/BUCKET#key-1#gpt-4#0").await.unwrap();
    // It is not used: however often and by whom it was refilled, it is full, and its account equals the consumption.
    assert_eq!((number(&drained, "b_rpm_tk"), number(&drained, "b_rpm_tc")), (1_000_000, 1_000_000), "{context}");
    let second = world.store.get("aB3x_9QwZ1k/BUCKET#key-2#gpt-4#1").await.expect(context);
    assert_eq!((number(&second, "shard_count"), number(&second, "b_rpm_tc")), (2, 0), "{context}");
    let folded = world.store.get("aB3x_9QwZ1k/BUCKET#key-3#gpt-4#0").await.unwrap();
    assert_eq!((number(&folded, "shard_count"), number(&folded, "b_rpm_tk")), (1, 1_000_000), "{context}");
    assert_eq!(world.store.get("aB3x_9QwZ1k/BUCKET#key-3#gpt-4#1").await, None, "{context}");
    let objects = world.s3.objects();
    assert_eq!(objects.len(), 1, "{context}");
    assert_eq!(objects[0].2.len(), 2, "{context}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_whatever_write_it_was() {
    let (records, buckets) = batch();
    let steps = {
        let world = World::new().await;
        for bucket in &buckets {
            world.store.put(bucket).await;
        }
        let aggregator = world.aggregator().await;
        world.steps.arm(None);
        assert_eq!(failures(&aggregator.invoke(&event(&records)).await), Vec::<&str>::new());
        check(&world, "without a crash").await;
        world.steps.taken()
    };
    assert!(steps >= 8, "{steps} writes");
    for index in 0..steps {
        for when in [When::Before, When::After] {
            let context = format!("{when:?} write {index} of {steps}");
            let world = World::new().await;
            for bucket in &buckets {
                world.store.put(bucket).await;
            }
            let doomed = world.aggregator().await;
            world.steps.arm(Some((index, when)));
            let event = event(&records);
            tokio::select! {
                () = world.steps.reached() => {}
                answer = doomed.try_invoke(&event) => panic!("{context}: answered {answer:?}"),
            }
            doomed.kill().await;
            world.steps.arm(None);
            let aggregator = world.aggregator().await;
            assert_eq!(failures(&aggregator.invoke(&event).await), Vec::<&str>::new(), "{context}");
            check(&world, &context).await;
        }
    }
}
