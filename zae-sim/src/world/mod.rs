//! Everything outside of the processes: the table, the network, the time, and the record of the run.

pub mod clock;
pub mod history;
pub mod ledger;
pub mod link;
pub mod network;
pub mod others;
pub mod recording;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clock::ProcessClock;
use history::{Call, Event, History, Kind};
use recording::{Recorded, Recording};
use tokio::{sync::oneshot, time::Instant};
use zae_limiter::{
    EntityId, ValidationError,
    sim::{Answer, Fault, ItemKey, Names},
};

use crate::{
    schedule::{Policy, Process, Schedule},
    table::{Change, Item, Table, number},
};

/// The ms since 1970 at which every run begins.
pub const EPOCH: i64 = 1_767_225_600_000;
/// The one resource.
pub const RESOURCE: &str = "r";

/// The aggregator, which is not a limiter.
static AGGREGATOR: Process = Process {
    skew: 0,
    steps: Vec::new(),
    held: false,
    policy: Policy::Block,
    reserve: false,
    deadline: 250,
    flush: 50,
};

/// Returns the name of an entity.
pub fn entity_name(entity: usize) -> String {
    format!("e{entity}")
}

/// Maximum number of limits of an entity.
pub const LIMITS: usize = 4;

/// Returns the name of a limit.
pub fn limit_name(limit: usize) -> &'static str {
    ["a", "b", "c", "d"][limit.min(LIMITS - 1)]
}

/// Everything outside of the processes.
#[derive(Debug)]
pub struct World {
    /// The schedule.
    pub schedule: Arc<Schedule>,
    /// The table.
    pub table: Table,
    /// The record of the run.
    pub history: History,
    /// All instances so far, with their processes.
    pub instances: Vec<Instance>,
    /// All requests to the table, if they are recorded.
    pub recording: Option<Recording>,
    buckets: BTreeMap<ItemKey, usize>,
    started: Instant,
    /// The keys of the first items of buckets, by entity.
    firsts: Vec<ItemKey>,
    /// Keys of configuration items that operators may change, by entity.
    configs: Vec<ItemKey>,
    /// Items locked by a transaction, and the end of the lock.
    held: Vec<(ItemKey, u64)>,
    /// Reply channels of requests that are never answered.
    unanswered: Vec<oneshot::Sender<Result<Answer, Fault>>>,
    /// Changes that the table's stream has to deliver, in order.
    pub stream: Vec<StreamEntry>,
    /// True once all troubles have ended, regardless of the schedule.
    healed: bool,
    /// True once the stream only delivers its remaining records.
    drained: bool,
}

/// A record of the table's stream.
#[derive(Clone, Debug)]
pub struct StreamEntry {
    /// Its sequence number.
    pub number: u64,
    /// The item.
    pub key: ItemKey,
    /// The old item.
    pub before: Option<Arc<Item>>,
    /// The new item.
    pub after: Arc<Item>,
    /// Epoch ms.
    pub at: i64,
}

/// A process from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// Its process.
    pub process: usize,
    /// True if it was killed.
    pub dead: bool,
    calls: u64,
}

/// The shared world.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// Creates the world at the start of `schedule`. Its requests are recorded in `recording`, if that is given.
    ///
    /// # Errors
    /// If the schedule contains an invalid name.
    pub fn new(schedule: Arc<Schedule>, mut recording: Option<Recording>) -> Result<Self, ValidationError> {
        let names = Names::new()?;
        let resource = zae_limiter::ResourceName::new(RESOURCE)?;
        let (mut table, mut buckets) = (Table::default(), BTreeMap::new());
        let (mut firsts, mut configs) = (Vec::new(), Vec::new());
        let mut items = vec![names.record()];
        for (index, entity) in schedule.entities.iter().enumerate() {
            let id = EntityId::new(entity_name(index))?;
            let parent = entity.parent.map(|parent| EntityId::new(entity_name(parent))).transpose()?;
            items.push(names.entity(&id, parent.as_ref()));
            let limits = limits(&entity.limits)?;
            if entity.own {
                items.push(names.limits(&id, &limits));
            }
            if index == 0 {
                items.push(names.defaults(&resource, &limits));
            }
            for shard in 0..schedule.shards(index) {
                buckets.insert(names.bucket(&id, &resource, shard), index);
            }
            firsts.push(names.bucket(&id, &resource, 0));
            configs.extend(crate::table::key_of(&names.limits(&id, &limits)));
        }
        for item in items {
            if let Some(key) = crate::table::key_of(&item) {
                recording.iter_mut().for_each(|recording| recording.push(Recorded::Set(item.clone())));
                table.set(key, Some(item), 0);
            }
        }
        let history = History::new(Arc::clone(&schedule));
        let started = Instant::now();
        let world = World {
            schedule,
            table,
            history,
            instances: Vec::new(),
            recording,
            buckets,
            started,
            firsts,
            configs,
            held: Vec::new(),
            unanswered: Vec::new(),
            stream: Vec::new(),
            healed: false,
            drained: false,
        };
        Ok(Self(Arc::new(Mutex::new(world))))
    }

    /// Locks the world.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Converts the limits of an entity.
