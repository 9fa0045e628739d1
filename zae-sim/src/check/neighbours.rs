//! I9: trouble of one bucket costs no other bucket a grant, a limit or more than one round trip.

use std::collections::BTreeSet;

use super::answers::is_quick;
use crate::{
    schedule::{Trouble, What, Whose},
    world::history::{Ask, AskAnswer, Call, CallEnd, History, Kind},
};

/// Time after its end for which a trouble may have effects, in ms: pauses, a probe a second, late answers, and the pace
/// of a bucket that was throttled.
const FELT_MS: u64 = 5_000;
/// The text of the error that says that a bucket takes no more writes.
const THROTTLED: &str = "throttle";
/// The text of the error of an ask that waited for such a bucket until its deadline.
const TOO_LATE: &str = "within the deadline";
/// The text of the error of an open circuit.
const OPEN: &str = "circuit";
/// Maximum duration of a call without faults, in ms.
const UNDER_WAY_MS: u64 = 1_000;
/// Number of lost conditions in a row before a write yields to neighbours.
const LOST: usize = 8;
/// Failures in a row that it takes to open a circuit.
const FAILURES: usize = 3;
/// Time that they take at least, in ms.
const FAILING_MS: u64 = 500;
/// Silent buckets that it takes to open the circuit of the store.
const SILENT: usize = 3;

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
        Some(failure) if is_paced && (is_by_policy || [THROTTLED, TOO_LATE].iter().any(|of| failure.contains(of))) => {
            None
        }
        Some(failure) => is_quick(history, ask).then(|| format!("failed without a fault: {failure}")),
        None if is_paced => None,
        None => idle(history, ask),
    }
}

/// Returns true if a circuit may be open: that of one of its buckets, whose last write failed, or that of the store. A
/// circuit stays open until a write is answered. One that is still under way has not been answered yet: it is the probe
/// that the others wait for.
fn failed_last(history: &History, ask: &Ask) -> bool {
    let before = &history.calls[..history.calls.partition_point(|call| call.sent < ask.begun)];
    let known = || {
        before.iter().rev().filter(|call| {
            let is_under_way = call.wrong.is_none() && call.answered.is_none_or(|answered| answered >= ask.begun);
            call.instance == ask.instance && !is_under_way && (call.is_write || call.wrong.is_some())
        })
    };
    let mut levels = history.levels(ask.entity);
    let of_level = |level| known().find(|call| call.is_write && call.entity == Some(level));
    is_given_up(history, ask, known()) || levels.any(|level| of_level(level).is_some_and(|last| last.wrong.is_some()))
}

/// Returns true if so many calls of its process have failed in a row that the store counts as unavailable; the last one
/// is first. What was throttled or in conflict is no failure of the store.
fn is_given_up<'a>(history: &History, ask: &Ask, calls: impl Iterator<Item = &'a Call>) -> bool {
    let is_outcome = |call: &&Call| !matches!(call.wrong, Some(What::Throttles | What::Overheats | What::Conflicts));
    let failed: Vec<&Call> = calls.filter(is_outcome).take_while(|call| call.wrong.is_some()).collect();
    let lasted = failed.last().is_some_and(|first| ask.begun - first.sent >= FAILING_MS);
    let is_unreachable = failed.iter().any(|call| call.wrong == Some(What::Refuses));
    // Each item of a bucket is silent for itself, and a read of limits does not say for which bucket it is.
    let (several, single): (Vec<_>, Vec<_>) =
        failed.iter().map(|call| call.entity).partition(|entity| entity.is_none_or(|of| history.sharded[of] > 1));
    let single: BTreeSet<_> = single.into_iter().collect();
    failed.len() >= FAILURES && lasted && (is_unreachable || several.len() + single.len() >= SILENT)
}

/// Returns true if its process writes one of its buckets less often, as after a trouble: transactions of others are in
/// conflict with its writes without one.
fn is_paced(history: &History, ask: &Ask) -> bool {
    let since = history.calls_since(ask.begun.saturating_sub(felt(history))).iter();
    let mut since = since.take_while(|call| call.sent <= ask.ended.unwrap_or(u64::MAX));
    since.any(|call| {
        let concerns = call.entity.is_some_and(|entity| history.charges(ask.entity, entity));
        call.instance == ask.instance && concerns && call.is_write && call.wrong.is_some_and(What::is_certain)
    })
}

/// Returns the time for which a process feels a trouble, in ms: it hears of the last of it a round trip later.
fn felt(history: &History) -> u64 {
    FELT_MS + 2 * history.schedule.latency.1
}

/// Returns true if its buckets and its process have no trouble now or shortly before.
fn is_untroubled(history: &History, ask: &Ask) -> bool {
    let process = history.process(ask.instance);
    let until = ask.ended.unwrap_or(u64::MAX);
    let felt = felt(history);
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
        mine && trouble.from <= until && ask.begun <= trouble.until + late + felt
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
