//! Carrying on without the store: this process's own share of the last known limits.
//!
//! Under [`OnUnavailable::Local`] a process carries on during an outage with a fixed share of each limit, in a bucket
//! of its own that refills by the same arithmetic. The share is set by whoever knows the size of the fleet
//! ([`local_share`](crate::RateLimiterBuilder::local_share)). What an outage costs is then bounded by the sum of the
//! shares, and forgotten afterwards: the table was not asked, so it is not told.
//!
//! In numbers: ten processes with a share of 0.1 each grant 10 of 100 tokens a minute from their own bucket, which
//! starts full when it is first asked. During an outage of five minutes they grant at most 10 · (10 + 50) = 600 tokens,
//! where the table would have granted at most 600. With thirty processes and the same share it would be 1800.
//!
//! An amount that is more than the whole share never fits into it, and the table may well have it: whoever asks for it
//! is told that the store is away, not when to come back.
//!
//! Shares are not settled with the table afterwards: a refund there would need to know what the table had meanwhile,
//! and nobody does.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    bucket::{
        MILLI,
        image::Basis,
        kind::{AppliedLimit, Kind},
    },
    engine::acquire::resolve::{AcquireSpec, ResolvedTargets},
    error::{AcquireError, NeverFits, RateLimitExceeded},
    lazy::LazyCache,
    model::{
        limit::Limits,
        name::{EntityId, LimitName, ResourceName},
        status::{LimitStatus, OnUnavailable},
    },
};

/// One bucket per entity and resource that was seen, holding a share of its limits.
#[derive(Debug)]
pub(crate) struct LocalShares {
    /// The part of each limit, 0 to 1.
    share: f64,
    /// By entity and resource; the least used are forgotten first.
    buckets: LazyCache<(EntityId, ResourceName), Arc<LocalBucket>>,
}

/// One entity's share of a resource's limits.
#[derive(Debug)]
struct LocalBucket {
    /// The limits as they were last resolved.
    limits: Limits,
    /// True if an operator lets everything through.
    bypassed: bool,
    /// Empty until the store is away for the first time.
    balances: Mutex<Vec<LocalBalance>>,
}

/// One limit's share, refilled like a bucket.
#[derive(Clone, Debug)]
struct LocalBalance {
    /// The share's kind: its parameters.
    kind: Kind,
    /// The balance at `at`, in mt.
    tokens: i64,
    /// The remainder of the last refill.
    fraction: i64,
    /// When it was last refilled, epoch ms.
    at: i64,
}

impl LocalBalance {
    /// Brings the balance up to `now`.
    fn refill(&mut self, now: i64) {
        if now <= self.at {
            return;
        }
        let (tokens, basis) = self.kind.held(self.tokens, self.at, now, self.fraction);
        self.tokens = tokens;
        self.fraction = if let Basis::Accrued(gained) = basis { gained.fraction } else { 0 };
        self.at = now;
    }
}

impl LocalShares {
    /// Starts without any limits.
    pub(crate) fn new(share: f64, entities: u64) -> Self {
        Self { share, buckets: LazyCache::new(entities) }
    }

    /// Remembers which limits apply, for a time when they cannot be read and this share is asked for.
    #[inline]
    pub(crate) fn learn(&self, policy: Option<OnUnavailable>, resolved: &ResolvedTargets) {
        if self.share > 0.0 && policy == Some(OnUnavailable::Local) {
            self.remember(resolved);
        }
    }

    /// Keeps the limits; a share that is in use stays as long as they are the same.
    fn remember(&self, resolved: &ResolvedTargets) {
        let key = (resolved.child.entity().clone(), resolved.child.resource().clone());
        let limits = resolved.child.limits();
        let bypassed = resolved.child.limit_set().bypassed;
        if self.buckets.get(&key).is_some_and(|bucket| bucket.limits.same(limits) && bucket.bypassed == bypassed) {
            return;
        }
        let bucket = LocalBucket { limits: limits.clone(), bypassed, balances: Mutex::default() };
        self.buckets.insert(key, Arc::new(bucket));
    }

    /// Takes from this process's share; `None` where it cannot tell: the limits were never seen, or the share never has
    /// as much.
    ///
    /// In whole tokens, by the limits as they were last resolved; a cost that names another limit is an error here,
    /// too.
    pub(crate) fn take(&self, wish: &AcquireSpec, now: i64) -> Option<Result<Vec<(LimitName, u64)>, AcquireError>> {
        let bucket = self.buckets.get(&(wish.entity.clone(), wish.resource.clone()))?;
        self.take_from(&bucket, wish, now).transpose()
    }

    /// Takes from all limits or from none, as a bucket does; `None` where a limit's share never has as much.
    fn take_from(
        &self,
        bucket: &LocalBucket,
        wish: &AcquireSpec,
        now: i64,
    ) -> Result<Option<Vec<(LimitName, u64)>>, AcquireError> {
        let cost = wish.cost.resolve(&bucket.limits)?;
        if bucket.bypassed {
            return Ok(Some(cost));
        }
        let mut balances = bucket.balances.lock().unwrap_or_else(PoisonError::into_inner);
        if balances.is_empty() {
            balances.extend(bucket.limits.iter().map(|limit| self.share_of(&limit.into(), now)));
        }
        balances.iter_mut().for_each(|balance| balance.refill(now));
        let asked = |name: &LimitName| cost.iter().find(|(named, _)| named == name).map_or(0, |(_, tokens)| *tokens);
        let mut statuses = Vec::new();
        let mut never = Vec::new();
        let mut is_too_large = false;
        for (limit, balance) in bucket.limits.iter().zip(balances.iter()) {
            let requested = asked(limit.name());
            let amount = i64::try_from(requested).unwrap_or(i64::MAX).saturating_mul(MILLI);
            let missing = if amount == 0 || limit.is_soft() { 0 } else { amount - balance.tokens };
            let wait = match balance.kind.restored_in(now).filter(|_| missing > 0) {
                Some(restored_in) => restored_in.max(0).unsigned_abs(),
                None => u64::try_from(balance.kind.wait_ms(missing)).unwrap_or(u64::MAX),
            };
            let status = LimitStatus {
                entity_id: wish.entity.clone(),
                resource: wish.resource.clone(),
                limit: limit.clone(),
                available: balance.tokens.div_euclid(MILLI),
                requested,
                exceeded: missing > 0,
                retry_after: std::time::Duration::from_millis(wait),
                resets_at: None,
            };
            if AppliedLimit::from(limit).never_lets_pass(amount) {
                never.push(status.clone());
            }
            is_too_large |= missing > 0 && amount > balance.kind.ceiling();
            statuses.push(status);
        }
        if let Some(never) = NeverFits::new(never) {
            return Err(never.into());
        }
        if is_too_large {
            return Ok(None);
        }
        if let Some(exceeded) = RateLimitExceeded::new(statuses) {
            return Err(exceeded.into());
        }
        for (limit, balance) in bucket.limits.iter().zip(balances.iter_mut()) {
            balance.tokens -= i64::try_from(asked(limit.name())).unwrap_or(i64::MAX).saturating_mul(MILLI);
        }
        Ok(Some(cost))
    }

    /// A share starts full: the store went away a moment ago, and what is granted now was not granted there.
    fn share_of(&self, whole: &Kind, now: i64) -> LocalBalance {
        let kind = whole.part(self.share, now);
        LocalBalance { tokens: kind.ceiling(), kind, fraction: 0, at: now }
    }
}
