//! The clock for refills: the repository's, corrected by the store's time.
//!
//! The bounds come from the `Date` of DynamoDB's responses ([`StoreDates`]). A local clock within them is used
//! unchanged; one outside is replaced by the nearer bound, and the difference is reported once for every second of
//! change, as a gauge and a log line. Clocks that do not follow the store, such as those of tests, are not corrected.
//!
//! Correcting is better than refusing: the operator of a process with a wrong clock sees no error, and the process must
//! keep serving. And its neighbours must not suffer: a refill instant in the future stops their refill until it is
//! recognised as wrong ([`watch`](crate::bucket::watch)).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use tokio::time::Instant;

use crate::{
    clock::{Clock, StoreDates},
    engine::telemetry,
};

/// Minimum change of a correction that is reported, in ms.
const WORTH_TELLING_MS: i64 = 1_000;

/// A clock that never deviates from DynamoDB's by more than its responses allow, whatever this machine's shows. A fast
/// clock would stop the refill of every bucket that it touches for all other processes.
pub(crate) struct StoreClock {
    /// The repository's clock.
    local: Arc<dyn Clock>,
    /// The date of the last response.
    dates: StoreDates,
    /// The last reported correction, in ms.
    told: AtomicI64,
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreClock").field(&self.local).finish()
    }
}

impl StoreClock {
    /// Bounds `local` by `dates`.
    pub(crate) fn new(local: Arc<dyn Clock>, dates: StoreDates) -> Self {
        Self { local, dates, told: AtomicI64::new(0) }
    }
}

impl Clock for StoreClock {
    fn now_ms(&self) -> i64 {
        let local = self.local.now_ms();
        if !self.local.follows_store() {
            return local;
        }
        let now = self.dates.nearest(local, Instant::now());
        let ahead = local.saturating_sub(now);
        let told = self.told.load(Ordering::Relaxed);
        if ahead.abs_diff(told) >= WORTH_TELLING_MS.unsigned_abs() {
            self.told.store(ahead, Ordering::Relaxed);
            telemetry::clock_skew(ahead);
        }
        now
    }

    fn keeps_pace(&self) -> bool {
        self.local.keeps_pace()
    }
}
