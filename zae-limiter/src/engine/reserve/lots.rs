//! Tokens that writes debited ahead and nobody has used yet: [`ReserveLots`].
//!
//! A lot is what one write debited. Its life L is counted from the moment that write was *sent*: the debit took place
//! after that, so no token is ever older than its lot says. It ends by the monotonic clock or by the wall clock,
//! whichever says so first ([`End`]), so that a machine that stood still grants nothing that is over. A lot is granted
//! from during the first 7/8 of L; what is left is spent then, and is returned in the last eighth.
//!
//! ```text
//! sent                                                          7/8 L        L
//!  |------------------- granted from ----------------------------|-- returned -|-- forfeited
//! ```
//!
//! Lots are kept in the order of their expiry, and the first is used first, so what goes back is as little as possible.
//! Mostly there are one or two. A sum over all of them is kept, because every grant asks for it.
//!
//! A grant from several lots takes the expiry of the first and the most cautious baseline of all (see
//! [`Baseline::rise_to`]): if it is refunded, it is worth what the worst of its parts would be.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    bucket::{
        Amounts,
        refund::{Baseline, Periods},
    },
    engine::runtime::moment::{End, Moment},
};

/// Until when the tokens of a lot may be used. They may be returned for an eighth of the shortest life longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry(End);

impl Expiry {
    /// The expiry of what a write debits that is sent at `sent`.
    pub(crate) fn starting(sent: Moment, life: Duration) -> Self {
        Self(End::after(sent, life / 8 * 7))
    }

    /// Returns true while its tokens may be used.
    pub(super) fn lasts(self, now: Moment) -> bool {
        self.0.is_ahead(now)
    }

    /// Returns true if unused tokens may be returned at `now`, where no lot lives shorter than `life`.
    pub(super) fn allows_return(self, now: Moment, life: Duration) -> bool {
        !self.0.later_by(life / 8).is_past(now)
    }
}

/// The unused rest of one write's debit.
#[derive(Debug)]
pub(crate) struct ReserveLot {
    /// In mt, by limit.
    pub(crate) tokens: Amounts,
    /// The bucket right after they were debited.
    pub(crate) baseline: Arc<Baseline>,
    /// Until when they may be used.
    pub(crate) expiry: Expiry,
}

/// All that is here.
#[derive(Debug)]
pub(super) struct ReserveLots {
    /// The one that ends first comes first.
    lots: VecDeque<ReserveLot>,
    /// Their sum.
    total: Amounts,
    /// Past their use, not yet on their way back.
    spent: Vec<ReserveLot>,
}

impl ReserveLots {
    /// Starts with nothing.
    pub(super) fn new(limits: usize) -> Self {
        Self { lots: VecDeque::new(), total: Amounts::from_elem(0, limits), spent: Vec::new() }
    }

    /// Mt that can be used, by limit.
    #[inline]
    pub(super) fn total(&self) -> &[i64] {
        &self.total
    }

    /// Returns true if there is nothing to grant from; spent lots may be left.
    pub(super) fn is_empty(&self) -> bool {
        self.lots.is_empty()
    }

    /// When the first lot may no longer be used; `None` when there is none.
    pub(super) fn first_ends(&self) -> Option<Instant> {
        self.lots.front().map(|lot| lot.expiry.0.monotonic())
    }

    /// Takes `amounts` if they are there: the expiry of the lot that ends first, and the bucket right after its debit.
    #[inline]
    pub(super) fn take(&mut self, amounts: &[i64], now: Moment) -> Option<(Expiry, Arc<Baseline>)> {
        match self.take_from_first(amounts, now) {
            Some(taken) => Some(taken),
            None => self.take_from_all(amounts, now),
        }
    }

