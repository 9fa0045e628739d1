//! Plays a schedule: the real limiters on a table of the simulation's own, in time that nobody waits for.

mod client;

use std::{sync::Arc, time::Duration};

use client::{Client, Site};
use tokio::{runtime::Builder, time::sleep};
use zae_limiter::{
    Clock, RateLimiter, Reserve, ResourceName, ValidationError,
    sim::{self, Names},
};

use crate::{
    check,
    schedule::{Acquire, Action, Ends, Schedule},
    table::number,
    world::{
        RESOURCE, Shared,
        history::{History, Kind},
        limit_name,
        link::Link,
        recording::Recording,
    },
};

/// The purpose of the dice thrown inside of an instance.
const ENGINE: u64 = 2;
/// Buckets that an instance remembers: more than there are.
const LANES: u64 = 512;
/// Time that settlements may take once everything works again, in ms: a few rounds of retries.
const SETTLES_WITHIN: u64 = 60_000;

/// Plays `schedule` and judges it.
///
/// # Errors
/// Where the schedule names what cannot be.
pub fn play(schedule: Schedule) -> Result<History, String> {
    let (mut history, _) = driven(schedule, None)?;
    check::all(&mut history);
    Ok(history)
}

/// Plays `schedule` and writes down all that the table was asked.
///
/// # Errors
/// As [`play`].
pub fn recorded(schedule: Schedule) -> Result<Recording, String> {
    let (_, recording) = driven(schedule, Some(Recording::new()))?;
    Ok(recording.unwrap_or_default())
}

fn driven(schedule: Schedule, recording: Option<Recording>) -> Result<(History, Option<Recording>), String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(run(Arc::new(schedule), recording)).map_err(|error| error.to_string())
}

/// The instances that run, by process.
struct Stage {
    world: Shared,
    names: Names,
    sites: Vec<Site>,
    /// Those that were shut down: what is settled later is their work still.
    shut_down: Vec<Site>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

async fn run(
    schedule: Arc<Schedule>,
    recording: Option<Recording>,
) -> Result<(History, Option<Recording>), ValidationError> {
    let world = Shared::new(Arc::clone(&schedule), recording)?;
    let mut stage =
        Stage { names: Names::new()?, world, sites: Vec::new(), shut_down: Vec::new(), clients: Vec::new() };
    for process in 0..schedule.processes.len() {
        let site = stage.start(process)?;
        stage.sites.push(site);
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
            let settings = world.schedule.processes[process].clone();
            (instance, settings, world.schedule.seed, world.clock(process))
        };
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let link = Link::new(self.world.clone(), instance);
        let reserve = if settings.reserve { Reserve::All } else { Reserve::Off };
        let builder = RateLimiter::builder(self.names.repository(Arc::new(link), clock))
            .deadline(Duration::from_millis(settings.deadline))
            .flush_delay(Duration::from_millis(settings.flush))
            .max_lanes(LANES)
            .reserve(reserve);
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
        }
        Ok(())
    }

    /// Everything works again: all clients come to their end, all is settled, and then everything must be there.
    async fn finish(&mut self) -> Result<(), ValidationError> {
        for client in std::mem::take(&mut self.clients) {
            if client.await.is_err() {
                self.world.lock().history.violate("a client panicked".to_owned());
            }
        }
        self.settle().await;
        self.world.lock().note(Kind::Quiet);
        self.count();
        self.probe().await?;
        let sites = std::mem::take(&mut self.sites);
        for site in sites {
            site.shut_down().await;
        }
        Ok(())
    }

    /// Waits until no instance has anything to do.
    async fn settle(&self) {
        let busy = || {
            let alive = self.sites.iter().chain(&self.shut_down).filter(|site| !site.is_dead());
            alive.filter(|site| !sim::is_idle(&site.limiter)).map(|site| site.process).collect::<Vec<_>>()
        };
        for _ in 0..SETTLES_WITHIN / 100 {
            if busy().is_empty() {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let busy = busy();
        self.world.lock().history.violate(format!("processes {busy:?} are still busy after {SETTLES_WITHIN} ms"));
    }

    /// Reads the accounts.
    fn count(&self) {
        let mut world = self.world.lock();
        for entity in 0..world.schedule.entities.len() {
            let limits = world.schedule.entities[entity].limits.len();
            let item = world.bucket(entity).and_then(|key| world.table.item(&key).cloned());
            let consumed = |limit: usize| {
                item.as_ref().and_then(|item| number(item, &format!("b_{}_tc", limit_name(limit)))).unwrap_or(0)
            };
            let counted = item.is_some().then(|| (0..limits).map(consumed).collect());
            world.history.counted[entity] = counted;
        }
    }

    /// Waits until every bucket is full, whatever is owed.
    async fn refill(&self) {
        let wait = {
            let world = self.world.lock();
            let entities = world.schedule.entities.iter().enumerate();
            let waits = entities.flat_map(|(entity, of)| {
                let item = world.bucket(entity).and_then(|key| world.table.item(&key).cloned());
                of.limits.iter().enumerate().map(move |(index, limit)| {
                    let name = format!("b_{}_tk", limit_name(index));
                    let tokens = item.as_ref().and_then(|item| number(item, &name)).unwrap_or(0);
                    let missing = (i128::from(limit.capacity) * 1_000 - tokens).max(0);
                    missing * i128::from(limit.period) / i128::from(limit.refill) + 1
                })
            });
            u64::try_from(waits.max().unwrap_or(0)).unwrap_or(0) + world.schedule.skew()
        };
        // Longer than any image or breaker remembers.
        sleep(Duration::from_millis(wait + 10_000)).await;
    }

    /// Takes all there is from every bucket: whatever happened before, it is full by now.
    async fn probe(&self) -> Result<(), ValidationError> {
        let entities = self.world.lock().schedule.entities.clone();
        for (entity, of) in entities.iter().enumerate() {
            let of_parent = of.parent.map(|parent| &entities[parent]);
            let tokens = of.limits.iter().enumerate().map(|(index, limit)| {
                of_parent.map_or(limit.capacity, |parent| parent.limits[index].capacity.min(limit.capacity))
            });
            let site = self.sites[entity % self.sites.len()].clone();
            let wish = Acquire {
                process: site.process,
                entity,
                tokens: tokens.collect(),
                cancelled: None,
                work: 0,
                ends: Ends::RollsBack,
                again: false,
            };
            self.refill().await;
            Client { site, step: None, wish }.live().await;
        }
        Ok(())
    }
}
