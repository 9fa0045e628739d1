//! The number of calls that an acquire makes, counted on the wire.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use zae_limiter::{Acquire, AcquireError, Cost, EntityId, NewEntity, RateLimiter, ResourceName};
use zae_testkit::{Bench, limits, rpm, tpm};

fn calls<const N: usize>(calls: [(&str, u64); N]) -> BTreeMap<String, u64> {
    calls.into_iter().map(|(operation, count)| (operation.to_owned(), count)).collect()
}

async fn spend(limiter: &RateLimiter, entity: &str, tokens: u64) -> Result<(), AcquireError> {
    let lease = limiter.acquire(entity, "gpt-4", Cost::of("rpm", tokens)).await?;
    lease.commit().await.unwrap();
    Ok(())
}

#[tokio::test]
async fn an_existing_bucket_takes_one_write() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100), tpm(1_000)])).await;
    spend(&limiter, "user-1", 1).await.unwrap();
    wire.take();
    for _ in 0..10 {
        spend(&limiter, "user-1", 1).await.unwrap();
        assert_eq!(wire.take(), calls([("UpdateItem", 1)]));
    }
}

#[tokio::test]
async fn a_refill_takes_one_write_with_a_fresh_image_and_two_otherwise() {
    let bench = Bench::new();
    let limits = limits([rpm(60)]);
    let (wire, limiter) = bench.limiter(&limits).await;
    let (other_wire, other) = bench.limiter(&limits).await;
    spend(&limiter, "user-1", 60).await.unwrap();
    spend(&other, "user-1", 1).await.unwrap_err();
    wire.take();
    other_wire.take();

    bench.advance(30_000);
    spend(&limiter, "user-1", 10).await.unwrap();
    assert_eq!(wire.take(), calls([("UpdateItem", 1)]), "our image was fresh");
    spend(&other, "user-1", 10).await.unwrap();
    assert_eq!(other_wire.take(), calls([("UpdateItem", 2)]), "the other's was not");
    bench.advance(1_000);
    spend(&other, "user-1", 10).await.unwrap();
    assert_eq!(other_wire.take(), calls([("UpdateItem", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_takes_a_call_a_second_at_most() {
    let bench = Bench::new();
    let limits = limits([rpm(5)]);
    let (wire, limiter) = bench.limiter(&limits).await;
    let (other_wire, other) = bench.limiter(&limits).await;
    spend(&limiter, "user-1", 5).await.unwrap();
    wire.take();
    other_wire.take();

    for _ in 0..1_000 {
        assert!(matches!(spend(&limiter, "user-1", 1).await, Err(AcquireError::Exceeded(_))));
    }
    assert_eq!(wire.count(), 0, "the last write's image says no");
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..1_000 {
        spend(&limiter, "user-1", 1).await.unwrap_err();
    }
    assert_eq!(wire.take(), calls([("UpdateItem", 1)]), "somebody may have given something back");

    // A process that has not seen the bucket asks DynamoDB once.
    for _ in 0..1_000 {
        spend(&other, "user-1", 1).await.unwrap_err();
    }
    assert_eq!(other_wire.take(), calls([("BatchGetItem", 1), ("UpdateItem", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_remembered_refusal_ends_with_time_refunds_and_raised_limits() {
    let bench = Bench::new();
    let limits = limits([rpm(60)]);
    let (_, limiter) = bench.limiter(&limits).await;
    let (_, other) = bench.limiter(&limits).await;
    let held = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 20)).await.unwrap();
    let others = other.acquire("user-1", "gpt-4", Cost::of("rpm", 40)).await.unwrap();
    spend(&limiter, "user-1", 1).await.unwrap_err();

    bench.advance(1_000);
    spend(&limiter, "user-1", 1).await.expect("time brings one back");
    spend(&limiter, "user-1", 1).await.unwrap_err();
    drop(held.roll_back());
    spend(&limiter, "user-1", 20).await.expect("our own refund is seen at once");
    spend(&limiter, "user-1", 1).await.unwrap_err();
    others.roll_back().await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    // The refund is worth a token less: its process cannot know that the token refilled meanwhile was spent here.
    spend(&limiter, "user-1", 39).await.expect("another's refund is seen within a second");

    spend(&limiter, "user-1", 1).await.unwrap_err();
    limiter.repository().set_system_defaults(&zae_testkit::limits([rpm(600)])).await.unwrap();
    spend(&limiter, "user-1", 1)
        .await
        .expect_err("nothing came back yet, but the bucket has the new rate from here on");
    bench.advance(1_000);
    spend(&limiter, "user-1", 10).await.expect("a raised limit is seen at once");
}

#[tokio::test]
async fn a_cascade_that_one_level_refuses_from_memory_does_not_ask_the_other() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(5)])).await;
    for key in ["key-1", "key-2"] {
        let parent = EntityId::new("proj-1").unwrap();
        let child = NewEntity::new(EntityId::new(key).unwrap()).parent(parent).cascading();
        limiter.repository().create_entity(child).await.unwrap();
    }
    spend(&limiter, "key-1", 5).await.unwrap();
    spend(&limiter, "key-2", 5).await.unwrap_err();
    wire.take();
    for _ in 0..10 {
        let Err(AcquireError::Exceeded(exceeded)) = spend(&limiter, "key-2", 1).await else { panic!() };
        assert_eq!(exceeded.primary().entity_id.as_str(), "proj-1");
    }
    assert_eq!(wire.count(), 0);
}

#[tokio::test]
async fn what_never_fits_and_what_is_wrong_takes_no_call() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(5)])).await;
    spend(&limiter, "user-1", 1).await.unwrap();
    wire.take();
    assert!(matches!(spend(&limiter, "user-1", 6).await, Err(AcquireError::NeverFits(_))));
    assert!(matches!(spend(&limiter, "user#1", 1).await, Err(AcquireError::Invalid(_))));
    assert!(matches!(spend(&limiter, "user-1", 0).await, Err(AcquireError::Invalid(_))));
    let unknown = limiter.acquire("user-1", "gpt-4", Cost::of("tpm", 1)).await;
    assert!(matches!(unknown, Err(AcquireError::Invalid(_))));
    assert_eq!(wire.count(), 0);
}

