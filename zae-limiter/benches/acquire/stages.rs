//! The durations of an acquire's stages, from the limiter's own metrics.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A recorder of a few metrics that keeps the last values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stages {
    write: Arc<Told>,
    queue: Arc<Told>,
    round: Arc<Told>,
    acquire: Arc<Told>,
}

/// A value, and the time at which it was recorded.
#[derive(Debug, Default)]
struct Told {
    /// Seconds, as bits.
    value: AtomicU64,
    /// In ns from the start.
    at: AtomicU64,
}

impl Told {
    fn tell(&self, value: f64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
        self.at.store(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn value(&self) -> Duration {
        Duration::from_secs_f64(f64::from_bits(self.value.load(Ordering::Relaxed)))
    }

    fn at(&self) -> Duration {
        Duration::from_nanos(self.at.load(Ordering::Relaxed))
    }
}

impl HistogramFn for Told {
    fn record(&self, seconds: f64) {
        self.tell(seconds);
    }
}

impl CounterFn for Told {
    fn increment(&self, count: u64) {
        self.tell(count as f64);
    }

    fn absolute(&self, count: u64) {
        self.tell(count as f64);
    }
}

impl Stages {
    /// Returns the duration from building the request to parsing the response.
    pub(crate) fn write(&self) -> Duration {
        self.write.value()
    }

    /// Returns the time that the lane adds to it: from joining the queue to the beginning of the round, and from the
    /// end of the round, in which the answer is sent, to the lease.
    pub(crate) fn lane(&self) -> Duration {
        self.queue.value() + self.acquire.at().saturating_sub(self.round.at())
    }
}

impl Recorder for Stages {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "zae_acquires_total" => Counter::from_arc(Arc::clone(&self.acquire)),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let told = match key.name() {
            "zae_store_write_seconds" => &self.write,
            "zae_queue_seconds" => &self.queue,
            "zae_round_trips" => &self.round,
            _ => return Histogram::noop(),
        };
        Histogram::from_arc(Arc::clone(told))
    }
}
