//! Answers: in time (I7), honest about the time to wait, never an outage without a fault (I9), and everything granted
//! again once all is well.

use crate::{
    schedule::Whose,
    world::{
        entity_name,
        history::{Ask, AskAnswer, History},
    },
};

/// A deadline is kept to the next tick of the timer, in ms.
const TICK_MS: u64 = 1;
/// With a deadline of so many round trips, nothing but a fault makes an acquire fail.
const ROUND_TRIPS: u64 = 10;

/// The answers that were wrong.
pub(super) fn violations(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for (number, ask) in history.asks.iter().enumerate() {
        let who = format!("ask {number} of {}", entity_name(ask.entity));
        found.extend(late(history, ask).map(|late| format!("I7: {who} {late}")));
        found.extend(failed(history, ask).map(|failed| format!("I9: {who} {failed}")));
        found.extend(dishonest(history, ask).map(|dishonest| format!("{who} {dishonest}")));
        if let (None, answer) = (ask.step, &ask.answer)
            && *answer != Some(AskAnswer::Granted)
            && (is_quick(history, ask) || !matches!(answer, Some(AskAnswer::Unavailable(_))))
        {
            found.push(format!("I1b: {who} asked for {:?} of a full bucket, and was told {answer:?}", ask.tokens));
        }
    }
    found
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

/// An outage where there was none for this bucket.
fn failed(history: &History, ask: &Ask) -> Option<String> {
    let (AskAnswer::Unavailable(failure) | AskAnswer::Failed(failure)) = ask.answer.as_ref()? else { return None };
    let schedule = &history.schedule;
    let levels = history.levels(ask.entity);
    let elsewhere = |whose: &Whose| matches!(whose, Whose::Entity(entity) if !levels.contains(entity));
    let untroubled = schedule.troubles.iter().all(|trouble| elsewhere(&trouble.whose));
    // Whoever shuts down says so.
    let ending = history.events.iter().any(
        |event| matches!(event.kind, crate::world::history::Kind::ShutDown { instance } if instance == ask.instance),
    );
    (untroubled && is_quick(history, ask) && !ending).then(|| format!("failed without a fault: {failure}"))
}

/// Returns true if there is time for enough attempts.
fn is_quick(history: &History, ask: &Ask) -> bool {
    let deadline = history.schedule.processes[history.process(ask.instance)].deadline;
    deadline >= ROUND_TRIPS * 2 * history.schedule.latency.1
}

/// A client that waited as it was told, with nobody else taking anything, and was refused again.
fn dishonest(history: &History, ask: &Ask) -> Option<String> {
    let first = &history.asks[ask.after?];
    let AskAnswer::NotYet(again) = ask.answer.as_ref()? else { return None };
    let AskAnswer::NotYet(wait) = first.answer.as_ref()? else { return None };
    let levels = history.levels(ask.entity);
    let reserving = history.schedule.processes.iter().any(|process| process.reserve);
    let meanwhile = first.begun.saturating_sub(1_000)..=ask.ended.unwrap_or(u64::MAX);
    let taken = history.changes.iter().any(|change| {
        levels.contains(&change.entity)
            // A write that was under way took what the answer knew of.
            && meanwhile.contains(&change.call.map_or(change.at, |call| history.calls[call].sent))
            && change.moves.iter().any(|made| made.consumed > 0)
    });
    let troubled = history.calls.iter().any(|call| call.wrong.is_some() && meanwhile.contains(&call.sent));
    let disturbed = reserving || taken || troubled;
    (!disturbed).then(|| format!("waited {wait} ms as it was told, and was told to wait {again} ms again"))
}
