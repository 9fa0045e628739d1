//! I9: what one bucket suffers costs no other bucket a grant, a limit or more than one round trip.

use super::answers::is_quick;
use crate::{
    schedule::{Trouble, What, Whose},
    world::history::{Ask, AskAnswer, Call, CallEnd, History},
};

/// Time after its end in which a trouble may still be felt, in ms: pauses, a probe a second, and answers that are late.
const FELT_MS: u64 = 5_000;
/// The longest that a call is under way where nothing is wrong, in ms.
const UNDER_WAY_MS: u64 = 1_000;
/// Conditions lost in a row before a write gives way to neighbours.
const LOST: usize = 8;

/// The damage that an ask suffered from nothing of its own.
pub(super) fn violation(history: &History, ask: &Ask) -> Option<String> {
    let answer = ask.answer.as_ref()?;
    if !is_untroubled(history, ask) {
        return None;
    }
    let failure = match answer {
        AskAnswer::Unavailable(failure) | AskAnswer::Failed(failure) => Some(failure.clone()),
        AskAnswer::Blind | AskAnswer::Local => Some(format!("{answer:?}")),
        AskAnswer::Granted | AskAnswer::NotYet(_) | AskAnswer::Never => None,
        AskAnswer::Cancelled => return None,
    };
    match failure {
        Some(failure) => is_quick(history, ask).then(|| format!("failed without a fault: {failure}")),
        None => idle(history, ask),
    }
}

/// Returns true if nothing goes wrong for its buckets and its process, nor did a moment ago.
fn is_untroubled(history: &History, ask: &Ask) -> bool {
    let levels = history.levels(ask.entity);
    let process = history.process(ask.instance);
    let until = ask.ended.unwrap_or(u64::MAX);
    let concerns = |trouble: &Trouble| {
        let late = match trouble.what {
            What::Delays(late) | What::Holds(late) => late,
            _ => 0,
        };
        let mine = match trouble.whose {
            Whose::All => true,
            Whose::Process(troubled) => troubled == process,
            Whose::Entity(troubled) => levels.contains(&troubled),
        };
        mine && trouble.from <= until && ask.begun <= trouble.until + late + FELT_MS
    };
    // Whoever shuts down says so.
    !history.schedule.troubles.iter().any(concerns) && !history.ended.contains(&ask.instance)
}

/// The time in which nothing was under way for an ask, if that is more than a round trip.
fn idle(history: &History, ask: &Ask) -> Option<String> {
    let ended = ask.ended?;
    let round_trip = history.schedule.latency.1 * 2 + 1;
    if ended - ask.begun <= round_trip {
        return None;
    }
    let levels = history.levels(ask.entity);
    let own = |call: &&Call| {
        let mine = call.instance == ask.instance && call.entity.is_none_or(|entity| levels.contains(&entity));
        mine && call.answered.is_none_or(|answered| answered >= ask.begun)
    };
    let calls = history.calls_since(ask.begun.saturating_sub(UNDER_WAY_MS)).iter();
    let calls: Vec<&Call> = calls.take_while(|call| call.sent <= ended).filter(own).collect();
    let gives_way = calls.iter().filter(|call| call.is_write && call.end == Some(CallEnd::Lost)).count() >= LOST;
    if gives_way || calls.iter().any(|call| call.wrong.is_some()) {
        return None;
    }
    let (mut at, mut idle) = (ask.begun, 0);
    // In the order in which they were sent.
    for call in calls {
        idle += call.sent.saturating_sub(at);
        at = at.max(call.answered.unwrap_or(ended)).min(ended);
    }
    idle += ended - at;
    (idle > round_trip).then(|| format!("waited {idle} ms while nothing of its own was under way"))
}
