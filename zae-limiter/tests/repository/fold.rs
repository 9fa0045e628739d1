//! Merging a bucket that Python clients have sharded, and reading buckets.

use zae_limiter::{
    Cost, EntityId, Repository, RepositoryError, ResourceName,
    usage::{BucketState, FoldedBucket},
};
use zae_testkit::{Bench, START, raw, rpm, tpm};

const C: i64 = 100_000;

fn ids() -> (EntityId, ResourceName) {
    (EntityId::new("key-1").unwrap(), ResourceName::new("gpt-4").unwrap())
}

/// Creates a bucket of 100 per minute whose shards have these tokens; `None` is a shard without an item.
async fn sharded(r: &Repository, count: u32, tokens: &[Option<i64>]) {
    for (shard, tokens) in tokens.iter().enumerate() {
        let Some(tokens) = tokens else { continue };
        let shard = u32::try_from(shard).unwrap();
        let limits = [("rpm", tokens * 1_000, C, C, 60_000)];
        raw::put(r, &raw::bucket(r, ("key-1", "gpt-4"), (shard, count), START, &limits)).await;
    }
}

async fn fold(r: &Repository) -> Result<Option<FoldedBucket>, RepositoryError> {
    let (entity, resource) = ids();
    r.fold_bucket(&entity, &resource).await
}

async fn state(r: &Repository) -> BucketState {
    r.buckets(&ids().0).await.unwrap().remove(0)
}

async fn items(r: &Repository) -> Vec<(u32, i64)> {
    let mut items = Vec::new();
    for shard in 0..8 {
        let item = raw::get(r, &format!("{}/BUCKET#key-1#gpt-4#{shard}", r.namespace_id()), "#STATE").await;
        items.extend(raw::number(&item, "b_rpm_tk").map(|tokens| (shard, tokens)));
    }
    items
}

#[tokio::test]
async fn one_bucket_holds_what_its_shards_held() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    sharded(&r, 4, &[Some(10), Some(5), None, Some(-3)]).await;
    let before = state(&r).await;
    assert_eq!((before.shard_count, before.shards_stored), (4, 3));
    let folded = fold(&r).await.unwrap().unwrap();
    assert_eq!((folded.shards_before, folded.items_removed, folded.available["rpm"]), (4, 2, 12));
    assert_eq!(items(&r).await, [(0, 12_000)]);
    let after = state(&r).await;
    assert_eq!((after.shard_count, after.shards_stored, after.limits[0].available), (1, 1, 12));
    // A second call finds nothing to do, and loses nothing.
    assert_eq!(fold(&r).await.unwrap().unwrap().items_removed, 0);
    assert_eq!(items(&r).await, [(0, 12_000)]);
}

#[tokio::test]
async fn until_then_each_shard_gains_its_share_and_afterwards_the_one_gains_all() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    sharded(&r, 2, &[Some(0), Some(0)]).await;
    bench.advance(6_000);
    // Ten tokens in six seconds, not twenty.
    assert_eq!(fold(&r).await.unwrap().unwrap().available["rpm"], 10);
    bench.advance(6_000);
    assert_eq!(state(&r).await.limits[0].available, 20);
}

#[tokio::test]
async fn never_more_than_one_bucket_can_hold() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    // The Python package leaves shard 0 with all its tokens, and gives the new one its share on top.
    sharded(&r, 2, &[Some(100), Some(50)]).await;
    assert_eq!(fold(&r).await.unwrap().unwrap().available["rpm"], 100);
    assert_eq!(items(&r).await, [(0, C)]);
}

#[tokio::test]
async fn what_a_shard_zero_beyond_its_share_holds_is_kept() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    sharded(&r, 2, &[Some(80)]).await;
    assert_eq!(fold(&r).await.unwrap().unwrap().available["rpm"], 80);
}

#[tokio::test]
async fn shards_beyond_the_count_go_without_their_tokens() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    sharded(&r, 1, &[Some(10), Some(50), Some(50)]).await;
    let folded = fold(&r).await.unwrap().unwrap();
    assert_eq!((folded.shards_before, folded.items_removed, folded.available["rpm"]), (1, 2, 10));
    assert_eq!(items(&r).await, [(0, 10_000)]);
}

#[tokio::test]
async fn without_shard_zero_the_rest_is_removed() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    assert_eq!(fold(&r).await.unwrap(), None);
    sharded(&r, 2, &[None, Some(50)]).await;
    assert_eq!(fold(&r).await.unwrap(), None);
    assert_eq!(items(&r).await, []);
}

