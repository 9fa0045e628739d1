//! Tokens taken from one bucket: [`Hold`].
//!
//! A hold comes into being in the lane's task, when the answer of a write is read, and every way in which it can end is
//! a settlement: kept with a difference, given back, or dropped, which gives back too. So tokens cannot leak through a
//! cancelled future, an unwound stack, or a sibling bucket's refusal; whoever holds them owes them.
//!
//! It remembers three things of the moment at which the tokens were taken: the bucket's incarnation, as a refund must
//! not reach a successor; the balances that were left, for statuses; and the balance net of refunds (the *baseline*),
//! which bounds what a refund is worth later.
//!
//! A lease may take more from the same bucket. The parts keep their own baselines, and what was taken last goes back
//! first: it has the most room.

use std::{mem, sync::Arc, time::Duration};

use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::{
    bucket::{
        Amounts, MILLI,
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
    model::{
        limit::Limit,
        name::LimitName,
        status::{LimitStatus, instant},
    },
};

/// Tokens taken from one bucket item. Dropped without being settled, it gives them back: so neither a cancelled acquire
/// nor a forgotten lease leaks tokens.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The bucket, and the limits that the amounts are aligned with.
    target: Arc<Target>,
    /// In mt; 0 for limits that the cost did not name.
    taken: Amounts,
    /// Amounts that the bucket held right after, in mt.
    available: Amounts,
    /// The bucket right after, its incarnation included.
    baseline: Arc<Baseline>,
    /// Whatever was taken later or elsewhere.
    further: Option<Box<Further>>,
    /// Settled holds owe nothing.
    state: HoldState,
}

/// The parts of a hold beside the first: most have none.
#[derive(Debug, Default)]
struct Further {
    /// Those that were taken later from the same item, each with the bucket right after.
    later: Vec<(Amounts, Baseline)>,
    /// Those that were taken from other shards of the bucket.
    elsewhere: Vec<Hold>,
}

/// One hold for each target, child before parent: two at the most.
pub(crate) type Holds = SmallVec<[Hold; 1]>;

/// Tells if a hold still owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HoldState {
    /// It owes what it took, which may go back into the reserve that it came from until the expiry.
    Open(Option<Expiry>),
    /// It is kept or given back.
    Settled,
}

/// Resolves when a booking is stored.
pub(crate) type Booked = oneshot::Receiver<SettleOutcome>;

/// Bookings that somebody waits for, each with its lane: one for each shard that tokens were taken from.
pub(crate) type Bookings = SmallVec<[(Arc<Lane>, Booked); 1]>;

/// The tokens taken from a bucket.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// In mt, by limit.
    pub(crate) taken: Amounts,
    /// The balances right after, in mt.
    pub(crate) available: Amounts,
    /// The balances right after, net of refunds.
    pub(crate) baseline: Arc<Baseline>,
    /// Until when they may go back into the reserve that they came from.
    pub(crate) expiry: Option<Expiry>,
}

impl Hold {
    /// Takes over what a write or a reserve granted.
    #[inline]
    pub(crate) fn new(target: Arc<Target>, tokens: Tokens) -> Self {
        let Tokens { taken, available, baseline, expiry } = tokens;
        let baseline = if target.limit_set().bypassed { Arc::new(baseline.never_debited()) } else { baseline };
        Self { target, taken, available, baseline, further: None, state: HoldState::Open(expiry) }
    }

    /// Joins what was taken from several shards of one bucket; `None` where there is nothing.
    pub(crate) fn joined(mut parts: Vec<Self>) -> Option<Self> {
        let mut first = parts.pop()?;
        if !parts.is_empty() {
            first.further.get_or_insert_default().elsewhere = parts;
        }
        Some(first)
    }

    /// The parts from other shards.
    fn elsewhere(&self) -> impl Iterator<Item = &Self> {
        self.further.iter().flat_map(|further| &further.elsewhere)
    }

    /// Takes out the parts from other shards, to settle them.
    fn take_elsewhere(&mut self) -> Vec<Self> {
        self.further.as_mut().map(|further| mem::take(&mut further.elsewhere)).unwrap_or_default()
    }

