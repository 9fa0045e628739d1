//! The time for which a cached resolution may be used: [`ResolutionValidity`].
//!
//! The front caches resolutions with their lanes and checks for each acquire that they are still valid. That check must
//! cost less than the cache that it replaces: it compares an instant, and one counter of all changes. The entities of
//! the resolution are looked up only if that counter has changed since the last check.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Repository,
    resolution::{RememberedLimits, Resolutions},
};
use crate::{clock::Clock, model::name::EntityId};

/// The time until which a cached resolution may be used.
#[derive(Debug)]
pub(crate) struct ResolutionValidity {
    /// Time of the read, epoch ms: it is outdated after a clock was set back.
    since: i64,
    /// End of validity, epoch ms.
    until: i64,
    /// The end on the monotonic clock, if the wall clock keeps pace with it.
    ends_at: Option<Instant>,
    /// Number of changes made before the read.
    seen: u64,
    /// Number of changes at the last successful check; the maximum before the first.
    checked: AtomicU64,
}

impl ResolutionValidity {
    /// Returns true while the time lasts.
    fn contains(&self, now: Instant, clock: &dyn Clock) -> bool {
        match self.ends_at {
            Some(ends_at) => now < ends_at,
            None => (self.since..self.until).contains(&clock.now_ms()),
        }
    }

    /// Returns the time in which both are valid.
    pub(crate) fn and(self, other: &Self) -> Self {
        let seen = self.seen.min(other.seen);
        Self {
            since: self.since.max(other.since),
            until: self.until.min(other.until),
            ends_at: self.ends_at.min(other.ends_at),
            seen,
            checked: AtomicU64::new(u64::MAX),
        }
    }
}

impl Resolutions {
    /// Returns the time in which `remembered` is valid, with what is known of its namespace since `standing_since`.
    pub(super) fn validity(
        &self,
        remembered: &RememberedLimits,
        standing_since: i64,
        clock: &dyn Clock,
    ) -> ResolutionValidity {
        let (read_at, seen) = (remembered.read_at.min(standing_since), remembered.seen);
        let until = read_at.saturating_add(self.ttl_ms());
        let left = || u64::try_from(until.saturating_sub(clock.now_ms())).unwrap_or(0);
        let ends_at = clock.keeps_pace().then(|| Instant::now().checked_add(Duration::from_millis(left()))).flatten();
        ResolutionValidity { since: read_at, until, ends_at, seen, checked: AtomicU64::new(u64::MAX) }
    }
}

impl Repository {
    /// Returns true if what was resolved earlier for these entities still holds.
    #[inline]
    pub(crate) fn still_holds<'a>(
        &self,
        validity: &ResolutionValidity,
        mut entities: impl Iterator<Item = &'a EntityId>,
        now: Instant,
    ) -> bool {
        let known = self.resolutions();
        if !validity.contains(now, &**self.clock()) {
            return false;
        }
        let changes = known.changes().noted();
        if validity.checked.load(Ordering::Relaxed) != changes {
            let namespace = self.namespace_id();
            if entities.any(|entity| known.changes().since(validity.seen, namespace, entity)) {
                return false;
            }
            validity.checked.store(changes, Ordering::Relaxed);
        }
        true
    }
}
