//! Checks answers: in time (I7), a correct `retry_after`, no outage without a fault (I9), and everything granted again
//! after recovery.

use super::neighbours;
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
        found.extend(dishonest(history, ask).map(|dishonest| format!("{who} {dishonest}")));
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
fn shares(history: &History, ask: &Ask) -> bool {
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

/// Time in which two millitokens come in, of the slowest limit that an ask is charged to, in ms.
fn rounding(history: &History, ask: &Ask) -> u64 {
    let limits = history.levels(ask.entity).flat_map(|level| history.schedule.entities[level].limits.clone());
    limits.map(|limit| 2 * limit.period.div_ceil(limit.refill)).max().unwrap_or(0)
}

/// Detects a client that waited as advised, while no other client took tokens, and was refused again.
fn dishonest(history: &History, ask: &Ask) -> Option<String> {
    let first = &history.asks[ask.after?];
    let AskAnswer::NotYet(again) = *ask.answer.as_ref()? else { return None };
    let AskAnswer::NotYet(wait) = first.answer.as_ref()? else { return None };
    let levels = history.levels(ask.entity);
    let reserving = history.schedule.processes.iter().any(|process| process.reserve);
    let meanwhile = first.begun.saturating_sub(1_000)..=ask.ended.unwrap_or(u64::MAX);
    let taken = history.changes.iter().any(|change| {
        history.charges(ask.entity, change.entity)
            // A write that was under way took tokens that the answer did not count.
            && meanwhile.contains(&change.call.map_or(change.at, |call| history.calls[call].sent))
            && change.moves.iter().any(|made| made.consumed > 0)
    });
    let troubled = history.calls.iter().any(|call| call.wrong.is_some() && meanwhile.contains(&call.sent));
    let changed = levels.clone().any(|level| history.schedule.limits(level).len() > 1);
    // Any of several items may be asked first.
    let sharded = levels.clone().any(|level| history.schedule.shards(level) > 1);
    let unsteady = history.schedule.processes.iter().any(|process| process.held);
    // Another client that asks at the same time may be served first.
    let contested = history.asks.iter().any(|other| {
        let meets = history.levels(ask.entity).any(|level| history.charges(other.entity, level));
        let begun = *meanwhile.start() <= other.begun && other.begun <= *meanwhile.end();
        meets && begun && !std::ptr::eq(other, ask) && other.ended.is_none_or(|ended| ask.begun <= ended)
    });
    // The worth of a refund is rounded down, and known when it is written.
    let rounded = again <= rounding(history, ask) && history.asks.iter().any(|other| other.used.is_some());
    let by_share = shares(history, ask) && !is_quick(history, ask);
    let disturbed =
        by_share || reserving || taken || contested || rounded || troubled || changed || sharded || unsteady;
    (!disturbed).then(|| format!("waited {wait} ms as it was told, and was told to wait {again} ms again"))
}
