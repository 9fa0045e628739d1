//! The plan of one run: processes, buckets, steps and troubles. It is generated from a seed, or read from a file.

pub mod extend;
pub mod generate;

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// The seed of all randomness: latencies, jitter, faults.
    pub seed: u64,
    /// The processes, all on one table.
    pub processes: Vec<Process>,
    /// The entities, each with one bucket.
    pub entities: Vec<Entity>,
    /// Minimum and maximum latency of a message in one direction, in ms.
    pub latency: (u64, u64),
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The troubles.
    pub troubles: Vec<Trouble>,
    /// The table's stream and its aggregator, if there is one.
    #[serde(default)]
    pub stream: Option<Stream>,
}

/// A stream that delivers records late and repeatedly, and the aggregator that receives them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Stream {
    /// Time from one delivery to the next, in ms.
    pub pause: u64,
    /// Percentage of cases in which an earlier batch is delivered again, in whole or in part.
    pub again: u64,
}

/// The largest number of items that a limiter spreads a bucket over.
const MOST_SHARDS: u32 = 32;

/// A process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Lead of its clock, in ms.
    pub skew: i64,
    /// Later leads: the time in ms from the start, and the lead.
    #[serde(default)]
    pub steps: Vec<(u64, i64)>,
    /// True if its clock follows the store's time.
    #[serde(default)]
    pub held: bool,
    /// Its policy while the store is unavailable.
    #[serde(default)]
    pub policy: Policy,
    /// True if it debits ahead.
    pub reserve: bool,
    /// Maximum duration of an acquire, in ms.
    pub deadline: u64,
    /// Time for which settlements wait to share a write, in ms.
    pub flush: u64,
}

/// The policy for acquires while the store is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// An error.
    #[default]
    Block,
    /// A grant without consulting the store.
    Allow,
    /// A grant from a local share of the limits.
    Local,
}

/// Time after which every process knows of changed limits, in ms: they are cached for a minute, and read up to a second
/// late.
pub const HEARD_OF: u64 = 61_000;

/// A clock that follows the store's time is never further ahead than this, in ms, nor further behind if answers are up
/// to a few seconds old.
pub const HELD: (i64, i64) = (-6_000, 3_000);

impl Process {
    /// Returns the lead of its clock at `now`, in ms, as used by the engine.
    pub fn lead(&self, now: u64) -> i64 {
        let step = self.steps.iter().rev().find(|(from, _)| *from <= now);
        let lead = step.map_or(self.skew, |(_, lead)| *lead);
        if self.held { lead.clamp(HELD.0, HELD.1) } else { lead }
    }

    /// Returns the largest lead of its clock at `now`, in ms, as used by the engine.
    pub fn most_ahead(&self, now: u64) -> i64 {
        match self.shown(now) {
            shown if self.held => shown.clamp(0, HELD.1),
            shown => shown,
        }
    }

    /// Returns the lead that its clock displays at `now`, in ms.
    pub fn shown(&self, now: u64) -> i64 {
        let step = self.steps.iter().rev().find(|(from, _)| *from <= now);
        step.map_or(self.skew, |(_, lead)| *lead)
    }
}

/// An entity and its bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entity {
    /// Its limits, named `a`, `b` and so on.
    pub limits: Vec<Limit>,
    /// The parent that is also charged.
    pub parent: Option<usize>,
    /// True if the limits are the entity's own and its bucket is kept forever; otherwise they are the resource's
    /// defaults, which are the first entity's limits, and its bucket may be removed when it is full.
    pub own: bool,
}

/// A limit.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limit {
    /// Capacity, in tokens.
    pub capacity: u64,
    /// Tokens refilled per period.
    pub refill: u64,
    /// The period, in seconds.
    pub period: u64,
}

/// An action at a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The time, in ms from the start.
    pub at: u64,
    /// The action.
    pub action: Action,
}

/// An action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
    /// A client of a process acquires, works, and settles.
    Acquire(Acquire),
    /// A process dies instantly; another starts in its place.
    Kill {
        /// The process.
        process: usize,
    },
    /// A process shuts down; another starts in its place.
    Restart {
        /// The process.
        process: usize,
    },
    /// Removes all expired items.
    Sweep,
    /// An operator deletes a bucket.
    Delete {
        /// The entity.
        entity: usize,
    },
    /// A Python client takes from a bucket in its way: if there are enough tokens, without considering the time.
    Neighbour {
        /// The entity.
        entity: usize,
        /// Tokens of the first limit.
        tokens: u64,
    },
    /// A Python client takes from an entity's bucket and its parent's in one transaction, or from neither. It takes a
    /// few ms, in which no other client can write them.
    Transaction {
        /// The entity.
        entity: usize,
        /// Tokens of the first limit.
        tokens: u64,
        /// Its duration, in ms.
        lasts: u64,
    },
    /// A Python client spreads a bucket over more items.
    Shard {
        /// The entity.
        entity: usize,
        /// The new number of items.
        shards: u32,
    },
    /// An operator changes an entity's own limits.
    Limits {
        /// The entity.
        entity: usize,
        /// The new limits, in the order of the previous ones.
        limits: Vec<Limit>,
    },
}

