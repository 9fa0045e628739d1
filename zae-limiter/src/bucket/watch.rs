//! Refill instants that lie further ahead than clocks may differ: [`Watch`].
//!
//! A process whose clock is years ahead leaves a refill instant that nobody else reaches for years. Such an instant is
//! believed for one full refill F and [`MAX_SKEW_MS`] from when it was first seen, and only as long as it does not
//! move: in that time the bucket gained nothing, which pays for all that the clock ahead can have credited too early.
//! Then the next write that refills sets it to now, under the condition that it still is what was watched. While it
//! does move, the process that moves it refills the bucket, and there is nothing to repair.
//!
//! In numbers: 100 tokens a minute, so F = 60 s. At 12:00:00 a clock that is an hour ahead empties the bucket and
//! writes `rf` = 13:00:00. A neighbour sees it at 12:00:05 and notes `z_ahead` = (13:00:00, since 12:00:05). Until
//! 12:01:15 the bucket is taken for what it says, which is empty. Then a write sets `rf` to now, and the bucket refills
//! at its rate. The wrong clock has credited at most one capacity too early, and one capacity (60 s) and ten seconds
//! were not credited.
//!
//! The note is on the item and not in memory, so that processes that come and go agree since when, and one that starts
//! at 12:02 need not wait again. It names the instant that it is about: a note about another one is void.

use crate::bucket::image::{Image, LimitImage};

/// Bounds the difference between clocks, in ms: each is held to the store's, within three seconds. A refill instant
/// that is further ahead than this and one full refill is not believed.
pub(crate) const MAX_SKEW_MS: i64 = 10_000;

/// A refill instant that lies too far ahead, and since when it is known not to have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    /// The instant, in epoch ms.
    pub(crate) refill: i64,
    /// When it was first seen, in epoch ms.
    pub(crate) since: i64,
}

impl Image {
    /// The refill instant that accrual starts from, as it is to be believed at `now` (epoch ms).
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

    /// Returns the note that a write at `now` has to make. It tells later writers since when the refill instant has not
    /// moved.
    pub(crate) fn to_watch(&self, now: i64) -> Option<Watch> {
        let disputed = self.last_refill > now && self.last_refill.saturating_sub(now) > self.horizon();
        (disputed && self.watched(now).is_none()).then_some(Watch { refill: self.last_refill, since: now })
    }

    /// The note on the item, where it is of this refill instant and of a clock that can be ours.
    fn watched(&self, now: i64) -> Option<Watch> {
        self.watch.filter(|watch| watch.refill == self.last_refill && watch.since <= now.saturating_add(MAX_SKEW_MS))
    }

    /// Bounds how far ahead a refill instant is believed, in ms: the longest time that one of the limits takes to fill,
    /// plus the skew.
    fn horizon(&self) -> i64 {
        let kinds = self.limits.iter().filter_map(LimitImage::kind);
        kinds.map(|kind| kind.fill_ms()).max().unwrap_or(0).saturating_add(MAX_SKEW_MS)
    }
}
