//! Minimises a schedule while it still shows the same kind of violation.

use crate::{play::play, schedule::Schedule};

/// Returns the kind of a violation: roughly its text up to the first number.
fn kind(violation: &str) -> String {
    violation.split(|c: char| c.is_ascii_digit() && c != '1').next().unwrap_or_default().chars().take(3).collect()
}

/// Returns the kinds of violations that `schedule` shows.
fn kinds(schedule: &Schedule) -> Vec<String> {
    play(schedule.clone()).map_or_else(|_| Vec::new(), |history| history.violations.iter().map(|v| kind(v)).collect())
}

/// Returns the smallest schedule found that shows the first violation of `schedule`; `None` if it shows none.
pub fn minimise(schedule: &Schedule) -> Option<Schedule> {
    let wanted = kinds(schedule).into_iter().next()?;
    let shows = |smaller: &Schedule| kinds(smaller).contains(&wanted);
    let mut best = schedule.clone();
    loop {
        let before = size(&best);
        shorten(&mut best, &shows, |schedule| &mut schedule.steps);
        shorten(&mut best, &shows, |schedule| &mut schedule.troubles);
        simplify(&mut best, &shows);
        if size(&best) >= before {
            return Some(best);
        }
    }
}

fn size(schedule: &Schedule) -> usize {
    schedule.steps.len() + schedule.troubles.len()
}

/// Removes parts of a list, large ones first.
fn shorten<T: Clone>(
    best: &mut Schedule,
    shows: &impl Fn(&Schedule) -> bool,
    list: impl Fn(&mut Schedule) -> &mut Vec<T>,
) {
    let mut part = list(best).len().div_ceil(2);
    while part > 0 {
        let mut from = 0;
        while from < list(best).len() {
            let mut smaller = best.clone();
            let members = list(&mut smaller);
            let until = (from + part).min(members.len());
            members.drain(from..until);
            if shows(&smaller) {
                *best = smaller;
            } else {
                from += part;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
}

/// Simplifies each step to what it needs.
fn simplify(best: &mut Schedule, shows: &impl Fn(&Schedule) -> bool) {
    use crate::schedule::{Action, Ends};
    for index in 0..best.steps.len() {
        let simpler: [fn(&mut crate::schedule::Acquire); 4] = [
            |acquire| acquire.again = false,
            |acquire| acquire.cancelled = None,
            |acquire| acquire.ends = Ends::Keeps,
            |acquire| acquire.work = 0,
        ];
        for simpler in simpler {
            let mut smaller = best.clone();
            let Action::Acquire(acquire) = &mut smaller.steps[index].action else { break };
            simpler(acquire);
            if shows(&smaller) {
                *best = smaller;
            }
        }
    }
    for entity in 0..best.entities.len() {
        let mut smaller = best.clone();
        smaller.entities[entity].parent = None;
        if shows(&smaller) {
            *best = smaller;
        }
    }
}
