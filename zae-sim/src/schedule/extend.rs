//! Parts that some schedules have: policies for outages, clocks held to the store's, changes of limits, shards,
//! transactions, a stream, requests that are delivered twice, and items that are written too often. Each is drawn by
//! itself, so that none changes what the others are.

use super::{Action, Limit, Policy, Process, Schedule, Step, Stream, Trouble, What, Whose};
use crate::dice::Dice;

/// The purposes of the dice.
const POLICIES: u64 = 16;
const CLOCKS: u64 = 17;
const CHANGES: u64 = 18;
const SHARDS: u64 = 19;
const TRANSACTIONS: u64 = 20;
const STREAMS: u64 = 21;
const REPEATS: u64 = 22;
const HEAT: u64 = 23;

/// Maximum number of shards of a bucket.
const MOST_SHARDS: u32 = 4;
/// Leads of clocks that follow the store's: a minute, a day, a year.
const LEADS: [i64; 3] = [60_000, 86_400_000, 31_536_000_000];

/// Draws the optional parts of a schedule.
pub(super) fn extend(schedule: &mut Schedule) {
    policies(schedule);
    clocks(schedule);
    changes(schedule);
    shards(schedule);
    transactions(schedule);
    schedule.stream = stream(schedule.seed);
    repeats(schedule);
    heat(schedule);
}

fn policies(schedule: &mut Schedule) {
    let mut dice = Dice::aside(schedule.seed, POLICIES, 0);
    if !dice.chance(40) {
        return;
    }
    for process in &mut schedule.processes {
        process.policy = dice.one(&[Policy::Block, Policy::Allow, Policy::Local]);
    }
}

fn clocks(schedule: &mut Schedule) {
    let mut dice = Dice::aside(schedule.seed, CLOCKS, 0);
    if !dice.chance(10) {
        return;
    }
    let length = schedule.length();
    let lead = |dice: &mut Dice| dice.one(&LEADS) * dice.one(&[-1, 0, 1]);
    for process in &mut schedule.processes {
        let mut steps: Vec<(u64, i64)> =
            (0..dice.of_range(0, 2)).map(|_| (dice.of_range(0, length), lead(&mut dice))).collect();
        steps.sort_unstable();
        let skew = lead(&mut dice);
        *process = Process { skew, steps, held: true, ..process.clone() };
    }
}

/// Inserts steps at their times.
fn insert(schedule: &mut Schedule, new: impl IntoIterator<Item = Step>) {
    schedule.steps.extend(new);
    schedule.steps.sort_by_key(|step| step.at);
}

fn last(schedule: &Schedule) -> u64 {
    schedule.steps.last().map_or(0, |step| step.at)
}

fn below(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.bits() % count as u64).unwrap_or(0)
}

fn changes(schedule: &mut Schedule) {
    let mut dice = Dice::aside(schedule.seed, CHANGES, 0);
    let owned: Vec<usize> = (1..schedule.entities.len()).filter(|index| schedule.entities[*index].own).collect();
    if owned.is_empty() || !dice.chance(15) {
        return;
    }
    let length = last(schedule);
    let new: Vec<Step> = (0..dice.of_range(1, 3))
        .map(|_| {
            let entity = dice.one(&owned);
            let limits = schedule.entities[entity].limits.iter();
            let limits = limits.map(|limit| Limit {
                capacity: (limit.capacity * dice.one(&[1, 2, 5]) / dice.one(&[1, 2, 5])).max(1),
                refill: (limit.refill * dice.one(&[1, 2, 5]) / dice.one(&[1, 2, 5])).max(1),
                period: limit.period,
            });
            let limits = limits.collect();
            Step { at: dice.of_range(0, length), action: Action::Limits { entity, limits } }
        })
        .collect();
    insert(schedule, new);
}

fn shards(schedule: &mut Schedule) {
    let mut dice = Dice::aside(schedule.seed, SHARDS, 0);
    if !dice.chance(12) {
        return;
    }
    let length = last(schedule);
    let entity = below(&mut dice, schedule.entities.len());
    let mut shards = 1;
    let mut at = 0;
    let mut new = Vec::new();
    while shards < MOST_SHARDS && dice.chance(70) {
        shards *= 2;
        at = dice.of_range(at, length);
        new.push(Step { at, action: Action::Shard { entity, shards } });
    }
    insert(schedule, new);
}

fn transactions(schedule: &mut Schedule) {
    let mut dice = Dice::aside(schedule.seed, TRANSACTIONS, 0);
    if !dice.chance(12) {
        return;
    }
    let length = last(schedule);
    let new: Vec<Step> = (0..dice.of_range(1, 8))
        .map(|_| {
            let entity = below(&mut dice, schedule.entities.len());
            let tokens = dice.of_range(1, (schedule.entities[entity].limits[0].capacity / 4).max(1));
            let lasts = dice.of_range(1, 20);
            Step { at: dice.of_range(0, length), action: Action::Transaction { entity, tokens, lasts } }
        })
        .collect();
    insert(schedule, new);
}

fn stream(seed: u64) -> Option<Stream> {
    let mut dice = Dice::aside(seed, STREAMS, 0);
    let (pause, again) = (dice.one(&[20, 200, 1_000]), dice.one(&[0, 20, 50]));
    dice.chance(20).then_some(Stream { pause, again })
}

fn repeats(schedule: &mut Schedule) {
    let mut dice = Dice::aside(schedule.seed, REPEATS, 0);
    if !dice.chance(8) {
        return;
    }
    let from = dice.of_range(0, last(schedule));
    let lasts = dice.one(&[200, 1_000, 5_000]);
    let what = What::Repeats(dice.one(&[1, 20, 100, 500]));
    let percent = dice.one(&[20, 50, 100]);
    schedule.troubles.push(Trouble { from, until: from + lasts, whose: Whose::All, what, percent });
}

fn heat(schedule: &mut Schedule) {
    let mut dice = Dice::aside(schedule.seed, HEAT, 0);
    if !dice.chance(10) {
        return;
    }
    for _ in 0..dice.of_range(1, 4) {
        let from = dice.of_range(0, last(schedule));
        let (lasts, percent) = (dice.one(&[200, 1_000, 5_000]), dice.one(&[10, 30, 60]));
        let entity = below(&mut dice, schedule.entities.len());
        let whose = dice.one(&[Whose::All, Whose::Entity(entity)]);
        schedule.troubles.push(Trouble { from, until: from + lasts, whose, what: What::Overheats, percent });
    }
}
