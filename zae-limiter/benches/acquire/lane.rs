//! What the lane adds to the latency of an acquire that is alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use zae_limiter::{Cost, EmbeddedStore, ManualClock, RateLimiter, Repository};

use super::{
    Effort,
    bare::Bare,
    median,
    recorder::Recorder,
    support::{START, limits, rpm},
    table::{Bound, Row, short},
    threads,
};

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let turns = effort.of(30_000, 300);
    let alone = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let one = alone.block_on(measure(turns));
    let runtime = threads();
    let many = runtime.block_on(async { runtime.spawn(measure(turns)).await }).expect("a measurement without a panic");
    let row = |what: &str, seen: Seen| {
        let note = format!("acquire {} µs, its UpdateItem bare {} µs", short(seen.lane), short(seen.bare));
        Row::time(format!("added to a lone acquire, {what}"), "µs", Bound::Below(5.0), seen.lane - seen.bare).note(note)
    };
    vec![row("one thread", one), row("two threads", many)]
}

/// Medians in µs.
struct Seen {
    bare: f64,
    lane: f64,
}

/// The same update through the same client, made bare and by an acquire in turn; the store takes no time.
async fn measure(turns: usize) -> Seen {
    let (recorder, client) = Recorder::tap(&EmbeddedStore::memory().expect("a store in memory").client());
    let builder = Repository::builder().client(client.clone()).clock(Arc::new(ManualClock::at(START))).create_table();
    let repository = builder.build().await.expect("a repository");
    repository.set_system_defaults(&limits([rpm(1_000_000)]), None, None).await.expect("stored limits");
    let limiter = RateLimiter::builder(repository).deadline(Duration::from_secs(10)).build();
    // The first creates the bucket, the second is the update that repeats itself.
    acquire(&limiter).await;
    acquire(&limiter).await;
    let bare = Bare::new(&client, recorder.updates("/BUCKET#user-1#").first().expect("an update"));
    recorder.replay();
    let (mut bares, mut lanes) = (Vec::with_capacity(turns), Vec::with_capacity(turns));
    for turn in 0..turns * 2 {
        let us = if turn % 2 == 0 { bare.timed().await } else { acquire(&limiter).await }.as_secs_f64() * 1e6;
        // The first tenth warms up.
        if turn >= turns / 5 {
            if turn % 2 == 0 { &mut bares } else { &mut lanes }.push(us);
        }
        // The worker of the acquire before comes to its end.
        tokio::task::yield_now().await;
    }
    Seen { bare: median(&mut bares), lane: median(&mut lanes) }
}

async fn acquire(limiter: &RateLimiter) -> Duration {
    let start = Instant::now();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.expect("a grant");
    let took = start.elapsed();
    drop(lease.commit());
    took
}
