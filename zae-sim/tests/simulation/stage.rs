//! Schedules that are written by hand.

use zae_sim::{
    play::play,
    schedule::{Acquire, Action, Ends, Entity, Limit, Policy, Process, Schedule, Step, Trouble},
    world::history::{Ask, AskAnswer, History},
};

/// Returns true where scenarios are to be played at full size, which the gate has no time for.
pub(crate) fn is_full() -> bool {
    std::env::var_os("ZAE_SIM_FULL").is_some()
}

/// A process as most are.
pub(crate) fn process() -> Process {
    Process { skew: 0, steps: Vec::new(), held: false, policy: Policy::Block, reserve: false, deadline: 250, flush: 50 }
}

/// An entity with one limit of its own.
pub(crate) fn entity(capacity: u64, refill: u64, period: u64) -> Entity {
    Entity { limits: vec![Limit { capacity, refill, period }], parent: None, own: true }
}

/// An acquire of `tokens` that keeps what it was granted.
pub(crate) fn acquire(process: usize, entity: usize, tokens: u64) -> Acquire {
    Acquire { process, entity, tokens: vec![tokens], cancelled: None, work: 0, ends: Ends::Keeps, again: false }
}

/// A step at `at` ms.
pub(crate) fn step(at: u64, acquire: Acquire) -> Step {
    Step { at, action: Action::Acquire(acquire) }
}

/// A schedule with round trips of 10 ms.
pub(crate) fn schedule(processes: Vec<Process>, entities: Vec<Entity>, steps: Vec<Step>) -> Schedule {
    Schedule { seed: 1, processes, entities, latency: (5, 5), steps, troubles: Vec::new(), stream: None }
}

/// The history of `schedule`, which violates nothing.
pub(crate) fn sound(schedule: Schedule) -> History {
    let history = play(schedule).unwrap();
    assert!(history.violations.is_empty(), "{:#?}", history.violations);
    history
}

/// The same with troubles.
pub(crate) fn troubled(mut schedule: Schedule, troubles: Vec<Trouble>) -> History {
    schedule.troubles = troubles;
    sound(schedule)
}

/// Tokens granted by the table that clients of the schedule kept, of the only limit of `entity`.
pub(crate) fn granted(history: &History, entity: usize) -> u64 {
    let asks = history.asks.iter().filter(|ask| ask.entity == entity && ask.step.is_some());
    asks.filter(|ask| ask.answer == Some(AskAnswer::Granted)).map(|ask| ask.tokens[0]).sum()
}

/// Time that an ask took, in ms.
pub(crate) fn took(ask: &Ask) -> u64 {
    ask.ended.unwrap() - ask.begun
}

/// Mt that the bucket of `entity` counts in the end.
pub(crate) fn counted(history: &History, entity: usize) -> i128 {
    history.counted[entity].as_ref().unwrap()[0]
}
