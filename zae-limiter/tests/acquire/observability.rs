//! The table of metrics in `docs/operations.md` matches the code: names, kinds and labels.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_sdk_dynamodb::config::Credentials;
use metrics_util::{
    MetricKind,
    debugging::{DebugValue, DebuggingRecorder, Snapshotter},
};
use zae_limiter::{
    Cost, EmbeddedStore, Limits, NewEntity, OnUnavailable, RateLimiter, Repository, Reserve, SystemClock,
    stream::StreamTable,
};
use zae_testkit::{Bench, Fault, Log, Wire, limits, rpm};

/// Kind, and labels with their values, by name (`limit` has any value).
type Table = BTreeMap<String, (String, BTreeMap<String, BTreeSet<String>>)>;

/// The texts in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn documented() -> Table {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"));
    let rows = text.lines().filter(|line| line.starts_with("| `zae_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let labels = cells[4].split(';').map(quoted).filter(|names| !names.is_empty());
        let labels = labels.map(|names| (names[0].clone(), names[1..].iter().cloned().collect())).collect();
        (quoted(cells[1])[0].clone(), (cells[2].to_owned(), labels))
    };
    rows.map(row).collect()
}

fn emitted(snapshotter: &Snapshotter) -> Table {
    let mut table = Table::new();
    for (key, _, _, _) in snapshotter.snapshot().into_vec() {
        let kind = match key.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let entry = table.entry(key.key().name().to_owned()).or_insert_with(|| (kind.to_owned(), BTreeMap::new()));
        for label in key.key().labels() {
            let values = entry.1.entry(label.key().to_owned()).or_default();
            if label.key() != "limit" {
                values.insert(label.value().to_owned());
            }
        }
    }
    table
}

async fn spend(limiter: &RateLimiter, entity: &str, tokens: u64) -> bool {
    let lease = limiter.acquire(entity, "gpt-4", Cost::of("rpm", tokens)).await;
    lease.map(|lease| drop(lease.commit())).is_ok()
}

