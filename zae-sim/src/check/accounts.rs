//! I2, I3, I4 and I6: once everything is settled, a bucket counts exactly what its clients used, at every level. If
//! something was lost on the way, it counts at least what was granted and kept, and at most what was requested. The
//! stream's aggregator counts each change once, however often it is delivered.

use crate::{
    schedule::What,
    world::{
        entity_name,
        history::{Ask, AskAnswer, Call, CallEnd, History, Usage},
        limit_name,
    },
};

/// Returns the accounts that do not balance.
pub(super) fn violations(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for entity in 0..history.schedule.entities.len() {
        for (limit, usage) in history.usage[entity].iter().enumerate().filter(|(_, of)| of.counted != of.consumed) {
            let (whose, name) = (entity_name(entity), limit_name(limit));
            let Usage { counted, consumed } = usage;
            found.push(format!("usage: of {name} of {whose} {counted} are counted, and {consumed} were consumed"));
        }
        let Some(counted) = history.counted[entity].as_ref().filter(|_| !history.removed[entity]) else { continue };
        for (index, counted) in counted.iter().enumerate() {
            let neighbours = if index == 0 { history.neighbours[entity] } else { 0 };
            let counted = counted - neighbours;
            found.extend(unbalanced(history, entity, index, counted));
        }
    }
    found
}

fn unbalanced(history: &History, entity: usize, limit: usize, counted: i128) -> Option<String> {
    let (whose, name) = (entity_name(entity), limit_name(limit));
    // A reserve that is returned too late is forfeited, and is not part of any client's use. A clock that is set may
    // end it early, and neighbours that were faster may put off its return.
    let processes = &history.schedule.processes;
    let reserving = processes.iter().any(|process| process.reserve);
    let set = processes.iter().any(|process| process.reserve && !process.steps.is_empty());
    let is_put_off = |call: &Call| call.entity == Some(entity) && call.is_write && call.end == Some(CallEnd::Lost);
    let is_troubled = set || !history.schedule.troubles.is_empty();
    let forfeits = reserving && (is_troubled || history.calls.iter().any(is_put_off));
    if !history.blurred[entity] && !forfeits {
        let used = sum(history, entity, |ask| used(ask, limit));
        return (used != counted)
            .then(|| format!("I3: {whose} counts {counted} mt of {name}, and {used} mt were used"));
    }
    let least = sum(history, entity, |ask| used(ask, limit).min(granted(ask, limit)));
    if counted < least {
        return Some(format!("I6: {whose} counts {counted} mt of {name}, and {least} mt were granted and kept"));
    }
    let most = sum(history, entity, |ask| used(ask, limit).max(asked(ask, limit)));
    if counted <= most || reserving {
        return None;
    }
    // Tokens that are taken twice are too many, which errs on the safe side.
    let most = most + repeated(history, entity, limit);
    (counted > most).then(|| format!("I6: {whose} counts {counted} mt of {name}, and only {most} mt were asked for"))
}

/// Sums up what requests took that were delivered twice, in mt.
fn repeated(history: &History, entity: usize, limit: usize) -> i128 {
    let is_repeated = |call: usize| matches!(history.calls[call].wrong, Some(What::Repeats(_)));
    let changes =
        history.changes.iter().filter(|change| change.entity == entity && change.call.is_some_and(is_repeated));
    changes.filter_map(|change| change.moves.get(limit)).map(|made| made.consumed.max(0)).sum()
}

/// Sums up the asks on a bucket until the accounts were read, in mt.
fn sum(history: &History, entity: usize, of: impl Fn(&Ask) -> i128) -> i128 {
    let asks = history.asks.iter().filter(|ask| ask.step.is_some() && history.charges(ask.entity, entity));
    asks.map(of).sum::<i128>() * 1_000
}

fn asked(ask: &Ask, limit: usize) -> i128 {
    ask.tokens.get(limit).map_or(0, |tokens| i128::from(*tokens))
}

fn granted(ask: &Ask, limit: usize) -> i128 {
    if ask.answer == Some(AskAnswer::Granted) { asked(ask, limit) } else { 0 }
}

/// Returns the tokens used, including those of clients that died with a lease. The table does not know of blind grants.
fn used(ask: &Ask, limit: usize) -> i128 {
    if matches!(ask.answer, Some(AskAnswer::Blind | AskAnswer::Local)) {
        return 0;
    }
    let said = ask.used.as_ref().and_then(|used| used.get(limit));
    said.map_or_else(|| granted(ask, limit), |used| i128::from(*used))
}
