//! One of the buckets that an acquire takes from: [`Target`].
//!
//! A target is a lane together with the limits that apply there, as one resolution found them. Resolutions are cached
//! and shared, so a target is made rarely and cloned for every grant; hence one allocation with one count for both
//! parts.
//!
//! The reserve is asked here, before anything is queued, because here limits and lane meet: amounts are aligned with
//! the former, and the latter keeps the reserve.

use std::{sync::Arc, time::Duration};

use crate::{
    bucket::{Amounts, MILLI, key::BucketKey, limit_set::LimitSet, refund::Baseline, stamp::STAMP_MS},
    engine::{
        lane::{
            Lane,
            ask::Refusal,
            hold::{Hold, Tokens},
            lanes::Lanes,
            refuse,
        },
        reserve::{
            ReserveDraw, ReserveState,
            lots::{Expiry, ReserveLot},
        },
        runtime::moment::Moment,
    },
    model::{
        limit::Limits,
        name::{EntityId, LimitName, ResourceName},
        status::LimitStatus,
    },
};

/// The answer of a reserve to an ask.
#[derive(Debug)]
pub(crate) enum FromReserve {
    /// The reserve had enough.
    Granted(Hold),
    /// The bucket is known to be nearly empty.
    Refused(Refusal),
    /// The bucket is to be asked.
    Ask,
}

/// The limits of one target and the bucket they are kept in. One count of references for both: every grant holds them.
#[derive(Debug)]
pub(crate) struct Target {
    /// The limits that apply.
    limit_set: Arc<LimitSet>,
    /// The bucket's queue.
    lane: Arc<Lane>,
    /// Until when the configuration that the limits came from may be copied onto the bucket, in epoch ms; `None` if
    /// they came from a caller.
    soft_until: Option<i64>,
    /// Until when what an operator had set may be copied onto the bucket, in epoch ms.
    bypass_until: i64,
}

impl Target {
    /// Puts both together, as the configuration was at `read_at` (epoch ms).
    pub(crate) fn new(limit_set: Arc<LimitSet>, lane: Arc<Lane>, read_at: i64) -> Self {
        Self { limit_set, lane, soft_until: None, bypass_until: read_at.saturating_add(STAMP_MS) }
    }

    /// The same, of limits that came from the configuration.
    pub(crate) fn configured(self) -> Self {
        Self { soft_until: Some(self.bypass_until), ..self }
    }

    /// Returns the end of a new stamp of a bypass, in epoch ms.
    pub(crate) fn bypass_until(&self) -> i64 {
        self.bypass_until
    }

    /// Returns the end of new stamps of soft limits, in epoch ms; `None` if none may be written.
    pub(crate) fn soft_until(&self) -> Option<i64> {
        self.soft_until
    }

    /// The same limits at another shard of the bucket, which a neighbour has sharded.
    pub(crate) fn at_shard(&self, lanes: &Lanes, shard: u32) -> Self {
        self.in_lane(lanes.lane(BucketKey { shard, ..self.lane.key.clone() }))
    }

    /// The same limits in the lane of another shard.
    pub(crate) fn in_lane(&self, lane: Arc<Lane>) -> Self {
        let (soft_until, bypass_until) = (self.soft_until, self.bypass_until);
        Self { limit_set: Arc::clone(&self.limit_set), lane, soft_until, bypass_until }
    }

    /// The bucket's owner: the entity that asks, or its parent.
    pub(crate) fn entity(&self) -> &EntityId {
        &self.lane.key.entity
    }

    /// The resource that is asked for.
    pub(crate) fn resource(&self) -> &ResourceName {
        &self.lane.key.resource
    }

    /// The bucket's queue.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// The limits that apply, with everything that a write needs.
    pub(crate) fn limit_set(&self) -> &Arc<LimitSet> {
        &self.limit_set
    }

