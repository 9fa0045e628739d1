//! Who asks alone does the lane's work, and nobody else depends on them for it.

mod support;

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use support::{Bench, DEADLINE, Fault, Wire, limits, rpm};
use tokio::runtime::Handle;
use zae_limiter::{AcquireError, Cost, EntityId, Lease, RateLimiter, Reserve, ResourceName};

const LONG: Duration = Duration::from_secs(60);

async fn take(limiter: &RateLimiter, entity: &str, tokens: u64) -> Result<Lease, AcquireError> {
    limiter.acquire(entity, "gpt-4", Cost::of("rpm", tokens)).await
}

async fn spend(limiter: &RateLimiter, tokens: u64) {
    take(limiter, "user-1", tokens).await.unwrap().commit().await.unwrap();
}

async fn left(limiter: &RateLimiter) -> i64 {
    let (entity, resource) = (EntityId::new("user-1").unwrap(), ResourceName::new("gpt-4").unwrap());
    limiter.available(&entity, &resource).await.unwrap()["rpm"]
}

/// A limiter on a bucket of ten tokens that exists, whose writes take 50 ms from now on.
async fn slow(bench: &Bench) -> (Wire, RateLimiter) {
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    drop(take(&limiter, "user-1", 1).await.unwrap());
    limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap().roll_back().await.unwrap();
    wire.fail(|operation, _| if operation == "UpdateItem" { Fault::Slow(50) } else { Fault::None });
    wire.reset();
    (wire, limiter)
}

/// Whoever asks does so, and is busy with other things from then on.
async fn once(asking: &mut Pin<&mut impl Future<Output = Result<Lease, AcquireError>>>) {
    poll_fn(|context| {
        assert!(asking.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_alone_needs_no_task() {
    let bench = Bench::new();
    let (wire, limiter) = slow(&bench).await;
    tokio::time::sleep(LONG).await;
    spend(&limiter, 1).await;
    let before = tasks();
    let asking = std::pin::pin!(take(&limiter, "user-1", 1));
    let Err(mut asking) = early(asking).await else { panic!("a write takes 50 ms") };
    assert_eq!((tasks(), wire.units().writes), (before, 2));
    once(&mut asking).await;
    asking.await.unwrap().commit().await.unwrap();
    assert_eq!((tasks(), left(&limiter).await), (before, 8));
}

/// Its answer within 10 ms, or itself.
async fn early<F: Future>(mut asking: Pin<&mut F>) -> Result<F::Output, Pin<&mut F>> {
    tokio::time::timeout(Duration::from_millis(10), asking.as_mut()).await.map_err(|_| asking)
}

#[tokio::test(start_paused = true)]
async fn others_do_not_wait_for_whoever_came_first() {
    let bench = Bench::new();
    let (wire, limiter) = slow(&bench).await;
    let mut first = std::pin::pin!(take(&limiter, "user-1", 1));
    once(&mut first).await;
    spend(&limiter, 2).await;
    assert_eq!(wire.units().writes, 2);
    first.await.unwrap().commit().await.unwrap();
    assert_eq!((wire.units().writes, left(&limiter).await), (0, 7));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_does_not_wait_for_whoever_asks() {
    let bench = Bench::new();
    let (_, limiter) = slow(&bench).await;
    let lease = take(&limiter, "user-1", 2).await.unwrap();
    let mut first = std::pin::pin!(take(&limiter, "user-1", 1));
    once(&mut first).await;
    lease.roll_back().await.unwrap();
    first.await.unwrap().commit().await.unwrap();
    assert_eq!(left(&limiter).await, 9);
}

#[tokio::test(start_paused = true)]
async fn what_one_gave_up_is_brought_to_its_end() {
    let bench = Bench::new();
    let (wire, limiter) = slow(&bench).await;
    for _ in 0..3 {
        assert!(early(std::pin::pin!(take(&limiter, "user-1", 10))).await.is_err());
        tokio::time::sleep(LONG).await;
    }
    // Each was taken, and given back.
    assert_eq!((wire.units().writes, left(&limiter).await), (6, 10));
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_whoever_asks() {
    let bench = Bench::new();
    let (_, limiter) = slow(&bench).await;
    let mut first = std::pin::pin!(take(&limiter, "user-1", 1));
    once(&mut first).await;
    tokio::time::timeout(LONG, limiter.shutdown()).await.expect("an end");
    first.await.unwrap().commit().await.unwrap();
    assert_eq!(left(&limiter).await, 9);
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_where_the_lane_had_to_make_room() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(10)]), None, None).await.unwrap();
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).max_lanes(1).build();
    drop(take(&limiter, "user-1", 1).await.unwrap().commit());
    wire.fail(|_, _| Fault::Slow(50));
    let mut first = std::pin::pin!(take(&limiter, "user-1", 1));
    once(&mut first).await;
    for other in 0..100 {
        drop(take(&limiter, &format!("other-{other}"), 1).await.unwrap().commit());
    }
    tokio::time::timeout(LONG, limiter.shutdown()).await.expect("an end");
    first.await.unwrap().commit().await.unwrap();
    assert_eq!(left(&limiter).await, 8);
}

#[tokio::test(start_paused = true)]
async fn a_reserve_goes_back_though_nobody_asks_any_more() {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(10_000)]), None, None).await.unwrap();
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).reserve(Reserve::All).build();
    let (_, other) = bench.limiter(&limits([rpm(10_000)])).await;
    let mut taken = 0;
    while taken < 20 && left(&other).await == 10_000 - taken {
        tokio::time::sleep(Duration::from_millis(100)).await;
        spend(&limiter, 1).await;
        taken += 1;
    }
    assert!(left(&other).await < 10_000 - taken, "the last of them took more than it asked for");
    tokio::time::sleep(LONG).await;
    assert_eq!(left(&other).await, 10_000 - taken);
}

#[tokio::test(start_paused = true)]
async fn those_who_come_together_once_go_together_from_then_on() {
    let bench = Bench::new();
    let (wire, limiter) = slow(&bench).await;
    let mut writes = Vec::new();
    for together in [2, 2, 2, 1, 1, 2, 2] {
        match together {
            1 => spend(&limiter, 1).await,
            _ => drop(tokio::join!(spend(&limiter, 1), spend(&limiter, 1))),
        }
        writes.push(wire.units().writes);
        bench.advance(60_000);
    }
    assert_eq!(writes, [2, 1, 1, 1, 1, 2, 1]);
}
