//! Refusals: what they say has to be true.

use zae_sim::{
    schedule::{Acquire, Action, Ends, Entity, Limit, Policy, Process, Step, Trouble, What, Whose},
    world::history::{Ask, AskAnswer, History},
};

use crate::stage::{acquire, entity, process, schedule, sound, step, troubled};

/// A process whose clock shows the right time until it is set.
fn set(steps: Vec<(u64, i64)>, skew: i64) -> Process {
    Process { skew, steps, held: true, ..process() }
}

fn asks(history: &History) -> Vec<&Ask> {
    history.asks.iter().filter(|ask| ask.step.is_some()).collect()
}

#[test]
fn a_wait_is_long_enough_for_both_levels_though_only_one_was_seen_lately() {
    // The child refills in ten seconds, its parent in thirty. Only the child is seen again before the question.
    let entities = vec![entity(3, 3, 90), Entity { parent: Some(0), ..entity(1, 1, 10) }, entity(3, 3, 90)];
    for (lately, at) in [(1, 4_000), (0, 4_000)] {
        let again = Acquire { again: true, ..acquire(0, 1, 1) };
        let steps = vec![
            step(0, acquire(0, 0, 2)),
            step(500, acquire(0, 1, 1)),
            // Both levels refuse, and are known.
            step(1_000, acquire(0, 1, 1)),
            step(at, acquire(0, lately, 1)),
            step(at + 200, again),
        ];
        let history = sound(schedule(vec![process()], entities.clone(), steps));
        let last = asks(&history).into_iter().last().unwrap();
        assert!(last.after.is_some(), "it asks again");
        assert_eq!(last.answer, Some(AskAnswer::Granted), "whoever waits as told is served");
    }
}

#[test]
fn an_amount_that_a_local_share_never_has_is_not_promised_by_it() {
    // The share is a tenth.
    let share = 10;
    let client = |at, tokens| step(at, Acquire { again: true, ..acquire(0, 0, tokens) });
    let steps = vec![step(0, acquire(0, 0, 1)), client(2_000, share), client(2_100, share + 1), client(2_200, share)];
    let processes = vec![Process { policy: Policy::Local, ..process() }];
    let away = Trouble { from: 1_000, until: 60_000, whose: Whose::All, what: What::Refuses, percent: 100 };
    let history = troubled(schedule(processes, vec![entity(100, 100, 10)], steps), vec![away]);
    let answers: Vec<_> = asks(&history).iter().map(|ask| ask.answer.clone().unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == AskAnswer::Local).count(), 2, "{answers:?}");
    assert!(matches!(answers[2], AskAnswer::Unavailable(_)), "{answers:?}");
    assert!(matches!(answers[3], AskAnswer::NotYet(wait) if wait <= 10_000), "{answers:?}");
}

#[test]
fn limits_that_were_changed_are_known_within_a_minute_though_a_clock_is_set_back() {
    const MINUTE: i64 = 60_000;
    let limits = vec![Limit { capacity: 5, refill: 5, period: 1 }];
    let changed = Step { at: 2_000, action: Action::Limits { entity: 0, limits } };
    for back in [0, MINUTE, 3 * MINUTE] {
        let clock = set(vec![(1_000, -back)], 0);
        // Asked for at once, it never fits; a minute later it does.
        let steps = vec![
            step(0, acquire(0, 0, 1)),
            changed.clone(),
            step(3_000, acquire(0, 0, 1)),
            step(65_000, acquire(0, 0, 1)),
            step(75_000, acquire(0, 0, 4)),
        ];
        let history = sound(schedule(vec![clock], vec![entity(2, 2, 1)], steps));
        let last = asks(&history).into_iter().last().unwrap();
        assert_eq!(last.answer, Some(AskAnswer::Granted), "set back by {back} ms");
    }
}

#[test]
fn a_bucket_that_was_throttled_for_a_moment_is_as_fast_as_ever_a_minute_later() {
    let ask = |at, number: u64| step(at + number, Acquire { ends: Ends::Keeps, ..acquire(0, 0, 1) });
    let steps = (0..10).map(|number| ask(1_000, number * 20)).chain((0..5).map(|number| ask(70_000, number)));
    let throttled = Trouble { from: 900, until: 1_300, whose: Whose::All, what: What::Throttles, percent: 100 };
    let history = troubled(schedule(vec![process()], vec![entity(100, 100, 1)], steps.collect()), vec![throttled]);
    for ask in asks(&history).iter().filter(|ask| ask.begun >= 70_000) {
        let took = ask.ended.unwrap() - ask.begun;
        // The first also reads its limits, and the others wait for its write.
        assert!(ask.answer == Some(AskAnswer::Granted) && took <= 40, "{took} ms");
    }
}

#[test]
fn whoever_cannot_wait_for_a_throttled_buckets_next_write_is_told_at_once() {
    const DEADLINE: u64 = 50;
    const HEALED: u64 = 6_000;
    // A refund is tried again and again meanwhile, and the pauses grow. When it goes through, they are still long.
    let held = step(0, Acquire { work: 1_100, ends: Ends::RollsBack, ..acquire(0, 0, 1) });
    let steps = std::iter::once(held).chain((0..900).map(|number| step(HEALED + number * 4, acquire(0, 0, 1))));
    let processes = vec![Process { deadline: DEADLINE, ..process() }];
    let throttled = Trouble { from: 1_000, until: HEALED, whose: Whose::All, what: What::Throttles, percent: 100 };
    let schedule = schedule(processes, vec![entity(10_000, 10_000, 1)], steps.collect());
    let history = troubled(schedule, vec![throttled]);
    let asks = asks(&history);
    let failed = |ask: &&&Ask| matches!(ask.answer, Some(AskAnswer::Unavailable(_)));
    let failed: Vec<(u64, u64)> = asks.iter().filter(failed).map(|ask| (ask.begun, ask.ended.unwrap())).collect();
    assert!(failed.iter().any(|(begun, ended)| begun < ended), "some ask while the refund is under way");
    for (begun, ended) in failed.iter().filter(|(begun, ended)| ended - begun >= DEADLINE) {
        let has_call = history.calls.iter().any(|call| (begun..ended).contains(&&call.sent));
        assert!(has_call, "asked at {begun} ms and waited for nothing");
    }
    assert_eq!(asks.last().unwrap().answer, Some(AskAnswer::Granted));
}
