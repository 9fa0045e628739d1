//! The effects of other processes on a bucket between two of our writes, and the room we leave for them.

mod bypass;
pub(crate) mod clocks;
mod counters;
mod features;
mod lifetimes;
mod operations;
mod owners;
mod quotas;
mod soft;
mod switches;
mod timed;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use zae_limiter::{AcquireError, Cost, EntityId, Limit, LimitScope, RateLimiter, Repository, ResourceName};
use zae_testkit::{Bench, Fault, START, limits, raw, rpm, tpm};

fn id(text: &str) -> EntityId {
    EntityId::new(text).unwrap()
}

fn scope() -> LimitScope {
    ResourceName::new("gpt-4").unwrap().into()
}

async fn shard(r: &Repository, shard: u32) -> Value {
    raw::get(r, &format!("{}/BUCKET#e#gpt-4#{shard}", r.namespace_id()), "#STATE").await
}

/// Changes attributes of the bucket; null removes one.
async fn change(r: &Repository, attributes: &Value) {
    let mut bucket = shard(r, 0).await;
    for (name, value) in attributes.as_object().unwrap() {
        match value {
            Value::Null => drop(bucket.as_object_mut().unwrap().remove(name)),
            value => bucket[name] = value.clone(),
        }
    }
    raw::put(r, &bucket).await;
}

async fn take(limiter: &RateLimiter, limit: &str, tokens: u64) -> Result<(), AcquireError> {
    limiter.acquire("e", "gpt-4", Cost::of(limit, tokens)).await?.commit().await.unwrap();
    Ok(())
}

#[tokio::test]
async fn a_validity_that_is_over_takes_one_more_write_and_is_gone() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    for (stamp, calls, left) in [(START + 1, 1, Some(START + 1)), (START, 2, None), (0, 2, None)] {
        change(&r, &json!({"vu": {"N": stamp.to_string()}})).await;
        wire.take();
        take(&limiter, "rpm", 1).await.unwrap();
        assert_eq!(wire.count(), calls, "{stamp}");
        assert_eq!(raw::number(&shard(&r, 0).await, "vu"), left, "{stamp}");
    }
}

#[tokio::test]
async fn a_bucket_that_a_neighbour_shards_grants_no_more_than_before() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    change(&r, &json!({"shard_count": {"N": "2"}})).await;
    let mut granted = 1;
    for _ in 0..20 {
        granted += i32::from(take(&limiter, "rpm", 1).await.is_ok());
    }
    limiter.shutdown().await;
    assert!((6..=10).contains(&granted), "{granted} of 10: its own half at least, and never more than the whole");
    for number in [0, 1] {
        let tokens = raw::number(&shard(&r, number).await, "b_rpm_tk").unwrap();
        assert!((0..=5_000).contains(&tokens), "shard {number} holds {tokens}");
    }
    // The lost tokens come back: both are full after a minute.
    bench.advance(60_000);
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let mut full = 0;
    while take(&limiter, "rpm", 1).await.is_ok() {
        full += 1;
    }
    assert_eq!(full, 10);
}

#[tokio::test]
async fn a_neighbours_clock_that_is_ahead_is_not_turned_back() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 4).await.unwrap();
    change(&r, &json!({"rf": {"N": (START + 5_000).to_string()}})).await;
    r.set_limits(&id("e"), &scope(), &limits([rpm(20)])).await.unwrap();
    take(&limiter, "rpm", 1).await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!((raw::number(&bucket, "rf"), raw::number(&bucket, "b_rpm_tk")), (Some(START + 5_000), Some(5_000)));
}

#[tokio::test]
async fn a_refill_reaches_the_reserved_limit_and_renews_the_lifetime() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(60)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 60).await.unwrap();
    change(&r, &json!({"b_wcu_tk": {"N": "3000"}})).await;
    // The first write updates the limits that the neighbour changed, the second refills.
    for _ in 0..2 {
        bench.advance(1_000);
        take(&limiter, "rpm", 1).await.unwrap();
    }
    let bucket = shard(&r, 0).await;
    assert_eq!(raw::number(&bucket, "b_wcu_tk"), Some(1_000_000), "1000 units a second, up to 1000");
    // Seven times the minute that it takes to fill.
    assert_eq!(raw::number(&bucket, "ttl"), Some((START + 2_000) / 1_000 + 420));
}

