//! Buckets in use are refilled before their users have to.

use serde_json::Value;
use zae_limiter::{Clock, SystemClock};

use crate::support::{
    World, event,
    records::{self, Bucket},
};

fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().unwrap().parse().unwrap()
}

/// Runs a batch on a bucket that was last refilled `ago` ms before now, in the table and in a record that takes
/// `amounts`.
async fn after(world: &World, mut bucket: Bucket, ago: i64, amounts: &[(&str, i64)]) -> (Value, i64, Value) {
    let now = SystemClock.now_ms();
    bucket.last_refill = now - ago;
    let record = bucket.taking(amounts, 1, now / 1_000);
    world.store.put(&bucket.item()).await;
    let aggregator = world.aggregator().await;
    let answer = aggregator.invoke(&event(&[record])).await;
    (world.store.get(&bucket.pk()).await.unwrap(), now, answer)
}

#[tokio::test]
async fn all_limits_are_credited_for_the_same_time() {
    let world = World::new().await;
    let mut bucket = Bucket::new("key-1", "gpt-4");
    // A slow limit: 7 per day, of which 5 s are worth 405 mt and a fraction.
    bucket.limits.push(("rpd", 1_000, 7_000, 7_000, 86_400_000, 0));
    bucket.take(&[("tpm", 95_000), ("rpm", 100)]);
    let (item, before, answer) = after(&world, bucket, 5_000, &[("tpm", 4_000)]).await;
    assert_eq!(answer["body"]["refills_written"], 1);
    let elapsed = number(&item, "rf") - (before - 5_000);
    assert!(elapsed >= 5_000, "{elapsed}");
    let gained = |per_period: i64, period: i64| elapsed * per_period / period;
    assert_eq!(number(&item, "b_tpm_tk"), 1_000_000 + gained(100_000_000, 60_000));
    assert_eq!(number(&item, "b_rpm_tk"), (900_000 + gained(1_000_000, 60_000)).min(1_000_000));
    assert_eq!(number(&item, "b_rpd_tk"), 1_000 + gained(7_000, 86_400_000));
    assert_eq!(number(&item, "z_rpd_fr"), elapsed * 7_000 % 86_400_000, "what is left of a millitoken is kept");
    assert_eq!(number(&item, "b_tpm_tc"), 99_000_000);
}

#[tokio::test]
async fn a_bucket_with_enough_in_it_is_left_alone() {
    let world = World::new().await;
    let (item, before, answer) = after(&world, Bucket::new("key-1", "gpt-4"), 5_000, &[("tpm", 1_000)]).await;
    assert_eq!((&answer["body"]["refills_written"], number(&item, "rf")), (&0.into(), before - 5_000));
    let mut returned = Bucket::new("key-2", "gpt-4");
    returned.take(&[("tpm", 99_999)]);
    let (_, _, answer) = after(&world, returned, 5_000, &[("tpm", -1)]).await;
    assert_eq!(answer["body"]["refills_written"], 0, "what is given back is no demand");
}

#[tokio::test]
async fn a_refill_is_computed_from_the_bucket_as_it_is_now() {
    let world = World::new().await;
    let now = SystemClock.now_ms();
    let mut bucket = Bucket::new("key-1", "gpt-4");
    bucket.last_refill = now - 30_000;
    bucket.take(&[("rpm", 990)]);
    let record = bucket.taking(&[("rpm", 10)], 1, now / 1_000);
    // Since the record, it was refilled and used.
    bucket.last_refill = now - 1_000;
    bucket.limits[0].1 = 4_000;
    world.store.put(&bucket.item()).await;
    let aggregator = world.aggregator().await;
    let answer = aggregator.invoke(&event(&[record])).await;
    assert_eq!(answer["body"]["refills_written"], 1);
    let item = world.store.get(&bucket.pk()).await.unwrap();
    let elapsed = number(&item, "rf") - (now - 1_000);
    assert_eq!(number(&item, "b_rpm_tk"), 4_000 + elapsed * 1_000_000 / 60_000);
}

