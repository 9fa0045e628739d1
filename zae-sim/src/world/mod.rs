//! Everything outside of the processes: the table, the network, the time, and what is known of all that happened.

pub mod history;
pub mod ledger;
pub mod link;
pub mod recording;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use history::{Call, CallEnd, Event, History, Kind};
use recording::{Recorded, Recording};
use tokio::time::Instant;
use zae_limiter::{
    Clock, EntityId, ValidationError,
    sim::{Answer, Fault, ItemKey, Names, Request},
};

use crate::{
    dice::Dice,
    schedule::{Schedule, What},
    table::{Change, STALE_MS, Table, number},
};

/// The ms since 1970 at which every run begins.
pub const EPOCH: i64 = 1_767_225_600_000;
/// The one resource.
pub const RESOURCE: &str = "r";
/// The purpose of the dice thrown for the network.
const NETWORK: u64 = 1;

/// The name of an entity.
pub fn entity_name(entity: usize) -> String {
    format!("e{entity}")
}

/// The most limits that an entity has.
pub const LIMITS: usize = 4;

/// The name of a limit.
pub fn limit_name(limit: usize) -> &'static str {
    ["a", "b", "c", "d"][limit.min(LIMITS - 1)]
}

/// Everything outside of the processes.
#[derive(Debug)]
pub struct World {
    /// An action.
    pub schedule: Arc<Schedule>,
    /// The table.
    pub table: Table,
    /// Something that happened.
    pub history: History,
    /// The instances that run, or ran, and the process that each is of.
    pub instances: Vec<Instance>,
    /// All that the table was asked, where somebody wants to know.
    pub recording: Option<Recording>,
    buckets: BTreeMap<ItemKey, usize>,
    started: Instant,
    /// True once troubles are over, whatever the schedule says.
    healed: bool,
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

/// The fate of a request.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// Its number.
    pub call: usize,
    /// Time until it arrives, in ms.
    pub there: u64,
    /// Time that its answer takes, in ms.
    pub back: u64,
    /// Age of what a read may see, in ms.
    pub behind: u64,
    /// The mishap.
    pub wrong: Option<What>,
}

/// The world, as all share it.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// The world at the beginning of `schedule`. It is written down in `recording`, if there is one.
    ///
    /// # Errors
    /// Where a name cannot be one.
    pub fn new(schedule: Arc<Schedule>, mut recording: Option<Recording>) -> Result<Self, ValidationError> {
        let names = Names::new()?;
        let resource = zae_limiter::ResourceName::new(RESOURCE)?;
        let (mut table, mut buckets) = (Table::default(), BTreeMap::new());
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
            buckets.insert(names.bucket(&id, &resource, 0), index);
        }
        for item in items {
            if let Some(key) = crate::table::key_of(&item) {
                recording.iter_mut().for_each(|recording| recording.push(Recorded::Set(item.clone())));
                table.set(key, Some(item), 0);
            }
        }
        let history = History::new(Arc::clone(&schedule));
        let started = Instant::now();
        let world =
            World { schedule, table, history, instances: Vec::new(), recording, buckets, started, healed: false };
        Ok(Self(Arc::new(Mutex::new(world))))
    }

    /// The world, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits of an entity.
///
/// # Errors
/// Where a number is none that a limit can have.
pub fn limits(limits: &[crate::schedule::Limit]) -> Result<zae_limiter::Limits, ValidationError> {
    let limits = limits.iter().enumerate().map(|(index, limit)| {
        let period = Duration::from_secs(limit.period);
        zae_limiter::Limit::per(limit_name(index), limit.refill, period)?.with_burst(limit.capacity)
    });
    zae_limiter::Limits::new(limits.collect::<Result<Vec<_>, _>>()?)
}

/// The clock of a process.
#[derive(Debug)]
pub struct ProcessClock {
    started: Instant,
    skew: i64,
}

impl Clock for ProcessClock {
    fn now_ms(&self) -> i64 {
        let passed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        EPOCH + passed + self.skew
    }

    fn keeps_pace(&self) -> bool {
        true
    }
}

impl World {
    /// Ms since the start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The instant at which `at` ms have passed.
    pub fn instant(&self, at: u64) -> Instant {
        self.started + Duration::from_millis(at)
    }

    /// The clock of `process`.
    pub fn clock(&self, process: usize) -> ProcessClock {
        ProcessClock { started: self.started, skew: self.schedule.processes[process].skew }
    }

    /// Notes what happens now.
    pub fn note(&mut self, kind: Kind) {
        let at = self.now();
        self.history.events.push(Event { at, kind });
    }

    /// Starts an instance of `process`.
    pub fn start(&mut self, process: usize) -> usize {
        self.instances.push(Instance { process, dead: false, calls: 0 });
        let instance = self.instances.len() - 1;
        self.note(Kind::Started { instance, process });
        instance
    }

    /// Ends `instance` from one moment to the next.
    pub fn kill(&mut self, instance: usize) {
        self.instances[instance].dead = true;
        self.note(Kind::Killed { instance });
        self.history.blur_touched_by(instance);
    }

