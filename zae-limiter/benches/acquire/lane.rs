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
        let Seen { by_hand, prepared, acquire } = seen;
        let note = format!("an acquire takes {} µs, its update by hand {} µs", short(acquire), short(by_hand));
        let lane = Row::time(format!("added to a lone acquire, {what}"), "µs", Bound::Below(5.0), acquire - by_hand);
        let name = format!("a lone acquire beside an update that was prepared, {what}");
        let all = Row::time(name, "µs", Bound::Told, acquire - prepared);
        [lane.note(note), all.note("which is neither put together nor read")]
    };
    [rows("one thread", one), rows("two threads", many)].into_iter().flatten().collect()
}

/// Medians in µs.
struct Seen {
    by_hand: f64,
    prepared: f64,
    acquire: f64,
}

/// The same update through the same client, made by hand, prepared and by an acquire in turn; the store takes no time.
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
    let mut times = [const { Vec::new() }; 3];
    for turn in 0..turns {
        let took = [alone(by_hand.timed()).await, alone(prepared.timed()).await, alone(acquire(&limiter)).await];
        // The first tenth warms up.
        if turn >= turns / 10 {
            times.iter_mut().zip(took).for_each(|(times, time)| times.push(time.as_secs_f64() * 1e6));
        }
    }
    let [by_hand, prepared, acquire] = times.each_mut().map(|times| median(times));
    Seen { by_hand, prepared, acquire }
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
