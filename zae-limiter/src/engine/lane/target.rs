//! One of the buckets that an acquire takes from: [`Target`].

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    bucket::{Amounts, MILLI, Params, incarnation::Incarnation, key::BucketKey, limit_set::LimitSet, refund::Baseline},
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
    },
    model::{
        limit::Limits,
        name::{EntityId, LimitName, ResourceName},
        status::LimitStatus,
    },
};

/// The answer of a stock to an ask.
#[derive(Debug)]
pub(crate) enum FromReserve {
    Granted(Hold),
    Refused(Refusal),
    /// The bucket is to be asked.
    Ask,
}

/// The limits of one level and the bucket they are kept in. One count of references for both: every grant holds them.
#[derive(Debug)]
pub(crate) struct Target {
    terms: Arc<LimitSet>,
    lane: Arc<Lane>,
}

impl Target {
    pub(crate) fn new(terms: Arc<LimitSet>, lane: Arc<Lane>) -> Self {
        Self { terms, lane }
    }

    /// The same limits at another shard of the bucket, which a neighbour has sharded.
    pub(crate) fn at_shard(&self, lanes: &Lanes, shard: u32) -> Self {
        Self::new(Arc::clone(&self.terms), lanes.lane(BucketKey { shard, ..self.lane.key.clone() }))
    }

    pub(crate) fn entity(&self) -> &EntityId {
        &self.lane.key.entity
    }

    pub(crate) fn resource(&self) -> &ResourceName {
        &self.lane.key.resource
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    pub(crate) fn terms(&self) -> &Arc<LimitSet> {
        &self.terms
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// The amounts in the order of the limits, in mt; names that this level does not limit are left out.
    pub(crate) fn amounts(&self, cost: &[(LimitName, u64)]) -> Amounts {
        let amount = |name: &LimitName| {
            let tokens = cost.iter().find(|(named, _)| named == name).map_or(0, |(_, tokens)| *tokens);
            i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MILLI)
        };
        self.terms.params.iter().map(|(name, _)| amount(name)).collect()
    }

    /// The amounts that `child` asks, in the order of this level's own limits; names that it does not limit are left
    /// out.
    pub(crate) fn amounts_like(&self, child: &Self, amounts: &[i64]) -> Amounts {
        if self.terms.limits.same(&child.terms.limits) {
            return amounts.into();
        }
        let asked = |name: &LimitName| {
            let index = child.terms.params.iter().position(|(known, _)| known == name);
            index.and_then(|index| amounts.get(index)).copied().unwrap_or(0)
        };
        self.terms.params.iter().map(|(name, _)| asked(name)).collect()
    }

    /// The limits whose capacity is smaller than what is asked.
    pub(crate) fn too_large(&self, amounts: &[i64]) -> Vec<LimitStatus> {
        let limits = self.terms.limits.iter().zip(amounts);
        let too_large = limits.filter(|(limit, amount)| **amount > Params::from(*limit).capacity);
        too_large
            .map(|(limit, amount)| LimitStatus {
                entity_id: self.entity().clone(),
                resource: self.resource().clone(),
                limit: limit.clone(),
                available: i64::try_from(limit.capacity()).unwrap_or(i64::MAX),
                requested: refuse::whole(*amount),
                exceeded: true,
                retry_after: Duration::ZERO,
            })
            .collect()
    }

    /// Grants from the stock without a write, if it can.
    #[inline]
    pub(crate) fn grant_from_stock(
        self: &Arc<Self>,
        amounts: Amounts,
        serves: ReserveDraw,
        now: Instant,
    ) -> Option<Hold> {
        let mut stock = self.lane.stock()?;
        let (term, baseline, rest) = stock.take(&self.terms, &amounts, serves, now)?;
        let (incarnation, available) = (stock.incarnation().cloned(), stock.available());
        drop(stock);
        if rest == ReserveState::Low {
            self.lane.fetch();
        }
        Some(Hold::new(Arc::clone(self), Tokens { incarnation, taken: amounts, available, baseline, term: Some(term) }))
    }

    /// Asks the stock. It grants, or knows that the bucket is nearly empty, or does not know.
    pub(crate) fn ask_stock(self: &Arc<Self>, amounts: &[i64]) -> FromReserve {
        if self.lane.shared.closing.has_begun() {
            return FromReserve::Ask;
        }
        let now = Instant::now();
        self.lane.keep_stock(&self.terms, now);
        self.ask_stock_for(ReserveDraw::Level, amounts, now)
    }

    /// As [`ask_stock`](Target::ask_stock), for an ask that found too little before and has waited since.
    pub(crate) fn ask_stock_again(self: &Arc<Self>, amounts: &[i64]) -> FromReserve {
        self.ask_stock_for(ReserveDraw::Again, amounts, Instant::now())
    }

    fn ask_stock_for(self: &Arc<Self>, serves: ReserveDraw, amounts: &[i64], now: Instant) -> FromReserve {
        if let Some(hold) = self.grant_from_stock(amounts.into(), serves, now) {
            return FromReserve::Granted(hold);
        }
        let Some(mut stock) = self.lane.stock() else { return FromReserve::Ask };
        if serves != ReserveDraw::Again {
            stock.missed(&self.terms, amounts);
        }
        match stock.ration(&self.terms, amounts, now) {
            Some(wait) => {
                FromReserve::Refused(refuse::rationed(&self.lane.key, &self.terms, amounts, stock.held(), wait))
            }
            None => FromReserve::Ask,
        }
    }

    /// Settles `amounts` (positive for more consumption, negative for refunds) with the stock, and leaves in them what
    /// has to be written. The tokens were taken from the creation of the bucket that `incarnation` tells, which was
    /// left as `baseline` says, and may go back until `term` ends.
    pub(super) fn settle_from_stock(
        &self,
        amounts: &mut Amounts,
        incarnation: Option<&Incarnation>,
        baseline: &Baseline,
        term: Option<Expiry>,
    ) {
        let (lane, terms) = (&self.lane, &self.terms);
        if lane.shared.closing.has_begun() {
            return;
        }
        let Some(mut stock) = lane.stock() else { return };
        let now = Instant::now();
        if amounts.iter().any(|amount| *amount > 0) {
            let more: Amounts = amounts.iter().map(|amount| (*amount).max(0)).collect();
            let left = stock.pay(terms, &more, incarnation, now);
            amounts.iter_mut().zip(left).filter(|(amount, _)| **amount > 0).for_each(|(amount, left)| *amount = left);
        }
        if let (Some(term), true) = (term, amounts.iter().any(|amount| *amount < 0)) {
            let back: Amounts = amounts.iter().map(|amount| (-*amount).max(0)).collect();
            if stock.put_back(terms, ReserveLot { tokens: back, baseline: baseline.clone(), term }, incarnation, now) {
                amounts.iter_mut().for_each(|amount| *amount = (*amount).max(0));
                drop(stock);
                // Somebody has to return it in time.
                lane.resume();
            }
        }
    }
}
