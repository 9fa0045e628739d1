//! Checks the policy `Local`: the local grants of a process do not exceed its share of the limits.

use crate::{
    schedule::Policy,
    world::{
        entity_name,
        history::{Ask, AskAnswer, History},
        limit_name,
    },
};

/// The default share of a limit: one part in this many.
const SHARE: i128 = 10;

/// Returns the intervals in which a process granted too much locally.
pub(super) fn violations(history: &History) -> Vec<String> {
    let local = |instance: usize| {
        let process = history.process(instance);
        history.schedule.processes.get(process).is_some_and(|process| process.policy == Policy::Local)
    };
    let mut found = Vec::new();
    let mut asks: Vec<&Ask> = history.asks.iter().filter(|ask| ask.answer == Some(AskAnswer::Local)).collect();
    // A share is asked last, when the table did not answer.
    asks.sort_by_key(|ask| ask.ended);
    for (number, first) in asks.iter().enumerate() {
        if !local(first.instance) {
            found.push(format!("{} was granted by a share that nobody asked for", entity_name(first.entity)));
        }
        for limit in 0..first.tokens.len() {
            let later = asks[number..]
                .iter()
                .filter(|ask| ask.instance == first.instance && ask.entity == first.entity && ask.ended.is_some());
            let mut sum = 0;
            for ask in later {
                sum += i128::from(ask.tokens[limit]) * 1_000;
                let tau = i128::from(ask.ended.unwrap_or(0).saturating_sub(first.ended.unwrap_or(0)));
                let most = allowed(history, first, ask, limit, tau);
                if sum > most {
                    let (entity, name) = (entity_name(first.entity), limit_name(limit));
                    found.push(format!(
                        "{entity} granted {sum} mt of {name} by itself in {tau} ms, and {most} are its share"
                    ));
                    return found;
                }
            }
        }
    }
    found
}

/// Returns the maximum that a share allows from one grant to another, `tau` ms later, in mt.
fn allowed(history: &History, first: &Ask, last: &Ask, limit: usize, tau: i128) -> i128 {
    let until = last.ended.unwrap_or(u64::MAX);
    let versions = history.schedule.limits_in(first.entity, known_since(history, first), until);
    // A clock may have been moved in between.
    let process = &history.schedule.processes[history.process(first.instance)];
    let moved = if process.steps.is_empty() && !process.held { 0 } else { i128::from(history.schedule.skew()) };
    let most = versions.iter().map(|limits| limits[limit]).map(|limit| {
        let part = |amount: u64| (i128::from(amount) * 1_000 / SHARE).max(1_000.min(i128::from(amount) * 1_000));
        let gained = i128::from(limit.refill) * 1_000 / SHARE * (tau + moved);
        part(limit.capacity) + gained / (i128::from(limit.period) * 1_000) + 1
    });
    // A share starts over each time that the limits change.
    most.sum()
}

/// Returns the time from which the limits may be that a share is of: those that the table last told the process. A
/// refusal may have been the share's.
fn known_since(history: &History, first: &Ask) -> u64 {
    let told = history.asks.iter().filter(|ask| {
        let is_told = ask.answer == Some(AskAnswer::Granted) && ask.begun < first.begun;
        is_told && ask.instance == first.instance && ask.entity == first.entity
    });
    told.map(|ask| ask.begun).max().unwrap_or(0)
}
