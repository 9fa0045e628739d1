//! Refill instants that are further ahead than clocks may differ: [`Watch`].
//!
//! A process whose clock is years ahead leaves a refill instant that no other process reaches for years. Such an
//! instant is accepted for one full refill F and [`MAX_SKEW_MS`] from its first observation, as long as it does not
//! move: in that time the bucket gained nothing, which compensates for everything that the fast clock can have credited
//! too early. The next write that refills then sets it to now, on the condition that it is still the observed one.
//! While it does move, the process that moves it refills the bucket, and there is nothing to repair.
//!
//! For example, with 100 tokens a minute, F = 60 s. At 12:00:00 a clock that is an hour ahead empties the bucket and
//! writes `rf` = 13:00:00. A neighbour sees it at 12:00:05 and records `z_ahead` = (13:00:00, since 12:00:05). Until
//! 12:01:15 the stored state is used, which is empty. Then a write sets `rf` to now, and the bucket refills at its
//! rate. The wrong clock has credited at most one capacity too early, and one capacity (60 s) and ten seconds were not
//! credited.
//!
//! The record is on the item and not in memory, so that all processes agree on its start, and one that starts at 12:02
//! need not wait again. It contains the instant that it is about: a record about another instant is void.

use crate::bucket::image::{Image, LimitImage};

/// Bounds the difference between clocks, in ms: each is kept within three seconds of the store's. A refill instant that
/// is further ahead than this and one full refill is rejected.
pub(crate) const MAX_SKEW_MS: i64 = 10_000;

/// A refill instant that is too far ahead, and the time since which it has not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    /// The instant, in epoch ms.
    pub(crate) refill: i64,
    /// Time of the first observation, in epoch ms.
    pub(crate) since: i64,
}

impl Image {
    /// Returns the refill instant from which accrual starts at `now` (epoch ms).
    pub(crate) fn refill_at(&self, now: i64) -> i64 {
        let stored = self.last_refill;
        if stored <= now {
            return stored;
        }
        let horizon = self.horizon();
        match self.watched(now) {
            Some(watch) => stored.min(watch.since.saturating_add(horizon)),
            None => stored.min(now.saturating_add(horizon)),
        }
    }

    /// Returns the record that a write at `now` has to make. It shows later writers since when the refill instant has
    /// not moved.
    pub(crate) fn to_watch(&self, now: i64) -> Option<Watch> {
        let disputed = self.last_refill > now && self.last_refill.saturating_sub(now) > self.horizon();
        (disputed && self.watched(now).is_none()).then_some(Watch { refill: self.last_refill, since: now })
    }

    /// Returns the record on the item, if it is about this refill instant and its time is plausible.
    fn watched(&self, now: i64) -> Option<Watch> {
        self.watch.filter(|watch| watch.refill == self.last_refill && watch.since <= now.saturating_add(MAX_SKEW_MS))
    }

    /// Returns how far ahead a refill instant is accepted, in ms: the longest fill time of any limit, plus the skew.
    fn horizon(&self) -> i64 {
        let kinds = self.limits.iter().filter_map(LimitImage::kind);
        kinds.map(|kind| kind.fill_ms()).max().unwrap_or(0).saturating_add(MAX_SKEW_MS)
    }
}
