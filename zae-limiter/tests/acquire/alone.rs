//! A lone caller starts the lane's work, and the rest of that work does not depend on it.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use zae_limiter::{AcquireError, Cost, EntityId, Lease, RateLimiter, Reserve, ResourceName};
use zae_testkit::{Bench, DEADLINE, Fault, Wire, limits, rpm};

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

/// Creates a limiter on an existing bucket of ten tokens, whose writes now take 50 ms.
async fn slow(bench: &Bench) -> (Wire, RateLimiter) {
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    drop(take(&limiter, "user-1", 1).await.unwrap());
    limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap().roll_back().await.unwrap();
    wire.fail(|operation, _| if operation == "UpdateItem" { Fault::Slow(50) } else { Fault::None });
    wire.reset();
    (wire, limiter)
}

/// Polls the acquire once; its caller is then busy with other things.
async fn once(asking: &mut Pin<&mut impl Future<Output = Result<Lease, AcquireError>>>) {
    poll_fn(|context| {
        assert!(asking.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_write_of_whoever_asks_alone_is_sent_at_once() {
    let bench = Bench::new();
    let (wire, limiter) = slow(&bench).await;
    let mut asking = std::pin::pin!(take(&limiter, "user-1", 1));
    once(&mut asking).await;
    assert_eq!(wire.take(), [("UpdateItem".to_owned(), 1)].into());
    asking.await.unwrap().commit().await.unwrap();
    assert_eq!(left(&limiter).await, 9);
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
        let early = tokio::time::timeout(Duration::from_millis(10), take(&limiter, "user-1", 10));
        assert!(early.await.is_err());
        tokio::time::sleep(LONG).await;
    }
    // Each was taken and given back.
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

/// A caller that was busy for a while finds the answer, however many writes it took.
#[tokio::test(start_paused = true)]
async fn nothing_waits_for_whoever_asks_to_come_back() {
    let bench = Bench::new();
    let (wire, limiter) = slow(&bench).await;
    let first = wire.clone();
    wire.fail(move |_, _| {
        first.fail(|_, _| Fault::Slow(50));
        Fault::Throttled
    });
    let mut asking = std::pin::pin!(take(&limiter, "user-1", 2));
    once(&mut asking).await;
    tokio::time::sleep(2 * DEADLINE).await;
    assert_eq!(wire.take(), [("UpdateItem".to_owned(), 2)].into());
    asking.await.unwrap().commit().await.unwrap();
    assert_eq!(left(&limiter).await, 8);
}

#[tokio::test(start_paused = true)]
async fn a_reserve_goes_back_though_nobody_asks_any_more() {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    repository.set_system_defaults(&limits([rpm(10_000)])).await.unwrap();
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
