//! Tokens taken from one bucket: [`Hold`].

use std::{mem, sync::Arc, time::Duration};

use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::{
    bucket::{
        Amounts, MILLI,
        incarnation::Incarnation,
        kind::AppliedLimit,
        limit_set::LimitSet,
        refund::{Baseline, Settled},
    },
    engine::{
        lane::{
            Lane,
            ask::{Pending, SettleOutcome},
            target::Target,
        },
        reserve::lots::Expiry,
    },
    model::{limit::Limit, name::LimitName, status::LimitStatus},
};

/// Tokens taken from one bucket item. Dropped without being settled, it gives them back: so neither a cancelled acquire
/// nor a forgotten lease leaks tokens.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The bucket, and the limits that the amounts are aligned with.
    target: Arc<Target>,
    incarnation: Option<Incarnation>,
    /// In mt; 0 for limits that the cost did not name.
    taken: Amounts,
    /// Amounts that the bucket held right after, in mt.
    available: Amounts,
    /// The bucket right after.
    baseline: Baseline,
    /// The parts of it that were taken later, each with the bucket right after.
    later: Vec<(Amounts, Baseline)>,
    /// Until when the tokens may go back into the reserve they came from.
    expiry: Option<Expiry>,
    state: HoldState,
}

/// One hold for each target, child before parent: two at the most.
pub(crate) type Holds = SmallVec<[Hold; 1]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HoldState {
    Open,
    Settled,
}

/// Resolves when a booking is stored.
pub(crate) type Booked = oneshot::Receiver<SettleOutcome>;

/// The tokens taken from a bucket.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) taken: Amounts,
    pub(crate) available: Amounts,
    pub(crate) baseline: Baseline,
    pub(crate) expiry: Option<Expiry>,
}

impl Hold {
    #[inline]
    pub(crate) fn new(target: Arc<Target>, tokens: Tokens) -> Self {
        let Tokens { incarnation, taken, available, baseline, expiry } = tokens;
        Self { target, incarnation, taken, available, baseline, later: Vec::new(), expiry, state: HoldState::Open }
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        self.target.lane()
    }

    fn limit_set(&self) -> &LimitSet {
        self.target.limit_set()
    }

    /// Each limit's status right after the tokens were taken.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = LimitStatus> {
        self.left().zip(&self.taken).map(|((limit, available), taken)| LimitStatus {
            entity_id: self.target.entity().clone(),
            resource: self.target.resource().clone(),
            limit: limit.clone(),
            available,
            requested: u64::try_from(taken / MILLI).unwrap_or(0),
            exceeded: false,
            retry_after: Duration::ZERO,
        })
    }

    /// Each limit with the whole tokens that were left right after the tokens were taken.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&Limit, i64)> {
        let available = self.available.iter().map(|available| available.div_euclid(MILLI));
        self.target.limits().iter().zip(available)
    }

    /// Returns the amount taken from each limit of the bucket, in mt; 0 for limits that the cost did not name.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&LimitName, i64)> {
        self.limit_set().applied.iter().map(|limit| &limit.name).zip(self.taken.iter().copied())
    }

    /// Adds what `more` took from the same bucket, limit by limit: its limits may have been changed in between. What
    /// was taken from a bucket that was deleted meanwhile is forgotten: there is nothing left to give it back to.
    pub(crate) fn absorb(&mut self, mut more: Self) {
        more.state = HoldState::Settled;
        // The mixture goes back to the bucket, not into a reserve.
        self.expiry = None;
        if self.incarnation != more.incarnation {
            self.incarnation = more.incarnation.take();
            self.taken.iter_mut().for_each(|taken| *taken = 0);
            self.later.clear();
        }
        let mut part = (Amounts::from_elem(0, self.taken.len()), more.baseline.clone());
        part.1.nets = Amounts::from_elem(i64::MAX, self.taken.len());
        for (index, AppliedLimit { name, .. }) in self.target.limit_set().applied.iter().enumerate() {
            let Some(other) = more.limit_set().applied.iter().position(|known| known.name == *name) else { continue };
            self.taken[index] = self.taken[index].saturating_add(more.taken[other]);
            self.available[index] = more.available[other];
            (part.0[index], part.1.nets[index]) = (more.taken[other], more.baseline.nets[other]);
        }
        self.later.push(part);
    }

    /// Keeps the tokens and books that `deltas` (whole tokens) more were consumed; less than nothing never is.
    pub(crate) fn keep(&mut self, deltas: &[(LimitName, i64)]) -> Option<Booked> {
        if mem::replace(&mut self.state, HoldState::Settled) == HoldState::Settled || deltas.is_empty() {
            return None;
        }
        let delta = |(name, held): (&LimitName, i64)| {
            let delta = deltas.iter().find(|(adjusted, _)| adjusted == name).map_or(0, |(_, delta)| *delta);
            delta.saturating_mul(MILLI).max(-held)
        };
        let amounts: Amounts = self.taken().map(delta).collect();
        self.book(amounts, Notify::WhenStored)
    }

    /// Gives everything back.
    pub(crate) fn give_back(&mut self) -> Option<Booked> {
        if mem::replace(&mut self.state, HoldState::Settled) == HoldState::Settled {
            return None;
        }
        let amounts = self.taken.iter().map(|taken| -taken).collect();
        self.book(amounts, Notify::WhenStored)
    }

    /// Books what a reserve cannot take up.
    fn book(&self, mut amounts: Amounts, told: Notify) -> Option<Booked> {
        self.target.settle_from_reserve(&mut amounts, self.incarnation.as_ref(), &self.baseline, self.expiry);
        if amounts.iter().all(|amount| *amount == 0) {
            return None;
        }
        let settled = self.settled(amounts);
        let (done, booked) = match told {
            Notify::WhenStored => {
                let (done, booked) = oneshot::channel();
                (Some(done), Some(booked))
            }
            Notify::Never => (None, None),
        };
        self.lane().book(Pending::new(settled, self.incarnation.clone(), done));
        booked
    }

    /// Turns `amounts` into settlements. What was taken last goes back first.
    fn settled(&self, mut amounts: Amounts) -> Vec<Settled> {
        let mut settled = Vec::new();
        let mut settle = |index: usize, amount: i64, baseline: &Baseline| {
            let AppliedLimit { name, kind } = &self.limit_set().applied[index];
            if amount != 0 {
                settled.push(Settled { name: name.clone(), amount, mark: baseline.mark(index, kind) });
            }
        };
        for (taken, baseline) in self.later.iter().rev() {
            for (index, taken) in taken.iter().enumerate() {
                let back = amounts[index].clamp(-taken, 0);
                amounts[index] -= back;
                settle(index, back, baseline);
            }
        }
        amounts.iter().enumerate().for_each(|(index, amount)| settle(index, *amount, &self.baseline));
        settled
    }
}

/// Tells if somebody wants to know that a booking is stored.
#[derive(Clone, Copy, Debug)]
enum Notify {
    WhenStored,
    Never,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A lease, a cancelled acquire or a refused sibling: all of them only owe.
        if self.state == HoldState::Open {
            self.book(self.taken.iter().map(|taken| -taken).collect(), Notify::Never);
        }
    }
}