#[tokio::test]
async fn a_feature_of_newer_clients_is_left_alone() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    sharded(&r, 2, &[Some(10)]).await;
    let limits = [("rpm", 5_000, C, C, 60_000)];
    let mut shard = raw::bucket(&r, ("key-1", "gpt-4"), (1, 2), START, &limits);
    // A quota is not refilled; on a rate, this attribute would be left over from a quota.
    shard["b_rpm_ws"] = serde_json::json!({"N": "1"});
    shard["b_rpm_ra"] = serde_json::json!({"N": "0"});
    raw::put(&r, &shard).await;
    assert!(matches!(fold(&r).await, Err(RepositoryError::Unsupported(_))));
    assert_eq!(items(&r).await, [(0, 10_000), (1, 5_000)]);
    let state = state(&r).await;
    assert!(state.unsupported.is_some() && state.limits.is_empty(), "{state:?}");
}

#[tokio::test]
async fn acquires_go_on_and_never_get_more_than_there_is() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&zae_testkit::limits([rpm(100)])).await;
    let r = limiter.repository().clone();
    sharded(&r, 4, &[Some(25), Some(25), Some(25), Some(25)]).await;
    let taking = async {
        let mut granted = 0;
        for _ in 0..300 {
            if let Ok(lease) = limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1)).await {
                lease.commit().await.unwrap();
                granted += 1;
            }
        }
        granted
    };
    let (granted, folded) = tokio::join!(taking, fold(&r));
    folded.unwrap();
    limiter.shutdown().await;
    assert!(granted <= 100, "{granted}");
    let left = state(&r).await.limits[0].available;
    assert!(granted + left <= 100, "{granted} granted and {left} left");
}

#[tokio::test]
async fn buckets_say_what_is_left_and_what_was_used() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&zae_testkit::limits([rpm(100), tpm(60_000)])).await;
    let lease = limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 10).and("tpm", 30_000)).await.unwrap();
    lease.commit().await.unwrap();
    limiter.shutdown().await;
    bench.advance(3_000);
    let state = state(limiter.repository()).await;
    let limits: Vec<_> = state.limits.iter().map(|l| (l.name.as_str(), l.capacity, l.available, l.consumed)).collect();
    assert_eq!(limits, [("rpm", 100, 95, 10), ("tpm", 60_000, 33_000, 30_000)]);
    assert_eq!(limiter.repository().buckets(&EntityId::new("nobody").unwrap()).await.unwrap(), []);
}

/// A quota of 100 a day on three shards: what they hold, the shards that their grants were cut by, and when.
async fn sharded_quota(r: &Repository, shards: [(i64, u32, i64); 3]) {
    for (shard, (tokens, grant, last_refill)) in (0..).zip(shards) {
        let limits = [("day", tokens * 1_000, C, 0, 1_000)];
        let mut item = raw::bucket(r, ("key-1", "gpt-4"), (shard, 3), last_refill, &limits);
        item["b_day_rsched"] = serde_json::json!({"S": "1m0h0"});
        item["b_day_gc"] = serde_json::json!({"N": grant.to_string()});
        raw::put(r, &item).await;
    }
}

#[tokio::test]
async fn one_quota_holds_what_its_shards_held_in_the_running_period() {
    const DAY: i64 = 86_400_000;
    let today = START + DAY;
    for (shards, expected) in [
        ([(40, 1, today), (5, 2, today), (0, 3, today)], 45),
        // A shard that has not begun the day has its share of it.
        ([(40, 1, START), (5, 2, today), (1, 3, today)], 33 + 6),
        ([(1, 3, START), (2, 3, START), (3, 3, START)], 99),
        ([(-7, 3, today), (5, 3, today), (1, 3, START)], 31),
    ] {
        let bench = Bench::new();
        let (_, r) = bench.process().await;
        sharded_quota(&r, shards).await;
        bench.advance(DAY.unsigned_abs() + 1_000);
        assert_eq!(state(&r).await.limits[0].available, expected, "{shards:?}");
        let folded = fold(&r).await.unwrap().unwrap();
        assert_eq!((folded.items_removed, folded.available["day"]), (2, expected), "{shards:?}");
        let item = raw::get(&r, &format!("{}/BUCKET#key-1#gpt-4#0", r.namespace_id()), "#STATE").await;
        let number = |name| raw::number(&item, name).unwrap();
        assert_eq!([number("b_day_gc"), number("shard_count"), number("vu")], [1, 1, today + DAY], "{shards:?}");
        assert_eq!(state(&r).await.limits[0].available, expected, "{shards:?}");
        bench.advance(DAY.unsigned_abs());
        assert_eq!(state(&r).await.limits[0].available, 100);
    }
}
