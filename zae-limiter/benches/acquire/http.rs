//! Acquires over HTTP, on one store with the Python package and the SDK without an engine.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use zae_limiter::{Cost, Limit, RateLimiter, Repository};

use zae_testkit::{limits, venv};

use super::{
    Effort,
    bare::Bare,
    median, python,
    python::Pace,
    quantile,
    recorder::Recorder,
    server::Server,
    table::{Bound, Row, short},
    threads,
};

const TASKS: u64 = 64;

/// Measurements of each round, in which the candidates take turns.
#[derive(Debug, Default)]
struct Rounds {
    /// Acquires or updates per second.
    bare: Vec<f64>,
    distinct: Vec<f64>,
    hot: Vec<f64>,
    python_distinct: Vec<f64>,
    python_hot: Vec<f64>,
    /// The median duration of a lone update, in ms.
    round_trip: Vec<f64>,
    round_trip_p99: Vec<f64>,
    hot_p99: Vec<f64>,
    python_hot_p99: Vec<f64>,
}

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let interpreter = venv::interpreter();
    let server = Server::start();
    let rounds = effort.of(5, 1);
    let time = effort.of(Duration::from_secs(3), Duration::from_millis(300));
    let runtime = threads();
    let endpoint = server.endpoint.clone();
    let work = async move {
        let peers = Peers::new(&endpoint).await;
        let mut seen = Rounds::default();
        let mut without = None;
        for _ in 0..rounds {
            peers.round(time, &mut seen).await;
            match ask_python(interpreter.clone(), endpoint.clone(), time).await {
                Ok([distinct, hot]) => {
                    seen.python_distinct.push(distinct.rate);
                    seen.python_hot.push(hot.rate);
                    seen.python_hot_p99.push(hot.p99_ms);
                }
                Err(reason) => without = Some(reason),
            }
        }
        (seen, without)
    };
    let (seen, without) = runtime.block_on(async { runtime.spawn(work).await }).expect("a measurement without a panic");
    report(seen, without.as_deref())
}

async fn ask_python(interpreter: Option<PathBuf>, endpoint: String, time: Duration) -> Result<[Pace; 2], String> {
    let interpreter = interpreter.ok_or("the Python package could not be installed")?;
    let work = move || {
        let pace = |mode| python::pace(&interpreter, &endpoint, mode, TASKS, time);
        Ok([pace("distinct")?, pace("hot")?])
    };
    tokio::task::spawn_blocking(work).await.expect("a driver without a panic")
}

/// The candidates that write over HTTP from this process, with one SDK client.
struct Peers {
    limiter: RateLimiter,
    /// One update for each bucket.
    bare: Vec<Bare>,
}

impl Peers {
    async fn new(endpoint: &str) -> Self {
        let client = client(endpoint);
        // A bucket that never refills and never runs dry: every acquire is the same write for all candidates.
        let endless = limits([Limit::per("rpm", 1, Duration::from_secs(10_000_000))
            .expect("a valid limit")
            .with_burst(1_000_000_000)
            .expect("a valid limit")]);
        let limiter = |repository| RateLimiter::builder(repository).deadline(Duration::from_secs(10)).build();
        let (recorder, tapped) = Recorder::tap(&client);
        let repository = Repository::builder().client(tapped).create_table().build().await.expect("a table");
        repository.set_system_defaults(&endless).await.expect("stored limits");
        let recorded = limiter(repository);
        // The first creates the bucket, the second is the repeated update.
        for task in 0..TASKS {
            spend(&recorded, &format!("bare-{task}")).await;
            spend(&recorded, &format!("bare-{task}")).await;
        }
        let bare: Vec<Bare> =
            recorder.updates("/BUCKET#bare-").iter().map(|update| Bare::new(&client, update)).collect();
        assert_eq!(bare.len() as u64, TASKS);
        let repository = Repository::builder().client(client).build().await.expect("the same table");
        let limiter = limiter(repository);
        for entity in (0..TASKS).map(|task| format!("user-{task}")).chain(["hot".to_owned()]) {
            spend(&limiter, &entity).await;
            spend(&limiter, &entity).await;
        }
        Self { limiter, bare }
    }

    async fn round(&self, time: Duration, seen: &mut Rounds) {
        let (round_trip, p99) = self.round_trip(time / 3).await;
        seen.round_trip.push(round_trip);
        seen.round_trip_p99.push(p99);
        seen.bare.push(self.updates(time).await);
        let (rate, _) = self.acquires(|task| format!("user-{task}"), time).await;
        seen.distinct.push(rate);
        let (rate, p99) = self.acquires(|_| "hot".to_owned(), time).await;
        seen.hot.push(rate);
        seen.hot_p99.push(p99);
    }

