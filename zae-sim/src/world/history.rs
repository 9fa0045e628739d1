//! The record of a run: [`History`].

use std::sync::Arc;

use super::ledger::Move;
use crate::schedule::{Schedule, What};

/// Everything that happened in a run.
#[derive(Debug)]
pub struct History {
    /// The plan.
    pub schedule: Arc<Schedule>,
    /// All events, in order.
    pub events: Vec<Event>,
    /// All requests.
    pub calls: Vec<Call>,
    /// All acquires.
    pub asks: Vec<Ask>,
    /// All changes of buckets.
    pub changes: Vec<BucketChange>,
    /// Deletions of buckets by operators: time and entity.
    pub deleted: Vec<(u64, usize)>,
    /// Final consumption counter of each entity's bucket, in mt by limit.
    pub counted: Vec<Option<Vec<i128>>>,
    /// True for entities whose accounts cannot be known exactly, because something was lost.
    pub blurred: Vec<bool>,
    /// True for entities whose bucket was removed, and thus started over.
    pub removed: Vec<bool>,
    /// Number of items of each entity's bucket.
    pub sharded: Vec<u32>,
    /// The usage of each entity by limit once the stream has delivered everything, if there is one.
    pub usage: Vec<Vec<Usage>>,
    /// Amounts that Python clients took of each entity's first limit, in mt.
    pub neighbours: Vec<i128>,
    /// The process of each instance, in the order in which they started.
    pub started: Vec<usize>,
    /// Instances that were killed or have shut down.
    pub ended: Vec<usize>,
    /// All violations.
    pub violations: Vec<String>,
}

/// The usage of one limit, in whole tokens.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// As the aggregator counted it.
    pub counted: i128,
    /// According to the bucket's changes.
    pub consumed: i128,
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Ms from the start.
    pub at: u64,
    /// The kind of event.
    pub kind: Kind,
}

/// The kinds of events.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An instance of a process starts.
    Started {
        /// The instance's number.
        instance: usize,
        /// The process.
        process: usize,
    },
    /// An instance was killed.
    Killed {
        /// The instance's number.
        instance: usize,
    },
    /// An instance has shut down.
    ShutDown {
        /// The instance's number.
        instance: usize,
    },
    /// A request was sent.
    Sent {
        /// The request's number.
        call: usize,
    },
    /// A request took effect.
    Arrived {
        /// The request's number.
        call: usize,
    },
    /// A bucket changed.
    Changed {
        /// The number of the change.
        change: usize,
    },
    /// A response arrived.
    Answered {
        /// The number of the request.
        call: usize,
        /// True if its sender was still waiting.
        heard: bool,
    },
    /// A client asked.
    Asked {
        /// The ask's number.
        ask: usize,
    },
    /// A client received its answer.
    Ended {
        /// The number of the ask.
        ask: usize,
    },
    /// A client starts to settle.
    Settling {
        /// The number of the ask.
        ask: usize,
    },
    /// A settlement ended.
    Settled {
        /// The number of the ask.
        ask: usize,
    },
    /// A bucket was removed.
    Removed {
        /// The entity.
        entity: usize,
        /// The cause.
        by: &'static str,
    },
    /// A bucket was spread over more items.
    Sharded {
        /// The entity.
        entity: usize,
        /// The number of items.
        shards: u32,
    },
    /// An operator changed an entity's limits.
    Limited {
        /// The entity.
        entity: usize,
    },
    /// All troubles ended.
    Healed,
    /// All instances are idle.
    Quiet,
    /// The stream delivers its remaining records.
    Drained,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The sending instance.
    pub instance: usize,
    /// The entity of the bucket.
    pub entity: Option<usize>,
    /// True if it may change an item.
    pub is_write: bool,
    /// Its kind.
    pub what: &'static str,
    /// Time of sending.
    pub sent: u64,
    /// The fault on its way.
    pub wrong: Option<What>,
    /// Time of its effect.
    pub applied: Option<u64>,
    /// Time of its response.
    pub answered: Option<u64>,
    /// Its result at the table.
    pub end: Option<CallEnd>,
}

