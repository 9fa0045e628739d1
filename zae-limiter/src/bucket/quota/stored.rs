//! Quotas on a bucket item: their attributes, and the changes that a write makes to them.
//!
//! The refill instant of the item is the marker of a calendar quota: resets after it are still to be applied. So
//! whoever moves it restores every quota of the item that it moves over a reset. A session quota has a marker of its
//! own, the start of the window that was applied last.

use crate::{
    bucket::{
        Params,
        image::{Basis, Image, LimitImage, StoredParams},
        kind::Kind,
        quota::{Period, QuotaImage, Shard, Standing},
    },
    model::schedule::{Resets, Schedule},
};

/// A quota on an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredQuota {
    /// The rule by which it is restored.
    pub(crate) period: StoredPeriod,
    /// `gc`, the number of shards by which the running period's grant was cut.
    pub(crate) grant_count: Option<u32>,
    /// `tu`, topped up in this period, in mt.
    pub(crate) topped_up: Option<i64>,
    /// `rn`, the number of resets by hand.
    pub(crate) resets_by_hand: i64,
}

/// The rule by which a quota on an item is restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredPeriod {
    /// At these instants.
    Calendar(Resets),
    /// By the first use after a window.
    Session {
        /// `rsa`, the length of a window, in ms.
        length: i64,
        /// The window.
        window: Window,
    },
}

/// The window of a session quota on an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// `ws`, its start, in epoch ms; none where it was never opened.
    pub(crate) start: Option<i64>,
    /// `wa`, the start of the window that was applied last, in epoch ms.
    pub(crate) applied: Option<i64>,
    /// `wtc`, the consumption counter when the shard was told of it, in mt.
    pub(crate) counter_mark: Option<i128>,
}

/// The schedule of a limit on an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredSchedule {
    /// The schedule.
    pub(crate) schedule: Schedule,
    /// The attribute that has it.
    pub(crate) place: SchedulePlace,
}

impl StoredSchedule {
    /// The schedule of `kind` as a new item has it.
    pub(crate) fn new(kind: &Kind) -> Option<Self> {
        kind.schedule().map(|schedule| Self { schedule: schedule.clone(), place: SchedulePlace::Own })
    }
}

/// The attribute that a schedule was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchedulePlace {
    /// The limit's own.
    Own,
    /// That of all limits of the item which have none of their own.
    Item,
}

/// The effect of a write on the attributes that only quotas have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QuotaWrite {
    /// None.
    Nothing,
    /// A period begins.
    Restored(Beginning),
    /// The limit is restored by another rule from now on, or becomes a quota.
    Becomes {
        /// The rule.
        period: NewPeriod,
        /// The period that begins with it, where one does.
        begins: Option<Beginning>,
    },
    /// The limit is a rate from now on.
    Ends,
}

/// The beginning of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The number of shards by which its grant is cut.
    pub(crate) grant_count: u32,
    /// True if there is a top-up of the last period to forget.
    pub(crate) topped_up: bool,
    /// Its window, of a session quota.
    pub(crate) window: Option<NewWindow>,
}

/// A window that begins, or that a neighbour told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewWindow {
    /// Its start, in epoch ms.
    pub(crate) start: i64,
    /// True if there is a counter's mark of the last one to forget.
    pub(crate) marked: bool,
}

/// A rule by which a limit is restored from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NewPeriod {
    /// At these instants.
    Calendar(Resets),
    /// By the first use after so many ms.
    Session(i64),
}

impl NewPeriod {
    /// The rule of `kind`, where it is a quota.
    fn of(kind: &Kind) -> Option<Self> {
        Some(match kind.quota_period()? {
            Period::Calendar(resets) => Self::Calendar(resets.clone()),
            Period::Session { length } => Self::Session(length),
        })
    }

    /// The rule as an item has it, before any window.
    pub(crate) fn stored(&self) -> StoredPeriod {
        match self {
            Self::Calendar(resets) => StoredPeriod::Calendar(resets.clone()),
            Self::Session(length) => StoredPeriod::Session { length: *length, window: Window::default() },
        }
    }

