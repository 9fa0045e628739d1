//! A client raised a bucket's number of shards, which is propagated to the others.

use serde_json::Value;

use crate::support::{
    World, event, failures,
    records::{Bucket, NEW_YEAR},
};

fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn existing_shards_learn_it_and_missing_ones_are_created_with_what_is_to_spare() {
    let world = World::new().await;
    let mut before = Bucket { shards: 2, ..Bucket::new("key-1", "gpt-4") };
    // Half of it is this shard's share; of 1000 rpm it holds 400, of which 150 are more than a quarter.
    before.limits[0].1 = 400_000;
    before.limits[1].1 = 0;
    let known = Bucket { shard: 1, shards: 2, ..Bucket::new("key-1", "gpt-4") };
    world.store.put(&known.item()).await;
    let raised = Bucket {
        shards: 4,
        last_refill: zae_limiter::Clock::now_ms(&zae_limiter::SystemClock) + 60_000,
        ..before.clone()
    };
    world.store.put(&raised.item()).await;
    let aggregator = world.aggregator().await;
    // A change of the number only, alone in its batch.
    for _ in 0..2 {
        let answer = aggregator.invoke(&event(&[raised.changed(&before, 1, NEW_YEAR)])).await;
        assert_eq!(failures(&answer), Vec::<&str>::new());
    }
    let shard = async |shard: u32| world.store.get(&Bucket { shard, ..raised.clone() }.pk()).await.unwrap();
    let second = shard(1).await;
    assert_eq!((number(&second, "shard_count"), number(&second, "b_rpm_tk")), (4, 1_000_000));
    for index in [2, 3] {
        let created = shard(index).await;
        assert_eq!((number(&created, "shard_count"), number(&created, "b_rpm_tc")), (4, 0));
        assert_eq!((number(&created, "b_rpm_tk"), number(&created, "b_tpm_tk")), (50_000, 0));
        assert_eq!((number(&created, "b_rpm_cp"), number(&created, "b_wcu_tk")), (1_000_000, 1_000_000));
        assert_eq!(created["GSI3SK"]["S"], format!("BUCKET#gpt-4#{index}"));
    }
    assert!(world.usage().await.is_empty());
}

#[tokio::test]
async fn other_shards_and_unchanged_numbers_tell_nobody() {
    let world = World::new().await;
    let aggregator = world.aggregator().await;
    let before = Bucket::new("key-1", "gpt-4");
    let second = Bucket { shard: 1, shards: 2, ..before.clone() };
    let raised = Bucket { shards: 4, ..second.clone() };
    world.store.take_writes();
    aggregator.invoke(&event(&[raised.changed(&second, 1, NEW_YEAR), before.changed(&before, 2, NEW_YEAR)])).await;
    assert_eq!(world.store.take_writes(), 0);
}
