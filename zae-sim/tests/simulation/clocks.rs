//! Clocks that are wrong by a minute, a day and a year, and are set while they run.

use zae_sim::{
    schedule::{Acquire, HELD, Process, Schedule},
    world::history::AskAnswer,
};

use crate::stage::{acquire, entity, granted, process, schedule, sound, step};

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;
/// The bucket: a hundred tokens, ten a second.
const CAPACITY: u64 = 100;
const PER_SECOND: u64 = 10;
/// Duration of the demand, which is five times the limit, in seconds.
const SECONDS: u64 = 60;

fn held(skew: i64, steps: Vec<(u64, i64)>) -> Process {
    Process { skew, steps, held: true, ..process() }
}

fn demand(processes: Vec<Process>) -> Schedule {
    let count = processes.len();
    let steps = (0..SECONDS * 50).map(|number| step(number * 20, acquire(number as usize % count, 0, 1)));
    schedule(processes, vec![entity(CAPACITY, CAPACITY, CAPACITY / PER_SECOND)], steps.collect())
}

#[test]
fn wrong_clocks_cost_nobody_tokens_and_give_nobody_more_than_their_skew() {
    for lead in [MINUTE, DAY, YEAR].into_iter().flat_map(|lead| [lead, -lead]) {
        for steps in [vec![], vec![(20_000, 0), (40_000, -lead)]] {
            let history = sound(demand(vec![held(0, vec![]), held(lead, steps.clone())]));
            let ideal = CAPACITY + PER_SECOND * SECONDS;
            let most = ideal + PER_SECOND * HELD.1.unsigned_abs() / 1_000;
            let granted = granted(&history, 0);
            // Tolerates a refill of the whole bucket.
            assert!(granted * 100 + CAPACITY * 100 >= ideal * 99, "{granted} of {ideal}: {lead} ms, {steps:?}");
            assert!(granted <= most, "{granted} of {most}: {lead} ms, {steps:?}");
        }
    }
}

#[test]
fn times_to_wait_are_true_within_the_skew_whatever_a_clock_shows() {
    for lead in [0, MINUTE, DAY, YEAR, -MINUTE, -DAY, -YEAR] {
        let wanted = 50;
        let steps = vec![
            step(0, acquire(0, 0, CAPACITY)),
            step(1_000, Acquire { again: true, ..acquire(0, 0, wanted) }),
            step(30_000, acquire(1, 0, CAPACITY)),
            step(31_000, Acquire { again: true, ..acquire(0, 0, wanted) }),
        ];
        let entities = vec![entity(CAPACITY, CAPACITY, CAPACITY / PER_SECOND)];
        let history = sound(schedule(vec![held(lead, vec![]), held(0, vec![])], entities, steps));
        let again: Vec<_> = history.asks.iter().filter(|ask| ask.after.is_some()).collect();
        assert_eq!(again.len(), 2);
        for ask in again {
            assert_eq!(ask.answer, Some(AskAnswer::Granted), "whoever waits as told is served: {lead} ms");
            let told = ask.begun - history.asks[ask.after.unwrap()].begun;
            // The bucket was empty one second earlier.
            let ideal = wanted * 1_000 / PER_SECOND - 1_000;
            assert!(
                told.abs_diff(ideal) <= 1_000 + HELD.1.unsigned_abs(),
                "told {told} ms, {ideal} would do: {lead} ms"
            );
        }
    }
}
