//! One shard at the instant of an operation: its limits are brought up to it, then changed, then written.

use super::{ShardLimitWrite, ShardWrite};
use crate::bucket::{
    Accrual, MILLI,
    image::{Balance, Basis, Image, LimitImage},
    kind::Kind,
    quota::grant::inferred_count,
};

/// The most that a shard's part of a quota is topped up by within a period, in mt: as much as the largest capacity,
/// which leaves room for sums in 64 bits.
const MOST_TOPPED_UP: i64 = 1_000_000_000_000_000 * MILLI;

/// One limit of one shard at the instant of the operation.
pub(super) struct ShardLimit<'a> {
    /// The limit as the shard has it.
    pub(super) stored: &'a LimitImage,
    /// The way in which it fills, over all shards.
    pub(super) kind: Kind,
    /// The number of shards by which the running period's grant is cut.
    pub(super) grant_count: u32,
    /// Its share of the capacity, in mt.
    share: i64,
    balance: Balance,
    write: ShardLimitWrite,
}

impl<'a> ShardLimit<'a> {
    /// Brings the limit up to `now`; `None` for one without a balance or a kind.
    fn at(image: &Image, stored: &'a LimitImage, shards: u32, now: i64) -> Option<Self> {
        let (kind, tokens) = (stored.kind()?, stored.tokens?);
        let balance = Balance::at(image, Some(stored), &kind, shards, now);
        let quota = stored.quota.as_ref();
        let noted = quota.and_then(|quota| quota.grant_count).filter(|count| *count > 0);
        let restored = balance.basis == Basis::Restored;
        let grant_count = match noted {
            _ if restored => shards,
            Some(count) => count,
            None => inferred_count(tokens, kind.at(now).ceiling(), shards),
        };
        let write = ShardLimitWrite {
            name: stored.name.clone(),
            seen: tokens,
            expect_params: stored.params,
            add: balance.tokens.saturating_sub(tokens),
            refunded: 0,
            expect_fraction: stored.fraction,
            set_fraction: if let Basis::Accrued(gained) = balance.basis { gained.fraction } else { 0 },
            grant_count: (restored && kind.is_quota()).then_some(shards),
            topped_up: (restored && quota.is_some_and(|quota| quota.topped_up.is_some())).then_some(None),
            counts_reset: false,
        };
        let share = kind.share(shards).at(now).ceiling();
        Some(Self { stored, kind, grant_count, share, balance, write })
    }

    /// Adds `mt` on top.
    fn add(&mut self, mt: i64) {
        self.write.add = self.write.add.saturating_add(mt);
        if !self.kind.is_quota() {
            self.write.refunded = self.write.refunded.saturating_add(mt.max(0));
        }
    }

    /// Restores the limit. Returns the change, in mt.
    pub(super) fn reset(&mut self, shards: u32) -> i64 {
        let change = self.share.saturating_sub(self.balance.tokens);
        self.add(change);
        self.write.set_fraction = 0;
        if let Some(quota) = &self.stored.quota {
            self.write.grant_count = Some(shards);
            self.write.topped_up = quota.topped_up.is_some().then_some(None);
            self.write.counts_reset = true;
        }
        change
    }

    /// Adds whole `tokens`. Returns false if a quota was topped up by more than a period holds.
    pub(super) fn top_up(&mut self, tokens: i64) -> bool {
        let mt = tokens.saturating_mul(MILLI);
        self.add(mt);
        let Some(quota) = &self.stored.quota else { return true };
        if quota.grant_count.is_none() {
            self.write.grant_count = Some(self.grant_count);
        }
        if tokens == 0 {
            return true;
        }
        let before = if self.write.topped_up.is_some() { 0 } else { quota.topped_up.unwrap_or(0).max(0) };
        let topped_up = before.saturating_add(mt);
        self.write.topped_up = Some(Some(topped_up));
        topped_up <= MOST_TOPPED_UP
    }

    /// Whole tokens below the ceiling.
    pub(super) fn room(&self) -> i64 {
        self.balance.ceiling().saturating_sub(self.balance.tokens).max(0) / MILLI
    }

    /// Ms until it is full after the write.
    fn full_in(&self) -> i64 {
        let left = self.write.seen.saturating_add(self.write.add);
        self.balance.full_in(self.balance.tokens.saturating_sub(left))
    }
}

/// One shard at the instant of the operation.
pub(super) struct OperatedShard<'a> {
    /// Its number.
    pub(super) number: u32,
    /// Its limits, brought up to the instant.
    pub(super) limits: Vec<ShardLimit<'a>>,
    image: &'a Image,
}

impl<'a> OperatedShard<'a> {
    /// Brings the shard `number` of a bucket of `count` shards up to `now` (epoch ms).
    pub(super) fn at(number: u32, image: &'a Image, count: u32, now: i64) -> Self {
        let limits = image.limits.iter().filter_map(|stored| ShardLimit::at(image, stored, count, now)).collect();
        Self { number, limits, image }
    }

    /// The write that leaves it as it is now.
    pub(super) fn write(self, now: i64) -> ShardWrite {
        let Self { number, limits, image } = self;
        let wcu_credit = image.wcu.map_or(0, |wcu| {
            let gained = Accrual::between(wcu.params, image.refill_at(now), now, 0).whole;
            gained.min(wcu.params.capacity.saturating_sub(wcu.tokens)).max(0)
        });
        ShardWrite {
            shard: number,
            expect_refill: image.last_refill,
            expect_shards: image.shard_count,
            expect_incarnation: image.incarnation.clone(),
            set_refill: now.max(image.last_refill.saturating_add(1)),
            wcu_credit,
            full: limits.iter().map(ShardLimit::full_in).max().unwrap_or(0),
            limits: limits.into_iter().map(|limit| limit.write).collect(),
        }
    }
}
