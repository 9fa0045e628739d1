//! A bucket item as it was last seen.
//!
//! An image is the answer of the last write, of a failed condition, or of a read. It is an immutable value with the
//! instant at which it was stored; what a limit holds *now* is computed from it ([`Balance`]). Nothing in it is
//! believed without asking: it only predicts which write will succeed, and for at most a second it may refuse.
//!
//! So nothing here is locked or kept up to date. A lane replaces its image as a whole when an answer brings another,
//! and whoever still works with the old one makes a plan that fails by its conditions.
//!
//! Missing values are kept apart from zeros. A limit without `tk` was never filled; a bucket without a shard count was
//! made by a client that knows no shards; a missing incarnation is a value that a refund compares with. A default in
//! their place would write a condition that can never hold.

use std::sync::Arc;

use crate::{
    bucket::{
        Accrual, MILLI, Params,
        incarnation::Incarnation,
        kind::Kind,
        lifetime::DEEPEST_DEBT,
        owner::Owner,
        quota::{
            Turn,
            stored::{StoredQuota, StoredSchedule},
        },
        refund_stamp::StoredRefunds,
        scheduled::Scheduled,
        stamp::TimedStamp,
        watch::Watch,
    },
    model::name::LimitName,
};

/// One bucket item (one entity, resource and shard) as a write or read returned it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Image {
    /// When its limits were last refilled, epoch ms.
    pub(crate) last_refill: i64,
    /// Since when that instant is known to lie too far ahead.
    pub(crate) watch: Option<Watch>,
    /// Number of shards of the bucket; only shard 0 is the authority.
    pub(crate) shard_count: Option<u32>,
    /// When it may be removed, epoch s.
    pub(crate) ttl: Option<i64>,
    /// True if an operator has switched the bucket off.
    pub(crate) disabled: bool,
    /// Until when other clients let everything through.
    pub(crate) bypass: Option<TimedStamp>,
    /// Remains of features that are over.
    pub(crate) leftovers: Vec<Leftover>,
    /// Until when plain writes are allowed, epoch ms; newer clients stamp it.
    pub(crate) valid_until: Option<i64>,
    /// The owner's facts copied onto it.
    pub(crate) owner: Owner,
    /// True if the item has a schedule that limits without one of their own follow.
    pub(crate) scheduled: bool,
    /// Identifies this creation of the bucket; absent on buckets that the reference created.
    pub(crate) incarnation: Option<Incarnation>,
    /// The stamps of refunds.
    pub(crate) refunds: StoredRefunds,
    /// Until when it counts as shared by several processes, in epoch ms.
    pub(crate) shared_until: Option<i64>,
    /// Its limits.
    pub(crate) limits: Vec<LimitImage>,
    /// The reference's reserved limit.
    pub(crate) wcu: Option<WcuImage>,
}

/// An attribute of a feature that is over: part of a quota that its limit once was. Whoever knows that the limits are
/// plain rates now takes it off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    /// Its name.
    pub(crate) attribute: String,
    /// Its value: a number, as it is written.
    pub(crate) value: String,
}

/// One limit on an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitImage {
    /// Its name.
    pub(crate) name: LimitName,
    /// Balance in mt; absent when only parameters were written.
    pub(crate) tokens: Option<i64>,
    /// Parameters, each of which an interrupted writer may have left out.
    pub(crate) params: StoredParams,
    /// The remainder of the last refill, in 1/period mt.
    pub(crate) fraction: i64,
    /// All that was ever refunded of tokens whose place was known, in mt (see [`refund`](crate::bucket::refund)).
    pub(crate) refunded: Option<i64>,
    /// Until when other clients take it for soft.
    pub(crate) soft: Option<TimedStamp>,
    /// Net consumption in mt. It decides nothing, and may be wider than what does.
    pub(crate) consumed: Option<i128>,
    /// Set where it is a quota.
    pub(crate) quota: Option<StoredQuota>,
    /// Its parameters at certain times.
    pub(crate) schedule: Option<StoredSchedule>,
}

/// Parameters as stored: any of them may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct StoredParams {
    /// `cp`, in mt.
    pub(crate) capacity: Option<i64>,
    /// `ra`, in mt.
    pub(crate) refill: Option<i64>,
    /// `rp`, in ms.
    pub(crate) period: Option<i64>,
}