#[tokio::test]
async fn a_shard_is_credited_its_share_and_the_first_says_how_large_that_is() {
    let world = World::new().await;
    let first = Bucket { shards: 4, ..Bucket::new("key-1", "gpt-4") };
    world.store.put(&first.item()).await;
    // It has not learned yet that there are four.
    let mut second = Bucket { shard: 1, shards: 2, ..Bucket::new("key-1", "gpt-4") };
    second.limits[0].1 = 5_000;
    second.limits[1].1 = 1_000;
    let (item, before, answer) = after(&world, second, 3_000, &[("rpm", 5)]).await;
    assert_eq!(answer["body"]["refills_written"], 1);
    let elapsed = number(&item, "rf") - (before - 3_000);
    assert_eq!(number(&item, "b_rpm_tk"), elapsed * 250_000 / 60_000);
}

#[tokio::test]
async fn the_reserved_limit_is_filled_before_neighbours_shard_for_want_of_it() {
    let world = World::new().await;
    let now = SystemClock.now_ms();
    let mut bucket = Bucket::new("key-1", "gpt-4");
    bucket.last_refill = now - 60_000;
    let mut record = bucket.taking(&[("rpm", 1)], 1, now / 1_000);
    let mut item = bucket.item();
    item["b_wcu_tk"]["N"] = "100000".into();
    record["dynamodb"]["NewImage"] = item.clone();
    world.store.put(&item).await;
    let aggregator = world.aggregator().await;
    assert_eq!(aggregator.invoke(&event(&[record])).await["body"]["refills_written"], 1);
    assert_eq!(number(&world.store.get(&bucket.pk()).await.unwrap(), "b_wcu_tk"), 1_000_000);
}

/// Runs a batch that shows `item` with another counter-less attribute changed, and answers the item afterwards.
async fn shown(world: &World, item: &Value) -> (Value, Value) {
    let mut before = item.clone();
    before["b_rpm_cp"] = serde_json::json!({"N": "9000000"});
    let at = SystemClock.now_ms() / 1_000;
    world.store.put(item).await;
    let aggregator = world.aggregator().await;
    let change = records::record("MODIFY", 1, at, Some(before), Some(item.clone()));
    let answer = aggregator.invoke(&event(&[change])).await;
    (world.store.get(item["PK"]["S"].as_str().unwrap()).await.unwrap(), answer)
}

#[tokio::test]
async fn a_lowered_ceiling_cuts_the_balance_and_the_stamp_of_a_schedule_is_renewed() {
    let world = World::new().await;
    let bucket = Bucket { last_refill: SystemClock.now_ms() - 1_000, ..Bucket::new("key-1", "gpt-4") };
    let mut item = bucket.item();
    for (name, value) in [("b_rpm_cp", "10000"), ("b_rpm_ra", "10000"), ("vu", "0")] {
        item[name] = serde_json::json!({"N": value});
    }
    for (name, value) in [("sched", "1m0-29s500"), ("sched_tz", "UTC")] {
        item[name] = serde_json::json!({"S": value});
    }
    let (after, answer) = shown(&world, &item).await;
    assert_eq!(answer["body"]["refills_written"], 1);
    assert!(number(&after, "b_rpm_tk") <= 10_000, "{after}");
    assert!(number(&after, "vu") > SystemClock.now_ms(), "{after}");
}

#[tokio::test]
async fn a_window_that_a_neighbour_told_of_is_applied() {
    let world = World::new().await;
    let now = SystemClock.now_ms();
    let mut bucket = Bucket { shard: 3, shards: 4, last_refill: now - 400_000, ..Bucket::new("key-1", "gpt-4") };
    bucket.limits = vec![("rpm", 7_000, 40_000, 0, 1_000, 3_000)];
    let mut item = bucket.item();
    let opened = now - 2_000;
    for (name, value) in [("rsa", 300), ("ws", opened), ("wa", now - 305_000), ("wtc", 3_000), ("gc", 4)] {
        item[format!("b_rpm_{name}")] = serde_json::json!({"N": value.to_string()});
    }
    item["vu"] = serde_json::json!({"N": "0"});
    world.store.put(&Bucket { shard: 0, ..bucket.clone() }.item()).await;
    let (after, answer) = shown(&world, &item).await;
    assert_eq!(answer["body"]["refills_written"], 1);
    let found = ["b_rpm_tk", "b_rpm_wa", "b_rpm_ws", "vu"].map(|name| number(&after, name));
    assert_eq!(found, [10_000, opened, opened, opened + 300_000]);
    assert!(number(&after, "rf") >= opened, "{after}");
}