///
/// # Errors
/// If a number is not valid for a limit.
pub fn limits(limits: &[crate::schedule::Limit]) -> Result<zae_limiter::Limits, ValidationError> {
    let limits = limits.iter().enumerate().map(|(index, limit)| {
        let period = Duration::from_secs(limit.period);
        zae_limiter::Limit::per(limit_name(index), limit.refill, period)?.with_burst(limit.capacity)
    });
    zae_limiter::Limits::new(limits.collect::<Result<Vec<_>, _>>()?)
}

impl World {
    /// Returns the ms since the start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the instant `at` ms after the start.
    pub fn instant(&self, at: u64) -> Instant {
        self.started + Duration::from_millis(at)
    }

    /// Returns the clock of `process`.
    pub fn clock(&self, process: usize) -> ProcessClock {
        ProcessClock::new(self.started, self.process(process).clone())
    }

    /// Returns the settings of a process. The aggregator follows the last process.
    pub fn process(&self, process: usize) -> &Process {
        self.schedule.processes.get(process).unwrap_or(&AGGREGATOR)
    }

    /// Records an event at the current time.
    pub fn note(&mut self, kind: Kind) {
        let at = self.now();
        self.history.events.push(Event { at, kind });
    }

    /// Starts an instance of `process`.
    pub fn start(&mut self, process: usize) -> usize {
        self.instances.push(Instance { process, dead: false, calls: 0 });
        let instance = self.instances.len() - 1;
        self.history.started.push(process);
        self.note(Kind::Started { instance, process });
        instance
    }

    /// Kills `instance` instantly.
    pub fn kill(&mut self, instance: usize) {
        self.instances[instance].dead = true;
        self.history.ended.push(instance);
        self.note(Kind::Killed { instance });
        self.history.blur_touched_by(instance);
    }

    /// Returns true once the stream only delivers its remaining records.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// Makes the stream deliver its remaining records.
    pub fn drain(&mut self) {
        self.drained = true;
        self.note(Kind::Drained);
    }

    /// Ends all troubles.
    pub fn heal(&mut self) {
        self.healed = true;
        self.note(Kind::Healed);
    }

    /// Returns the key of the first item of an entity's bucket.
    pub fn bucket(&self, entity: usize) -> Option<ItemKey> {
        self.firsts.get(entity).cloned()
    }

    /// Returns the existing items of an entity's bucket, the first one first.
    pub fn items(&self, entity: usize) -> Vec<&Arc<Item>> {
        let first = self.firsts.get(entity);
        let further = self.buckets.iter().filter(|(key, whose)| **whose == entity && Some(*key) != first);
        let keys = first.into_iter().chain(further.map(|(key, _)| key));
        keys.filter_map(|key| self.table.item(key)).collect()
    }

    /// Records a change of an item, by a call or by another cause.
    pub fn changed(&mut self, call: Option<usize>, change: &Change) {
        let key = change.after.as_ref().or(change.before.as_ref()).and_then(|item| crate::table::key_of(item));
        let Some(entity) = key.as_ref().and_then(|key| self.buckets.get(key).copied()) else { return };
        let now = self.now();
        if let (Some(_), Some(key), Some(after)) = (self.schedule.stream, &key, &change.after) {
            let (before, after, key) = (change.before.clone(), Arc::clone(after), key.clone());
            let at = EPOCH + i64::try_from(now).unwrap_or(0);
            self.stream.push(StreamEntry { number: self.history.changes.len() as u64 + 1, key, before, after, at });
        }
        let writer = call.map(|call| {
            let Call { instance, sent, .. } = self.history.calls[call];
            let lead = self.process(self.instances[instance].process).most_ahead(sent);
            EPOCH + i64::try_from(sent).unwrap_or(i64::MAX) + lead
        });
        let is_first = self.bucket(entity) == key;
        if let Some(shards) = change.after.as_ref().filter(|_| is_first).and_then(|item| number(item, "shard_count")) {
            self.history.sharded[entity] = self.history.sharded[entity].max(u32::try_from(shards).unwrap_or(1));
        }
        let limits = &self.schedule.entities[entity].limits;
        let part = if is_first { ledger::Part::First } else { ledger::Part::Further };
        let (moves, wrongs) = ledger::entry(limits, change, writer, part);
        for wrong in wrongs {
            let by = call.map_or_else(|| "a neighbour".to_owned(), |call| format!("call {call}"));
            self.history.violate(format!("{} at {now} ms by {by}: {wrong}", entity_name(entity)));
        }
        self.history.changes.push(history::BucketChange { at: now, entity, call, moves });
        let change = self.history.changes.len() - 1;
        self.note(Kind::Changed { change });
    }

    fn record(&mut self, part: impl FnOnce() -> Recorded) {
        if let Some(recording) = &mut self.recording {
            recording.push(part());
        }
    }
}
