//! Refunds of leases that were held for long, and refunds that the network delivers twice.

use zae_sim::{
    schedule::{Acquire, Ends, Process, Trouble, What, Whose},
    world::history::AskAnswer,
};

use crate::stage::{acquire, counted, entity, granted, process, schedule, sound, step, troubled};

const MINUTE: u64 = 60_000;
const CAPACITY: u64 = 1_000;

/// Refill has filled the bucket again under each of them: given back, they are worth nothing more.
#[test]
fn leases_held_for_minutes_and_rolled_back_grant_no_more_than_the_limit() {
    // A second more than a refill takes.
    let begun = |lease: u64| lease * (MINUTE + 1_000);
    let returned = |lease: u64| 11 * MINUTE + lease * 100;
    let held = (0..10).map(|lease| {
        let work = returned(lease) - begun(lease);
        step(begun(lease), Acquire { work, ends: Ends::RollsBack, ..acquire(0, 0, CAPACITY) })
    });
    let asked = (0..10).map(|lease| step(returned(lease) + 80, acquire(0, 0, CAPACITY)));
    let entities = vec![entity(CAPACITY, CAPACITY, 60)];
    let history = sound(schedule(vec![process()], entities, held.chain(asked).collect()));
    let after = history.asks.iter().filter(|ask| ask.begun >= 11 * MINUTE && ask.step.is_some());
    let after = after.filter(|ask| ask.answer == Some(AskAnswer::Granted)).count();
    assert_eq!((granted(&history, 0), after), (11 * CAPACITY, 1), "one full bucket");
}

#[test]
fn a_refund_that_is_delivered_twice_counts_once() {
    let kept = step(0, acquire(0, 0, 100));
    let rolled_back =
        (1..10).map(|number| step(number * 50, Acquire { work: 2_000, ends: Ends::RollsBack, ..acquire(0, 0, 90) }));
    // One token in more than a day: nothing but refunds fills it.
    let entities = vec![entity(CAPACITY, 1, 100_000)];
    for later in [1, 20, 400] {
        let steps = std::iter::once(kept.clone()).chain(rolled_back.clone()).collect();
        let schedule = schedule(vec![process()], entities.clone(), steps);
        let repeats =
            Trouble { from: 1_500, until: 10_000, whose: Whose::All, what: What::Repeats(later), percent: 100 };
        let history = troubled(schedule, vec![repeats]);
        let repeated = history.calls.iter().filter(|call| call.is_write && call.wrong.is_some()).count();
        assert!(repeated > 0, "something is delivered twice");
        assert_eq!(counted(&history, 0), 100_000, "{later} ms later");
    }
}

#[test]
fn so_does_one_after_which_a_neighbour_was_given_back_its_own() {
    // Leases of both processes end in turn, every 20 ms, so that others refund before the second delivery.
    let ends = |number: u64| 3_000 + number * 20;
    let lease = |number: u64| {
        let begun = number * 50;
        let process = usize::try_from(number % 2).unwrap();
        step(begun, Acquire { work: ends(number) - begun, ends: Ends::RollsBack, ..acquire(process, 0, 30) })
    };
    for later in [1, 30, 100, 400] {
        let steps = [step(0, acquire(0, 0, 100)), step(20, acquire(1, 0, 100))].into_iter().chain((1..25).map(lease));
        let processes = vec![Process { flush: 0, ..process() }; 2];
        let mut schedule = schedule(processes, vec![entity(CAPACITY, 1, 100_000)], steps.collect());
        schedule.latency = (1, 4);
        let repeats =
            Trouble { from: 2_500, until: 10_000, whose: Whose::All, what: What::Repeats(later), percent: 100 };
        let history = troubled(schedule, vec![repeats]);
        assert_eq!(counted(&history, 0), 200_000, "{later} ms later");
    }
}
