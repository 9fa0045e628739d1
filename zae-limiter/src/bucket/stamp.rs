//! Copies of a setting with an end, on a bucket's item: [`TimedStamp`].
//!
//! Other clients take from a bucket without reading the configuration, and look at its stamps instead: a limit is soft,
//! or everything is let through. So that a stamp cannot be wrong for ever, it holds for less than a minute and is
//! renewed by whoever has read the configuration since.

/// Time for which a resolution may be copied onto a bucket, in ms: less than the minute after which it is read again.
pub(crate) const STAMP_MS: i64 = 54_000;

/// Until when a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimedStamp {
    /// Until then, in epoch ms.
    Until(i64),
    /// The older form, a flag: everybody takes it for run out.
    Flag(bool),
}

impl TimedStamp {
    /// Returns true if it holds at `now` (epoch ms).
    pub(crate) fn lasts(self, now: i64) -> bool {
        self.left(now) > 0
    }

    /// Ms that it has left.
    pub(super) fn left(self, now: i64) -> i64 {
        match self {
            Self::Until(until) => until.saturating_sub(now).max(0),
            Self::Flag(_) => 0,
        }
    }
}

/// The effect of a write on a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StampWrite {
    /// The stamp must be this one (`None`: absent).
    pub(crate) expect: Option<TimedStamp>,
    /// The new stamp: `Some(None)` removes it.
    pub(crate) set: Option<Option<i64>>,
}

/// When a stamp is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Only if it is wrong or over: other clients stop at it.
    Needed,
    /// Also if less than half of its time is left: something else is written anyway.
    Opportune,
}

/// Returns the end of the stamp that replaces `stored` at `now` (epoch ms), if it is to be replaced; `until` is the end
/// of a new one. A stamp is never shortened.
pub(super) fn renewed(stored: Option<TimedStamp>, until: i64, now: i64, occasion: Occasion) -> Option<i64> {
    let left = stored.map_or(0, |stamp| stamp.left(now));
    let enough = if occasion == Occasion::Opportune { STAMP_MS / 2 } else { 1 };
    (left < enough && until.saturating_sub(now) > left).then_some(until)
}
