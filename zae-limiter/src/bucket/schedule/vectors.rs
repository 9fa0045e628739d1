//! The shared vectors of evaluation (`tests/vectors/schedule-eval.json`), and those of an independent program for
//! deliberate differences (`tests/vectors/schedule-exact.json`).

use serde_json::{Value, json};

use super::{MINUTE, accrual::Course};
use crate::{
    bucket::Params,
    model::schedule::{Cron, Resets, Schedule, Zone, vectors::vectors},
};

const REFERENCE: &str = include_str!("../../../tests/vectors/schedule-eval.json");
const EXACT: &str = include_str!("../../../tests/vectors/schedule-exact.json");

const DAY_MS: i64 = super::DAY * MINUTE;

fn int(value: &Value, key: &str) -> i64 {
    value[key].as_i64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn zone(input: &Value) -> Zone {
    Zone::new(input["tz"].as_str().unwrap()).unwrap()
}

fn schedule(input: &Value) -> Option<Schedule> {
    Schedule::decode(input["sched"].as_str()?, zone(input)).unwrap()
}

fn resets(input: &Value) -> Option<Resets> {
    Resets::decode(input["rsched"].as_str()?, zone(input)).unwrap()
}

fn params(input: &Value) -> Params {
    Params { capacity: int(input, "cp"), refill: int(input, "ra"), period: int(input, "rp") }
}

/// Returns the time after which the Python package evaluates again even without a change.
fn cap<'a>(crons: impl IntoIterator<Item = &'a Cron>) -> i64 {
    let texts: Vec<Vec<bool>> =
        crons.into_iter().map(|cron| cron.fields().map(|(field, own)| own.values != field.all()).collect()).collect();
    let restricts = |index: usize| texts.iter().any(|fields| fields[index]);
    let days = if restricts(0) {
        7
    } else if restricts(1) {
        31
    } else {
        366
    };
    days * DAY_MS
}

#[test]
fn entries_parameters_and_boundaries_are_those_of_python() {
    let vectors = vectors(REFERENCE, "effective");
    assert_eq!(vectors.len(), 252);
    for vector in vectors {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        let (schedule, now) = (schedule(input).unwrap(), int(input, "now_ms"));
        let phase = schedule.phase(now);
        let ours = schedule.params(params(input), &phase);
        assert_eq!(json!(phase.entry), expected["entry"], "{vector}");
        assert_eq!(ours, params(expected), "{vector}");
        assert_eq!(schedule.next_change(now).unwrap_or(i64::MAX), phase.until);
        // The Python package searches only up to its horizon, and treats the horizon as a boundary.
        let horizon = now + cap(schedule.entries().iter().map(|entry| &entry.cron));
        assert_eq!(phase.until.min(horizon), int(expected, "next_boundary_ms"), "{vector}");
    }
}

#[test]
fn resets_are_those_of_python_and_beyond_its_horizon_we_find_more() {
    let vectors = vectors(REFERENCE, "reset_edges");
    assert_eq!(vectors.len(), 288);
    let mut beyond = 0;
    for vector in vectors {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        let (resets, now) = (resets(input).unwrap(), int(input, "now_ms"));
        let (last, next) = (resets.last(now), resets.next(now));
        for (ours, theirs) in [(last, &expected["prev_ms"]), (next, &expected["next_ms"])] {
            // Its horizon is a year for expressions that name months, and a month for those that name days.
            let is_beyond = input["limit_case"] == true || ours.is_none_or(|edge| (edge - now).abs() > 30 * DAY_MS);
            if theirs.is_null() && is_beyond {
                beyond += 1;
            } else {
                assert_eq!(json!(ours), *theirs, "{vector}");
            }
        }
        let boundary = int(expected, "boundary_ms");
        assert!(next.is_none_or(|next| next == boundary || !expected["next_ms"].is_number()), "{vector}");
    }
    assert!(beyond > 0, "limit cases");
}

#[test]
fn resets_without_a_horizon_are_those_of_an_independent_program() {
    let vectors = vectors(EXACT, "edges");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let (resets, now) = (resets(&vector["input"]).unwrap(), int(&vector["input"], "now_ms"));
        assert_eq!(json!(resets.last(now)), vector["expected"]["last_ms"], "{vector}");
        assert_eq!(json!(resets.next(now)), vector["expected"]["next_ms"], "{vector}");
    }
}

#[test]
fn gains_over_boundaries_are_those_of_an_independent_program() {
    let vectors = vectors(EXACT, "accrue");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let input = &vector["input"];
        let schedule = schedule(input);
        let shards = u32::try_from(int(input, "shard_count")).unwrap();
        let course = Course { base: params(input), schedule: schedule.as_ref(), resets: None, shards };
        let ours = course.balance(int(input, "tk"), int(input, "rf"), int(input, "now_ms"));
        assert_eq!(ours, int(&vector["expected"], "tk"), "{vector}");
    }
}

/// Returns the instant at which the Python package stops walking through windows of equal parameters.
fn gives_up(schedule: Option<&Schedule>, now: i64) -> i64 {
    const WINDOWS: usize = 8;
    let Some(schedule) = schedule else { return i64::MAX };
    let horizon = cap(schedule.entries().iter().map(|entry| &entry.cron));
    (0..WINDOWS).fold(now, |at, _| schedule.phase(at).until.min(at + horizon))
}

#[test]
fn waits_are_those_of_python_where_it_does_not_give_up() {
    let vectors = vectors(REFERENCE, "retry_after");
    assert_eq!(vectors.len(), 196);
    let mut given_up = 0;
    for vector in vectors {
        let input = &vector["input"];
        let (schedule, resets, now) = (schedule(input), resets(input), int(input, "now_ms"));
        let shards = u32::try_from(int(input, "shard_count")).unwrap();
        let course = Course { base: params(input), schedule: schedule.as_ref(), resets: resets.as_ref(), shards };
        let ours = course.wait(int(input, "deficit"), now).unwrap_or(0);
        let theirs = (vector["expected"].as_f64().unwrap() * 1_000.0).round() as i64;
        // It rounds down and adds one, which is one too many at an exact ms.
        if (theirs - 1..=theirs).contains(&ours) {
            continue;
        }
        let beyond = gives_up(schedule.as_ref(), now);
        let no_edge_found = theirs == 0 && ours > 31 * DAY_MS;
        assert!(now + ours > beyond || no_edge_found, "{ours}: {vector}");
        given_up += 1;
    }
    assert_eq!(given_up, 24);
}
