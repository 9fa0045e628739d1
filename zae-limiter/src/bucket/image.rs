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

use crate::{
    bucket::{
        Accrual, MILLI, Params, incarnation::Incarnation, kind::Kind, lifetime::DEEPEST_DEBT, owner::Owner,
        quota::stored::StoredQuota, refund_stamp::StoredRefunds, stamp::TimedStamp, watch::Watch,
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
    /// Set where it is a calendar quota.
    pub(crate) quota: Option<StoredQuota>,
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
    /// A quota whose next period has begun: full, whatever is stored.
    Restored,
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
        let kind = wanted.share(shards);
        let refill = image.refill_at(now);
        let lead = refill.saturating_sub(now).max(0);
        let restored_in = wanted.restored_in(now);
        let stored = stored.and_then(|limit| Some((limit, limit.tokens?.max(DEEPEST_DEBT))));
        let Some((stored, tokens)) = stored else {
            return Self { restored_in, ..Self::new(kind.ceiling(), kind) };
        };
        let Some(current) = stored.kind() else {
            return Self { tokens: tokens.min(kind.ceiling()), kind, lead, basis: Basis::Changed, restored_in };
        };
        if kind.is_due(refill, now) {
            return Self { tokens: kind.ceiling(), kind, lead: 0, basis: Basis::Restored, restored_in };
        }
        let granted = stored.granted(&current, shards);
        let (held, basis) = granted.held(tokens, refill, now, stored.fraction);
        if current == *wanted {
            return Self { tokens: held, kind: granted, lead, basis, restored_in };
        }
        let kind = stored.granted(wanted, shards);
        Self { tokens: held.min(kind.ceiling()), kind, lead, basis: Basis::Changed, restored_in }
    }

    /// The balance of a limit that is not stored yet and starts with `tokens`.
    pub(crate) fn new(tokens: i64, kind: Kind) -> Self {
        Self { tokens, kind, lead: 0, basis: Basis::New, restored_in: None }
    }

    /// The most that there can be.
    pub(crate) fn ceiling(&self) -> i64 {
        self.kind.ceiling()
    }

    /// Ms until it holds `amount` mt; 0 when it does.
    ///
    /// If the refill instant lies ahead, nothing is gained until then, which is added.
    pub(crate) fn wait_ms(&self, amount: i64) -> u128 {
        if let Some(restored_in) = self.restored_in {
            return if amount > self.tokens { restored_in.max(0).unsigned_abs().into() } else { 0 };
        }
        match self.kind.wait_ms(amount.saturating_sub(self.tokens)) {
            0 => 0,
            wait => wait.saturating_add(u128::from(self.lead.unsigned_abs())),
        }
    }
}
