//! One limiter on several runtimes, some of which end before it, such as a server's workers.

use std::{
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use zae_limiter::{AcquireError, Cost, EntityId, ManualClock, RateLimiter, Repository, Reserve, ResourceName};
use zae_testkit::{Bench, Fault, limits, rpm};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `work` on a runtime of its own, which ends immediately afterwards, whatever is unfinished.
async fn on_a_worker<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let (done, worker) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let runtime = runtime();
        let result = runtime.block_on(work());
        drop(runtime);
        done.send(result).unwrap_or_else(|_| panic!("nobody waits for the worker"));
    });
    worker.await.unwrap()
}

async fn take(limiter: &RateLimiter, tokens: u64) -> Result<zae_limiter::Lease, AcquireError> {
    limiter.acquire("user-1", "gpt-4", Cost::of("rpm", tokens)).await
}

async fn left(limiter: &RateLimiter) -> i64 {
    let (entity, resource) = (EntityId::new("user-1").unwrap(), ResourceName::new("gpt-4").unwrap());
    limiter.available(&entity, &resource).await.unwrap()["rpm"]
}

#[tokio::test]
async fn what_a_worker_leaves_behind_is_settled() {
    let bench = Bench::new();
    let (_wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let theirs = limiter.clone();
    on_a_worker(async move || {
        let lease = take(&theirs, 4).await.unwrap();
        lease.adjust("rpm", 2).unwrap();
        drop(lease.commit());
        drop(take(&theirs, 3).await.unwrap());
    })
    .await;
    limiter.shutdown().await;
    let (_, other) = bench.limiter(&limits([rpm(10)])).await;
    assert_eq!(left(&other).await, 4);
}

#[tokio::test]
async fn a_worker_that_ends_during_a_write_leaves_the_bucket_open_to_others() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    drop(take(&limiter, 1).await.unwrap().commit());
    let theirs = limiter.clone();
    wire.fail(|_, _| Fault::Slow(200));
    on_a_worker(async move || {
        let asked = take(&theirs, 1);
        assert!(tokio::time::timeout(Duration::from_millis(50), asked).await.is_err());
    })
    .await;
    wire.fail(|_, _| Fault::None);
    take(&limiter, 2).await.unwrap().commit().await.unwrap();
    limiter.shutdown().await;
    assert_eq!(left(&limiter).await, 7, "what the worker no longer waited for went back");
}

#[test]
fn a_limiter_outlives_the_runtime_that_it_was_made_on() {
    let bench = Bench::new();
    let first = runtime();
    let limiter = first.block_on(async {
        let (_wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
        drop(take(&limiter, 1).await.unwrap().commit());
        limiter
    });
    let lease = first.block_on(take(&limiter, 2)).unwrap();
    lease.adjust("rpm", 1).unwrap();
    drop(lease.commit());
    drop(first);

    let second = runtime();
    drop(second.block_on(take(&limiter, 4)).unwrap());
    drop(second);

    runtime().block_on(async {
        limiter.shutdown().await;
        assert_eq!(left(&limiter).await, 6, "both runtimes ended before the settlements were written");
    });
}

/// Connections, lanes and reads belong to the limiter's runtime: a busy worker must not delay the others.
#[tokio::test]
async fn a_busy_worker_holds_up_nobody() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    wire.fail(|_, _| Fault::Slow(50));
    let (asking, theirs) = (tokio::sync::oneshot::channel(), limiter.clone());
    let worker = tokio::spawn(on_a_worker(async move || {
        let mut asked = Box::pin(take(&theirs, 1));
        std::future::poll_fn(|context| {
            assert!(asked.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        asking.0.send(()).unwrap();
        // The handler computes, so nothing else runs on this worker.
        thread::sleep(Duration::from_millis(1_500));
        asked.await.unwrap().commit().await.unwrap();
    }));
    asking.1.await.unwrap();
    let started = std::time::Instant::now();
    take(&limiter, 1).await.unwrap().commit().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    worker.await.unwrap();
    assert_eq!(left(&limiter).await, 8);
}

/// Creates a limiter whose settlements wait for an hour, and its clock, which lives as long as any part of the limiter.
async fn clocked(bench: &Bench, reserve: Reserve) -> (zae_testkit::Wire, RateLimiter, Weak<ManualClock>) {
    let (wire, client) = zae_testkit::Wire::tap(&bench.store.client());
    let clock = Arc::new(ManualClock::at(zae_testkit::START));
    let alive = Arc::downgrade(&clock);
    let repository = Repository::builder().client(client).clock(clock).create_table().build().await.unwrap();
    repository.set_system_defaults(&limits([rpm(100_000)])).await.unwrap();
    let limiter = RateLimiter::builder(repository).reserve(reserve).flush_delay(Duration::from_secs(3_600)).build();
    (wire, limiter, alive)
}

#[test]
fn nothing_of_a_limiter_outlives_it_and_its_runtime() {
    let bench = Bench::new();
    for reserve in [Reserve::Off, Reserve::All] {
        // The runtime ends first, with a settlement, a reserve and an unserved ask.
        let runtime = self::runtime();
        let (wire, limiter, alive) = runtime.block_on(clocked(&bench, reserve));
        runtime.block_on(async {
            for _ in 0..100 {
                drop(take(&limiter, 1).await.unwrap().commit());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let lease = runtime.block_on(take(&limiter, 2)).unwrap();
        lease.adjust("rpm", 1).unwrap();
        let settlement = lease.commit();
        wire.fail(|_, _| Fault::Stalled);
        let asked = runtime.spawn(async move { take(&limiter, 90_000).await.map(drop) });
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
        drop(runtime);
        drop((asked, lease, wire));
        let second = self::runtime();
        let stored = second.block_on(async { tokio::time::timeout(Duration::from_secs(10), settlement).await });
        // A reserve absorbs the settlement: there is nothing to write.
        assert_eq!(stored.expect("it ends").is_err(), reserve == Reserve::Off, "{reserve:?}");
        assert_eq!(alive.strong_count(), 0, "{reserve:?}: the runtime ended first");

        // The limiter is dropped first, and its runtime is no longer driven.
        let runtime = self::runtime();
        let (wire, limiter, alive) = runtime.block_on(clocked(&bench, reserve));
        let lease = runtime.block_on(take(&limiter, 2)).unwrap();
        lease.adjust("rpm", 1).unwrap();
        drop((lease.commit(), wire));
        drop((lease, limiter));
        assert!(alive.strong_count() > 0, "as long as the runtime lives, it may be written");
        drop(runtime);
        assert_eq!(alive.strong_count(), 0, "{reserve:?}: the limiter ended first");
    }
}

#[test]
fn what_is_left_when_a_limiter_is_dropped_is_written_where_it_is_dropped() {
    let bench = Bench::new();
    let first = runtime();
    let (_wire, limiter, _) = first.block_on(clocked(&bench, Reserve::Off));
    let lease = first.block_on(take(&limiter, 10)).unwrap();
    lease.adjust("rpm", 5).unwrap();
    let settlement = lease.commit();
    drop((lease, first));
    runtime().block_on(async {
        drop(limiter);
        tokio::time::timeout(Duration::from_secs(10), settlement).await.expect("it ends").unwrap();
    });
}
