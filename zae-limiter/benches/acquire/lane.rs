//! The latency that the lane adds to a lone acquire.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    Client,
    config::{StalledStreamProtectionConfig, retry::RetryConfig},
};
use serde_json::Value;
use tokio::runtime::Runtime;
use zae_limiter::{Cost, EmbeddedStore, ManualClock, RateLimiter, Repository};

use zae_testkit::{START, limits, rpm};

use super::{
    Effort,
    bare::{Bare, ByHand},
    median,
    recorder::Recorder,
    stages::Stages,
    table::{Bound, Row, short},
    threads,
};

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let turns = effort.of(30_000, 300);
    // In tasks, like handlers: the future that a runtime blocks on is woken through the kernel.
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let one = single.block_on(async { tokio::spawn(measure(turns)).await }).expect("a measurement without a panic");
    let Alone { lane, around, whole } = measure_alone(&single, turns);
    let runtime = threads();
    let many = runtime.block_on(async { runtime.spawn(measure(turns)).await }).expect("a measurement without a panic");
    let lane = Row::time("added to a lone acquire by its lane", "µs", Bound::Below(5.0), lane)
        .note("queue, start of the round, way back to the lease");
    let note = format!("of {} µs; the rest is the write: the update put together, sent, its answer read", short(whole));
    let around = Row::time("a lone acquire around its write", "µs", Bound::Told, around).note(note);
    let beside = |what: &str, beside: &Beside| {
        let note = format!("an acquire takes {} µs, its update {} µs", short(beside.acquire), short(beside.update));
        Row::time(format!("a lone acquire beside {what}"), "µs", Bound::Told, beside.acquire - beside.update).note(note)
    };
    vec![
        lane,
        around,
        beside("its update by hand, one thread", &one.by_hand),
        beside("its update prepared, one thread", &one.prepared),
        beside("its update by hand, two threads", &many.by_hand),
        beside("its update prepared, two threads", &many.prepared),
    ]
}

struct Seen {
    /// Compared with an update built each time, with its response parsed.
    by_hand: Beside,
    /// Compared with a prepared update whose response is ignored.
    prepared: Beside,
}

/// Medians in µs.
struct Beside {
    update: f64,
    acquire: f64,
}

/// Creates a limiter whose next acquires are all the same update on a store without latency; returns also its client
/// and that update.
async fn limiter() -> (RateLimiter, Client, Value) {
    let (recorder, client) = Recorder::tap(&EmbeddedStore::memory().expect("a store in memory").client());
    // The engine's own calls also have no retries and no stalled-stream protection, so all use one client.
    let once = client.config().to_builder().retry_config(RetryConfig::disabled());
    let once = once.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let client = Client::from_conf(once.build());
    let builder = Repository::builder().client(client.clone()).clock(Arc::new(ManualClock::at(START))).create_table();
    let repository = builder.build().await.expect("a repository");
    repository.set_system_defaults(&limits([rpm(1_000_000)])).await.expect("stored limits");
    let limiter = RateLimiter::builder(repository).deadline(Duration::from_secs(10)).build();
    // The first creates the bucket, the second is the repeated update.
    acquire(&limiter).await;
    acquire(&limiter).await;
    let update = recorder.updates("/BUCKET#user-1#").remove(0);
    recorder.replay();
    (limiter, client, update)
}

/// Medians in µs.
struct Alone {
    /// Time added by its lane.
    lane: f64,
    /// Time outside of its write.
    around: f64,
    whole: f64,
}

/// `single` runs on this thread, where the limiter's metrics are recorded.
fn measure_alone(single: &Runtime, turns: usize) -> Alone {
    let stages = Stages::default();
    let told = stages.clone();
    let work = async move {
        let (limiter, ..) = limiter().await;
        let mut times = [const { Vec::new() }; 3];
        for turn in 0..turns {
            let whole = alone(acquire(&limiter)).await;
            assert!(!told.write().is_zero(), "the limiter tells how long its writes take");
            assert!(!told.lane().is_zero(), "and how long its acquires wait");
            let took = [told.lane(), whole.saturating_sub(told.write()), whole];
            // The first tenth warms up.
            if turn >= turns / 10 {
                keep(&mut times, took);
            }
        }
        times.each_mut().map(|times| median(times))
    };
    let seen = metrics::with_local_recorder(&stages, || single.block_on(async { tokio::spawn(work).await }));
    let [lane, around, whole] = seen.expect("a measurement without a panic");
    Alone { lane, around, whole }
}

/// Measures the same update through the same client, without the engine and by an acquire.
async fn measure(turns: usize) -> Seen {
    let (limiter, client, update) = limiter().await;
    let (by_hand, prepared) = (ByHand::new(&client, &update), Bare::new(&client, &update));
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
            keep(&mut times, took);
        }
    }
    let [update, acquire] = times.each_mut().map(|times| median(times));
    Beside { update, acquire }
}

/// In µs.
fn keep<const N: usize>(times: &mut [Vec<f64>; N], took: [Duration; N]) {
    times.iter_mut().zip(took).for_each(|(times, time)| times.push(time.as_secs_f64() * 1e6));
}

async fn alone(work: impl Future<Output = Duration>) -> Duration {
    let took = work.await;
    // Lets the worker of an acquire finish.
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
