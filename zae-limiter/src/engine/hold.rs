//! Tokens taken from one bucket: [`Hold`].

use std::{mem, sync::Arc};

use tokio::sync::oneshot;

use super::lane::{Lane, Pending};
use crate::{
    bucket::MILLI,
    model::{name::LimitName, status::LimitStatus},
};

/// Tokens taken from one bucket item. Dropped without being settled, it gives them back: so neither a cancelled acquire
/// nor a forgotten lease leaks tokens.
#[derive(Debug)]
pub(crate) struct Hold {
    lane: Arc<Lane>,
    incarnation: Option<Arc<str>>,
    taken: Vec<(LimitName, i64)>,
    statuses: Vec<LimitStatus>,
}

/// Resolves when a booking is stored.
pub(crate) type Booked = oneshot::Receiver<Result<(), Arc<str>>>;

impl Hold {
    pub(crate) fn new(
        lane: Arc<Lane>,
        incarnation: Option<Arc<str>>,
        taken: Vec<(LimitName, i64)>,
        statuses: Vec<LimitStatus>,
    ) -> Self {
        Self { lane, incarnation, taken, statuses }
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Each limit's status right after the tokens were taken.
    pub(crate) fn statuses(&self) -> &[LimitStatus] {
        &self.statuses
    }

    /// What was taken from each limit of the bucket, in mt; 0 for limits that the cost did not name.
    pub(crate) fn taken(&self) -> &[(LimitName, i64)] {
        &self.taken
    }

    /// Adds what `more` took from the same bucket. What was taken from a bucket that was deleted meanwhile is forgotten:
    /// there is nothing left to give it back to.
    pub(crate) fn absorb(&mut self, mut more: Self) {
        let added = mem::take(&mut more.taken);
        self.statuses = mem::take(&mut more.statuses);
        if self.incarnation != more.incarnation {
            self.incarnation = more.incarnation.take();
            self.taken = added;
            return;
        }
        for (name, amount) in added {
            match self.taken.iter_mut().find(|(known, _)| *known == name) {
                Some((_, taken)) => *taken = taken.saturating_add(amount),
                None => self.taken.push((name, amount)),
            }
        }
    }

    /// Keeps the tokens and books that `deltas` (whole tokens) more were consumed; less than nothing never is.
    pub(crate) fn keep(mut self, deltas: &[(LimitName, i64)]) -> Option<Booked> {
        let taken = mem::take(&mut self.taken);
        let mut amounts = Vec::new();
        for (name, delta) in deltas {
            let Some((_, held)) = taken.iter().find(|(taken, _)| taken == name) else { continue };
            let delta = delta.saturating_mul(MILLI).max(-held);
            if delta != 0 {
                amounts.push((name.clone(), delta));
            }
        }
        self.book(amounts)
    }

    /// Gives everything back.
    pub(crate) fn give_back(mut self) -> Option<Booked> {
        let taken = mem::take(&mut self.taken);
        self.book(refund(taken))
    }

    fn book(&self, amounts: Vec<(LimitName, i64)>) -> Option<Booked> {
        if amounts.is_empty() {
            return None;
        }
        let (done, booked) = oneshot::channel();
        self.lane.book(Pending { amounts, incarnation: self.incarnation.clone(), done: Some(done) });
        Some(booked)
    }
}

fn refund(taken: Vec<(LimitName, i64)>) -> Vec<(LimitName, i64)> {
    taken.into_iter().map(|(name, amount)| (name, -amount)).filter(|(_, amount)| *amount != 0).collect()
}

impl Drop for Hold {
    fn drop(&mut self) {
        let amounts = refund(mem::take(&mut self.taken));
        // A lease, a cancelled acquire or a refused sibling: all of them only owe.
        if !amounts.is_empty() {
            self.lane.book(Pending { amounts, incarnation: self.incarnation.clone(), done: None });
        }
    }
}