#[tokio::test]
async fn the_first_acquire_of_an_entity_takes_two_calls_configuration_included() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100)])).await;
    spend(&limiter, "user-1", 1).await.unwrap();
    assert_eq!(wire.take(), calls([("BatchGetItem", 1), ("PutItem", 1)]));
    // Another process reads the bucket along with the configuration.
    let (wire, other) = bench.limiter(&limits([rpm(100)])).await;
    spend(&other, "user-1", 1).await.unwrap();
    assert_eq!(wire.take(), calls([("BatchGetItem", 1), ("UpdateItem", 1)]));
}

/// Only the wire advances the clock: a round trip takes 100 ms, and everything else no time.
#[tokio::test(start_paused = true)]
async fn the_namespace_is_read_while_the_limits_are() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100)])).await;
    // The namespace, read when it was opened, is then as old as the limits.
    bench.advance(61_000);
    wire.take();
    wire.fail(|_, _| zae_testkit::Fault::Trip(100));
    let started = Instant::now();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    assert_eq!(started.elapsed().as_millis(), 200, "both reads at once, then the write");
    assert_eq!(wire.take(), calls([("BatchGetItem", 2), ("PutItem", 1)]));
    lease.commit().await.unwrap();
}

#[tokio::test]
async fn a_cascade_asks_both_buckets_at_once() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let child = NewEntity::new(EntityId::new("key-1").unwrap()).parent(EntityId::new("proj-1").unwrap()).cascading();
    limiter.repository().create_entity(child).await.unwrap();
    wire.take();
    let lease = limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    assert_eq!(wire.take(), calls([("BatchGetItem", 2), ("PutItem", 2)]));
    assert_eq!(lease.statuses().iter().map(|s| s.entity_id.as_str()).collect::<Vec<_>>(), ["key-1", "proj-1"]);
    lease.commit().await.unwrap();
    spend(&limiter, "key-1", 1).await.unwrap();
    assert_eq!(wire.take(), calls([("UpdateItem", 2)]));
    bench.advance(30_000);
    spend(&limiter, "key-1", 1).await.unwrap();
    assert_eq!(wire.take(), calls([("UpdateItem", 2)]), "a refill at both levels");
}

