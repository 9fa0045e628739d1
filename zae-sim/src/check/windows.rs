//! I1: no interval has more tokens granted and kept than the capacity plus the refill.
//!
//! A grant counts from the decision of its write, for the part that its client kept: what was given back was not used.
//! If it is unknown which of several writes decided, the grant counts in every interval that contains all of them.

use crate::{
    schedule::Limit,
    world::{
        entity_name,
        history::{Ask, AskAnswer, CallEnd, History, Kind},
        ledger::Move,
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

/// Returns the maximum that a limit allows between two instants, if operators changed it: processes learn of changes
/// with a delay.
fn largest(history: &History, entity: usize, index: usize, from: u64, until: u64) -> Limit {
    let versions = history.schedule.limits_in(entity, from, until);
    let versions = versions.iter().map(|limits| limits[index]);
    let largest = |one: Limit, other: Limit| Limit {
        capacity: one.capacity.max(other.capacity),
        refill: one.refill.max(other.refill),
        period: one.period,
    };
    versions.reduce(largest).unwrap_or(history.schedule.entities[entity].limits[index])
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

/// Returns the mt of a limit that come in within `ms`.
fn gained(limit: &Limit, ms: i128) -> i128 {
    ms * i128::from(limit.refill) / i128::from(limit.period)
}

fn worst(history: &History, entity: usize, index: usize, limit: &Limit, kept: &[Kept]) -> Option<String> {
    let skew = i128::from(history.schedule.skew());
    let reserves = reserves(history);
    let is_changed = history.schedule.limits(entity).len() > 1;
    let allowed = |from: u64, until: u64| {
        let limit = if is_changed { largest(history, entity, index, from, until) } else { *limit };
        let ahead = gained(&limit, LIFE_MS).min(reserves * held_at_most(&limit));
        i128::from(limit.capacity) * 1_000 + gained(&limit, i128::from(until - from) + skew) + ahead
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
            let over = if over > 0 { over - conceded(history, entity, index, from, until) } else { over };
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

/// Returns the mt that may be granted between two instants beyond the limit and its refill, for what happened there.
fn conceded(history: &History, entity: usize, index: usize, from: u64, until: u64) -> i128 {
    let limit = largest(history, entity, index, from, until);
    let whole = |happened: bool| if happened { i128::from(limit.capacity) * 1_000 } else { 0 };
    // A client that takes without looking at the time hides what had come in by then.
    let hidden = history.changes.iter().any(|change| {
        change.entity == entity && change.call.is_none() && change.at <= until && change.moves.iter().any(took)
    });
    // A process that saw the first of several items before they were removed counts on its tokens, once.
    let seen = history.removed[entity] && history.sharded[entity] > 1;
    whole(hidden) + whole(seen) + gained(&limit, flight(history, entity, index, from, until))
}

fn took(made: &Move) -> bool {
    made.consumed > 0
}

/// The longest time that a write was under way that gave tokens back between two instants, in ms: a refund is worth the
/// room that there was when it was sent, and others may have been granted tokens before it arrived.
fn flight(history: &History, entity: usize, index: usize, from: u64, until: u64) -> i128 {
    let refunds = history.changes.iter().filter(|change| {
        let gave_back = change.moves.get(index).is_some_and(|made| made.refunded > 0);
        change.entity == entity && gave_back && (from..=until).contains(&change.at)
    });
    let longest = refunds.filter_map(|change| Some(change.at - history.calls[change.call?].sent)).max();
    i128::from(longest.unwrap_or(0))
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