impl StoredParams {
    /// The kind of limit that they describe, where all three are there and make sense.
    pub(crate) fn kind(self) -> Option<Kind> {
        self.complete().map(Kind::Rate)
    }

    /// All three, where they are there and make sense.
    pub(crate) fn complete(self) -> Option<Params> {
        let params = Params { capacity: self.capacity?, refill: self.refill?, period: self.period? };
        (params.capacity > 0 && params.refill > 0 && params.period > 0).then_some(params)
    }
}

/// The share of a limit whose parameters change with time, and when it is looked at.
fn changing(share: &Kind, now: i64) -> Option<(Arc<Scheduled>, i64)> {
    match share {
        Kind::Scheduled(scheduled) => Some((Arc::clone(scheduled), now)),
        _ => None,
    }
}

impl From<Params> for StoredParams {
    fn from(params: Params) -> Self {
        Self { capacity: Some(params.capacity), refill: Some(params.refill), period: Some(params.period) }
    }
}

/// The reserved limit that the reference charges one unit per write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WcuImage {
    /// Balance in mt.
    pub(crate) tokens: i64,
    /// Its parameters.
    pub(crate) params: Params,
}

impl WcuImage {
    /// The most that it holds, in mt.
    pub(crate) fn capacity(&self) -> i64 {
        self.params.capacity
    }

    /// Returns the limit of a new bucket: 1000 write units, refilled at 1000 per second.
    pub(crate) fn full() -> Self {
        let params = Params { capacity: 1_000 * MILLI, refill: 1_000 * MILLI, period: 1_000 };
        Self { tokens: params.capacity, params }
    }
}

impl Image {
    /// The limit called `name`.
    pub(crate) fn limit(&self, name: &str) -> Option<&LimitImage> {
        self.limits.iter().find(|limit| limit.name.as_str() == name)
    }

    /// An attribute of a feature that is not over: of a limit that is no plain rate.
    pub(crate) fn quota(&self) -> Option<&Leftover> {
        let incomplete = self.limits.iter().any(|limit| limit.kind().is_none());
        self.leftovers.first().filter(|_| incomplete)
    }

    /// Among how many shards capacity and refill are shared.
    pub(crate) fn shards(&self) -> u32 {
        self.shard_count.unwrap_or(1).max(1)
    }
}

/// The balance of one limit of an image at an instant, under the parameters that are to hold from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Balance {
    /// The balance, in mt, never above the ceiling.
    pub(crate) tokens: i64,
    /// This shard's share of the limit.
    pub(crate) kind: Kind,
    /// Ms until it begins to gain: a refill instant may lie ahead.
    pub(crate) lead: i64,
    /// The basis on which the balance was computed.
    pub(crate) basis: Basis,
    /// Ms until it is restored, where it is a quota: it gains nothing before.
    pub(crate) restored_in: Option<i64>,
    /// Set where its parameters change with time: this shard's share by all of them, and when the balance was computed,
    /// in epoch ms.
    pub(crate) changing: Option<(Arc<Scheduled>, i64)>,
}

/// The basis of a balance, which decides what a write must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Stored balance plus what was gained since; not above the ceiling.
    Accrued(Accrual),
    /// At the ceiling: some of what was gained (or was there) is lost and must never be credited.
    Full,
    /// The parameters change, or were incomplete: the balance is what the old ones gave.
    Changed,
    /// Not on the item yet: starts full.
    New,
    /// A quota whose next period has begun: what it then has, whatever is stored.
    Restored,
    /// A quota whose next period begins with the first use.
    Unopened,
}

