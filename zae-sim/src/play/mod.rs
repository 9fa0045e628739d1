//! Plays a schedule: the real limiters on a simulated table, in driven time.

mod aggregator;
mod client;
mod finish;

use std::{sync::Arc, time::Duration};

use aggregator::Aggregator;
use client::{Client, Site};
use tokio::{runtime::Builder, time::sleep};
use zae_limiter::{
    Clock, OnUnavailable, RateLimiter, Reserve, ResourceName, Shards, ValidationError,
    sim::{self, Names},
};

use crate::{
    check,
    schedule::{Action, Limit, Policy, Schedule},
    world::{RESOURCE, Shared, history::History, link::Link, recording::Recording},
};

/// The purpose of the dice used inside of an instance.
const ENGINE: u64 = 2;
/// Number of buckets that an instance remembers: more than there are.
const LANES: u64 = 512;
/// Plays `schedule` and checks it.
///
/// # Errors
/// If the schedule contains invalid names or numbers.
pub fn play(schedule: Schedule) -> Result<History, String> {
    let (mut history, _) = driven(schedule, None)?;
    check::all(&mut history);
    Ok(history)
}

/// Plays `schedule` and records all requests to the table.
///
/// # Errors
/// See [`play`].
pub fn recorded(schedule: Schedule) -> Result<Recording, String> {
    let (_, recording) = driven(schedule, Some(Recording::new()))?;
    Ok(recording.unwrap_or_default())
}

fn driven(schedule: Schedule, recording: Option<Recording>) -> Result<(History, Option<Recording>), String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(run(Arc::new(schedule), recording)).map_err(|error| error.to_string())
}

/// The running instances, by process.
struct Stage {
    world: Shared,
    names: Names,
    sites: Vec<Site>,
    /// Instances that were shut down: later settlements still belong to them.
    shut_down: Vec<Site>,
    clients: Vec<tokio::task::JoinHandle<()>>,
    aggregator: Option<Aggregator>,
    /// All versions of each entity's limits, the latest last, once the run is over.
    versions: Vec<Vec<Vec<Limit>>>,
}

async fn run(
    schedule: Arc<Schedule>,
    recording: Option<Recording>,
) -> Result<(History, Option<Recording>), ValidationError> {
    let world = Shared::new(Arc::clone(&schedule), recording)?;
    let mut stage = Stage {
        names: Names::new()?,
        world,
        sites: Vec::new(),
        shut_down: Vec::new(),
        clients: Vec::new(),
        aggregator: None,
        versions: Vec::new(),
    };
    for process in 0..schedule.processes.len() {
        let site = stage.start(process)?;
        stage.sites.push(site);
    }
    if let Some(stream) = schedule.stream {
        stage.aggregator = Some(Aggregator::start(&stage.world, &stage.names, stream)?);
    }
    for (index, step) in schedule.steps.iter().enumerate() {
        let at = stage.world.lock().instant(step.at);
        tokio::time::sleep_until(at).await;
        stage.step(index, &step.action)?;
    }
    let end = stage.world.lock().instant(schedule.length());
    tokio::time::sleep_until(end).await;
    stage.world.lock().heal();
    stage.finish().await?;
    let mut world = stage.world.lock();
    let history = History::new(schedule);
    let history = std::mem::replace(&mut world.history, history);
    Ok((history, world.recording.take()))
}

impl Stage {
    fn start(&mut self, process: usize) -> Result<Site, ValidationError> {
        let (instance, settings, seed, clock) = {
            let mut world = self.world.lock();
            let instance = world.start(process);
            let settings = world.process(process).clone();
            (instance, settings, world.schedule.seed, world.clock(process))
        };
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let link = Link::new(self.world.clone(), instance);
        let reserve = if settings.reserve { Reserve::All } else { Reserve::Off };
        let builder = RateLimiter::builder(self.names.repository(Arc::new(link), clock))
            .deadline(Duration::from_millis(settings.deadline))
            .flush_delay(Duration::from_millis(settings.flush))
            .max_lanes(LANES)
            .shards(Shards::OnDemand)
            .reserve(reserve);
        let builder = match settings.policy {
            Policy::Block => builder,
            Policy::Allow => builder.on_unavailable(OnUnavailable::Allow),
            Policy::Local => builder.on_unavailable(OnUnavailable::Local),
        };
        let mut seeds = crate::dice::Dice::aside(seed, ENGINE, instance as u64);
        Ok(Site {
            world: self.world.clone(),
            instance,
            process,
            limiter: sim::build(builder, seeds.bits()),
            resource: ResourceName::new(RESOURCE)?,
        })
    }

    fn step(&mut self, index: usize, action: &Action) -> Result<(), ValidationError> {
        match action {
            Action::Acquire(acquire) => {
                let site = self.sites[acquire.process].clone();
                let client = Client { site, step: Some(index), wish: acquire.clone() };
                self.clients.push(tokio::spawn(client.live()));
            }
            Action::Kill { process } => {
                self.world.lock().kill(self.sites[*process].instance);
                self.sites[*process] = self.start(*process)?;
            }
            Action::Restart { process } => {
                let new = self.start(*process)?;
                let old = std::mem::replace(&mut self.sites[*process], new);
                self.shut_down.push(old.clone());
                self.clients.push(tokio::spawn(async move { old.shut_down().await }));
            }
            Action::Sweep => self.world.lock().sweep(),
            Action::Delete { entity } => self.world.lock().delete(*entity),
            Action::Neighbour { entity, tokens } => self.world.lock().neighbour(*entity, *tokens),
            Action::Transaction { entity, tokens, lasts } => self.transact(*entity, *tokens, *lasts),
            Action::Shard { entity, shards } => self.world.lock().shard(*entity, *shards),
            Action::Limits { entity, limits } => self.world.lock().limit(*entity, limits),
        }
        Ok(())
    }

    /// Starts a Python client's transaction that takes from two levels at once.
    fn transact(&mut self, entity: usize, tokens: u64, lasts: u64) {
        let world = self.world.clone();
        if world.lock().begin_transaction(entity, lasts) {
            self.clients.push(tokio::spawn(async move {
                sleep(Duration::from_millis(lasts)).await;
                world.lock().end_transaction(entity, tokens);
            }));
        }
    }
}