#[tokio::test]
async fn changed_limits_take_what_is_over_and_give_shards_their_part() {
    let (_, r) = Bench::new().process().await;
    for number in [0, 1] {
        let stored = [("rpm", 50_000, 100_000, 100_000, 60_000)];
        raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (number, 2), START, &stored)).await;
    }
    r.set_limits(&id("e"), &scope(), &limits([rpm(10), tpm(100)])).await.unwrap();
    for number in [0, 1] {
        let bucket = shard(&r, number).await;
        let tokens = ["rpm", "tpm"].map(|limit| raw::number(&bucket, &format!("b_{limit}_tk")));
        assert_eq!(tokens, [Some(5_000), Some(50_000)], "shard {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_somebody_still_uses_is_not_taken_off_its_bucket() {
    let old = Limit::per_minute("old", 5).unwrap();
    let (mut reads, mut left) = (u64::MAX, Vec::new());
    for used in [false, true] {
        let bench = Bench::new();
        let (wire, r) = bench.process().await;
        r.set_system_defaults(rpm(10)).await.unwrap();
        r.set_limits(&id("e"), &scope(), &limits([rpm(10), old.clone()])).await.unwrap();
        let stored = [("rpm", 9_000, 10_000, 10_000, 60_000), ("old", 3_000, 5_000, 5_000, 60_000)];
        raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (0, 1), START, &stored)).await;
        wire.take();
        // The bucket is what is read last; its answer is on its way while a neighbour takes a token.
        let number = AtomicU64::new(0);
        wire.fail(move |operation, _| {
            let last = operation == "GetItem" && number.fetch_add(1, Ordering::SeqCst) + 1 == reads;
            if last { Fault::Slow(1_000) } else { Fault::None }
        });
        let neighbour = async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            if used {
                change(&r, &json!({"b_old_tk": {"N": "2000"}, "b_old_tc": {"N": "1000"}})).await;
            }
        };
        let entity = id("e");
        let (deleted, ()) = tokio::join!(
            async {
                let deleted = r.delete_limits(&entity, &scope()).await.unwrap();
                reads = wire.take()["GetItem"];
                deleted
            },
            neighbour
        );
        assert!(deleted);
        left.push(raw::number(&shard(&r, 0).await, "b_old_tk"));
    }
    assert_eq!(left, [None, Some(2_000)]);
}

/// Creates two processes that both know the bucket, of which the first raises its limits.
async fn a_raise_that_the_other_has_not_heard_of(bench: &Bench) -> (RateLimiter, RateLimiter) {
    let limits_before = limits([rpm(10)]);
    let (_, ours) = bench.limiter(&limits_before).await;
    let (_, theirs) = bench.limiter(&limits_before).await;
    take(&ours, "rpm", 1).await.unwrap();
    take(&theirs, "rpm", 1).await.unwrap();
    (ours, theirs)
}

#[tokio::test]
async fn limits_that_a_neighbour_changed_are_read_anew_and_not_written_back() {
    let bench = Bench::new();
    let (ours, theirs) = a_raise_that_the_other_has_not_heard_of(&bench).await;
    let r = ours.repository().clone();
    r.set_limits(&id("e"), &scope(), &limits([rpm(100)])).await.unwrap();
    let lease = theirs.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    assert_eq!(lease.statuses()[0].limit.capacity(), 100);
    lease.commit().await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "b_rpm_cp"), Some(100_000));
}

#[tokio::test]
async fn a_settlement_changes_no_limits() {
    let bench = Bench::new();
    let (ours, theirs) = a_raise_that_the_other_has_not_heard_of(&bench).await;
    let r = ours.repository().clone();
    let lease = theirs.acquire("e", "gpt-4", Cost::of("rpm", 3)).await.unwrap();
    r.set_limits(&id("e"), &scope(), &limits([rpm(100)])).await.unwrap();
    let before = shard(&r, 0).await;
    lease.adjust("rpm", -2).unwrap();
    lease.commit().await.unwrap();
    let after = shard(&r, 0).await;
    assert_eq!(raw::number(&after, "b_rpm_cp"), Some(100_000));
    let gained = |name| raw::number(&after, name).unwrap() - raw::number(&before, name).unwrap();
    assert_eq!((gained("b_rpm_tk"), gained("b_rpm_tc")), (2_000, -2_000));
}

#[tokio::test]
async fn a_lease_takes_more_under_the_limits_of_today() {
    let bench = Bench::new();
    let (ours, theirs) = a_raise_that_the_other_has_not_heard_of(&bench).await;
    let r = ours.repository().clone();
    let lease = theirs.acquire("e", "gpt-4", Cost::of("rpm", 3)).await.unwrap();
    r.set_limits(&id("e"), &scope(), &limits([tpm(7), rpm(100)])).await.unwrap();
    let before = raw::number(&shard(&r, 0).await, "b_rpm_tk").unwrap();
    lease.consume(Cost::of("rpm", 2)).await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!(raw::number(&bucket, "b_rpm_cp"), Some(100_000));
    assert_eq!(raw::number(&bucket, "b_rpm_tk"), Some(before - 2_000));
    assert_eq!(lease.consumed().into_values().collect::<Vec<_>>(), [5]);
    lease.roll_back().await.unwrap();
    let bucket = shard(&r, 0).await;
    assert_eq!(
        ["b_rpm_tk", "b_rpm_tc", "b_tpm_tc"].map(|name| raw::number(&bucket, name)),
        [Some(before + 3_000), Some(2_000), Some(0)]
    );
}