impl Balance {
    /// The balance of `stored` (a limit of `image`, if it has it) at `now`, when `wanted` is the kind to hold.
    ///
    /// Its amounts are this shard's part when the bucket has `shards` shards.
    ///
    /// The four cases are the [`Basis`]. In numbers, with C = 100 000 and a = 20 000: 60 000 stored are `Accrued` and
    /// 80 000 now; 90 000 stored are `Full` and 100 000; 60 000 stored under other parameters are `Changed`, credited
    /// by the old rate until now and cut at the new ceiling; nothing stored is `New` and starts full.
    pub(crate) fn at(image: &Image, stored: Option<&LimitImage>, wanted: &Kind, shards: u32, now: i64) -> Self {
        let share = wanted.share(shards);
        let kind = share.at(now);
        let refill = image.refill_at(now);
        let lead = refill.saturating_sub(now).max(0);
        let known = stored.and_then(|limit| Some((limit, limit.tokens?.max(DEEPEST_DEBT))));
        let Some((stored, tokens)) = known else {
            return Self::opening(kind.ceiling(), &share, now);
        };
        let changing = changing(&share, now);
        let restored_in = wanted.restored_in(now);
        let Some(current) = stored.kind() else {
            let tokens = tokens.min(kind.ceiling());
            return Self { tokens, kind, lead, basis: Basis::Changed, restored_in, changing };
        };
        if wanted.is_quota() && (stored.quota.is_some() || wanted.is_session()) {
            let standing = stored.standing(wanted, tokens, refill, shards, now);
            let basis = match standing.turn {
                Turn::Opened => Basis::Unopened,
                Turn::Reset | Turn::Told => Basis::Restored,
                Turn::Running if current != *wanted => Basis::Changed,
                Turn::Running if tokens > standing.ceiling => Basis::Full,
                Turn::Running => Basis::Accrued(Accrual { whole: 0, fraction: 0 }),
            };
            let kind = kind.with(Params { capacity: standing.ceiling, ..kind.params() });
            let restored_in = Some(standing.resets_at.map_or(i64::MAX, |at| at.saturating_sub(now)));
            return Self { tokens: standing.tokens, kind, lead: 0, basis, restored_in, changing };
        }
        if kind.is_due(refill, now) {
            return Self { tokens: kind.ceiling(), kind, lead: 0, basis: Basis::Restored, restored_in, changing };
        }
        let (held, basis) = stored.granted(&current, shards, now).held(tokens, refill, now, stored.fraction);
        if current == *wanted {
            return Self { tokens: held, kind, lead, basis, restored_in, changing };
        }
        Self { tokens: held.min(kind.ceiling()), kind, lead, basis: Basis::Changed, restored_in, changing }
    }

    /// The balance of a limit that is not stored yet and starts with `tokens`.
    pub(crate) fn new(tokens: i64, kind: Kind) -> Self {
        Self { tokens, kind, lead: 0, basis: Basis::New, restored_in: None, changing: None }
    }

    /// The balance of a limit that is stored at `now` (epoch ms) and starts with `tokens`; `share` is the shard's part
    /// of it.
    pub(crate) fn opening(tokens: i64, share: &Kind, now: i64) -> Self {
        let (restored_in, changing) = (share.restored_in(now), changing(share, now));
        Self { restored_in, changing, ..Self::new(tokens, share.at(now)) }
    }

    /// The most that there can be.
    pub(crate) fn ceiling(&self) -> i64 {
        self.kind.ceiling()
    }

    /// When it is restored, as seen at `now` (both in epoch ms); `None` where it gains, or a session has not begun.
    pub(crate) fn resets_at(&self, now: i64) -> Option<i64> {
        let running = self.restored_in.filter(|left| *left < i64::MAX && self.basis != Basis::Unopened)?;
        Some(now.saturating_add(running))
    }

    /// The most that there can be at any time: a schedule may raise the ceiling.
    pub(crate) fn highest(&self) -> i64 {
        let scheduled = self.changing.as_ref().map_or(0, |(scheduled, _)| scheduled.ceiling());
        self.ceiling().max(scheduled)
    }

    /// Ms until it holds `amount` mt; 0 when it does.
    ///
    /// If the refill instant lies ahead, nothing is gained until then, which is added.
    pub(crate) fn wait_ms(&self, amount: i64) -> u128 {
        if amount <= self.tokens {
            return 0;
        }
        if let Some(restored_in) = self.restored_in {
            return restored_in.max(0).unsigned_abs().into();
        }
        if let Some((scheduled, now)) = &self.changing {
            let waited = scheduled.wait_ms(self.tokens, amount, now.saturating_add(self.lead));
            let waited = waited.unwrap_or(0).max(0).saturating_add(self.lead);
            return waited.unsigned_abs().into();
        }
        match self.kind.wait_ms(amount.saturating_sub(self.tokens)) {
            0 => 0,
            wait => wait.saturating_add(u128::from(self.lead.unsigned_abs())),
        }
    }
}