    /// Latency of a lone update, in ms: the median and the 99th percentile.
    async fn round_trip(&self, time: Duration) -> (f64, f64) {
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < time {
            times.push(self.bare[0].timed().await.as_secs_f64() * 1e3);
        }
        (median(&mut times), quantile(&mut times, 0.99))
    }

    /// Measures bare updates per second.
    async fn updates(&self, time: Duration) -> f64 {
        let start = Instant::now();
        let tasks = self.bare.iter().cloned().map(|update| {
            tokio::spawn(async move {
                let mut count = 0_u64;
                while start.elapsed() < time {
                    update.timed().await;
                    count += 1;
                }
                count
            })
        });
        let mut count = 0;
        for task in tasks.collect::<Vec<_>>() {
            count += task.await.expect("a task without a panic");
        }
        count as f64 / start.elapsed().as_secs_f64()
    }

    /// Measures acquires per second, and their 99th percentile in ms.
    async fn acquires(&self, entity: impl Fn(u64) -> String, time: Duration) -> (f64, f64) {
        let start = Instant::now();
        let tasks = (0..TASKS).map(|task| {
            let (limiter, entity) = (self.limiter.clone(), Arc::<str>::from(entity(task)));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < time {
                    let began = Instant::now();
                    spend(&limiter, &entity).await;
                    times.push(began.elapsed().as_secs_f64() * 1e3);
                }
                times
            })
        });
        let mut times = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            times.extend(task.await.expect("a task without a panic"));
        }
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        (rate, quantile(&mut times, 0.99))
    }
}

async fn spend(limiter: &RateLimiter, entity: &str) {
    let lease = limiter.acquire(entity, "gpt-4", Cost::of("rpm", 1)).await.expect("a grant");
    drop(lease.commit());
}

fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("embedded", "embedded", None, None, "bench"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        // As the engine does, so that the update by hand does no more work.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// Returns the median of the rounds' ratios, and their range in words.
fn ratio(ours: &[f64], theirs: &[f64]) -> (f64, String) {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    let middle = median(&mut ratios);
    let range = match ratios.as_slice() {
        [first, .., last] => format!(", rounds {} to {}", short(*first), short(*last)),
        _ => String::new(),
    };
    (middle, range)
}

fn report(mut seen: Rounds, without: Option<&str>) -> Vec<Row> {
    let beside_python = |what: &str, least: f64, ours: &[f64], python: &[f64]| {
        let row =
            |ratio| Row::time(format!("acquires/s over HTTP, 64 tasks, {what}"), "×", Bound::AtLeast(least), ratio);
        let mut rates = ours.to_vec();
        if python.is_empty() {
            let reason = without.unwrap_or_default();
            return row(0.0).without(reason).note(format!("{}/s", short(median(&mut rates))));
        }
        let (ratio, range) = ratio(ours, python);
        let reference = format!("1× ({}/s)", short(median(&mut python.to_vec())));
        row(ratio).reference(reference).note(format!("{}/s{range}", short(median(&mut rates))))
    };
    let distinct = beside_python("distinct buckets", 5.0, &seen.distinct, &seen.python_distinct);
    let hot = beside_python("one hot bucket", 50.0, &seen.hot, &seen.python_hot);
    let (of_bare, range) = ratio(&seen.distinct, &seen.bare);
    let (trips, trips_range) = ratio(&seen.hot_p99, &seen.round_trip);
    let note = format!(
        "{} ms; an UpdateItem that is alone takes {} ms{trips_range}",
        short(median(&mut seen.hot_p99)),
        short(median(&mut seen.round_trip))
    );
    let mut p99 = Row::time("the same, p99", "round trips", Bound::AtMost(3.0), trips).note(note);
    if !seen.python_hot_p99.is_empty() {
        let (trips, _) = ratio(&seen.python_hot_p99, &seen.round_trip);
        p99 = p99.reference(format!("{} ({} ms)", short(trips), short(median(&mut seen.python_hot_p99))));
    }
    let (alone, alone_range) = ratio(&seen.round_trip_p99, &seen.round_trip);
    let note = format!("{} ms{alone_range}", short(median(&mut seen.round_trip_p99)));
    let alone = Row::time("an UpdateItem that is alone, p99", "round trips", Bound::Told, alone).note(note);
    vec![
        distinct,
        Row::time("the same, of what bare UpdateItems reach", "", Bound::AtLeast(0.9), of_bare)
            .note(format!("{}/s bare{range}", short(median(&mut seen.bare)))),
        hot,
        p99,
        alone,
    ]
}
