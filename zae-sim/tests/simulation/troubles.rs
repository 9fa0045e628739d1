//! Settlements during a long outage, and a store that is slower than deadlines.

use zae_sim::schedule::{Acquire, Ends, Schedule, Step, Trouble, What, Whose};

use crate::stage::{acquire, counted, entity, granted, process, schedule, sound, step, took, troubled};

/// Number of calls, which are estimated at 100 tokens and use 1000.
const CALLS: u64 = 50;

/// Creates calls that begin in the first second, and end in the second after `begins` ms.
fn calls(begins: u64) -> Schedule {
    let call = |number: u64| -> Step {
        let at = number * 20;
        let work = begins + 500 + number * 20 - at;
        step(at, Acquire { work, ends: Ends::Adjusts(vec![900]), ..acquire(0, 0, 100) })
    };
    schedule(vec![process()], vec![entity(1_000_000, 1_000_000, 60)], (0..CALLS).map(call).collect())
}

fn trouble(what: What, seconds: u64, percent: u64) -> Trouble {
    Trouble { from: 2_000, until: 2_000 + seconds * 1_000, whose: Whose::All, what, percent }
}

#[test]
fn no_settlement_is_lost_while_the_store_throttles_or_cannot_be_reached() {
    for seconds in [1, 3, 30, 120] {
        for what in [What::Throttles, What::Refuses] {
            let history = troubled(calls(2_000), vec![trouble(what, seconds, 100)]);
            let all = i128::from(CALLS) * 1_000_000;
            assert_eq!(counted(&history, 0), all, "{what:?} for {seconds} s");
        }
    }
}

#[test]
fn of_a_store_that_hangs_only_what_was_under_way_is_not_known() {
    for seconds in [1, 3, 30, 120] {
        let history = troubled(calls(2_000), vec![trouble(What::LosesRequests, seconds, 100)]);
        let (least, most) = (i128::from(CALLS) * 100_000, i128::from(CALLS) * 1_000_000);
        let booked = counted(&history, 0);
        assert!((least..=most).contains(&booked), "{booked} mt after {seconds} s");
        // Clients that awaited a lost settlement receive its error.
        let told = history.asks.iter().filter(|ask| ask.unsettled.is_some()).count();
        let lost = usize::try_from((most - booked) / 900_000).unwrap();
        assert!(told * 2 + 2 >= lost, "{told} of every other one were told of {lost} losses");
    }
}

#[test]
fn every_settlement_is_stored_where_the_store_throttles_a_third_of_all_writes() {
    let mut schedule = calls(2_000);
    schedule.latency = (5, 15);
    let throttles = Trouble { from: 0, ..trouble(What::Throttles, 30, 30) };
    let history = troubled(schedule, vec![throttles]);
    assert_eq!(counted(&history, 0), i128::from(granted(&history, 0)) * 10_000);
}

#[test]
fn a_store_slower_than_deadlines_takes_hardly_more_than_it_grants() {
    let steps = (0..3_000).map(|number| step(number * 20, acquire(usize::try_from(number % 2).unwrap(), 0, 1)));
    let mut slow = schedule(vec![process(), process()], vec![entity(10_000, 10_000, 60)], steps.collect());
    slow.latency = (75, 175);
    let history = sound(slow);
    let (granted, taken) = (granted(&history, 0), counted(&history, 0) / 1_000);
    // Asks that waited for the previous write have no time left for their own.
    assert!(granted > 20, "{granted} granted of 3000");
    assert!(taken * 100 <= i128::from(granted) * 105, "{taken} tokens taken, {granted} granted");
}

#[test]
fn a_throttled_bucket_is_not_stormed_and_those_who_cannot_wait_are_told_at_once() {
    const PROCESSES: usize = 50;
    let steps = (0..6_000).map(|number| step(number * 10, acquire(number as usize % PROCESSES, 0, 1)));
    let crowd = schedule(vec![process(); PROCESSES], vec![entity(1_000_000, 1_000_000, 60)], steps.collect());
    let throttled = Trouble { from: 1_000, ..trouble(What::Throttles, 60, 100) };
    let history = troubled(crowd, vec![throttled]);
    let writes = |from: u64| history.calls_since(from).iter().filter(move |call| call.is_write && call.sent < 60_000);
    // Once every process has found out, each writes every two seconds.
    let (begun, later) = (writes(1_000).count(), writes(10_000).count());
    assert!(later <= PROCESSES * 50 / 2 * 3 / 2 && begun <= PROCESSES * 50, "{begun} writes, {later} later");
    let refused = history.asks.iter().filter(|ask| ask.begun > 10_000 && ask.begun < 60_000);
    let (at_once, all) = refused.fold((0, 0), |(at_once, all), ask| (at_once + u32::from(took(ask) <= 1), all + 1));
    assert!(at_once * 3 > all * 2, "{at_once} of {all} told at once");
}
