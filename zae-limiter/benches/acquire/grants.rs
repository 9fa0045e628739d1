//! Grants from a reserve, timed one by one.

use std::time::{Duration, Instant};

use zae_limiter::{Acquire, Cost, EmbeddedStore, EntityId, RateLimiter, Repository, Reserve, ResourceName};

use zae_testkit::{Wire, limits, rpm};

use super::{
    Effort, quantile,
    table::{Bound, Row, short},
    threads,
};

/// Tokens a minute, so many that a process's share of the burst lasts for seconds.
const ENDLESS: u64 = 1_000_000_000;
/// Time for which the limiter observes the demand before measurements: it adapts over one or two reserve lifetimes, and
/// replenishes more often until then.
const WARM_UP: Duration = Duration::from_secs(2);
/// Yields as often as a server's task would.
const BETWEEN_TURNS: usize = 128;

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let work = measure(effort.of(1_000_000, 20_000));
    let runtime = threads();
    let mut seen = runtime.block_on(async { runtime.spawn(work).await }).expect("a measurement without a panic");
    let grants = seen.grants.len();
    let timer = quantile(&mut seen.timer, 0.5);
    let note = format!("less the {} ns that reading the clock twice takes", short(timer));
    let time = |what: &str, part: f64, bound: Bound, times: &mut Vec<f64>| {
        let name = format!("{what}, {}", if part == 0.5 { "median" } else { "p99" });
        Row::time(name, "ns", bound, quantile(times, part) - timer)
    };
    vec![
        Row::count(
            "writes per acquire from a reserve, in real time",
            "",
            Bound::AtMost(0.002),
            seen.writes / grants as f64,
        )
        .note(format!("{grants} acquires")),
        time("grant from a reserve", 0.5, Bound::Below(200.0), &mut seen.grants).note(note.clone()),
        time("grant from a reserve", 0.99, Bound::Below(1_000.0), &mut seen.grants).note(note),
        time("grant from a reserve, at once", 0.5, Bound::Told, &mut seen.at_once)
            .note("by `try_acquire`, as the layers do: the request stays with who asks"),
        time("grant from a reserve, at once", 0.99, Bound::Told, &mut seen.at_once),
        time("grant from a reserve by names, with its commit", 0.5, Bound::Told, &mut seen.whole)
            .note("entity, resource and cost are given as text and checked"),
        time("grant from a reserve by names, with its commit", 0.99, Bound::Told, &mut seen.whole),
    ]
}

/// Nanoseconds.
struct Seen {
    writes: f64,
    grants: Vec<f64>,
    at_once: Vec<f64>,
    whole: Vec<f64>,
    timer: Vec<f64>,
}

async fn limiter() -> (Wire, RateLimiter) {
    let (wire, client) = Wire::tap(&EmbeddedStore::memory().expect("a store in memory").client());
    let repository = Repository::builder().client(client).create_table().build().await.expect("a repository");
    repository.set_system_defaults(&limits([rpm(ENDLESS)])).await.expect("stored limits");
    let deadline = Duration::from_secs(10);
    (wire, RateLimiter::builder(repository).reserve(Reserve::All).deadline(deadline).build())
}

async fn by_names(limiter: &RateLimiter) {
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.expect("a grant");
    drop(lease.commit());
}

/// Yields to other tasks.
async fn others(turn: usize) {
    if turn % BETWEEN_TURNS == BETWEEN_TURNS - 1 {
        tokio::task::yield_now().await;
    }
}

/// Allocates `count` samples and writes to all of them: the kernel only provides memory on the first write.
fn samples(count: usize) -> Vec<f64> {
    let mut samples = vec![f64::NAN; count];
    samples.clear();
    samples
}

async fn measure(acquires: usize) -> Seen {
    let (wire, limiter) = limiter().await;
    let start = Instant::now();
    while start.elapsed() < WARM_UP {
        for turn in 0..BETWEEN_TURNS {
            by_names(&limiter).await;
            others(turn).await;
        }
    }
    let entity = EntityId::new("user-1").expect("a valid id");
    let resource = ResourceName::new("gpt-4").expect("a valid name");
    let cost = Cost::of("rpm", 1);
    let [mut grants, mut at_once, mut whole, mut timer] = [(); 4].map(|()| samples(acquires));
    wire.reset();
    for turn in 0..acquires {
        let request = Acquire::new(entity.clone(), resource.clone(), cost.clone()).expect("a valid request");
        let start = Instant::now();
        let lease = limiter.acquire_with(request).await;
        grants.push(start.elapsed().as_nanos() as f64);
        drop(lease.expect("a grant").commit());
        let start = Instant::now();
        timer.push(start.elapsed().as_nanos() as f64);
        others(turn).await;
    }
    let writes = wire.units().writes as f64;
    let request = Acquire::new(entity, resource, cost).expect("a valid request");
    for turn in 0..acquires {
        let start = Instant::now();
        let lease = limiter.try_acquire(&request);
        let took = start.elapsed();
        match lease {
            Some(lease) => {
                at_once.push(took.as_nanos() as f64);
                drop(lease.commit());
            }
            // The reserve is being replenished.
            None => by_names(&limiter).await,
        }
        others(turn).await;
    }
    for turn in 0..acquires {
        let start = Instant::now();
        by_names(&limiter).await;
        whole.push(start.elapsed().as_nanos() as f64);
        others(turn).await;
    }
    limiter.shutdown().await;
    Seen { writes, grants, at_once, whole, timer }
}
