//! All that happened in a run: [`History`].

use std::sync::Arc;

use super::ledger::Move;
use crate::schedule::{Schedule, What};

/// All that happened.
#[derive(Debug)]
pub struct History {
    /// The plan.
    pub schedule: Arc<Schedule>,
    /// In order.
    pub events: Vec<Event>,
    /// All requests.
    pub calls: Vec<Call>,
    /// All acquires.
    pub asks: Vec<Ask>,
    /// All changes of buckets.
    pub changes: Vec<BucketChange>,
    /// When operators deleted which buckets.
    pub deleted: Vec<(u64, usize)>,
    /// Consumption that each entity's bucket counts at the end, in mt by limit.
    pub counted: Vec<Option<Vec<i128>>>,
    /// True for entities whose accounts nobody can know exactly: something was lost on the way.
    pub blurred: Vec<bool>,
    /// True for entities whose bucket was removed, and so began anew.
    pub removed: Vec<bool>,
    /// Items that each entity's bucket is spread over.
    pub sharded: Vec<u32>,
    /// The usage of each entity by limit once the stream has delivered everything, where there is one.
    pub usage: Vec<Vec<Usage>>,
    /// Amounts that neighbours took of each entity's first limit, in mt.
    pub neighbours: Vec<i128>,
    /// Instances that were killed or have shut down.
    pub ended: Vec<usize>,
    /// Everything that is wrong.
    pub violations: Vec<String>,
}

/// The usage of one limit, in whole tokens.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// As the aggregator counted it.
    pub counted: i128,
    /// As the bucket's changes say.
    pub consumed: i128,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Ms from the start.
    pub at: u64,
    /// The action.
    pub kind: Kind,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An instance of a process starts.
    Started {
        /// Its number.
        instance: usize,
        /// The process.
        process: usize,
    },
    /// An instance is gone.
    Killed {
        /// Its number.
        instance: usize,
    },
    /// An instance has shut down.
    ShutDown {
        /// Its number.
        instance: usize,
    },
    /// A request leaves.
    Sent {
        /// Its number.
        call: usize,
    },
    /// A request had its effect.
    Arrived {
        /// Its number.
        call: usize,
    },
    /// A bucket changed.
    Changed {
        /// The number of the change.
        change: usize,
    },
    /// The answer is there.
    Answered {
        /// The number of the request.
        call: usize,
        /// True if somebody still waited for it.
        heard: bool,
    },
    /// A client asks.
    Asked {
        /// Its number.
        ask: usize,
    },
    /// A client has its answer.
    Ended {
        /// The number of the ask.
        ask: usize,
    },
    /// A client settles.
    Settling {
        /// The number of the ask.
        ask: usize,
    },
    /// A settlement is over.
    Settled {
        /// The number of the ask.
        ask: usize,
    },
    /// A bucket was removed.
    Removed {
        /// Whose.
        entity: usize,
        /// By what or whom.
        by: &'static str,
    },
    /// A bucket is spread over more items.
    Sharded {
        /// Whose.
        entity: usize,
        /// The number of items.
        shards: u32,
    },
    /// An operator gave an entity other limits.
    Limited {
        /// The entity.
        entity: usize,
    },
    /// All troubles are over.
    Healed,
    /// Nobody has anything to do.
    Quiet,
    /// The stream delivers the rest.
    Drained,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The sender.
    pub instance: usize,
    /// Whose bucket it is for.
    pub entity: Option<usize>,
    /// True if it may change something.
    pub is_write: bool,
    /// Its kind.
    pub what: &'static str,
    /// When it was sent.
    pub sent: u64,
    /// The mishap on its way.
    pub wrong: Option<What>,
    /// When it had its effect.
    pub applied: Option<u64>,
    /// When its answer was there.
    pub answered: Option<u64>,
    /// Its end at the table.
    pub end: Option<CallEnd>,
}

