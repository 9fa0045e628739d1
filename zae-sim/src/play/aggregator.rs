//! The aggregator: its deliveries from the table's stream, late and repeated, and its writes.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use zae_limiter::{
    Clock, EntityId, ResourceName, ValidationError,
    sim::{self, Names},
    stream::{BucketActivity, StreamChange, StreamRecord, StreamTable, UsageCounts},
    usage::UsageWindow,
};

use crate::{
    dice::Dice,
    schedule::Stream,
    table::number,
    world::{RESOURCE, Shared, StreamEntry, history::Usage, ledger::Move, limit_name, link::Link},
};

/// The purpose of the dice for deliveries.
const DELIVERIES: u64 = 4;
/// Maximum number of records in a batch.
const BATCH: u64 = 20;
/// Maximum duration of an invocation.
const INVOCATION: Duration = Duration::from_secs(30);
/// Retention of usage, in days.
const RETENTION: u32 = 90;
/// The day on which every run begins, as written in keys; longer runs are not checked by it.
const DAY: &str = "2026-01-01T00:00:00Z";
/// The length of a day, in ms.
const DAY_MS: u64 = 86_400_000;

/// The running aggregator.
pub(super) struct Aggregator(JoinHandle<()>);

/// The state of the aggregator.
struct Work {
    world: Shared,
    table: StreamTable,
    stream: Stream,
    dice: Dice,
    /// Delivered records.
    delivered: Vec<StreamEntry>,
}

impl Aggregator {
    pub(super) fn start(world: &Shared, names: &Names, stream: Stream) -> Result<Self, ValidationError> {
        let (instance, clock, seed) = {
            let mut world = world.lock();
            let process = world.schedule.processes.len();
            (world.start(process), world.clock(process), world.schedule.seed)
        };
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let table = names.stream(Arc::new(Link::new(world.clone(), instance)), clock);
        let dice = Dice::aside(seed, DELIVERIES, 0);
        let work = Work { world: world.clone(), table, stream, dice, delivered: Vec::new() };
        Ok(Self(tokio::spawn(work.run())))
    }

    /// Waits until everything was delivered, and reads the counts.
    pub(super) async fn finish(self, world: &Shared, names: &Names) -> Result<(), ValidationError> {
        world.lock().drain();
        if self.0.await.is_err() {
            world.lock().history.violate("the aggregator panicked".to_owned());
        }
        let mut world = world.lock();
        if world.now() >= DAY_MS {
            return Ok(());
        }
        let resource = ResourceName::new(RESOURCE)?;
        for entity in 0..world.schedule.entities.len() {
            let key = names.usage_of_day(&EntityId::new(crate::world::entity_name(entity))?, &resource, DAY);
            let item = world.table.item(&key).cloned();
            let limits = 0..world.schedule.entities[entity].limits.len();
            let counted = |limit: usize| item.as_ref().and_then(|item| number(item, limit_name(limit))).unwrap_or(0);
            let changes = world.history.changes.iter().filter(|change| change.entity == entity);
            let changes: Vec<_> = changes.map(|change| change.moves.clone()).collect();
            // Each record counts its whole tokens.
            let whole =
                |moves: &Vec<Move>, limit: usize| moves.get(limit).map_or(0, |made| made.consumed.div_euclid(1_000));
            let consumed = |limit: usize| changes.iter().map(|moves| whole(moves, limit)).sum();
            let usage = limits.map(|limit| Usage { counted: counted(limit), consumed: consumed(limit) });
            world.history.usage[entity] = usage.collect();
        }
        Ok(())
    }
}

impl Work {
    /// Delivers until the run is over and nothing is left.
    async fn run(mut self) {
        loop {
            sleep(Duration::from_millis(self.stream.pause)).await;
            let over = self.world.lock().is_drained();
            let batch = self.next();
            if batch.is_empty() {
                if over {
                    return;
                }
                continue;
            }
            // Lambda delivers a batch again until it succeeds.
            while !self.invoke(&batch).await {
                sleep(Duration::from_millis(self.stream.pause)).await;
            }
            if self.dice.chance(self.stream.again) {
                let again = self.earlier();
                self.invoke(&again).await;
            }
        }
    }

    /// Returns the next records: those of one item in order, those of different items in any order.
    fn next(&mut self) -> Vec<StreamEntry> {
        let world = self.world.clone();
        let mut world = world.lock();
        let count = self.dice.of_range(1, BATCH);
        let mut batch = Vec::new();
        while batch.len() < usize::try_from(count).unwrap_or(1) && !world.stream.is_empty() {
            let any = usize::try_from(self.dice.bits() % world.stream.len() as u64).unwrap_or(0);
            let key = world.stream[any].key.clone();
            let Some(first) = world.stream.iter().position(|entry| entry.key == key) else { break };
            batch.push(world.stream.remove(first));
        }
        self.delivered.extend(batch.iter().cloned());
        batch
    }

    /// Returns a part of an earlier delivery.
    fn earlier(&mut self) -> Vec<StreamEntry> {
        let count = self.delivered.len() as u64;
        let from = self.dice.of_range(0, count - 1);
        let until = self.dice.of_range(from + 1, count.min(from + BATCH));
        let [from, until] = [from, until].map(|index| usize::try_from(index).unwrap_or(0));
        self.delivered[from..until].to_vec()
    }

    /// Invokes the function, and aborts it if it takes too long.
    async fn invoke(&mut self, batch: &[StreamEntry]) -> bool {
        timeout(INVOCATION, self.deliver(batch)).await.unwrap_or(false)
    }

    /// Does the same with a batch as the Lambda function. Returns true if all of it was written.
    async fn deliver(&mut self, batch: &[StreamEntry]) -> bool {
        let records: Result<Vec<StreamRecord>, String> = batch.iter().map(record).collect();
        let records = match records {
            Ok(records) => records,
            Err(problem) => {
                self.world.lock().history.violate(format!("a record that cannot be read: {problem}"));
                return true;
            }
        };
        let mut counts = UsageCounts::new([UsageWindow::Daily]);
        let mut written = true;
        for record in &records {
            let StreamChange::Bucket(change) = &record.change else { continue };
            counts.add(&record.sequence, change);
            written &= self.table.propagate_shards(change).await.is_ok();
        }
        for write in counts.into_writes() {
            written &= self.table.count(&write, RETENTION).await.is_ok();
        }
        // The next acquire refills the buckets left out here.
        for activity in BucketActivity::of(&records) {
            let _ = self.table.refill(&activity).await;
        }
        written
    }
}

fn record(entry: &StreamEntry) -> Result<StreamRecord, String> {
    sim::record(entry.number, entry.before.as_deref(), &entry.after, entry.at)
}
