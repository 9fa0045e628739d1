//! I9: trouble of one bucket costs no other bucket a grant, a limit or more than one round trip.

use super::answers::is_quick;
use crate::{
    schedule::{Trouble, What, Whose},
    world::history::{Ask, AskAnswer, Call, CallEnd, History, Kind},
};

/// Time after its end for which a trouble may have effects, in ms: pauses, a probe a second, and late answers.
const FELT_MS: u64 = 5_000;
/// Time for which a bucket is written less often after a throttled write, in ms, and for which that may be under way.
const PACED_MS: u64 = 61_000;
/// The text of the error that says so.
const THROTTLED: &str = "throttle";
/// The text of the error of an open circuit.
const OPEN: &str = "circuit";
/// Maximum duration of a call without faults, in ms.
const UNDER_WAY_MS: u64 = 1_000;
/// Number of lost conditions in a row before a write yields to neighbours.
const LOST: usize = 8;
/// Failures in a row that it takes to open a circuit.
const FAILURES: usize = 3;

/// Returns the damage to an ask that had no trouble of its own.
pub(super) fn violation(history: &History, ask: &Ask) -> Option<String> {
    let answer = ask.answer.as_ref()?;
    if !is_untroubled(history, ask) || is_of_the_past(history, ask) {
        return None;
    }
    let is_by_policy = matches!(answer, AskAnswer::Blind | AskAnswer::Local);
    let without_asking = match answer {
        AskAnswer::Unavailable(failure) => failure.contains(OPEN),
        _ => is_by_policy,
    };
    if without_asking && failed_last(history, ask) {
        return None;
    }
    let failure = match answer {
        AskAnswer::Unavailable(failure) | AskAnswer::Failed(failure) => Some(failure.clone()),
        AskAnswer::Blind | AskAnswer::Local => Some(format!("{answer:?}")),
        AskAnswer::Granted | AskAnswer::NotYet(_) | AskAnswer::Never => None,
        AskAnswer::Cancelled => return None,
    };
    let is_paced = is_paced(history, ask);
    match failure {
        // A policy that grants without the store does so where others are told that the bucket is throttled.
        Some(failure) if is_paced && (is_by_policy || failure.contains(THROTTLED)) => None,
        Some(failure) => is_quick(history, ask).then(|| format!("failed without a fault: {failure}")),
        None if is_paced => None,
        None => idle(history, ask),
    }
}

/// Returns true if a circuit may be open: the last write of one of its buckets failed, or so many calls of its process
/// in a row did that the store counts as unavailable. A circuit stays open until a write is answered. One that is still
/// under way has not been answered yet: it is the probe that the others wait for.
fn failed_last(history: &History, ask: &Ask) -> bool {
    let before = &history.calls[..history.calls.partition_point(|call| call.sent < ask.begun)];
    let known = || {
        before.iter().rev().filter(|call| {
            let is_under_way = call.wrong.is_none() && call.answered.is_none_or(|answered| answered >= ask.begun);
            call.instance == ask.instance && !is_under_way && (call.is_write || call.wrong.is_some())
        })
    };
    let all_failed = known().take(FAILURES).filter(|call| call.wrong.is_some()).count() == FAILURES;
    let mut levels = history.levels(ask.entity);
    let of_level = |level| known().find(|call| call.is_write && call.entity == Some(level));
    all_failed || levels.any(|level| of_level(level).is_some_and(|last| last.wrong.is_some()))
}

/// Returns true if the process was recently told that a bucket takes no more writes: it writes less often for a while.
fn is_paced(history: &History, ask: &Ask) -> bool {
    let since = history.calls_since(ask.begun.saturating_sub(PACED_MS)).iter();
    let mut since = since.take_while(|call| call.sent <= ask.ended.unwrap_or(u64::MAX));
    since.any(|call| {
        let concerns = call.entity.is_some_and(|entity| history.charges(ask.entity, entity));
        call.instance == ask.instance && concerns && call.is_write && call.wrong.is_some_and(What::is_certain)
    })
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
    !history.schedule.troubles.iter().any(concerns)
}

/// Returns true if its instance had been replaced before it was answered: one that shuts down reports it.
fn is_of_the_past(history: &History, ask: &Ask) -> bool {
    let process = history.process(ask.instance);
    history.ended.contains(&ask.instance)
        && history.events.iter().any(|event| match event.kind {
            Kind::Started { instance, process: started } => {
                started == process && instance > ask.instance && ask.ended.is_none_or(|ended| event.at <= ended)
            }
            _ => false,
        })
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
