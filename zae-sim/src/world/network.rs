//! The network: the way of each request to the table, and what may happen to it there.

use std::sync::Arc;

use zae_limiter::sim::{Answer, Fault, Request};

use super::{
    Instance, World,
    history::{Call, CallEnd, Kind},
    recording::Recorded,
};
use crate::{
    dice::Dice,
    schedule::What,
    table::{Item, STALE_MS, number},
};

/// The attributes that have the numbers of refunds.
const REFUNDS: [&str; 9] = ["z_rid", "z_r0", "z_r1", "z_r2", "z_r3", "z_r4", "z_r5", "z_r6", "z_r7"];
/// The purpose of the dice thrown for the network.
const NETWORK: u64 = 1;

/// The fate of a request.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// Its number.
    pub call: usize,
    /// Time until it arrives, in ms.
    pub there: u64,
    /// Time that its answer takes, in ms.
    pub back: u64,
    /// Staleness of a read, in ms.
    pub behind: u64,
    /// True if it may change something.
    pub is_write: bool,
    /// The fault.
    pub wrong: Option<What>,
}

impl World {
    /// Determines the fate of a request sent by `instance`.
    pub(super) fn send(&mut self, instance: usize, request: &Request) -> Fate {
        let now = self.now();
        let Instance { process, calls, .. } = self.instances[instance];
        self.instances[instance].calls += 1;
        let mut dice = Dice::aside(self.schedule.seed, NETWORK, (instance as u64) << 32 | calls);
        let entity = self.entity_of(request);
        let (least, most) = self.schedule.latency;
        let (mut there, mut back) = (dice.of_range(least, most), dice.of_range(least, most));
        let troubles =
            self.schedule.troubles.iter().filter(|trouble| !self.healed && trouble.concerns(now, process, entity));
        let mut wrong = None;
        for trouble in troubles {
            if dice.chance(trouble.percent) {
                wrong = wrong.or(Some(trouble.what));
            }
        }
        match wrong {
            Some(What::Delays(late)) => back += late,
            Some(What::Holds(late)) => there += late,
            _ => {}
        }
        let behind = dice.of_range(0, STALE_MS);
        let what = match request {
            Request::Read { .. } => "read",
            Request::Put { .. } => "create",
            Request::Transact { .. } => "transaction",
            _ => "update",
        };
        let is_write = !matches!(request, Request::Read { .. });
        let call =
            Call { instance, entity, is_write, what, sent: now, wrong, applied: None, answered: None, end: None };
        self.history.calls.push(call);
        let call = self.history.calls.len() - 1;
        self.note(Kind::Sent { call });
        Fate { call, there, back, behind, is_write, wrong }
    }

    fn entity_of(&self, request: &Request) -> Option<usize> {
        match request {
            // Resolving limits reads several items; a bucket is read alone.
            Request::Read { keys, strong } if *strong && keys.len() == 1 => self.buckets.get(&keys[0]).copied(),
            Request::Put { item, .. } => self.buckets.get(&crate::table::key_of(item)?).copied(),
            Request::Update { key, .. } => self.buckets.get(key).copied(),
            Request::Transact { parts } => self.entity_of(parts.last()?),
            _ => None,
        }
    }

    /// Executes a request that arrives.
    pub(super) fn arrive(&mut self, fate: &Fate, request: &Request) -> Result<Answer, Fault> {
        let now = self.now();
        let call = fate.call;
        self.history.calls[call].applied = Some(now);
        if self.is_held(request, now) {
            self.history.calls[call].wrong = Some(What::Conflicts);
            self.note(Kind::Arrived { call });
            let message = "another transaction has the item".to_owned();
            return Err(Fault::Throttled { code: "TransactionConflictException".to_owned(), message });
        }
        match self.table.apply(request, now, fate.behind) {
            Ok(outcome) => {
                let done = matches!(outcome.answer, Answer::Written(_) | Answer::Committed);
                self.history.calls[call].end = Some(if done { CallEnd::Done } else { CallEnd::Lost });
                for change in &outcome.changes {
                    self.changed(Some(call), change);
                }
                self.note(Kind::Arrived { call });
                self.record(|| Recorded::Request(request.clone(), outcome.answer.clone()));
                Ok(outcome.answer)
            }
            Err(problem) => {
                self.history.violate(format!("a request that DynamoDB would refuse: {problem}: {request:?}"));
                Err(Fault::Failed)
            }
        }
    }

    /// The number of the last refund on the item that a request is for.
    pub(super) fn last_refund(&self, request: &Request) -> Option<i128> {
        let Request::Update { key, .. } = request else { return None };
        number(self.table.item(key)?, "z_rid")
    }

    /// Returns true if the item that a request is for shows the refund of that number, last or in a slot.
    pub(super) fn shows_refund(&self, request: &Request, refund: i128) -> bool {
        let Request::Update { key, .. } = request else { return false };
        let shows = |item: &Arc<Item>| REFUNDS.iter().any(|name| number(item, name) == Some(refund));
        self.table.item(key).is_some_and(shows)
    }

    /// Executes a request a second time, and returns the answer to that; `None` if none comes.
    pub(super) fn arrive_again(&mut self, call: usize, request: &Request) -> Option<Answer> {
        let now = self.now();
        if self.is_held(request, now) {
            return None;
        }
        match self.table.apply(request, now, 0) {
            Ok(outcome) => {
                for change in &outcome.changes {
                    self.changed(Some(call), change);
                }
                self.record(|| Recorded::Request(request.clone(), outcome.answer.clone()));
                Some(outcome.answer)
            }
            Err(problem) => {
                self.history.violate(format!("a request that DynamoDB would refuse: {problem}"));
                None
            }
        }
    }
}