/// Makes everything happen to an acquire once.
async fn everything() {
    let (bench, limits): (_, Limits) = (Bench::new(), limits([rpm(100_000)]));
    let (wire, limiter) = bench.limiter(&limits).await;
    let (_, other) = bench.limiter(&limits).await;
    // Granted, refused by memory and by the store, an error, a lost condition, debt.
    assert!(spend(&limiter, "user-1", 100_000).await);
    assert!(!spend(&limiter, "user-1", 1).await);
    assert!(!spend(&other, "user-1", 1).await);
    assert!(limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 0)).await.is_err());
    assert!(limiter.acquire("user-1", "gpt-4", Cost::of("tpm", 1)).await.is_err());
    bench.advance(1_000);
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    lease.adjust("rpm", 10_000).unwrap();
    lease.commit().await.unwrap();

    // Throttled, and an answer that is lost: to an acquire, and to a refund.
    let (wire_2, unlucky) = bench.limiter(&limits).await;
    assert!(spend(&unlucky, "user-2", 1).await);
    let first = wire_2.clone();
    wire_2.fail(move |_, _| {
        first.fail(|_, _| Fault::None);
        Fault::Throttled
    });
    assert!(spend(&unlucky, "user-2", 1).await);
    let lease = unlucky.acquire("user-2", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    wire_2.fail(|_, _| Fault::LostAfter);
    assert!(!spend(&unlucky, "user-2", 1).await);
    lease.roll_back().await.unwrap_err();
    for fault in [Fault::Broken, Fault::Stalled] {
        wire_2.fail(move |_, _| fault);
        assert!(!spend(&unlucky, "user-2", 1).await);
    }

    // Answers that come after their deadline: of a write that was done, and of one whose condition did not hold.
    let (late_wire, repository) = bench.process().await;
    let hasty = RateLimiter::builder(repository.clone()).deadline(Duration::from_millis(100)).build();
    let patient = RateLimiter::builder(repository).deadline(zae_testkit::DEADLINE).build();
    assert!(spend(&hasty, "user-4", 1).await);
    late_wire.fail(|_, _| Fault::Slow(150));
    assert!(!spend(&hasty, "user-4", 1).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    late_wire.fail(|_, _| Fault::None);
    bench.advance(1_000);
    assert!(spend(&patient, "user-4", 10).await);
    late_wire.fail(|_, _| Fault::Slow(150));
    assert!(!spend(&hasty, "user-4", 10).await);
    tokio::time::sleep(Duration::from_secs(1)).await;

    // A clock that is wrong.
    let (skewed_wire, client) = Wire::tap(&bench.store.client());
    skewed_wire.date(-60_000);
    let builder = Repository::builder().client(client).clock(Arc::new(SystemClock));
    let skewed = RateLimiter::builder(builder.build().await.unwrap()).deadline(zae_testkit::DEADLINE).build();
    assert!(spend(&skewed, "user-5", 1).await);

    // The store is unavailable, under both policies, until the local share is used up.
    for policy in [OnUnavailable::Allow, OnUnavailable::Local] {
        let (wire, repository) = bench.process().await;
        let alone = RateLimiter::builder(repository).on_unavailable(policy).deadline(zae_testkit::DEADLINE).build();
        assert!(spend(&alone, "user-3", 1).await);
        wire.fail(|_, _| Fault::LostBefore);
        assert!(spend(&alone, "user-3", 1).await);
        assert!(policy == OnUnavailable::Allow || !spend(&alone, "user-3", 10_000).await);
    }
    drop(wire);

    reserve(&bench).await;
}

/// Debited ahead, granted from, returned, forfeited, and exhausted.
async fn reserve(bench: &Bench) {
    let (wire, repository) = bench.process().await;
    let busy = RateLimiter::builder(repository).reserve(Reserve::All).deadline(zae_testkit::DEADLINE).build();
    let stream = async |entity: &str| {
        for _ in 0..200 {
            spend(&busy, entity, 1).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    stream("user-4").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // A process that is suspended for a minute finds its reserve too old to return.
    stream("user-4").await;
    wire.fail(|_, _| Fault::None);
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Another process takes nearly everything.
    stream("user-5").await;
    let (_, other) = bench.limiter(&limits([rpm(100_000)])).await;
    let (entity, resource) = ("user-5", "gpt-4");
    let left = other.available(entity, resource).await.unwrap()["rpm"].unsigned_abs();
    assert!(spend(&other, "user-5", left - 20).await);
    stream("user-5").await;
    // And tries to take more.
    for _ in 0..5 {
        spend(&other, "user-5", 500).await;
        stream("user-5").await;
    }
    busy.shutdown().await;
}

#[test]
fn the_table_is_what_is_emitted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(everything()));
    let (documented, emitted) = (documented(), emitted(&snapshotter));
    for (name, what) in &documented {
        assert_eq!(emitted.get(name), Some(what), "{name}: emitted, and in the table");
    }
    let names = |table: &Table| table.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&emitted), names(&documented));
}

/// Returns the value of the counter `name` under this label.
fn counted(snapshotter: &Snapshotter, name: &str, label: &str) -> u64 {
    let mut sum = 0;
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let is_it = key.key().name() == name && key.key().labels().any(|known| known.value() == label);
        if let (true, DebugValue::Counter(count)) = (is_it, value) {
            sum += count;
        }
    }
    sum
}

