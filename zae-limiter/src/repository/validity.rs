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
    read_at::ReadAt,
    resolution::{RememberedLimits, Resolutions},
};
use crate::{clock::Clock, model::name::EntityId};

/// The time until which a cached resolution may be used.
#[derive(Debug)]
pub(crate) struct ResolutionValidity {
    /// The time of the read.
    read_at: ReadAt,
    /// Time for which it may be used.
    ttl: Duration,
    /// The end on tokio's clock; `None` if it is too far ahead for an instant.
    ends_at: Option<Instant>,
    /// True if the wall clock keeps pace with tokio's, so that it need not be read.
    is_paced: bool,
    /// Number of changes made before the read.
    seen: u64,
    /// Number of changes at the last successful check; the maximum before the first.
    checked: AtomicU64,
}

impl ResolutionValidity {
    /// Returns true while the time lasts.
    fn contains(&self, now: Instant, clock: &dyn Clock) -> bool {
        let lasts = self.ends_at.is_none_or(|ends_at| now < ends_at);
        let wall = || ReadAt { wall: clock.now_ms(), monotonic: now };
        lasts && (self.is_paced || self.read_at.is_within(self.ttl, wall()))
    }

    /// Returns the time in which both are valid.
    pub(crate) fn and(self, other: &Self) -> Self {
        let seen = self.seen.min(other.seen);
        Self {
            read_at: self.read_at.earlier(other.read_at),
            ttl: self.ttl.min(other.ttl),
            ends_at: [self.ends_at, other.ends_at].into_iter().flatten().min(),
            is_paced: self.is_paced && other.is_paced,
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
        standing_since: ReadAt,
        clock: &dyn Clock,
    ) -> ResolutionValidity {
        let (read_at, ttl) = (remembered.read_at.earlier(standing_since), self.ttl);
        ResolutionValidity {
            read_at,
            ttl,
            ends_at: read_at.monotonic.checked_add(ttl),
            is_paced: clock.keeps_pace(),
            seen: remembered.seen,
            checked: AtomicU64::new(u64::MAX),
        }
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
