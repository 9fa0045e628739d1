//! I9: trouble of one bucket costs no other bucket a grant, a limit or more than one round trip.

use super::answers::is_quick;
use crate::{
    schedule::{Trouble, What, Whose},
    world::history::{Ask, AskAnswer, Call, CallEnd, History},
};

/// Time after its end for which a trouble may have effects, in ms: pauses, a probe a second, and late answers.
const FELT_MS: u64 = 5_000;
/// Maximum duration of a call without faults, in ms.
const UNDER_WAY_MS: u64 = 1_000;
/// Number of lost conditions in a row before a write yields to neighbours.
const LOST: usize = 8;

/// Returns the damage to an ask that had no trouble of its own.
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

/// Returns true if its buckets and its process have no trouble now or shortly before.
fn is_untroubled(history: &History, ask: &Ask) -> bool {
    let process = history.process(ask.instance);
    let until = ask.ended.unwrap_or(u64::MAX);
    let concerns = |trouble: &Trouble| {
        let late = match trouble.what {
            What::Delays(late) | What::Holds(late) | What::Repeats(late) => late,
            _ => 0,
        };
        let mine = match trouble.whose {
            Whose::All => true,
            Whose::Process(troubled) => troubled == process,
            Whose::Entity(troubled) => history.charges(ask.entity, troubled),
        };
        mine && trouble.from <= until && ask.begun <= trouble.until + late + FELT_MS
    };
    // A process that shuts down reports it.
    !history.schedule.troubles.iter().any(concerns) && !history.ended.contains(&ask.instance)
}

/// Returns the time in which no call was under way for an ask, if it is more than a round trip.
fn idle(history: &History, ask: &Ask) -> Option<String> {
    let ended = ask.ended?;
    let round_trip = history.schedule.latency.1 * 2 + 1;
    if ended - ask.begun <= round_trip {
        return None;
    }
    let own = |call: &&Call| {
        let mine =
            call.instance == ask.instance && call.entity.is_none_or(|entity| history.charges(ask.entity, entity));
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
