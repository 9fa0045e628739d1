//! A client raised a bucket's number of shards, which is propagated to the others.

use serde_json::Value;

use crate::support::{
    World, event, failures,
    records::{self, Bucket, NEW_YEAR},
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
    let mut second = Bucket { shard: 1, shards: 2, ..before.clone() };
    // No more than a quarter of each.
    (second.limits[0].1, second.limits[1].1) = (250_000, 25_000_000);
    let raised = Bucket { shards: 4, ..second.clone() };
    world.store.take_writes();
    aggregator.invoke(&event(&[raised.changed(&second, 1, NEW_YEAR), before.changed(&before, 2, NEW_YEAR)])).await;
    assert_eq!(world.store.take_writes(), 0);
}

/// The shards of a bucket that a limiter split: `last_refill` of each, and 100 rpm in it.
async fn split(world: &World, last_refill: &[i64]) -> Vec<Bucket> {
    let shards = u32::try_from(last_refill.len()).unwrap();
    let mut buckets = Vec::new();
    for (shard, last_refill) in (0..).zip(last_refill) {
        let mut bucket = Bucket { shard, shards, last_refill: *last_refill, ..Bucket::new("key-1", "gpt-4") };
        bucket.limits[0].1 = 100_000;
        world.store.put(&bucket.split_item()).await;
        buckets.push(bucket);
    }
    buckets
}

/// Runs a batch with one change of the second shard, whose last refill was at `before`; answers the shards afterwards.
async fn shards_after(world: &World, buckets: &[Bucket], before: i64) -> Vec<(u32, i64)> {
    let now = zae_limiter::Clock::now_ms(&zae_limiter::SystemClock);
    let new = buckets[1].split_item();
    let mut old = new.clone();
    old["rf"] = serde_json::json!({"N": before.to_string()});
    let record = records::record("MODIFY", 1, now / 1_000, Some(old), Some(new));
    let aggregator = world.aggregator().await;
    assert_eq!(failures(&aggregator.invoke(&event(&[record])).await), Vec::<&str>::new());
    let mut found = Vec::new();
    for bucket in buckets {
        let item = world.store.get(&bucket.pk()).await;
        found.extend(item.map(|item| (bucket.shard, number(&item, "shard_count"))));
    }
    found
}

#[tokio::test]
async fn a_bucket_that_was_split_is_folded_by_the_first_use_after_a_long_silence() {
    let world = World::new().await;
    let now = zae_limiter::Clock::now_ms(&zae_limiter::SystemClock);
    // Full since long; the record's shard was refilled by that use.
    let buckets = split(&world, &[now - 400_000, now - 1_000, now - 400_000, now - 500_000]).await;
    assert_eq!(shards_after(&world, &buckets, now - 400_000).await, [(0, 1)]);
    let whole = world.store.get(&buckets[0].pk()).await.unwrap();
    // Three shares of 250 that are full again, and the fourth with its 100 and the gain of a second or more.
    let tokens = number(&whole, "b_rpm_tk");
    assert!((854_000..900_000).contains(&tokens), "{tokens}");
    // Delivered again, there is nothing left to fold.
    assert_eq!(shards_after(&world, &buckets, now - 400_000).await, [(0, 1)]);
    assert_eq!(number(&world.store.get(&buckets[0].pk()).await.unwrap(), "b_rpm_tk"), tokens);
}

#[tokio::test]
async fn a_bucket_in_use_is_not_folded() {
    let now = zae_limiter::Clock::now_ms(&zae_limiter::SystemClock);
    let (quiet, recent) = (now - 400_000, now - 350_000);
    for (of_others, before, use_since) in [
        // Another shard was used since, the silence was too short, and the record's shard is in use.
        (recent, quiet, 0),
        (quiet, recent, 0),
        (quiet, quiet, 500),
    ] {
        let world = World::new().await;
        let buckets = split(&world, &[of_others, now - 1_000]).await;
        let used = Bucket { last_refill: now - 1_000 + use_since, ..buckets[1].clone() };
        world.store.put(&used.split_item()).await;
        assert_eq!(shards_after(&world, &buckets, before).await, [(0, 2), (1, 2)], "{of_others} {before} {use_since}");
    }
}

#[tokio::test]
async fn shards_that_python_clients_made_are_not_folded() {
    let world = World::new().await;
    let now = zae_limiter::Clock::now_ms(&zae_limiter::SystemClock);
    let buckets = split(&world, &[now - 400_000, now - 1_000]).await;
    // A clone is a copy of the first shard, with the stamp of its creation.
    let mut clone = buckets[1].split_item();
    clone["z_inc"] = buckets[0].split_item()["z_inc"].clone();
    world.store.put(&clone).await;
    assert_eq!(shards_after(&world, &buckets, now - 400_000).await, [(0, 2), (1, 2)]);
}