#[tokio::test]
async fn a_settlement_without_a_difference_takes_no_call() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100), tpm(1_000)])).await;
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1).and("tpm", 100)).await.unwrap();
    wire.take();
    lease.adjust("tpm", 40).unwrap();
    lease.adjust("tpm", -40).unwrap();
    lease.commit().await.unwrap();
    assert_eq!(wire.count(), 0);
}

#[tokio::test]
async fn acquires_that_wait_share_a_write() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(1_000)])).await;
    spend(&limiter, "user-1", 1).await.unwrap();
    wire.take();
    wire.fail(|_, _| zae_testkit::Fault::Slow(5));
    let tasks = (0..64).map(|_| {
        let limiter = limiter.clone();
        tokio::spawn(async move { spend(&limiter, "user-1", 1).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(wire.count() <= 2, "one in flight, everybody else in the next");
}

#[tokio::test(start_paused = true)]
async fn processes_that_were_refused_together_do_not_ask_again_together() {
    let bench = Bench::new();
    let limits = limits([rpm(5)]);
    let mut processes = Vec::new();
    for _ in 0..20 {
        processes.push(bench.limiter(&limits).await);
    }
    spend(&processes[0].1, "user-1", 5).await.unwrap();
    for (wire, limiter) in &processes {
        spend(limiter, "user-1", 1).await.unwrap_err();
        wire.take();
    }
    let mut asked_at = BTreeMap::<u64, u32>::new();
    for ms in (0..1_100).step_by(10) {
        for (wire, limiter) in &processes {
            spend(limiter, "user-1", 1).await.unwrap_err();
            *asked_at.entry(ms).or_default() += u32::try_from(wire.count()).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    asked_at.retain(|_, calls| *calls > 0);
    assert!(asked_at.len() >= 5, "{asked_at:?}");
    assert!(asked_at.keys().all(|ms| (750..=1_000).contains(ms)), "{asked_at:?}");
    assert_eq!(asked_at.values().sum::<u32>(), 20, "each once");
}

#[tokio::test]
async fn a_parent_that_does_not_limit_what_is_asked_is_not_asked() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let (r, parent) = (limiter.repository().clone(), EntityId::new("proj-1").unwrap());
    let child = NewEntity::new(EntityId::new("key-1").unwrap()).parent(parent.clone()).cascading();
    r.create_entity(child).await.unwrap();
    let resource = ResourceName::new("gpt-4").unwrap();
    r.set_limits(&parent, resource, &limits([tpm(10)])).await.unwrap();
    spend(&limiter, "key-1", 1).await.unwrap();
    wire.take();
    spend(&limiter, "key-1", 1).await.unwrap();
    assert_eq!(wire.take(), calls([("UpdateItem", 1)]));
}

#[tokio::test]
async fn nobody_is_taken_for_somebody_else() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    // So many that some collide in the cache of the busiest callers.
    for turn in 0..2 {
        for number in 0..200 {
            let lease = limiter.acquire(format!("user-{number}"), "gpt-4", Cost::of("rpm", 1)).await.unwrap();
            assert_eq!(lease.statuses()[0].entity_id.as_str(), format!("user-{number}"));
            assert_eq!(lease.statuses()[0].available, 99 - turn);
            drop(lease.commit());
        }
    }
}

#[tokio::test]
async fn defaults_given_with_a_call_are_that_calls() {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let limiter = RateLimiter::builder(repository).deadline(zae_testkit::DEADLINE).build();
    for capacity in [10, 20, 10] {
        let request = Acquire::new("user-1", "gpt-4", Cost::of("rpm", 1)).unwrap();
        let lease = limiter.acquire_with(request.default_limits(limits([rpm(capacity)]))).await.unwrap();
        assert_eq!(lease.statuses()[0].limit.capacity(), capacity);
        lease.commit().await.unwrap();
    }
}
