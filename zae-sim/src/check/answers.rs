//! Checks answers: in time (I7), no outage without a fault (I9), correct times to wait, and everything granted again
//! after recovery.

use super::{neighbours, waits};
use crate::{
    schedule::Policy,
    world::{
        entity_name,
        history::{Ask, AskAnswer, History},
    },
};

/// A deadline is kept to the next tick of the timer, in ms.
const TICK_MS: u64 = 1;
/// With a deadline of this many round trips, only a fault makes an acquire fail.
const ROUND_TRIPS: u64 = 10;

/// Returns the wrong answers.
pub(super) fn violations(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for (number, ask) in history.asks.iter().enumerate() {
        let who = format!("ask {number} of {}", entity_name(ask.entity));
        found.extend(late(history, ask).map(|late| format!("I7: {who} {late}")));
        found.extend(neighbours::violation(history, ask).map(|wrong| format!("I9: {who} {wrong}")));
        found.extend(waits::violation(history, ask).map(|wrong| format!("{who} {wrong}")));
        if let (None, answer) = (ask.step, &ask.answer)
            && *answer != Some(AskAnswer::Granted)
            && (is_quick(history, ask) || !is_answer_to_an_outage(history, ask))
        {
            found.push(format!("I1b: {who} asked for {:?} of a full bucket, and was told {answer:?}", ask.tokens));
        }
    }
    found
}

/// Returns true if the answer may result from an outage.
fn is_answer_to_an_outage(history: &History, ask: &Ask) -> bool {
    match ask.answer {
        Some(AskAnswer::Unavailable(_) | AskAnswer::Blind | AskAnswer::Local) => true,
        Some(AskAnswer::NotYet(_)) => shares(history, ask),
        _ => false,
    }
}

/// Returns true if the process of `ask` has a local share, from which it may refuse in an outage.
pub(super) fn shares(history: &History, ask: &Ask) -> bool {
    history.schedule.processes[history.process(ask.instance)].policy == Policy::Local
}

fn late(history: &History, ask: &Ask) -> Option<String> {
    let deadline = history.schedule.processes[history.process(ask.instance)].deadline;
    let Some(ended) = ask.ended else {
        let dead = history.events.iter().any(
            |event| matches!(event.kind, crate::world::history::Kind::Killed { instance } if instance == ask.instance),
        );
        return (!dead).then(|| "was never answered".to_owned());
    };
    let took = ended - ask.begun;
    (took > deadline + TICK_MS).then(|| format!("took {took} ms with a deadline of {deadline}"))
}

/// Returns true if there is time for enough attempts.
pub(super) fn is_quick(history: &History, ask: &Ask) -> bool {
    let deadline = history.schedule.processes[history.process(ask.instance)].deadline;
    deadline >= ROUND_TRIPS * 2 * history.schedule.latency.1
}
