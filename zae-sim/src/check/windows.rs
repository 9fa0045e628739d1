//! I1: no interval has more tokens granted and kept than the capacity plus the refill.
//!
//! A grant counts from the decision of its write, for the part that its client kept: what was given back was not used.
//! If it is unknown which of several writes decided, the grant counts in every interval that contains all of them.

use crate::{
    schedule::Limit,
    world::{
        entity_name,
        history::{Ask, AskAnswer, CallEnd, History, Kind},
        limit_name,
    },
};

/// A process debits ahead at most one part in this many of the capacity, less a token.
const SHARE: i128 = 200;
/// The lifetime of tokens that are debited ahead, in ms.
const LIFE_MS: i128 = 1_000;

/// Tokens that a client kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// The earliest and the latest time of the decision, in ms.
    decided: (u64, u64),
    /// The earliest and the latest time of the effect, in ms.
    applied: (u64, u64),
    /// In mt.
    amount: i128,
}

/// Returns the intervals in which too much was granted, the worst of each limit.
pub(super) fn violations(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for (entity, of) in history.schedule.entities.iter().enumerate() {
        for (index, limit) in of.limits.iter().enumerate() {
            let kept = kept(history, entity, index);
            // A bucket that an operator deleted starts over.
            let mut ends: Vec<u64> = deletions(history, entity);
            ends.push(u64::MAX);
            let mut from = 0;
            for until in ends {
                let part = kept.iter().filter(|kept| (from == 0 || from < kept.applied.0) && kept.applied.1 < until);
                let part: Vec<Kept> = part.copied().collect();
                found.extend(worst(history, entity, index, limit, &part));
                from = until;
            }
        }
    }
    found
}

/// Returns the maximum that a limit allows over a run in which operators changed it: processes learn of changes with a
/// delay.
fn largest(history: &History, entity: usize, index: usize, limit: &Limit) -> Limit {
    let mut largest = *limit;
    for (_, limits) in history.schedule.limits(entity) {
        largest.capacity = largest.capacity.max(limits[index].capacity);
        largest.refill = largest.refill.max(limits[index].refill);
    }
    largest
}

fn deletions(history: &History, entity: usize) -> Vec<u64> {
    history.deleted.iter().filter(|(_, whose)| *whose == entity).map(|(at, _)| *at).collect()
}

fn kept(history: &History, entity: usize, limit: usize) -> Vec<Kept> {
    let concerns = |ask: &&Ask| ask.answer == Some(AskAnswer::Granted) && history.charges(ask.entity, entity);
    let asks = history.asks.iter().filter(concerns).filter_map(|ask| {
        let granted = i128::from(*ask.tokens.get(limit)?);
        // A client that died with a lease is assumed to have used all of it.
        let used = ask.used.as_ref().and_then(|used| used.get(limit)).map_or(granted, |used| i128::from(*used));
        let amount = used.min(granted) * 1_000;
        let (decided, applied) = decided(history, ask, entity);
        (amount > 0).then_some(Kept { decided, applied, amount })
    });
    asks.collect()
}

/// Returns the times at which the write that granted `ask` at `entity` was sent and took effect.
fn decided(history: &History, ask: &Ask, entity: usize) -> ((u64, u64), (u64, u64)) {
    let ended = ask.ended.unwrap_or(ask.begun);
    let writes = history.calls_since(ask.begun).iter().take_while(|call| call.sent <= ended).filter(|call| {
        call.instance == ask.instance
            && call.entity == Some(entity)
            && call.is_write
            && call.end == Some(CallEnd::Done)
            && call.answered.is_some_and(|answered| answered <= ended)
    });
    let nothing = (u64::MAX, 0);
    let widen = |(first, last): (u64, u64), at: u64| (first.min(at), last.max(at));
    let (sent, applied) = writes.fold((nothing, nothing), |(sent, applied), call| {
        (widen(sent, call.sent), widen(applied, call.applied.unwrap_or(call.sent)))
    });
    // None: it was granted from tokens debited earlier.
    if sent == nothing { ((ended, ended), (ended, ended)) } else { (sent, applied) }
}

fn worst(history: &History, entity: usize, index: usize, limit: &Limit, kept: &[Kept]) -> Option<String> {
    let limit = &largest(history, entity, index, limit);
    let gained = |ms: i128| ms * i128::from(limit.refill) * 1_000 / (i128::from(limit.period) * 1_000);
    let ahead = gained(LIFE_MS).min(reserves(history) * held_at_most(limit));
    let skew = i128::from(history.schedule.skew());
    let hidden = if history.schedule.has_neighbour(entity) { i128::from(limit.capacity) * 1_000 } else { 0 };
    // A process that saw the first item before its deletion counts on its tokens, once.
    let removed = history.removed[entity] && history.schedule.shards(entity) > 1;
    let seen = if removed { i128::from(limit.capacity) * 1_000 } else { 0 };
    let flight = i128::from(flight(history, entity));
    let allowed = |from: u64, until: u64| {
        i128::from(limit.capacity) * 1_000 + gained(i128::from(until - from) + skew + flight) + ahead + hidden + seen
    };
    let mut by_end: Vec<&Kept> = kept.iter().collect();
    by_end.sort_by_key(|kept| kept.decided.1);
    let mut worst: Option<(i128, u64, u64, i128)> = None;
    for begins in kept {
        let from = begins.decided.0;
        let mut sum = 0;
        for ends in by_end.iter().filter(|ends| ends.decided.0 >= from) {
            sum += ends.amount;
            let until = ends.decided.1;
            let over = sum - allowed(from, until);
            if over > 0 && worst.is_none_or(|(most, ..)| over > most) {
                worst = Some((over, from, until, sum));
            }
        }
    }
    let (over, from, until, sum) = worst?;
    let (entity, name) = (entity_name(entity), limit_name(index));
    Some(format!(
        "I1: {entity} granted {sum} mt of {name} between {from} and {until} ms, {over} mt more than {limit:?} allows"
    ))
}

/// The longest time that a write of a bucket was under way, where leases were given back: a refund is worth the room
/// that there was when it was sent, and others may have been granted tokens before it arrived.
fn flight(history: &History, entity: usize) -> u64 {
    let gave_back = |ask: &Ask| {
        let less = |used: &Vec<i64>| {
            used.iter().zip(&ask.tokens).any(|(used, granted)| i128::from(*used) < i128::from(*granted))
        };
        ask.answer != Some(AskAnswer::Granted) || ask.used.as_ref().is_some_and(less)
    };
    if !history.asks.iter().any(|ask| history.charges(ask.entity, entity) && gave_back(ask)) {
        return 0;
    }
    let writes = history.calls.iter().filter(|call| call.entity == Some(entity) && call.is_write);
    writes.filter_map(|call| Some(call.applied?.saturating_sub(call.sent))).max().unwrap_or(0)
}

/// Counts the instances that debit ahead.
fn reserves(history: &History) -> i128 {
    if !history.schedule.processes.iter().any(|process| process.reserve) {
        return 0;
    }
    let starts = history.events.iter().filter(|event| match event.kind {
        Kind::Started { process, .. } => history.schedule.processes.get(process).is_some_and(|of| of.reserve),
        _ => false,
    });
    i128::try_from(starts.count()).unwrap_or(i128::MAX)
}

/// Returns the maximum that one process holds of a limit ahead of use, in mt.
fn held_at_most(limit: &Limit) -> i128 {
    (i128::from(limit.capacity) / SHARE - 1).max(0) * 1_000
}
