//! How long the last write took, as the limiter's own metric tells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// A recorder of one metric, that remembers its last value only.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteTime(Arc<Last>);

/// Seconds, as bits.
#[derive(Debug, Default)]
struct Last(AtomicU64);

impl HistogramFn for Last {
    fn record(&self, seconds: f64) {
        self.0.store(seconds.to_bits(), Ordering::Relaxed);
    }
}

impl WriteTime {
    /// From the putting together of the request to the reading of the answer.
    pub(crate) fn last(&self) -> Duration {
        Duration::from_secs_f64(f64::from_bits(self.0.0.load(Ordering::Relaxed)))
    }
}

impl Recorder for WriteTime {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if key.name() == "zae_store_write_seconds" {
            Histogram::from_arc(Arc::clone(&self.0))
        } else {
            Histogram::noop()
        }
    }
}
