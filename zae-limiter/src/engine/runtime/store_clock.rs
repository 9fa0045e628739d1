//! The clock that the engine refills by: the repository's, held to the store's time.
//!
//! The bounds come from the `Date` of DynamoDB's answers ([`StoreDates`]). A local clock within them is used as it is;
//! one outside is replaced by the nearer bound, and the difference is reported once for every second that it changes
//! by, as a gauge and a log line. Clocks that say nothing about following the store, such as those of tests, are left
//! alone.
//!
//! Why correct and not refuse? A process with a wrong clock has done nothing wrong that its operator sees, and must go
//! on serving. And its neighbours must not pay for it: a refill instant that lies ahead stops their refill until it is
//! found to be wrong ([`watch`](crate::bucket::watch)).

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

/// A correction that changes by less than this, in ms, is not told again.
const WORTH_TELLING_MS: i64 = 1_000;

/// A clock that is never further from DynamoDB's than its answers allow, whatever this machine's shows. A clock ahead
/// would stop the refill of every bucket that it touches for everybody else.
pub(crate) struct StoreClock {
    /// The repository's clock.
    local: Arc<dyn Clock>,
    /// The last answer's date.
    dates: StoreDates,
    /// The correction that was last reported, in ms.
    told: AtomicI64,
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreClock").field(&self.local).finish()
    }
}

impl StoreClock {
    /// Holds `local` to `dates`.
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