    /// The lane that it settles in.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        self.target.lane()
    }

    /// The limits that its amounts are aligned with.
    fn limit_set(&self) -> &LimitSet {
        self.target.limit_set()
    }

    /// Each limit's status right after the tokens were taken.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = LimitStatus> {
        let left = self.left().zip(self.taken()).enumerate();
        left.map(|(index, ((limit, available), (_, taken)))| LimitStatus {
            entity_id: self.target.entity().clone(),
            resource: self.target.resource().clone(),
            limit: limit.clone(),
            available,
            requested: u64::try_from(taken / MILLI).unwrap_or(0),
            exceeded: false,
            retry_after: Duration::ZERO,
            resets_at: self.baseline.resets_at(index, &self.limit_set().applied[index].kind).and_then(instant),
        })
    }

    /// Each limit with the whole tokens that were left right after the tokens were taken.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&Limit, i64)> {
        let available = (0..self.available.len()).map(|index| {
            let elsewhere = self.elsewhere().filter_map(move |part| part.available.get(index));
            elsewhere.fold(self.available[index], |sum, more| sum.saturating_add(*more)).div_euclid(MILLI)
        });
        self.target.limits().iter().zip(available)
    }

    /// Returns the amount taken from each limit of the bucket, in mt; 0 for limits that the cost did not name.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&LimitName, i64)> {
        let taken = (0..self.taken.len()).map(|index| {
            let elsewhere = self.elsewhere().filter_map(move |part| part.taken.get(index));
            elsewhere.fold(self.taken[index], |sum, more| sum.saturating_add(*more))
        });
        self.limit_set().applied.iter().map(|limit| &limit.name).zip(taken)
    }

    /// Adds what `more` took from the same bucket, limit by limit: its limits may have been changed in between. What
    /// was taken from a bucket that was deleted meanwhile is forgotten: there is nothing left to give it back to.
    ///
    /// If the bucket was created again in between, the first part has nothing left to give back to: only the new part
    /// counts from then on.
    pub(crate) fn absorb(&mut self, mut more: Self) {
        more.state = HoldState::Settled;
        self.leave_reserve();
        if self.baseline.incarnation != more.baseline.incarnation {
            Arc::make_mut(&mut self.baseline).incarnation = more.baseline.incarnation.clone();
            self.taken.iter_mut().for_each(|taken| *taken = 0);
            self.further.iter_mut().for_each(|further| further.later.clear());
        }
        let mut part = (Amounts::from_elem(0, self.taken.len()), Baseline::clone(&more.baseline));
        part.1.nets = Amounts::from_elem(i64::MAX, self.taken.len());
        for (index, AppliedLimit { name, .. }) in self.target.limit_set().applied.iter().enumerate() {
            let Some(other) = more.limit_set().applied.iter().position(|known| known.name == *name) else { continue };
            self.taken[index] = self.taken[index].saturating_add(more.taken[other]);
            self.available[index] = more.available[other];
            (part.0[index], part.1.nets[index]) = (more.taken[other], more.baseline.nets[other]);
        }
        self.further.get_or_insert_default().later.push(part);
    }

    /// Books that `more` (whole tokens) is taken as well, even if the bucket has too little. The hold owes it once it
    /// [is stored](Hold::owe).
    pub(crate) fn overdraw(&mut self, more: &[(LimitName, u64)]) -> Option<Booked> {
        self.leave_reserve();
        self.book(self.aligned(more), None, Notify::WhenStored).map(|(_, stored)| stored)
    }

    /// Gives back to the bucket from now on, not to a reserve: tokens of several origins are mixed.
    fn leave_reserve(&mut self) {
        if let HoldState::Open(expiry) = &mut self.state {
            *expiry = None;
        }
    }

    /// Owes what was [overdrawn](Hold::overdraw). The baseline of the first part bounds its refund: it is older than
    /// one of its own, so the refund is worth no more.
    pub(crate) fn owe(&mut self, more: &[(LimitName, u64)]) {
        let more = self.aligned(more);
        self.taken.iter_mut().zip(more).for_each(|(taken, more)| *taken = taken.saturating_add(more));
    }

    /// Gives back what was [overdrawn](Hold::overdraw) and is not owed.
    pub(crate) fn withdraw(&self, more: &[(LimitName, u64)]) {
        self.book(self.aligned(more).iter().map(|more| -more).collect(), None, Notify::Never);
    }

    /// Returns `more` (whole tokens) in mt, aligned with the bucket's limits.
    fn aligned(&self, more: &[(LimitName, u64)]) -> Amounts {
        let amount = |name: &LimitName| more.iter().find(|(named, _)| named == name).map_or(0, |(_, tokens)| *tokens);
        let names = self.limit_set().applied.iter().map(|limit| &limit.name);
        names.map(|name| i64::try_from(amount(name)).unwrap_or(i64::MAX).saturating_mul(MILLI)).collect()
    }

    /// Keeps the tokens and books that `deltas` (whole tokens) more were consumed; less than nothing never is.
    ///
    /// Never below nothing: a difference that would give back more than was taken is cut to what was taken. Tokens that
    /// were kept are not refunded later, so a hold is settled once. More is taken from the first shard, and what is
    /// given back goes to each shard that something was taken from, up to that.
    pub(crate) fn keep(&mut self, deltas: &[(LimitName, i64)]) -> Bookings {
        let mut rest: SmallVec<[(&LimitName, i64); 4]> =
            deltas.iter().map(|(name, delta)| (name, delta.saturating_mul(MILLI))).collect();
        let mut bookings = Bookings::new();
        let mut elsewhere = self.take_elsewhere();
        for part in std::iter::once(&mut *self).chain(&mut elsewhere) {
            let HoldState::Open(expiry) = mem::replace(&mut part.state, HoldState::Settled) else { continue };
            if deltas.is_empty() {
                continue;
            }
            let amounts = part.limit_set().applied.iter().zip(&part.taken).map(|(limit, taken)| {
                let Some((_, rest)) = rest.iter_mut().find(|(name, _)| **name == limit.name) else { return 0 };
                let amount = (*rest).max(-taken);
                *rest -= amount;
                amount
            });
            let amounts: Amounts = amounts.collect();
            bookings.extend(part.book(amounts, expiry, Notify::WhenStored));
        }
        bookings
    }

    /// Gives everything back.
    pub(crate) fn give_back(&mut self) -> Bookings {
        let mut bookings = Bookings::new();
        for mut part in self.take_elsewhere() {
            bookings.extend(part.give_back());
        }
        if let HoldState::Open(expiry) = mem::replace(&mut self.state, HoldState::Settled) {
            let amounts = self.taken.iter().map(|taken| -taken).collect();
            bookings.extend(self.book(amounts, expiry, Notify::WhenStored));
        }
        bookings
    }

    /// Books what a reserve cannot take up.
    ///
    /// Without anything left to write nothing is booked, and nobody is told to wait.
    fn book(&self, mut amounts: Amounts, expiry: Option<Expiry>, told: Notify) -> Option<(Arc<Lane>, Booked)> {
        self.target.settle_from_reserve(&mut amounts, &self.baseline, expiry);
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
        self.lane().book(Pending::new(settled, self.baseline.incarnation.clone(), done));
        booked.map(|booked| (Arc::clone(self.lane()), booked))
    }

    /// Turns `amounts` into settlements. What was taken last goes back first.
    fn settled(&self, mut amounts: Amounts) -> Vec<Settled> {
        let mut settled = Vec::new();
        let mut settle = |index: usize, amount: i64, baseline: &Baseline| {
            let AppliedLimit { name, kind, .. } = &self.limit_set().applied[index];
            if amount != 0 {
                settled.push(Settled { name: name.clone(), amount, mark: baseline.mark(index, kind) });
            }
        };
        for (taken, baseline) in self.further.iter().flat_map(|further| further.later.iter().rev()) {
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
    /// A lease's commit may be awaited.
    WhenStored,
    /// A dropped hold has nobody to tell.
    Never,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A lease, a cancelled acquire or a refused sibling: all of them only owe.
        if let HoldState::Open(expiry) = self.state {
            self.book(self.taken.iter().map(|taken| -taken).collect(), expiry, Notify::Never);
        }
    }
}