    /// Ends all troubles.
    pub fn heal(&mut self) {
        self.healed = true;
        self.note(Kind::Healed);
    }

    /// The key of an entity's bucket.
    pub fn bucket(&self, entity: usize) -> Option<ItemKey> {
        self.buckets.iter().find(|(_, whose)| **whose == entity).map(|(key, _)| key.clone())
    }

    /// A request leaves `instance`: what becomes of it.
    fn send(&mut self, instance: usize, request: &Request) -> Fate {
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
            _ => "update",
        };
        let is_write = !matches!(request, Request::Read { .. });
        let call =
            Call { instance, entity, is_write, what, sent: now, wrong, applied: None, answered: None, end: None };
        self.history.calls.push(call);
        let call = self.history.calls.len() - 1;
        self.note(Kind::Sent { call });
        Fate { call, there, back, behind, wrong }
    }

    fn entity_of(&self, request: &Request) -> Option<usize> {
        match request {
            // What is resolved is more than a bucket.
            Request::Read { keys, strong } if *strong && keys.len() == 1 => self.buckets.get(&keys[0]).copied(),
            Request::Put { item, .. } => self.buckets.get(&crate::table::key_of(item)?).copied(),
            Request::Update { key, .. } => self.buckets.get(key).copied(),
            _ => None,
        }
    }

    /// A request arrives.
    fn arrive(&mut self, fate: &Fate, request: &Request) -> Result<Answer, Fault> {
        let now = self.now();
        let call = fate.call;
        self.history.calls[call].applied = Some(now);
        match self.table.apply(request, now, fate.behind) {
            Ok(outcome) => {
                let done = matches!(outcome.answer, Answer::Written(_));
                self.history.calls[call].end = Some(if done { CallEnd::Done } else { CallEnd::Lost });
                if let Some(change) = &outcome.change {
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

    /// An item was changed, by a call or by what else happens.
    pub fn changed(&mut self, call: Option<usize>, change: &Change) {
        let key = change.after.as_ref().or(change.before.as_ref()).and_then(|item| crate::table::key_of(item));
        let Some(entity) = key.and_then(|key| self.buckets.get(&key).copied()) else { return };
        let now = self.now();
        let writer = call.map(|call| {
            let Call { instance, sent, .. } = self.history.calls[call];
            let skew = self.schedule.processes[self.instances[instance].process].skew;
            EPOCH + i64::try_from(sent).unwrap_or(i64::MAX) + skew
        });
        let limits = &self.schedule.entities[entity].limits;
        let (moves, wrongs) = ledger::entry(limits, change, writer);
        for wrong in wrongs {
            self.history.violate(format!("{}: {wrong}", entity_name(entity)));
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

    /// Removes every item whose lifetime is over.
    pub fn sweep(&mut self) {
        let now = self.now();
        let epoch_s = (EPOCH + i64::try_from(now).unwrap_or(0)) / 1_000;
        let over = |item: &crate::table::Item| number(item, "ttl").is_some_and(|ttl| ttl < i128::from(epoch_s));
        let gone: Vec<ItemKey> =
            self.table.items().filter(|(_, item)| over(item)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            if let Some(entity) = self.buckets.get(&key).copied() {
                self.history.blur(entity);
                self.history.removed[entity] = true;
                self.note(Kind::Removed { entity, by: "its lifetime" });
            }
            self.record(|| Recorded::Removed(key.clone()));
            self.table.set(key, None, now);
        }
    }

    /// Deletes a bucket, whatever is in it.
    pub fn delete(&mut self, entity: usize) {
        let now = self.now();
        let Some(key) = self.bucket(entity) else { return };
        self.record(|| Recorded::Removed(key.clone()));
        if self.table.set(key, None, now).before.is_some() {
            self.history.blur(entity);
            self.history.removed[entity] = true;
            self.history.deleted.push((now, entity));
            self.note(Kind::Removed { entity, by: "an operator" });
        }
    }

    /// Takes from a bucket as the reference does.
    pub fn neighbour(&mut self, entity: usize, tokens: u64) {
        let now = self.now();
        let Some(key) = self.bucket(entity) else { return };
        let amount = i64::try_from(tokens * 1_000).unwrap_or(i64::MAX);
        let n = |number: i64| aws_sdk_dynamodb::types::AttributeValue::N(number.to_string());
        let values = [(":less".to_owned(), n(-amount)), (":more".to_owned(), n(amount))].into();
        let request = Request::Update {
            key,
            update: "ADD b_a_tk :less, b_a_tc :more".to_owned(),
            condition: "attribute_exists(rf) AND b_a_tk >= :more".to_owned(),
            names: Default::default(),
            values,
        };
        match self.table.apply(&request, now, 0) {
            Ok(outcome) => {
                self.record(|| Recorded::Request(request.clone(), outcome.answer.clone()));
                if let Some(change) = &outcome.change {
                    self.changed(None, change);
                    self.history.taken_by_neighbours(entity, i128::from(amount));
                }
            }
            Err(problem) => self.history.violate(problem),
        }
    }
}