    /// Returns true if it is that of an item.
    fn is(&self, stored: &StoredPeriod) -> bool {
        match (self, stored) {
            (Self::Calendar(wanted), StoredPeriod::Calendar(stored)) => wanted == stored,
            (Self::Session(wanted), StoredPeriod::Session { length, .. }) => wanted == length,
            _ => false,
        }
    }
}

/// A limit whose attributes as a quota a write may change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changing<'a> {
    /// The limit as the item has it.
    pub(crate) stored: Option<&'a LimitImage>,
    /// The kind that is to hold.
    pub(crate) wanted: &'a Kind,
    /// The basis of its balance.
    pub(crate) basis: Basis,
    /// The item.
    pub(crate) image: &'a Image,
    /// The number of shards.
    pub(crate) shards: u32,
    /// Tells if a window begins with it.
    pub(crate) opens: Opens,
    /// Now, in epoch ms.
    pub(crate) now: i64,
}

/// Tells if something is taken from a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    /// It is: a session begins.
    Yes,
    /// Nothing is.
    No,
}

impl Changing<'_> {
    /// The change. On a `scheduled` item, a new rate has to say that it is none.
    pub(crate) fn write(&self) -> QuotaWrite {
        let Self { stored, wanted, basis, image, .. } = *self;
        let quota = stored.and_then(|stored| stored.quota.as_ref());
        let Some(period) = NewPeriod::of(wanted) else {
            let says_so = quota.is_some() || (image.scheduled && basis == Basis::New);
            return if says_so { QuotaWrite::Ends } else { QuotaWrite::Nothing };
        };
        let restored = basis == Basis::Restored || (basis == Basis::Unopened && self.opens == Opens::Yes);
        let begins = (quota.is_none() || restored).then(|| self.beginning());
        match (quota, begins) {
            (Some(quota), Some(begins)) if period.is(&quota.period) => QuotaWrite::Restored(begins),
            (Some(quota), None) if period.is(&quota.period) => QuotaWrite::Nothing,
            (_, begins) => QuotaWrite::Becomes { period, begins },
        }
    }

    fn beginning(&self) -> Beginning {
        let quota = self.stored.and_then(|stored| stored.quota.as_ref());
        let window = quota.map(StoredQuota::window).unwrap_or_default();
        let told = window.start.filter(|_| self.basis == Basis::Restored);
        let opened = (self.opens == Opens::Yes && self.basis != Basis::Restored).then_some(self.now);
        let start = told.or(opened).filter(|_| self.wanted.is_session());
        let marked = window.counter_mark.is_some();
        Beginning {
            grant_count: self.shards,
            topped_up: quota.is_some_and(|quota| quota.topped_up.is_some()),
            window: start.map(|start| NewWindow { start, marked }),
        }
    }
}

impl StoredQuota {
    /// A quota that was never used.
    pub(crate) fn new(kind: &Kind, grant_count: u32) -> Option<Self> {
        let period = NewPeriod::of(kind)?.stored();
        Some(Self { period, grant_count: Some(grant_count), topped_up: None, resets_by_hand: 0 })
    }

    /// The same, of which `taken` mt are taken at `now` (epoch ms): a session begins with them.
    pub(crate) fn opened_at(mut self, now: i64, taken: i64) -> Self {
        if let (StoredPeriod::Session { window, .. }, true) = (&mut self.period, taken > 0) {
            *window = Window { start: Some(now), applied: Some(now), counter_mark: None };
        }
        self
    }

    /// The window of a session quota; of others, none.
    pub(crate) fn window(&self) -> Window {
        match self.period {
            StoredPeriod::Session { window, .. } => window,
            StoredPeriod::Calendar(_) => Window::default(),
        }
    }
}

