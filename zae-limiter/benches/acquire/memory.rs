//! Memory used per entity, in bytes: for known entities, and for those that occur only once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use zae_limiter::{Cost, EmbeddedStore, EntityId, ManualClock, RateLimiter, Repository, ResourceName};

use zae_testkit::{START, limits, rpm};

use super::{
    Effort,
    recorder::Recorder,
    rss::resident,
    table::{Bound, Row, short},
    threads,
};

/// Tasks that acquire at the same time.
const TASKS: u64 = 16;
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let per_lane = Row::count("memory per live lane", "bytes", Bound::AtMost(1_024.0), 0.0);
    let flat = Row::count("memory after 1 000 000 identities / after 200 000", "", Bound::AtMost(1.05), 0.0);
    if resident().is_none() {
        let reason = "this system does not tell how much memory a process has";
        return vec![per_lane.without(reason), flat.without(reason)];
    }
    threads().block_on(async {
        let bound = effort.of(100_000, 2_000);
        let (cache, all) = entities(bound).await;
        let note = format!("{bound} lanes; the cache of limits not counted");
        let per_lane = Row::time("memory per live lane", "bytes", Bound::AtMost(1_024.0), all - cache).note(note);
        let note = format!("{} of it in the cache of limits, which has its own bound", short(cache));
        let all = Row::time("all that is remembered of an entity", "bytes", Bound::Told, all).note(note);
        let (growth, note) = strangers(bound).await;
        let name = format!("memory after {} identities / after {}", bound * 10, bound * 2);
        vec![per_lane, all, Row::time(name, "", Bound::AtMost(1.05), growth).note(note)]
    })
}

/// Creates a warm limiter on a store that takes no memory.
async fn limiter(max_lanes: u64) -> RateLimiter {
    let (recorder, client) = Recorder::tap(&EmbeddedStore::memory().expect("a store in memory").client());
    let builder = Repository::builder().client(client).clock(Arc::new(ManualClock::at(START))).create_table();
    let repository = builder.build().await.expect("a repository");
    repository.set_system_defaults(&limits([rpm(1_000)])).await.expect("stored limits");
    let limiter = RateLimiter::builder(repository).deadline(Duration::from_secs(10)).max_lanes(max_lanes).build();
    // Makes each call once whose response is then replayed from memory.
    acquire(&limiter, "user-1".to_owned()).await;
    acquire(&limiter, "user-1".to_owned()).await;
    recorder.replay();
    limiter
}

async fn acquire(limiter: &RateLimiter, entity: String) {
    let lease = limiter.acquire(entity, "gpt-4", Cost::of("rpm", 1)).await.expect("a grant");
    drop(lease.commit());
}

/// The action for an entity.
#[derive(Clone, Copy, Debug)]
enum Visit {
    Acquires,
    /// Only looks up its limits.
    Looks,
}

/// Performs the action for each of the entities numbered `from` to `to`.
async fn visit(limiter: &RateLimiter, visit: Visit, from: u64, to: u64) {
    let next = Arc::new(AtomicU64::new(from));
    let tasks = (0..TASKS).map(|_| {
        let (limiter, next) = (limiter.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= to {
                    return;
                }
                let entity = format!("visitor-{number:010}");
                match visit {
                    Visit::Acquires => acquire(&limiter, entity).await,
                    Visit::Looks => {
                        let (entity, resource) = (EntityId::new(entity), ResourceName::new("gpt-4"));
                        let (entity, resource) = (entity.expect("a valid id"), resource.expect("a valid name"));
                        limiter.limits_for(&entity, &resource).await.expect("limits").expect("stored ones");
                    }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a task without a panic");
    }
}

/// Measures the additional resident memory per entity: first for one whose limits were looked up, then for one that has
/// acquired.
async fn entities(count: u64) -> (f64, f64) {
    let mut limiters = Vec::new();
    let mut more = Vec::new();
    for kind in [Visit::Looks, Visit::Acquires] {
        let limiter = limiter(count * 2).await;
        // Allocates one-time memory of a limiter, and a connection's buffers.
        visit(&limiter, kind, 0, 1_000).await;
        let before = resident().unwrap_or_default();
        visit(&limiter, kind, 1_000, 1_000 + count).await;
        more.push((resident().unwrap_or_default() - before) / count as f64);
        // Kept, so that the next one cannot reuse its memory.
        limiters.push(limiter);
    }
    (more[0], more[1])
}

/// Measures the growth of memory: the ratio of its size after ten times as many entities as are remembered to that
/// after twice as many.
async fn strangers(bound: u64) -> (f64, String) {
    let limiter = limiter(bound).await;
    let mut course = Vec::new();
    for tenth in 0..10 {
        visit(&limiter, Visit::Acquires, tenth * bound, (tenth + 1) * bound).await;
        course.push(resident().unwrap_or_default());
    }
    let told: Vec<String> = course.iter().map(|bytes| short(bytes / MIB)).collect();
    let note = format!("at most {bound} lanes; MiB after each {bound}: {}", told.join(", "));
    (course[9] / course[1], note)
}
