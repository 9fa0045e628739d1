//! Quotas: limits that gain nothing while a period runs and are restored in one lump. Pure arithmetic.
//!
//! A *calendar* quota is restored at the instants of its [`Resets`]. A shard has applied them up to its refill instant
//! `rf`, so whoever moves `rf` over one of them restores the quota in the same write. A *session* quota is restored by
//! the first use after its window, which has a fixed length, has ended. A shard has applied a window once its marker
//! (`wa`) is that window's start.
//!
//! Shares are cut at a restore: a shard was granted its part of what the quota was then, by the number of shards there
//! were. That number (`gc`) is kept, so that the ceiling of a period stays what was granted, whatever is done to the
//! number of shards meanwhile. What an operator tops up raises the ceiling until the period ends.

pub(crate) mod grant;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod scheduled_tests;
pub(crate) mod stored;
#[cfg(test)]
mod vectors;

use crate::{bucket::schedule::accrual::Course, model::schedule::Resets};

/// The attributes that only quotas have, as a bucket stores them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuotaImage {
    /// `gc`, the number of shards by which the running period's grant was cut.
    pub(crate) grant_count: Option<u32>,
    /// `tu`, what was topped up in this period, in mt.
    pub(crate) topped_up: Option<i64>,
    /// `ws`, the start of the session's window, in epoch ms.
    pub(crate) window: Option<i64>,
    /// `rsa`, the length of a window, in s.
    pub(crate) length: Option<i64>,
    /// `wa`, the start of the window that was applied last, in epoch ms.
    pub(crate) applied: Option<i64>,
    /// `wtc`, the consumption counter when the shard was told of a window, in mt.
    pub(crate) counter_mark: Option<i128>,
}

/// The rule by which a quota is restored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Period<'a> {
    /// At these instants.
    Calendar(&'a Resets),
    /// By the first use after so many ms.
    Session {
        /// The length of a window, in ms.
        length: i64,
    },
}

/// A quota on one shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard<'a> {
    /// Its parameters over time; the number of shards is the one known now.
    pub(crate) course: Course<'a>,
    /// The rule by which it is restored.
    pub(crate) period: Period<'a>,
    /// The balance, in mt.
    pub(crate) tokens: i64,
    /// The consumption counter, in mt.
    pub(crate) consumed: Option<i128>,
    /// The refill instant of the shard, in epoch ms.
    pub(crate) last_refill: i64,
    /// The attributes that only quotas have.
    pub(crate) stored: QuotaImage,
}

/// The period that a shard is brought into by whoever takes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Still the one that it is in.
    Running,
    /// The calendar's next.
    Reset,
    /// A window that begins now.
    Opened,
    /// A window that a neighbour opened.
    Told,
}

/// A quota at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The balance, in mt, the period applied.
    pub(crate) tokens: i64,
    /// The most that it holds in this period, in mt.
    pub(crate) ceiling: i64,
    /// The period.
    pub(crate) turn: Turn,
    /// The end of the period, in epoch ms; `None` where it has none.
    pub(crate) resets_at: Option<i64>,
}

impl Shard<'_> {
    /// The start of the running window, where one runs at `now` (epoch ms).
    fn live_window(&self, now: i64) -> Option<i64> {
        match self.period {
            Period::Session { length } => self.stored.window.filter(|start| now < start.saturating_add(length)),
            Period::Calendar(_) => None,
        }
    }

    /// The quota at `now` (epoch ms), if something is taken from it then.
    pub(crate) fn at(&self, now: i64) -> Standing {
        let share = self.course.at(now).capacity;
        let running = self.ceiling(now);
        let restored = |tokens: i64, turn: Turn, resets_at| Standing { tokens, ceiling: share, turn, resets_at };
        match self.period {
            Period::Calendar(resets) => {
                let next = resets.next(now);
                if resets.last(now).is_some_and(|edge| edge > self.last_refill) {
                    return restored(share, Turn::Reset, next);
                }
                Standing { tokens: self.tokens.min(running), ceiling: running, turn: Turn::Running, resets_at: next }
            }
            Period::Session { length } => {
                let Some(start) = self.live_window(now) else {
                    return restored(share, Turn::Opened, Some(now.saturating_add(length)));
                };
                let end = Some(start.saturating_add(length));
                if start > self.stored.applied.unwrap_or(self.last_refill) {
                    return restored(share.saturating_sub(self.spent_since_told()), Turn::Told, end);
                }
                Standing { tokens: self.tokens.min(running), ceiling: running, turn: Turn::Running, resets_at: end }
            }
        }
    }

    /// The ceiling of the running period: the share that was granted, and what was topped up.
    fn ceiling(&self, now: i64) -> i64 {
        let count = self.stored.grant_count.filter(|count| *count > 0).unwrap_or(self.course.shards);
        let granted = Course { shards: count, ..self.course }.at(now).capacity;
        granted.saturating_add(self.stored.topped_up.unwrap_or(0))
    }

    /// The consumption between being told of a window and applying it, in mt.
    fn spent_since_told(&self) -> i64 {
        let spent = self.consumed.zip(self.stored.counter_mark).map_or(0, |(now, then)| now.saturating_sub(then));
        i64::try_from(spent.max(0)).unwrap_or(i64::MAX)
    }

    /// Ms from `now` (epoch ms) until `needed` mt are there; `None` where that is never.
    #[cfg(test)]
    pub(crate) fn wait(&self, needed: i64, now: i64) -> Option<i64> {
        let standing = self.at(now);
        if standing.tokens >= needed {
            return Some(0);
        }
        standing.resets_at.map(|end| end.saturating_sub(now))
    }

    /// Returns true if the shard has applied the period that runs at `now` (epoch ms).
    pub(crate) fn is_current(&self, now: i64) -> bool {
        match self.period {
            Period::Calendar(resets) => resets.last(now).is_none_or(|edge| edge <= self.last_refill),
            Period::Session { .. } => {
                self.live_window(now).is_some_and(|start| start <= self.stored.applied.unwrap_or(self.last_refill))
            }
        }
    }

    /// The first instant after `now` (epoch ms) at which something about the quota changes by itself.
    #[cfg(test)]
    pub(crate) fn next_boundary(&self, now: i64) -> Option<i64> {
        let change = self.course.schedule.and_then(|schedule| schedule.next_change(now));
        change.into_iter().chain(self.at(now).resets_at).min()
    }
}