    /// Nearly always there is enough in one lot.
    #[inline]
    fn take_from_first(&mut self, amounts: &[i64], now: Moment) -> Option<(Expiry, Arc<Baseline>)> {
        let first = self.lots.front_mut().filter(|first| first.expiry.lasts(now))?;
        if !first.tokens.iter().zip(amounts).all(|(held, amount)| held >= amount) {
            return None;
        }
        let held = first.tokens.iter_mut().zip(&mut self.total);
        held.zip(amounts).for_each(|((held, total), amount)| (*held, *total) = (*held - amount, *total - amount));
        Some((first.expiry, Arc::clone(&first.baseline)))
    }

    /// Takes from several lots, where no single one has enough.
    fn take_from_all(&mut self, amounts: &[i64], now: Moment) -> Option<(Expiry, Arc<Baseline>)> {
        self.expire(now);
        let mut lots = self.lots.iter();
        let first = lots.next()?;
        let (expiry, mut baseline) = (first.expiry, Arc::clone(&first.baseline));
        lots.for_each(|lot| Arc::make_mut(&mut baseline).rise_to(&lot.baseline));
        if !self.total.iter().zip(amounts).all(|(held, amount)| held >= amount) {
            return None;
        }
        self.remove(amounts);
        Some((expiry, baseline))
    }

    /// Takes of `amounts` what is there.
    pub(super) fn take_part(&mut self, amounts: &[i64], now: Moment) -> Amounts {
        self.expire(now);
        let part: Amounts = amounts.iter().zip(&self.total).map(|(amount, held)| (*amount).clamp(0, *held)).collect();
        self.remove(&part);
        part
    }

    /// A lot has arrived, or comes back.
    pub(super) fn put(&mut self, lot: ReserveLot) {
        self.total.iter_mut().zip(&lot.tokens).for_each(|(total, tokens)| *total += tokens);
        if let Some(same) = self.lots.iter_mut().find(|known| known.expiry == lot.expiry) {
            same.tokens.iter_mut().zip(&lot.tokens).for_each(|(known, tokens)| *known += tokens);
            Arc::make_mut(&mut same.baseline).rise_to(&lot.baseline);
            return;
        }
        let at = self.lots.partition_point(|known| known.expiry.0.monotonic() <= lot.expiry.0.monotonic());
        self.lots.insert(at, lot);
    }

    /// Those past their use are spent.
    pub(super) fn expire(&mut self, now: Moment) {
        let mut index = 0;
        // All of them: a wall clock that was set may end a later one first.
        while let Some(lot) = self.lots.get(index) {
            let is_empty = lot.tokens.iter().all(|tokens| *tokens == 0);
            if lot.expiry.lasts(now) && !is_empty {
                index += 1;
                continue;
            }
            let Some(lot) = self.lots.remove(index) else { return };
            self.total.iter_mut().zip(&lot.tokens).for_each(|(total, tokens)| *total -= tokens);
            if !is_empty {
                self.spent.push(lot);
            }
        }
    }

    /// Returns true if all of them were debited in these periods of quotas.
    pub(super) fn are_of(&self, periods: &Periods) -> bool {
        self.lots.iter().all(|lot| lot.baseline.periods == *periods)
    }

    /// All of them are spent.
    pub(super) fn end(&mut self) {
        self.spent.extend(self.lots.drain(..));
        self.total.iter_mut().for_each(|held| *held = 0);
    }

    /// They belong to nobody.
    pub(super) fn clear(&mut self) {
        self.lots.clear();
        self.spent.clear();
        self.total.iter_mut().for_each(|held| *held = 0);
    }

    /// Returns true if something has to go back.
    pub(super) fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    /// The spent ones, to be returned.
    pub(super) fn spent(&mut self) -> impl Iterator<Item = ReserveLot> {
        self.spent.drain(..)
    }

    /// Takes from those that end first; the caller has checked that there is enough.
    fn remove(&mut self, amounts: &[i64]) {
        for (slot, amount) in amounts.iter().enumerate().filter(|(_, amount)| **amount > 0) {
            let mut missing = *amount;
            for lot in &mut self.lots {
                let part = missing.min(lot.tokens[slot]);
                lot.tokens[slot] -= part;
                missing -= part;
                if missing == 0 {
                    break;
                }
            }
            self.total[slot] -= amount - missing;
        }
    }
}
