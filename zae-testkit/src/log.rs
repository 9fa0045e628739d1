//! The log of one test, although all tests of a binary share one subscriber.

use std::{
    cell::RefCell,
    io::Write,
    sync::{Arc, Mutex, Once},
};

use tracing_subscriber::{Layer, filter::dynamic_filter_fn, fmt, layer::SubscriberExt};

/// Captures the log of this thread while the guard lives.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static CURRENT: RefCell<Option<Log>> = const { RefCell::new(None) };
}

#[derive(Debug)]
pub struct LogGuard;

impl Drop for LogGuard {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl Log {
    pub fn start() -> (Self, LogGuard) {
        // One subscriber for all threads: per-thread ones miss callsites that another thread registered first.
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let writer = || CURRENT.with_borrow(|log| log.clone().unwrap_or_default());
            let is_captured = dynamic_filter_fn(|_, _| CURRENT.with_borrow(Option::is_some));
            let lines = fmt::layer().with_ansi(false).with_writer(writer).with_filter(is_captured);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines)).unwrap();
        });
        let log = Self::default();
        CURRENT.set(Some(log.clone()));
        (log, LogGuard)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Returns the warnings among its lines.
    pub fn warnings(&self) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
