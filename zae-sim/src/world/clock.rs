//! The clock of a process, correct or not: [`ProcessClock`].

use tokio::time::Instant;
use zae_limiter::Clock;

use super::EPOCH;
use crate::schedule::Process;

/// The clock of a process.
#[derive(Debug)]
pub struct ProcessClock {
    started: Instant,
    process: Process,
}

impl ProcessClock {
    pub(super) fn new(started: Instant, process: Process) -> Self {
        Self { started, process }
    }
}

impl Clock for ProcessClock {
    fn now_ms(&self) -> i64 {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        EPOCH + i64::try_from(passed).unwrap_or(i64::MAX) + self.process.shown(passed)
    }

    fn keeps_pace(&self) -> bool {
        self.process.steps.is_empty()
    }

    fn follows_store(&self) -> bool {
        self.process.held
    }
}
