//! The plan of one run: processes, buckets, steps and troubles. It is made of a seed, or read from a file.

pub mod generate;

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// The beginning of all chance: latencies, jitter, faults.
    pub seed: u64,
    /// The processes, all on one table.
    pub processes: Vec<Process>,
    /// The entities, each with one bucket.
    pub entities: Vec<Entity>,
    /// Time that a message takes one way, in ms: least and most.
    pub latency: (u64, u64),
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The troubles.
    pub troubles: Vec<Trouble>,
}

/// A process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Lead of its clock, in ms.
    pub skew: i64,
    /// True if it debits ahead.
    pub reserve: bool,
    /// The longest that an acquire may take, in ms.
    pub deadline: u64,
    /// Time for which settlements wait for others, in ms.
    pub flush: u64,
}

/// An entity and its bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entity {
    /// Its limits, called `a`, `b` and so on.
    pub limits: Vec<Limit>,
    /// The entity that is charged too.
    pub parent: Option<usize>,
    /// True if the limits are the entity's own, and its bucket is kept for ever; else they are those of all for the
    /// resource, which are the first entity's, and its bucket may be removed when it is full.
    pub own: bool,
}

/// A limit.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limit {
    /// Ceiling, in tokens.
    pub capacity: u64,
    /// Gained per period, in tokens.
    pub refill: u64,
    /// In seconds.
    pub period: u64,
}

/// Something that happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When, in ms from the start.
    pub at: u64,
    /// The action.
    pub action: Action,
}

/// An action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
    /// A client of a process acquires, works, and settles.
    Acquire(Acquire),
    /// A process is gone from one moment to the next; another begins in its place.
    Kill {
        /// The process.
        process: usize,
    },
    /// A process shuts down; another begins in its place.
    Restart {
        /// The process.
        process: usize,
    },
    /// Everything whose lifetime is over is removed.
    Sweep,
    /// An operator deletes a bucket.
    Delete {
        /// Whose.
        entity: usize,
    },
    /// A client of the reference takes from a bucket as it does: if there is enough, without looking at the time.
    Neighbour {
        /// From whose bucket.
        entity: usize,
        /// Tokens of the first limit.
        tokens: u64,
    },
}

/// An acquire and what becomes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acquire {
    /// By which process.
    pub process: usize,
    /// For whom.
    pub entity: usize,
    /// Tokens by limit; 0 for one that is not named.
    pub tokens: Vec<u64>,
    /// The client gives up after this long, in ms.
    pub cancelled: Option<u64>,
    /// Duration of the work, in ms.
    pub work: u64,
    /// Its end.
    pub ends: Ends,
    /// True if a refused client asks again when it was told to.
    pub again: bool,
}

/// The end of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// Kept as it is.
    Keeps,
    /// Kept, and so much more, or less, was used by limit.
    Adjusts(Vec<i64>),
    /// Rolled back.
    RollsBack,
    /// Dropped.
    Drops,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// From when, in ms.
    pub from: u64,
    /// Until when, in ms.
    pub until: u64,
    /// For whom.
    pub whose: Whose,
    /// The action.
    pub what: What,
    /// In how many of 100 cases.
    pub percent: u64,
}

/// Whose requests go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// All.
    All,
    /// Those of a process.
    Process(usize),
    /// Those for an entity's bucket.
    Entity(usize),
}

/// The mishap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Refused for the load.
    Throttles,
    /// It never arrives.
    LosesRequests,
    /// It is done, and the answer never arrives.
    LosesAnswers,
    /// It is done, and the answer comes this many ms late.
    Delays(u64),
    /// It arrives this many ms late.
    Holds(u64),
    /// The server fails before it does anything.
    FailsBefore,
    /// The server fails after it is done.
    FailsAfter,
    /// No connection is made.
    Refuses,
    /// The connection breaks after it is done.
    Breaks,
}

impl What {
    /// Returns true if the limiter can tell that nothing was done.
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Throttles)
    }
}

impl Trouble {
    /// Returns true if it concerns a request at `now`.
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
    /// The ms at which the last step or trouble is over.
    pub fn length(&self) -> u64 {
        let steps = self.steps.iter().map(|step| step.at);
        steps.chain(self.troubles.iter().map(|trouble| trouble.until)).max().unwrap_or(0)
    }

    /// Returns the largest difference between clocks of processes, in ms.
    pub fn skew(&self) -> u64 {
        let skews = || self.processes.iter().map(|process| process.skew).chain([0]);
        skews().max().unwrap_or(0).abs_diff(skews().min().unwrap_or(0))
    }

    /// Returns true if somebody takes from the bucket as the reference does.
    pub fn has_neighbour(&self, entity: usize) -> bool {
        let takes = |step: &Step| matches!(step.action, Action::Neighbour { entity: whose, .. } if whose == entity);
        self.steps.iter().any(takes)
    }
}
