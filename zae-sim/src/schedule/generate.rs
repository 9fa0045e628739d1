//! Generates a schedule from a seed.

use super::{Acquire, Action, Ends, Entity, Limit, Policy, Process, Schedule, Step, Trouble, What, Whose, extend};
use crate::dice::Dice;

/// Generates the schedule of a seed.
pub fn generate(seed: u64) -> Schedule {
    let dice = &mut Dice::of(seed);
    let processes: Vec<Process> = {
        let skewed = dice.chance(25);
        let reserving = dice.chance(20);
        (0..dice.of_range(1, 4)).map(|_| process(dice, skewed, reserving)).collect()
    };
    // A reserve is only useful for large buckets.
    let large = processes.iter().any(|process| process.reserve);
    let entities = entities(dice, large);
    let latency = dice.one(&[(1, 1), (1, 4), (2, 10), (1, 40)]);
    let steps = steps(dice, &processes, &entities);
    let length = steps.last().map_or(0, |step| step.at);
    let troubles = troubles(dice, length, processes.len(), entities.len());
    let mut schedule = Schedule { seed, processes, entities, latency, steps, troubles, stream: None };
    extend::extend(&mut schedule);
    schedule
}

fn process(dice: &mut Dice, skewed: bool, reserving: bool) -> Process {
    let ahead = dice.of_range(0, 4_000);
    Process {
        skew: if skewed { i64::try_from(ahead).unwrap_or(0) - 2_000 } else { 0 },
        steps: Vec::new(),
        held: false,
        policy: Policy::Block,
        reserve: reserving && dice.chance(75),
        deadline: dice.one(&[250, 250, 250, 100, 1_000]),
        flush: dice.one(&[50, 50, 0, 500]),
    }
}

fn entities(dice: &mut Dice, large: bool) -> Vec<Entity> {
    let count = dice.of_range(1, 6);
    let limits = dice.of_range(1, 3);
    let mut entities: Vec<Entity> = Vec::new();
    for _ in 0..count {
        let own = dice.chance(50);
        let drawn: Vec<Limit> = (0..limits).map(|_| limit(dice, large)).collect();
        let limits = entities.first().filter(|_| !own).map_or(drawn, |first| first.limits.clone());
        // A parent precedes its children, and has no parent itself.
        let parents: Vec<usize> = (0..entities.len()).filter(|index| entities[*index].parent.is_none()).collect();
        let parent = (!parents.is_empty() && dice.chance(40)).then(|| dice.one(&parents));
        entities.push(Entity { limits, parent, own });
    }
    entities
}

fn limit(dice: &mut Dice, large: bool) -> Limit {
    let capacities: &[u64] = if large { &[100, 2_000, 10_000, 100_000] } else { &[1, 2, 5, 10, 10, 30, 100, 1_000] };
    let capacity = dice.one(capacities);
    let period = dice.one(&[1, 1, 3, 7, 60]);
    let share = dice.one(&[1, 2, 10]);
    Limit { capacity, refill: (capacity / share).max(1), period }
}

fn steps(dice: &mut Dice, processes: &[Process], entities: &[Entity]) -> Vec<Step> {
    let count = dice.of_range(20, 80);
    // The longest pause between two steps: from a burst to a trickle.
    let pause = dice.one(&[0, 3, 20, 100, 500, 2_000]);
    let neighbours = dice.chance(15);
    let operators = dice.chance(15);
    let restarts = dice.chance(20);
    let mut at = 0;
    let mut steps = Vec::new();
    for _ in 0..count {
        at += dice.of_range(0, pause);
        if dice.chance(3) {
            at += dice.of_range(0, 20_000);
        }
        let (process, entity) = (below(dice, processes.len()), below(dice, entities.len()));
        let action = match dice.of_range(0, 99) {
            0..4 if restarts => Action::Kill { process },
            4..8 if restarts => Action::Restart { process },
            8..11 => Action::Sweep,
            11..13 if operators => Action::Delete { entity },
            13..20 if neighbours => {
                Action::Neighbour { entity, tokens: dice.of_range(1, entities[entity].limits[0].capacity) }
            }
            _ => Action::Acquire(acquire(dice, process, entity, &entities[entity])),
        };
        steps.push(Step { at, action });
    }
    steps
}

fn below(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.bits() % count as u64).unwrap_or(0)
}

fn acquire(dice: &mut Dice, process: usize, entity: usize, of: &Entity) -> Acquire {
    let amount = |dice: &mut Dice, limit: &Limit| match dice.of_range(0, 9) {
        // A size that a reserve can grant.
        _ if limit.capacity > 1_000 && dice.chance(80) => dice.of_range(1, 3),
        0 => 0,
        1 => limit.capacity,
        2 => limit.capacity + 1,
        3..6 => dice.of_range(1, limit.capacity),
        _ => dice.of_range(1, (limit.capacity / 5).max(1)),
    };
    let mut tokens: Vec<u64> = of.limits.iter().map(|limit| amount(dice, limit)).collect();
    if tokens.iter().all(|tokens| *tokens == 0) {
        tokens[0] = 1;
    }
    let used = |dice: &mut Dice, limit: &Limit| {
        let most = i64::try_from(limit.capacity).unwrap_or(0);
        i64::try_from(dice.of_range(0, limit.capacity * 2)).unwrap_or(0) - most
    };
    let ends = match dice.of_range(0, 9) {
        0..4 => Ends::Keeps,
        4..7 => Ends::Adjusts(of.limits.iter().map(|limit| used(dice, limit)).collect()),
        7..9 => Ends::RollsBack,
        _ => Ends::Drops,
    };
    Acquire {
        process,
        entity,
        tokens,
        cancelled: dice.chance(8).then(|| dice.of_range(0, 30)),
        work: dice.one(&[0, 1, 10, 100, 1_000, 5_000]),
        ends,
        again: dice.chance(20),
    }
}

fn troubles(dice: &mut Dice, length: u64, processes: usize, entities: usize) -> Vec<Trouble> {
    // Half of the runs have no troubles: only those have exact accounts.
    if dice.chance(50) {
        return Vec::new();
    }
    let count = dice.of_range(1, 3);
    (0..count)
        .map(|_| {
            let from = dice.of_range(0, length);
            let whose = match dice.of_range(0, 3) {
                0 => Whose::All,
                1 => Whose::Process(below(dice, processes)),
                _ => Whose::Entity(below(dice, entities)),
            };
            let late = dice.one(&[50, 240, 300, 1_900, 3_000]);
            let what = dice.one(&[
                What::Throttles,
                What::Throttles,
                What::LosesRequests,
                What::LosesAnswers,
                What::Delays(late),
                What::Holds(late),
                What::FailsBefore,
                What::FailsAfter,
                What::Refuses,
                What::Breaks,
            ]);
            let lasts = dice.one(&[20, 200, 1_000, 5_000]);
            // Connections belong to no entity.
            let whose = if what == What::Refuses && matches!(whose, Whose::Entity(_)) { Whose::All } else { whose };
            Trouble { from, until: from + lasts, whose, what, percent: dice.one(&[20, 50, 100, 100]) }
        })
        .collect()
}