    /// The limits that apply.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limit_set.limits
    }

    /// The amounts in the order of the limits, in mt; names that this target does not limit are left out.
    pub(crate) fn amounts(&self, cost: &[(LimitName, u64)]) -> Amounts {
        let amount = |name: &LimitName| {
            let tokens = cost.iter().find(|(named, _)| named == name).map_or(0, |(_, tokens)| *tokens);
            i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MILLI)
        };
        self.limit_set.applied.iter().map(|limit| amount(&limit.name)).collect()
    }

    /// The amounts that `child` asks, in the order of this target's own limits; names that it does not limit are left
    /// out.
    pub(crate) fn amounts_like(&self, child: &Self, amounts: &[i64]) -> Amounts {
        if self.limit_set.limits.same(&child.limit_set.limits) {
            return amounts.into();
        }
        let asked = |name: &LimitName| {
            let index = child.limit_set.applied.iter().position(|known| known.name == *name);
            index.and_then(|index| amounts.get(index)).copied().unwrap_or(0)
        };
        self.limit_set.applied.iter().map(|limit| asked(&limit.name)).collect()
    }

    /// The limits whose capacity is smaller than what is asked.
    pub(crate) fn too_large(&self, amounts: &[i64]) -> Vec<LimitStatus> {
        let LimitSet { limits, applied, .. } = &*self.limit_set;
        let limits = limits.iter().zip(applied).zip(amounts);
        // Credits raise a quota's ceiling, and only the bucket knows of them.
        let fixed = limits.filter(|((_, applied), _)| !applied.kind.is_quota());
        let too_large = fixed.filter(|((_, applied), amount)| applied.never_lets_pass(**amount));
        too_large
            .map(|((limit, _), amount)| LimitStatus {
                entity_id: self.entity().clone(),
                resource: self.resource().clone(),
                limit: limit.clone(),
                available: i64::try_from(limit.capacity()).unwrap_or(i64::MAX),
                requested: refuse::whole(*amount),
                exceeded: true,
                retry_after: Duration::ZERO,
                resets_at: None,
            })
            .collect()
    }

    /// Grants from the reserve without a write, if it can.
    #[inline]
    pub(crate) fn grant_from_reserve(
        self: &Arc<Self>,
        amounts: Amounts,
        serves: ReserveDraw,
        now: Moment,
    ) -> Option<Hold> {
        let mut reserve = self.lane.reserve().filter(|_| !self.limit_set.bypassed)?;
        let (expiry, baseline, rest) = reserve.take(&self.limit_set, &amounts, serves, now)?;
        let available = reserve.available();
        drop(reserve);
        if rest == ReserveState::Low {
            self.lane.fetch();
        }
        Some(Hold::new(Arc::clone(self), Tokens { taken: amounts, available, baseline, expiry: Some(expiry) }))
    }

    /// Asks the reserve. It grants, or knows that the bucket is nearly empty, or does not know.
    ///
    /// While the limiter shuts down it does not know: what is in the reserve is on its way back.
    pub(crate) fn ask_reserve(self: &Arc<Self>, amounts: &[i64]) -> FromReserve {
        if self.lane.shared.closing.has_begun() {
            return FromReserve::Ask;
        }
        let now = self.lane.shared.moment();
        self.lane.keep_reserve(&self.limit_set, now.monotonic);
        self.ask_reserve_for(ReserveDraw::Target, amounts, now)
    }

    /// As [`ask_reserve`](Target::ask_reserve), for an ask that found too little before and has waited since.
    pub(crate) fn ask_reserve_again(self: &Arc<Self>, amounts: &[i64]) -> FromReserve {
        self.ask_reserve_for(ReserveDraw::Again, amounts, self.lane.shared.moment())
    }

    /// Takes from the reserve, or tells whether the bucket is worth asking.
    fn ask_reserve_for(self: &Arc<Self>, serves: ReserveDraw, amounts: &[i64], now: Moment) -> FromReserve {
        if let Some(hold) = self.grant_from_reserve(amounts.into(), serves, now) {
            return FromReserve::Granted(hold);
        }
        let Some(mut reserve) = self.lane.reserve() else { return FromReserve::Ask };
        if serves != ReserveDraw::Again {
            reserve.missed(&self.limit_set, amounts);
        }
        match reserve.ration(&self.limit_set, amounts, now) {
            Some(wait) => {
                FromReserve::Refused(refuse::exhausted(&self.lane.key, &self.limit_set, amounts, reserve.held(), wait))
            }
            None => FromReserve::Ask,
        }
    }

    /// Settles `amounts` (positive for more consumption, negative for refunds) with the reserve, and leaves in them
    /// what has to be written. The tokens were taken from the bucket that was left as `baseline` says, and may go back
    /// until `expiry` ends.
    ///
    /// More consumption is paid with tokens that left the bucket already, which saves a write and keeps the bucket from
    /// going into debt while the reserve has some. Refunds go back into it within the expiry of the lot that they came
    /// from: tokens do not grow younger by being lent.
    pub(super) fn settle_from_reserve(&self, amounts: &mut Amounts, baseline: &Arc<Baseline>, expiry: Option<Expiry>) {
        let (lane, limit_set) = (&self.lane, &self.limit_set);
        if lane.shared.closing.has_begun() || limit_set.bypassed {
            return;
        }
        let Some(mut reserve) = lane.reserve() else { return };
        let incarnation = baseline.incarnation.as_ref();
        let now = lane.shared.moment();
        if amounts.iter().any(|amount| *amount > 0) {
            let more: Amounts = amounts.iter().map(|amount| (*amount).max(0)).collect();
            let left = reserve.pay(limit_set, &more, incarnation, now);
            amounts.iter_mut().zip(left).filter(|(amount, _)| **amount > 0).for_each(|(amount, left)| *amount = left);
        }
        if let (Some(expiry), true) = (expiry, amounts.iter().any(|amount| *amount < 0)) {
            let back: Amounts = amounts.iter().map(|amount| (-*amount).max(0)).collect();
            if reserve.put_back(
                limit_set,
                ReserveLot { tokens: back, baseline: Arc::clone(baseline), expiry },
                incarnation,
                now,
            ) {
                amounts.iter_mut().for_each(|amount| *amount = (*amount).max(0));
                drop(reserve);
                // Somebody has to return it in time.
                lane.resume();
            }
        }
    }
}
