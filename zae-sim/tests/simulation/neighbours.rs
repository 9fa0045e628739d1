//! One hot tenant, whose bucket DynamoDB throttles, beside cold ones: a hundred of them for a minute if the environment
//! sets `ZAE_SIM_FULL`, fewer in the gate.

use zae_sim::{
    schedule::{Entity, Policy, Process, Schedule, Trouble, What, Whose},
    world::history::{Ask, AskAnswer, History},
};

use crate::stage::{acquire, entity, is_full, process, schedule, sound, step, took, troubled};

/// The common parent, if they cascade; then the hot tenant, then the cold ones.
const PARENT: usize = 0;
const HOT: usize = 1;
const FIRST_COLD: usize = 2;
/// Start of the trouble, in ms.
const BEGINS: u64 = 2_000;
/// A round trip, in ms.
const ROUND_TRIP: u64 = 10;

/// Returns the cold tenants.
fn cold_ones() -> std::ops::Range<usize> {
    FIRST_COLD..FIRST_COLD + if is_full() { 100 } else { 20 }
}

/// Duration of the trouble, in ms.
fn lasts() -> u64 {
    if is_full() { 60_000 } else { 12_000 }
}

/// Creates a schedule in which the hot tenant asks twenty times a second, and each cold one every three seconds.
fn crowd(process: Process, cascade: bool, capacity: u64) -> Schedule {
    let of = |index: usize| Entity {
        parent: (cascade && index != PARENT).then_some(PARENT),
        ..entity(if index == PARENT { capacity * 1_000 } else { capacity }, capacity, 1)
    };
    let lasts = lasts();
    let hot = (0..BEGINS + lasts).step_by(50).map(|at| step(at, acquire(0, HOT, 1)));
    let cold = (0..lasts / 3_000)
        .flat_map(|round| cold_ones().map(move |cold| step(round * 3_000 + cold as u64 * 29, acquire(0, cold, 1))));
    let mut steps: Vec<_> = hot.chain(cold).collect();
    steps.sort_by_key(|step| step.at);
    schedule(vec![process], (0..cold_ones().end).map(of).collect(), steps)
}

fn cold(history: &History) -> Vec<&Ask> {
    history.asks.iter().filter(|ask| cold_ones().contains(&ask.entity) && ask.step.is_some()).collect()
}

fn p99(history: &History) -> u64 {
    let mut times: Vec<u64> = cold(history).into_iter().map(took).collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn is_undisturbed(process: Process, cascade: bool, capacity: u64) {
    let crowd = crowd(process, cascade, capacity);
    let throttled = Trouble {
        from: BEGINS,
        until: BEGINS + lasts(),
        whose: Whose::Entity(HOT),
        what: What::Throttles,
        percent: 100,
    };
    let (alone, beside) = (sound(crowd.clone()), troubled(crowd, vec![throttled]));
    let refused = beside.asks.iter().filter(|ask| ask.entity == HOT && ask.answer != Some(AskAnswer::Granted));
    assert!(refused.count() as u64 * 60 > lasts(), "the hot one suffers");
    let answers = |history: &History| -> Vec<_> {
        cold(history).iter().map(|ask| (ask.step, ask.answer.clone().unwrap())).collect()
    };
    let granted = answers(&beside).iter().filter(|(_, answer)| *answer == AskAnswer::Granted).count();
    let asked = cold_ones().len() * usize::try_from(lasts() / 3_000).unwrap();
    assert_eq!((granted, answers(&alone).len()), (asked, asked), "every cold ask is granted, and by the table");
    let (before, now) = (p99(&alone), p99(&beside));
    assert!(now <= before + ROUND_TRIP, "p99 is {now} ms beside a hot one, and {before} ms without");
}

#[test]
fn cold_tenants_lose_nothing_beside_one_that_is_throttled() {
    is_undisturbed(process(), false, 100);
}

#[test]
fn cold_tenants_lose_nothing_where_they_share_a_parent_with_one_that_is_throttled() {
    is_undisturbed(process(), true, 100);
}

#[test]
fn cold_tenants_with_reserves_lose_nothing_beside_one_that_is_throttled() {
    is_undisturbed(Process { reserve: true, ..process() }, false, 10_000);
}

#[test]
fn no_cold_tenant_is_granted_blindly_beside_one_that_is_throttled() {
    is_undisturbed(Process { policy: Policy::Allow, ..process() }, false, 100);
}
