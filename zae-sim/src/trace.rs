//! Formats a history as text.

use std::fmt::Write;

use crate::{
    schedule::{Action, Schedule},
    world::{
        entity_name,
        history::{Ask, AskAnswer, Call, CallEnd, History, Kind},
        ledger::Move,
        limit_name,
    },
};

/// Formats the whole history, with a line for each event and the violations at the end.
pub fn text(history: &History) -> String {
    let mut text = settings(&history.schedule);
    for event in &history.events {
        let what = describe(history, &event.kind);
        let _ = writeln!(text, "{:>8} ms  {what}", event.at);
    }
    for violation in &history.violations {
        let _ = writeln!(text, "VIOLATION {violation}");
    }
    text
}

fn settings(schedule: &Schedule) -> String {
    let mut text = format!("seed {}, latency {:?} ms\n", schedule.seed, schedule.latency);
    for (index, process) in schedule.processes.iter().enumerate() {
        let _ = writeln!(text, "process {index}: {process:?}");
    }
    for (index, entity) in schedule.entities.iter().enumerate() {
        let limits = entity.limits.iter().enumerate();
        let limits = limits.map(|(index, limit)| {
            let name = limit_name(index);
            format!("{name} {} + {} / {} s", limit.capacity, limit.refill, limit.period)
        });
        let limits = limits.collect::<Vec<_>>().join(", ");
        let parent = entity.parent.map_or_else(String::new, |parent| format!(", charges {} too", entity_name(parent)));
        let kept = if entity.own { "" } else { ", may be removed when full" };
        let _ = writeln!(text, "{}: {limits}{parent}{kept}", entity_name(index));
    }
    for trouble in &schedule.troubles {
        let _ = writeln!(text, "{trouble:?}");
    }
    text
}

fn amounts<T: std::fmt::Display>(amounts: impl IntoIterator<Item = T>) -> String {
    let named = amounts.into_iter().enumerate().map(|(index, amount)| format!("{} {amount}", limit_name(index)));
    named.collect::<Vec<_>>().join(", ")
}

fn describe(history: &History, kind: &Kind) -> String {
    let ask = |ask: &usize| -> (&Ask, String) {
        let of = &history.asks[*ask];
        (of, format!("process {} ask {ask} of {}", history.process(of.instance), entity_name(of.entity)))
    };
    let call = |call: &usize| -> (&Call, String) {
        let of = &history.calls[*call];
        let whose = of.entity.map_or_else(|| "limits".to_owned(), entity_name);
        (of, format!("process {} call {call} ({} {whose})", history.process(of.instance), of.what))
    };
    match kind {
        Kind::Started { instance, process } => format!("process {process} starts (instance {instance})"),
        Kind::Killed { instance } => format!("instance {instance} is killed"),
        Kind::ShutDown { instance } => format!("instance {instance} has shut down"),
        Kind::Removed { entity, by } => format!("the bucket of {} is removed by {by}", entity_name(*entity)),
        Kind::Healed => "all troubles are over".to_owned(),
        Kind::Sharded { entity, shards } => format!("the bucket of {} has {shards} items now", entity_name(*entity)),
        Kind::Limited { entity } => format!("{} has other limits now", entity_name(*entity)),
        Kind::Drained => "the stream delivers the rest".to_owned(),
        Kind::Quiet => "nobody has anything to do".to_owned(),
        Kind::Sent { call: number } => {
            let (of, who) = call(number);
            let wrong = of.wrong.map_or_else(String::new, |wrong| format!(": {wrong:?}"));
            format!("{who} leaves{wrong}")
        }
        Kind::Arrived { call: number } => {
            let (of, who) = call(number);
            format!("{who} is {}", if of.end == Some(CallEnd::Done) { "done" } else { "answered" })
        }
        Kind::Changed { change } => {
            let change = &history.changes[*change];
            let moves = amounts(change.moves.iter().map(|Move { tokens, consumed, left, .. }| {
                format!("{tokens:+} mt, consumed {consumed:+}, left {left}")
            }));
            let by = change.call.map_or_else(|| "a neighbour".to_owned(), |number| call(&number).1);
            format!("{by} changes {}: {moves}", entity_name(change.entity))
        }
        Kind::Answered { call: number, heard } => {
            format!("{} {}", call(number).1, if *heard { "is heard" } else { "is not heard" })
        }
        Kind::Asked { ask: number } => {
            let (of, who) = ask(number);
            format!("{who}: {}{}", amounts(&of.tokens), if of.after.is_some() { ", as it was told" } else { "" })
        }
        Kind::Ended { ask: number } => {
            let (of, who) = ask(number);
            let answer = match of.answer.as_ref() {
                Some(AskAnswer::NotYet(wait)) => format!("not for {wait} ms"),
                Some(other) => format!("{other:?}"),
                None => "nothing".to_owned(),
            };
            format!("{who}: {answer}")
        }
        Kind::Settling { ask: number } => {
            let (of, who) = ask(number);
            format!("{who} used {}", amounts(of.used.iter().flatten()))
        }
        Kind::Settled { ask: number } => {
            let (of, who) = ask(number);
            of.unsettled
                .as_ref()
                .map_or_else(|| format!("{who} is settled"), |why| format!("{who} is not stored: {why}"))
        }
    }
}

/// Formats a schedule's steps as text, one per line.
pub fn steps(schedule: &Schedule) -> String {
    let mut text = settings(schedule);
    for step in &schedule.steps {
        let action = match &step.action {
            Action::Acquire(acquire) => format!("{acquire:?}"),
            other => format!("{other:?}"),
        };
        let _ = writeln!(text, "{:>8} ms  {action}", step.at);
    }
    text
}
