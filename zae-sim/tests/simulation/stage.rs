//! Helpers for hand-written schedules.

use zae_sim::{
    play::play,
    schedule::{Acquire, Action, Ends, Entity, Limit, Policy, Process, Schedule, Step, Trouble},
    world::history::{Ask, AskAnswer, History},
};

/// Returns true if scenarios run at full size, for which the gate has no time.
pub(crate) fn is_full() -> bool {
    std::env::var_os("ZAE_SIM_FULL").is_some()
}

/// Creates a process with the usual settings.
pub(crate) fn process() -> Process {
    Process { skew: 0, steps: Vec::new(), held: false, policy: Policy::Block, reserve: false, deadline: 250, flush: 50 }
}

/// Creates an entity with one limit of its own.
pub(crate) fn entity(capacity: u64, refill: u64, period: u64) -> Entity {
    Entity { limits: vec![Limit { capacity, refill, period }], parent: None, own: true }
}

/// Creates an acquire of `tokens` that keeps its grant.
pub(crate) fn acquire(process: usize, entity: usize, tokens: u64) -> Acquire {
    Acquire { process, entity, tokens: vec![tokens], cancelled: None, work: 0, ends: Ends::Keeps, again: false }
}

/// Creates a step at `at` ms.
pub(crate) fn step(at: u64, acquire: Acquire) -> Step {
    Step { at, action: Action::Acquire(acquire) }
}

/// Creates a schedule with round trips of 10 ms.
pub(crate) fn schedule(processes: Vec<Process>, entities: Vec<Entity>, steps: Vec<Step>) -> Schedule {
    Schedule { seed: 1, processes, entities, latency: (5, 5), steps, troubles: Vec::new(), stream: None }
}

/// Plays `schedule`, which must show no violation.
pub(crate) fn sound(schedule: Schedule) -> History {
    let history = play(schedule).unwrap();
    assert!(history.violations.is_empty(), "{:#?}", history.violations);
    history
}

/// Plays `schedule` with troubles; it must show no violation.
pub(crate) fn troubled(mut schedule: Schedule, troubles: Vec<Trouble>) -> History {
    schedule.troubles = troubles;
    sound(schedule)
}

/// Returns the tokens of `entity`'s only limit that clients were granted by the table and kept.
pub(crate) fn granted(history: &History, entity: usize) -> u64 {
    let asks = history.asks.iter().filter(|ask| ask.entity == entity && ask.step.is_some());
    asks.filter(|ask| ask.answer == Some(AskAnswer::Granted)).map(|ask| ask.tokens[0]).sum()
}

/// Returns the duration of an ask, in ms.
pub(crate) fn took(ask: &Ask) -> u64 {
    ask.ended.unwrap() - ask.begun
}

/// Returns the mt that the bucket of `entity` counts at the end.
pub(crate) fn counted(history: &History, entity: usize) -> i128 {
    history.counted[entity].as_ref().unwrap()[0]
}