/// The end of a request at the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It was done.
    Done,
    /// Its condition did not hold, or it was a read.
    Lost,
}

/// A change of a bucket.
#[derive(Clone, Debug)]
pub struct BucketChange {
    /// When.
    pub at: u64,
    /// Whose.
    pub entity: usize,
    /// By which request; `None` for a neighbour's.
    pub call: Option<usize>,
    /// By limit.
    pub moves: Vec<Move>,
}

/// An acquire.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The step it comes from; `None` for those that ask at the end whether all is well.
    pub step: Option<usize>,
    /// The ask whose advice to wait this one follows.
    pub after: Option<usize>,
    /// The instance that asked.
    pub instance: usize,
    /// For whom.
    pub entity: usize,
    /// Tokens by limit.
    pub tokens: Vec<u64>,
    /// When.
    pub begun: u64,
    /// When it was answered.
    pub ended: Option<u64>,
    /// The answer.
    pub answer: Option<AskAnswer>,
    /// Tokens by limit that the client used in the end, once it said so.
    pub used: Option<Vec<i64>>,
    /// Why the settlement was not stored, where the client was told.
    pub unsettled: Option<String>,
}

/// The answer to an acquire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskAnswer {
    /// Granted.
    Granted,
    /// Granted without asking, because the store could not be asked.
    Blind,
    /// Granted from a share of the limits, because the store could not be asked.
    Local,
    /// Not yet: how long to wait, in ms.
    NotYet(u64),
    /// More than there can ever be.
    Never,
    /// The store could not be asked.
    Unavailable(String),
    /// Another error.
    Failed(String),
    /// Its client gave up before.
    Cancelled,
}

impl History {
    /// Nothing yet.
    pub fn new(schedule: Arc<Schedule>) -> Self {
        let entities = schedule.entities.len();
        Self {
            schedule,
            events: Vec::new(),
            calls: Vec::new(),
            asks: Vec::new(),
            changes: Vec::new(),
            deleted: Vec::new(),
            counted: vec![None; entities],
            blurred: vec![false; entities],
            removed: vec![false; entities],
            sharded: vec![1; entities],
            usage: vec![Vec::new(); entities],
            neighbours: vec![0; entities],
            ended: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Notes what is wrong.
    pub fn violate(&mut self, what: String) {
        self.violations.push(what);
    }

    /// The accounts of `entity` are not exact any more.
    pub fn blur(&mut self, entity: usize) {
        self.blurred[entity] = true;
    }

    /// The same for whatever a request was about.
    pub fn blur_call(&mut self, call: usize) {
        let Call { entity, is_write, .. } = self.calls[call];
        if let (Some(entity), true) = (entity, is_write) {
            self.blur(entity);
        }
    }

    /// The same for all that an instance had to do with.
    pub fn blur_touched_by(&mut self, instance: usize) {
        let asked: Vec<usize> = self.asks.iter().filter(|ask| ask.instance == instance).map(|ask| ask.entity).collect();
        for entity in asked {
            self.levels(entity).into_iter().for_each(|level| self.blur(level));
        }
    }

    /// The entity, and the one that is charged too.
    pub fn levels(&self, entity: usize) -> Vec<usize> {
        self.schedule.levels(entity)
    }

    /// A neighbour took from `entity`.
    pub fn taken_by_neighbours(&mut self, entity: usize, amount: i128) {
        self.neighbours[entity] += amount;
    }

    /// The requests sent at `at` ms or later, in order.
    pub fn calls_since(&self, at: u64) -> &[Call] {
        &self.calls[self.calls.partition_point(|call| call.sent < at)..]
    }

    /// The process of an instance.
    pub fn process(&self, instance: usize) -> usize {
        let started = |event: &Event| match event.kind {
            Kind::Started { instance: started, process } if started == instance => Some(process),
            _ => None,
        };
        self.events.iter().find_map(started).unwrap_or(0)
    }
}