/// The result of a request at the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It was executed.
    Done,
    /// Its condition did not hold, or it was a read.
    Lost,
}

/// A change of a bucket.
#[derive(Clone, Debug)]
pub struct BucketChange {
    /// The time.
    pub at: u64,
    /// The entity.
    pub entity: usize,
    /// The request that made it; `None` for a Python client's.
    pub call: Option<usize>,
    /// The changes by limit.
    pub moves: Vec<Move>,
}

/// An acquire.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The step that created it; `None` for the final probes.
    pub step: Option<usize>,
    /// The ask whose `retry_after` it followed.
    pub after: Option<usize>,
    /// The instance that asked.
    pub instance: usize,
    /// The entity.
    pub entity: usize,
    /// Tokens by limit.
    pub tokens: Vec<u64>,
    /// Time of asking.
    pub begun: u64,
    /// Time of the answer.
    pub ended: Option<u64>,
    /// The answer.
    pub answer: Option<AskAnswer>,
    /// Tokens by limit that the client finally used, once known.
    pub used: Option<Vec<i64>>,
    /// The time at which it settled.
    pub settled_at: Option<u64>,
    /// The settlement error that the client received.
    pub unsettled: Option<String>,
}

/// The answer to an acquire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskAnswer {
    /// Granted.
    Granted,
    /// Granted without consulting the store, which was unavailable.
    Blind,
    /// Granted from a share of the limits, because the store was unavailable.
    Local,
    /// Not yet, with the wait in ms.
    NotYet(u64),
    /// Larger than the capacity.
    Never,
    /// The store was unavailable.
    Unavailable(String),
    /// Another error.
    Failed(String),
    /// The client gave up first.
    Cancelled,
}

impl History {
    /// Creates an empty history.
    pub fn new(schedule: Arc<Schedule>) -> Self {
        let entities = schedule.entities.len();
        Self {
            schedule,
            events: Vec::with_capacity(2_048),
            calls: Vec::with_capacity(512),
            asks: Vec::with_capacity(128),
            changes: Vec::with_capacity(256),
            deleted: Vec::new(),
            counted: vec![None; entities],
            blurred: vec![false; entities],
            removed: vec![false; entities],
            sharded: vec![1; entities],
            usage: vec![Vec::new(); entities],
            neighbours: vec![0; entities],
            started: Vec::new(),
            ended: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Records a violation.
    pub fn violate(&mut self, what: String) {
        self.violations.push(what);
    }

    /// Marks the accounts of `entity` as inexact.
    pub fn blur(&mut self, entity: usize) {
        self.blurred[entity] = true;
    }

    /// Marks the accounts of a request's entity as inexact.
    pub fn blur_call(&mut self, call: usize) {
        let Call { entity, is_write, .. } = self.calls[call];
        if let (Some(entity), true) = (entity, is_write) {
            self.blur(entity);
        }
    }

    /// Marks the accounts of all entities that an instance used as inexact.
    pub fn blur_touched_by(&mut self, instance: usize) {
        let asked: Vec<usize> = self.asks.iter().filter(|ask| ask.instance == instance).map(|ask| ask.entity).collect();
        for entity in asked {
            self.levels(entity).for_each(|level| self.blur(level));
        }
    }

    /// Returns the entity, and the parent that is also charged.
    pub fn levels(&self, entity: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        self.schedule.levels(entity)
    }

    /// Returns true if who asks for `asked` is charged at `entity`.
    pub fn charges(&self, asked: usize, entity: usize) -> bool {
        self.levels(asked).any(|level| level == entity)
    }

    /// Records that a Python client took from `entity`.
    pub fn taken_by_neighbours(&mut self, entity: usize, amount: i128) {
        self.neighbours[entity] += amount;
    }

    /// Returns the requests sent at `at` ms or later, in order.
    pub fn calls_since(&self, at: u64) -> &[Call] {
        &self.calls[self.calls.partition_point(|call| call.sent < at)..]
    }

    /// Returns the process of an instance.
    pub fn process(&self, instance: usize) -> usize {
        self.started.get(instance).copied().unwrap_or(0)
    }
}