/// An acquire and its continuation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acquire {
    /// The process.
    pub process: usize,
    /// The entity.
    pub entity: usize,
    /// Tokens by limit; 0 for one that is not named.
    pub tokens: Vec<u64>,
    /// The time after which the client gives up, in ms.
    pub cancelled: Option<u64>,
    /// Duration of the work, in ms.
    pub work: u64,
    /// The end of its lease.
    pub ends: Ends,
    /// True if a refused client asks again after the advised wait.
    pub again: bool,
}

/// The end of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// Committed without adjustments.
    Keeps,
    /// Committed with these adjustments, by limit.
    Adjusts(Vec<i64>),
    /// Rolled back.
    RollsBack,
    /// Dropped.
    Drops,
}

/// A temporary fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// Its start, in ms.
    pub from: u64,
    /// Its end, in ms.
    pub until: u64,
    /// The affected requests.
    pub whose: Whose,
    /// The kind of fault.
    pub what: What,
    /// Percentage of requests affected.
    pub percent: u64,
}

/// The requests that a trouble affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// All requests.
    All,
    /// The requests of a process.
    Process(usize),
    /// The requests for an entity's bucket.
    Entity(usize),
}

/// The kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The request is throttled.
    Throttles,
    /// A write is throttled, because its item is written too often: limiters split the bucket.
    Overheats,
    /// The request never arrives.
    LosesRequests,
    /// The request is executed, and the answer never arrives.
    LosesAnswers,
    /// The request is executed, and the answer is late by this many ms.
    Delays(u64),
    /// The request arrives late by this many ms.
    Holds(u64),
    /// The server fails before it does anything.
    FailsBefore,
    /// The server fails after the request was executed.
    FailsAfter,
    /// No connection is established.
    Refuses,
    /// The connection breaks after the request was executed.
    Breaks,
    /// The item is locked by a transaction.
    Conflicts,
    /// The request was executed, and is delivered a second time this many ms later. Its sender receives the answer to
    /// either.
    Repeats(u64),
}

impl What {
    /// Returns true if the limiter can know that nothing was done.
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Throttles | Self::Overheats | Self::Refuses | Self::Conflicts)
    }
}

impl Trouble {
    /// Returns true if it affects a request at `now`.
    pub fn concerns(&self, now: u64, process: usize, entity: Option<usize>) -> bool {
        (self.from..self.until).contains(&now)
            && match self.whose {
                Whose::All => true,
                Whose::Process(troubled) => troubled == process,
                Whose::Entity(troubled) => Some(troubled) == entity,
            }
    }
}

impl Schedule {
    /// Returns the end of the last step or trouble, in ms.
    pub fn length(&self) -> u64 {
        let steps = self.steps.iter().map(|step| step.at);
        steps.chain(self.troubles.iter().map(|trouble| trouble.until)).max().unwrap_or(0)
    }

    /// Returns the largest difference between clocks of processes, in ms.
    pub fn skew(&self) -> u64 {
        let leads = |process: &Process| -> Vec<i64> {
            let times = process.steps.iter().map(|(from, _)| *from);
            times.chain([0]).map(|at| process.lead(at)).collect()
        };
        let held = self.processes.iter().filter(|process| process.held).flat_map(|_| [HELD.0, HELD.1]);
        let skews: Vec<i64> = self.processes.iter().flat_map(leads).chain(held).chain([0]).collect();
        let skews = || skews.iter().copied();
        skews().max().unwrap_or(0).abs_diff(skews().min().unwrap_or(0))
    }

    /// Returns the entity, and the parent that is also charged.
    pub fn levels(&self, entity: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        std::iter::once(entity).chain(self.entities[entity].parent)
    }

    /// Returns the versions of an entity's limits, each with its start.
    pub fn limits(&self, entity: usize) -> Vec<(u64, &[Limit])> {
        let changes = self.steps.iter().filter_map(|step| match &step.action {
            Action::Limits { entity: whose, limits } if *whose == entity => Some((step.at, limits.as_slice())),
            _ => None,
        });
        std::iter::once((0, self.entities[entity].limits.as_slice())).chain(changes).collect()
    }

    /// Returns the versions of an entity's limits that any process may apply between two instants.
    pub fn limits_in(&self, entity: usize, from: u64, until: u64) -> Vec<&[Limit]> {
        let versions = self.limits(entity);
        let ends = versions.iter().skip(1).map(|(at, _)| at + HEARD_OF).chain([u64::MAX]);
        let applies = |((at, _), end): &(&(u64, &[Limit]), u64)| *at <= until && from <= *end;
        versions.iter().zip(ends).filter(applies).map(|((_, limits), _)| *limits).collect()
    }

    /// Returns the largest number of items that an entity's bucket may have.
    pub fn shards(&self, entity: usize) -> u32 {
        if self.troubles.iter().any(|trouble| trouble.what == What::Overheats) {
            return MOST_SHARDS;
        }
        let raised = self.steps.iter().filter_map(|step| match step.action {
            Action::Shard { entity: whose, shards } if whose == entity => Some(shards),
            _ => None,
        });
        raised.max().unwrap_or(1)
    }
}