impl LimitImage {
    /// The kind of limit that it is; `None` when its parameters are incomplete.
    pub(crate) fn kind(&self) -> Option<Kind> {
        let plain = match (&self.quota, self.params) {
            (None, params) => params.kind(),
            (Some(quota), StoredParams { capacity: Some(capacity), refill: Some(0), period: Some(period) })
                if capacity > 0 && period > 0 =>
            {
                Some(match &quota.period {
                    StoredPeriod::Calendar(resets) => Kind::Quota { capacity, period, resets: resets.clone() },
                    StoredPeriod::Session { length, .. } => Kind::Session { capacity, period, length: *length },
                })
            }
            (Some(_), _) => None,
        };
        plain.map(|plain| plain.scheduled(self.schedule.as_ref().map(|stored| stored.schedule.clone())))
    }

    /// The state of the quota that it is at `now` (epoch ms), where `wanted` is to hold and the item was last refilled
    /// at `refill`.
    pub(crate) fn standing(&self, wanted: &Kind, tokens: i64, refill: i64, shards: u32, now: i64) -> Standing {
        self.shard(wanted, tokens, refill, shards).at(now)
    }

    /// The quota of `wanted` that it is on a shard.
    fn shard<'a>(&self, wanted: &'a Kind, tokens: i64, refill: i64, shards: u32) -> Shard<'a> {
        let quota = self.quota.as_ref();
        let window = quota.map(StoredQuota::window).unwrap_or_default();
        let length = match wanted.quota_period() {
            Some(Period::Session { length }) => Some(length),
            _ => None,
        };
        let stored = QuotaImage {
            grant_count: quota.and_then(|quota| quota.grant_count),
            topped_up: quota.and_then(|quota| quota.topped_up).filter(|topped_up| *topped_up > 0),
            window: window.start,
            length,
            applied: window.applied,
            counter_mark: window.counter_mark,
        };
        let period = wanted.quota_period().unwrap_or(Period::Session { length: i64::MAX });
        let course = wanted.course(shards);
        Shard { course, period, tokens, consumed: self.consumed, last_refill: refill, stored }
    }

    /// One shard's part of `kind` at `now` (epoch ms): of a quota, the part that was granted for the running period,
    /// and what was topped up.
    pub(crate) fn granted(&self, kind: &Kind, shards: u32, now: i64) -> Kind {
        let Some(quota) = self.quota.as_ref().filter(|_| kind.is_quota()) else { return kind.share(shards) };
        let count = quota.grant_count.filter(|count| *count > 0).unwrap_or(shards);
        let granted = kind.at(now).share(count);
        let capacity = granted.ceiling().saturating_add(quota.topped_up.unwrap_or(0).max(0));
        granted.with(Params { capacity, ..granted.params() })
    }

    /// Returns true if it is a quota that is in the period that runs at `now` (epoch ms), on an item that was last
    /// refilled at `refill`.
    pub(crate) fn is_current(&self, refill: i64, now: i64) -> bool {
        let (Some(kind), Some(tokens)) = (self.kind().filter(Kind::is_quota), self.tokens) else { return false };
        self.shard(&kind, tokens, refill, 1).is_current(now)
    }

    /// The number of resets by hand until now, of a quota.
    pub(crate) fn resets_by_hand(&self) -> i64 {
        self.quota.as_ref().map_or(0, |quota| quota.resets_by_hand)
    }

    /// The start of the window that was opened last, of a session quota.
    pub(crate) fn window_start(&self) -> Option<i64> {
        self.quota.as_ref().and_then(|quota| quota.window().start)
    }
}

impl Image {
    /// A limit that is a quota.
    pub(crate) fn any_quota(&self) -> Option<&LimitImage> {
        self.limits.iter().find(|limit| limit.quota.is_some())
    }

    /// Returns true if something about one of its limits changes with time alone.
    pub(crate) fn is_timed(&self) -> bool {
        self.limits.iter().any(|limit| limit.quota.is_some() || limit.schedule.is_some())
    }
}