#[test]
fn every_grant_is_counted_once_wherever_it_came_from() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let work = async {
        let bench = Bench::new();
        let (_, repository) = bench.process().await;
        repository.set_system_defaults(&limits([rpm(100_000)])).await.unwrap();
        let limiter = RateLimiter::builder(repository).reserve(Reserve::All).deadline(zae_testkit::DEADLINE).build();
        for _ in 0..300 {
            assert!(spend(&limiter, "user-1", 1).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        limiter.shutdown().await;
    };
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    assert_eq!(counted(&snapshotter, "zae_acquires_total", "granted"), 300);
}

/// Of two concurrent asks, the second waits for the write of the first.
#[test]
fn the_time_in_the_queue_is_told() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let work = async {
        let bench = Bench::new();
        let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
        assert!(spend(&limiter, "user-1", 1).await);
        wire.fail(|_, _| Fault::Slow(50));
        assert_eq!(tokio::join!(spend(&limiter, "user-1", 1), spend(&limiter, "user-1", 1)), (true, true));
    };
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    let told = snapshotter.snapshot().into_vec().into_iter().find(|(key, ..)| key.key().name() == "zae_queue_seconds");
    let Some((_, _, _, DebugValue::Histogram(waits))) = told else { panic!("{told:?}") };
    let waits: Vec<u64> = waits.iter().map(|seconds| (seconds.into_inner() * 100.0).round() as u64).collect();
    assert_eq!(waits, [0, 0, 5], "in hundredths of a second");
}

#[tokio::test]
async fn what_holds_a_client_is_debugged_in_a_line_without_a_secret() {
    let bench = Bench::new();
    let (wire, client) = zae_testkit::Wire::tap(&bench.store.client());
    let keys = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", Some("a-session".to_owned()), None, "test");
    let config = client.config().to_builder().credentials_provider(keys).endpoint_url("http://localhost").build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let unbuilt = Repository::builder().client(client.clone()).create_table().endpoint_url("http://localhost");
    let unopened = format!("{unbuilt:?}");
    let repository = Repository::builder().client(client.clone()).create_table().build().await.unwrap();
    repository.set_system_defaults(&limits([rpm(100)])).await.unwrap();
    let builder = RateLimiter::builder(repository.clone()).default_limits(limits([rpm(100)]));
    let unmade = format!("{builder:?}");
    let limiter = builder.build();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    let held = format!("{lease:?}");
    lease.adjust("rpm", 1).unwrap();
    let settlement = lease.commit();
    wire.fail(|_, _| Fault::LostBefore);
    let blind = RateLimiter::builder(repository.clone()).on_unavailable(OnUnavailable::Allow).build();
    let blind = blind.acquire("user-2", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    for (what, text) in [
        ("RepositoryBuilder", unopened),
        ("Repository", format!("{repository:?}")),
        ("Registry", format!("{:?}", repository.registry())),
        ("ProvisionTarget", format!("{:?}", repository.target())),
        ("StreamTable", format!("{:?}", StreamTable::new(client, repository.stack()))),
        ("EmbeddedStore", format!("{:?}", EmbeddedStore::memory().unwrap())),
        ("RateLimiterBuilder", unmade),
        ("RateLimiter", format!("{limiter:?}")),
        ("Lease", held),
        ("Lease", format!("{lease:?}")),
        ("Lease", format!("{blind:?}")),
        ("Settlement", format!("{settlement:?}")),
    ] {
        assert!(
            text.starts_with(what) && text.len() <= 400 && !text.contains('\n'),
            "{} bytes: {text:.800}",
            text.len()
        );
        for secret in ["AKID", "wJalr", "a-session", "secret"] {
            assert!(!text.contains(secret), "{secret}: {text:.800}");
        }
    }
    blind.commit().await.unwrap();
}

#[tokio::test]
async fn a_parent_that_cascades_itself_is_warned_of_once() {
    let (log, _guard) = Log::start();
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    let id = |name: &str| name.try_into().unwrap();
    for entity in [
        NewEntity::new(id("org")),
        NewEntity::new(id("team")).parent(id("org")).cascading(),
        NewEntity::new(id("key-1")).parent(id("team")).cascading(),
        NewEntity::new(id("key-2")).parent(id("team")).cascading(),
    ] {
        limiter.repository().create_entity(entity).await.unwrap();
    }
    assert!(spend(&limiter, "team", 1).await && log.warnings().is_empty(), "two levels are as many as are charged");
    for _ in 0..2 {
        assert!(spend(&limiter, "key-1", 1).await && spend(&limiter, "key-2", 1).await);
    }
    let warnings = log.warnings();
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(["key-1", "team", "org"].iter().all(|name| warning.contains(name)), "{warning}");
}
