//! The plan of one run: processes, buckets, steps and troubles. It is made of a seed, or read from a file.

pub mod extend;
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
    /// The table's stream and its aggregator, where there is one.
    #[serde(default)]
    pub stream: Option<Stream>,
}

/// A stream that delivers records late and more than once, and the aggregator that it delivers them to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Stream {
    /// Time from one delivery to the next, in ms.
    pub pause: u64,
    /// In how many of 100 cases an earlier batch is delivered again, whole or in part.
    pub again: u64,
}

/// A process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Lead of its clock, in ms.
    pub skew: i64,
    /// Leads that it has later: from when, in ms from the start, and by how much.
    #[serde(default)]
    pub steps: Vec<(u64, i64)>,
    /// True if its clock is held to the store's time.
    #[serde(default)]
    pub held: bool,
    /// Its answer while the store cannot be asked.
    #[serde(default)]
    pub policy: Policy,
    /// True if it debits ahead.
    pub reserve: bool,
    /// The longest that an acquire may take, in ms.
    pub deadline: u64,
    /// Time for which settlements wait for others, in ms.
    pub flush: u64,
}

/// The answer to acquires while the store cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// An error.
    #[default]
    Block,
    /// A grant without asking.
    Allow,
    /// A grant from a share of the limits.
    Local,
}

/// A clock that is held to the store's time is never further ahead than this, in ms, nor further behind, where answers
/// are up to a few seconds old.
pub const HELD: (i64, i64) = (-6_000, 3_000);

impl Process {
    /// The lead of its clock at `now`, in ms, as far as the engine believes it.
    pub fn lead(&self, now: u64) -> i64 {
        let step = self.steps.iter().rev().find(|(from, _)| *from <= now);
        let lead = step.map_or(self.skew, |(_, lead)| *lead);
        if self.held { lead.clamp(HELD.0, HELD.1) } else { lead }
    }

    /// The largest lead of its clock at `now`, in ms, as far as the engine believes it.
    pub fn most_ahead(&self, now: u64) -> i64 {
        match self.shown(now) {
            shown if self.held => shown.clamp(0, HELD.1),
            shown => shown,
        }
    }

    /// The lead of what its clock shows at `now`, in ms.
    pub fn shown(&self, now: u64) -> i64 {
        let step = self.steps.iter().rev().find(|(from, _)| *from <= now);
        step.map_or(self.skew, |(_, lead)| *lead)
    }
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
    /// A client of the reference takes from an entity's bucket and its parent's in one transaction, or from neither.
    /// It takes a few ms, in which nobody else can write them.
    Transaction {
        /// The entity.
        entity: usize,
        /// Tokens of the first limit.
        tokens: u64,
        /// Its duration, in ms.
        lasts: u64,
    },
    /// A client of the reference spreads a bucket over more items.
    Shard {
        /// Whose.
        entity: usize,
        /// The number of items from now on.
        shards: u32,
    },
    /// An operator gives an entity other limits of its own.
    Limits {
        /// The entity.
        entity: usize,
        /// The limits from now on, in the order of those before.
        limits: Vec<Limit>,
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
    /// A transaction has the item.
    Conflicts,
}

impl What {
    /// Returns true if the limiter can tell that nothing was done.
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Throttles | Self::Refuses | Self::Conflicts)
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
        let leads = |process: &Process| -> Vec<i64> {
            let times = process.steps.iter().map(|(from, _)| *from);
            times.chain([0]).map(|at| process.lead(at)).collect()
        };
        let held = self.processes.iter().filter(|process| process.held).flat_map(|_| [HELD.0, HELD.1]);
        let skews: Vec<i64> = self.processes.iter().flat_map(leads).chain(held).chain([0]).collect();
        let skews = || skews.iter().copied();
        skews().max().unwrap_or(0).abs_diff(skews().min().unwrap_or(0))
    }

    /// Returns true if somebody takes from the bucket as the reference does.
    pub fn has_neighbour(&self, entity: usize) -> bool {
        let takes = |step: &Step| match step.action {
            Action::Neighbour { entity: whose, .. } => whose == entity,
            Action::Transaction { entity: whose, .. } => self.levels(whose).contains(&entity),
            _ => false,
        };
        self.steps.iter().any(takes)
    }

    /// The entity, and the one that is charged too.
    pub fn levels(&self, entity: usize) -> Vec<usize> {
        std::iter::once(entity).chain(self.entities[entity].parent).collect()
    }

    /// The limits that an entity has one after the other, each from when on.
    pub fn limits(&self, entity: usize) -> Vec<(u64, &[Limit])> {
        let changes = self.steps.iter().filter_map(|step| match &step.action {
            Action::Limits { entity: whose, limits } if *whose == entity => Some((step.at, limits.as_slice())),
            _ => None,
        });
        std::iter::once((0, self.entities[entity].limits.as_slice())).chain(changes).collect()
    }

    /// Items that an entity's bucket is spread over in the end.
    pub fn shards(&self, entity: usize) -> u32 {
        let raised = self.steps.iter().filter_map(|step| match step.action {
            Action::Shard { entity: whose, shards } if whose == entity => Some(shards),
            _ => None,
        });
        raised.max().unwrap_or(1)
    }
}