#[tokio::test]
async fn what_one_shard_says_is_no_answer_for_the_others() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(40)])).await;
    let r = limiter.repository().clone();
    for (number, tokens) in [(0, 0), (1, 20_000)] {
        raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (number, 2), START, &[("rpm", tokens, 40_000, 40_000, 60_000)]))
            .await;
    }
    for turn in 0..20 {
        take(&limiter, "rpm", 1).await.unwrap_or_else(|error| panic!("{turn}: {error}"));
    }
    assert!(matches!(take(&limiter, "rpm", 1).await, Err(AcquireError::Exceeded(_))));
}

#[tokio::test]
async fn whoever_learns_of_another_shard_asks_it_too() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(40)])).await;
    let r = limiter.repository().clone();
    take(&limiter, "rpm", 1).await.unwrap();
    for (number, tokens) in [(0, 0), (1, 20_000)] {
        raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (number, 2), START, &[("rpm", tokens, 40_000, 40_000, 60_000)]))
            .await;
    }
    take(&limiter, "rpm", 1).await.unwrap();
}

#[tokio::test]
async fn a_refund_to_a_bucket_that_a_neighbour_has_filled_stops_at_the_ceiling() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let r = limiter.repository().clone();
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 40)).await.unwrap();
    // With a fast clock, so that no refill is expected.
    let filled = json!({"rf": {"N": (START + 60_000).to_string()}, "b_rpm_tk": {"N": "99000"}});
    change(&r, &filled).await;
    lease.roll_back().await.unwrap();
    assert_eq!(raw::number(&shard(&r, 0).await, "b_rpm_tk"), Some(100_000));
}

/// Reads may be stale: the image of the last write is newer.
#[tokio::test(start_paused = true)]
async fn a_bucket_that_comes_along_with_limits_read_anew_does_not_replace_what_a_write_has_shown() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let (_, r) = bench.process().await;
    take(&limiter, "rpm", 1).await.unwrap();
    bench.advance(60_000);
    change(&r, &json!({"b_rpm_tk": {"N": "4000"}})).await;
    wire.fail(|operation, _| if operation == "BatchGetItem" { Fault::Slow(10) } else { Fault::None });
    wire.take();
    let as_it_is = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        change(&r, &json!({"b_rpm_tk": {"N": "9000"}})).await;
    };
    let (granted, ()) = tokio::join!(take(&limiter, "rpm", 1), as_it_is);
    granted.unwrap();
    // The namespace's record and the version record are read again together with the limits.
    let calls = [("BatchGetItem", 2), ("UpdateItem", 1)].map(|(operation, calls)| (operation.to_owned(), calls));
    assert_eq!(wire.take(), BTreeMap::from(calls));
}

/// Room is left for neighbours that contend now, not for those of an hour ago.
#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_contended_for_an_hour_ago_is_full_again() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(600)])).await;
    let (_, neighbour) = bench.limiter(&limits([rpm(600)])).await;
    take(&limiter, "rpm", 1).await.unwrap();
    take(&neighbour, "rpm", 1).await.unwrap();

    // The bucket is full whenever a write of ours is under way, and each of the first two is overtaken. A slow network
    // does not age the last loss.
    wire.fail(|_, _| Fault::Trip(10));
    bench.advance(1_000);
    let overtaken = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            take(&neighbour, "rpm", 1).await.unwrap();
            tokio::time::sleep(Duration::from_millis(6)).await;
            bench.advance(1_500);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    wire.take();
    let (granted, ()) = tokio::join!(take(&limiter, "rpm", 1), overtaken);
    granted.unwrap();
    assert_eq!(wire.take(), BTreeMap::from([("UpdateItem".to_owned(), 3)]), "two losses and a grant");
    wire.fail(|_, _| Fault::None);
    let left = raw::number(&shard(limiter.repository(), 0).await, "b_rpm_tk");
    assert_eq!(left, Some(600_000 - 2_500 - 1_000), "what it gains in 250 ms is given up");

    bench.advance(3_600_000);
    take(&limiter, "rpm", 1).await.unwrap();
    take(&limiter, "rpm", 599).await.unwrap();
}
