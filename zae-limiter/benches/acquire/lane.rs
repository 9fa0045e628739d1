//! What the lane adds to the latency of an acquire that is alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{Client, config::retry::RetryConfig};
use zae_limiter::{Cost, EmbeddedStore, ManualClock, RateLimiter, Repository};

use super::{
    Effort,
    bare::{Bare, ByHand},
    median,
    recorder::Recorder,
    support::{START, limits, rpm},
    table::{Bound, Row, short},
    threads,
};

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let turns = effort.of(30_000, 300);
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // In a task, as handlers are: what a runtime blocks on is woken through the kernel.
    let one = single.block_on(async { tokio::spawn(measure(turns)).await }).expect("a measurement without a panic");
    let runtime = threads();
    let many = runtime.block_on(async { runtime.spawn(measure(turns)).await }).expect("a measurement without a panic");
    let rows = |what: &str, seen: Seen| {
        let note = |beside: &Beside| {
            format!("an acquire takes {} µs, its update {} µs", short(beside.acquire), short(beside.update))
        };
        let Seen { by_hand, prepared } = seen;
        let added = |beside: &Beside| beside.acquire - beside.update;
        let lane = Row::time(format!("added to a lone acquire, {what}"), "µs", Bound::Below(5.0), added(&by_hand));
        let name = format!("a lone acquire beside an update that was prepared, {what}");
        [lane.note(note(&by_hand)), Row::time(name, "µs", Bound::Told, added(&prepared)).note(note(&prepared))]
    };
    [rows("one thread", one), rows("two threads", many)].into_iter().flatten().collect()
}

struct Seen {
    /// The update is put together each time, and its answer read.
    by_hand: Beside,
    /// Neither is done.
    prepared: Beside,
}

/// Medians in µs.
struct Beside {
    update: f64,
    acquire: f64,
}

/// The same update through the same client, made without the engine and by an acquire; the store takes no time.
async fn measure(turns: usize) -> Seen {
    let (recorder, client) = Recorder::tap(&EmbeddedStore::memory().expect("a store in memory").client());
    // The engine's own calls retry nothing either, so it is one client for all three.
    let once = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
    let client = Client::from_conf(once);
    let builder = Repository::builder().client(client.clone()).clock(Arc::new(ManualClock::at(START))).create_table();
    let repository = builder.build().await.expect("a repository");
    repository.set_system_defaults(&limits([rpm(1_000_000)]), None, None).await.expect("stored limits");
    let limiter = RateLimiter::builder(repository).deadline(Duration::from_secs(10)).build();
    // The first creates the bucket, the second is the update that repeats itself.
    acquire(&limiter).await;
    acquire(&limiter).await;
    let updates = recorder.updates("/BUCKET#user-1#");
    let update = updates.first().expect("an update");
    let (by_hand, prepared) = (ByHand::new(&client, update), Bare::new(&client, update));
    recorder.replay();
    let by_hand = in_turn(turns, &limiter, || by_hand.timed()).await;
    let prepared = in_turn(turns, &limiter, || prepared.timed()).await;
    Seen { by_hand, prepared }
}

async fn in_turn<F>(turns: usize, limiter: &RateLimiter, update: impl Fn() -> F) -> Beside
where
    F: Future<Output = Duration>,
{
    let mut times = [const { Vec::new() }; 2];
    for turn in 0..turns {
        let took = [alone(update()).await, alone(acquire(limiter)).await];
        // The first tenth warms up.
        if turn >= turns / 10 {
            times.iter_mut().zip(took).for_each(|(times, time)| times.push(time.as_secs_f64() * 1e6));
        }
    }
    let [update, acquire] = times.each_mut().map(|times| median(times));
    Beside { update, acquire }
}

async fn alone(work: impl Future<Output = Duration>) -> Duration {
    let took = work.await;
    // The worker of an acquire comes to its end.
    tokio::task::yield_now().await;
    took
}

async fn acquire(limiter: &RateLimiter) -> Duration {
    let start = Instant::now();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.expect("a grant");
    let took = start.elapsed();
    drop(lease.commit());
    took
}
