//! Checks the times to wait that refusals name. Whoever waits as told and is refused again must have been overtaken: by
//! others who took at least as many tokens as are missing.
//!
//! Tokens count in full although some of them came back: a refund is worth what there was room for, and may arrive
//! after the answer. What the waiting client itself was granted for a moment at one level counts for nothing.

use super::answers::{is_quick, shares};
use crate::{
    schedule::{HEARD_OF, Limit},
    world::history::{Ask, AskAnswer, Call, History},
};

/// Time for which a bucket may be refused from memory, in ms: what was taken before is known.
const REMEMBERED: u64 = 1_000;
/// Time after which a booked settlement is written, at the most and without faults, in ms.
const BOOKED: u64 = 600;
/// The part of a limit's capacity that a write leaves as room for neighbours: one in so many.
const ROOM: i128 = 100;
/// Time for which a request may be under way, in ms.
const UNDER_WAY: u64 = 6_000;

/// The time in which others can have taken tokens of which the first answer did not know.
struct Window {
    from: u64,
    until: u64,
}

/// Detects a client that waited as advised, and was refused again although too little was taken meanwhile.
pub(super) fn violation(history: &History, ask: &Ask) -> Option<String> {
    let first = &history.asks[ask.after?];
    let AskAnswer::NotYet(again) = *ask.answer.as_ref()? else { return None };
    let AskAnswer::NotYet(wait) = first.answer.as_ref()? else { return None };
    let window = Window { from: first.begun.saturating_sub(REMEMBERED), until: ask.ended.unwrap_or(u64::MAX) };
    if is_unknowable(history, ask, &window) {
        return None;
    }
    // A client with a clock that is ahead takes what comes in until then. A time of whole ms is rounded up: the missing
    // tokens take more than all of them but the last.
    let again_later = again.saturating_sub(history.schedule.skew()).saturating_sub(1);
    let is_explained = history.levels(ask.entity).any(|level| {
        let versions = history.schedule.limits_in(level, window.from, window.until);
        let limits = versions.into_iter().flat_map(|limits| limits.iter().enumerate());
        let mut asked = limits.filter(|(index, _)| ask.tokens.get(*index).is_some_and(|tokens| *tokens > 0));
        asked.any(|(index, limit)| missing(limit, again_later) <= taken(history, [first, ask], (level, index), &window))
    });
    (!is_explained).then(|| format!("waited {wait} ms as it was told, and was told to wait {again} ms again"))
}

/// Returns true if nobody can know what the table has.
fn is_unknowable(history: &History, ask: &Ask, window: &Window) -> bool {
    let schedule = &history.schedule;
    let levels = history.levels(ask.entity);
    // Times to wait for what is debited ahead are drawn.
    let is_reserved = schedule.processes.iter().any(|process| process.reserve);
    let concerns = |call: &Call| {
        let mine = call.instance == ask.instance && call.entity.is_none();
        mine || call.entity.is_some_and(|entity| history.charges(ask.entity, entity))
    };
    let since = history.calls_since(window.from.saturating_sub(UNDER_WAY)).iter();
    let is_troubled =
        since.take_while(|call| call.sent <= window.until).any(|call| call.wrong.is_some() && concerns(call));
    let is_changed = levels.clone().any(|level| {
        let changes = schedule.limits(level);
        changes.iter().skip(1).any(|(at, _)| *at <= window.until && window.from <= at + HEARD_OF)
    });
    // Any of several items may be asked first.
    let is_sharded = levels.clone().any(|level| history.sharded[level] > 1);
    // The store did not answer in time.
    let is_by_share = shares(history, ask) && !is_quick(history, ask);
    is_reserved || is_troubled || is_changed || is_sharded || is_by_share
}

/// Mt that come in within `ms`, rounded down.
fn missing(limit: &Limit, ms: u64) -> i128 {
    i128::from(ms) * i128::from(limit.refill) / i128::from(limit.period)
}

/// Returns the mt of a limit that others than the two `own` asks may have taken of a bucket, and what refunds may have
/// lost in rounding.
fn taken(history: &History, own: [&Ask; 2], of: (usize, usize), window: &Window) -> i128 {
    let (level, limit) = of;
    let others = history
        .asks
        .iter()
        .filter(|ask| history.charges(ask.entity, level) && !own.iter().any(|own| std::ptr::eq(*own, *ask)));
    let asked = others.map(|ask| granted(history, ask, of, window) + adjusted(ask, limit, window)).sum::<i128>();
    let changes = history
        .changes
        .iter()
        .filter(|change| change.entity == level && (window.from..=window.until).contains(&change.at));
    let versions = history.schedule.limits_in(level, window.from, window.until);
    let capacity = versions.into_iter().filter_map(|limits| limits.get(limit)).map(|limit| limit.capacity).max();
    let room = capacity.map_or(0, |capacity| i128::from(capacity) * 1_000 / ROOM);
    let moved = changes.filter_map(|change| {
        change.moves.get(limit).map(|made| match change.call {
            None => made.consumed.max(0),
            // A write among neighbours leaves room below a full limit, and so takes that as well; a refill that comes
            // with it may hide how much.
            Some(_) if made.consumed > 0 => (-made.tokens - made.consumed).max(room),
            Some(_) => (-made.tokens - made.consumed).max(0),
        })
    });
    let moved = moved.sum::<i128>();
    // A started millitoken is one more that is missing.
    asked + moved + 1
}

/// Returns the mt that an ask may have been granted within the window, if only for a moment.
fn granted(history: &History, ask: &Ask, of: (usize, usize), window: &Window) -> i128 {
    let (level, limit) = of;
    let nothing = match ask.answer {
        // Granted without the table, it may have been granted by the table after its deadline.
        Some(AskAnswer::Blind | AskAnswer::Local) => !wrote(history, ask, level),
        Some(AskAnswer::Never) => true,
        // Refused by one level, it may have been granted by the other.
        Some(AskAnswer::NotYet(_)) => history.levels(ask.entity).count() == 1,
        _ => false,
    };
    let overlaps = ask.begun <= window.until && ask.ended.is_none_or(|ended| window.from <= ended + UNDER_WAY);
    let tokens = ask.tokens.get(limit).copied().unwrap_or(0);
    if overlaps && !nothing { i128::from(tokens) * 1_000 } else { 0 }
}

/// Returns true if its process sent a write of the bucket of `level` before the ask was answered.
fn wrote(history: &History, ask: &Ask, level: usize) -> bool {
    let mut since =
        history.calls_since(ask.begun).iter().take_while(|call| ask.ended.is_none_or(|ended| call.sent <= ended));
    since.any(|call| call.instance == ask.instance && call.is_write && call.entity == Some(level))
}

/// Returns the mt by which the client of an ask settled for more than it was granted, and a millitoken that the
/// rounding of a refund may lose.
fn adjusted(ask: &Ask, limit: usize, window: &Window) -> i128 {
    let within = |at: u64| (window.from.saturating_sub(BOOKED)..=window.until).contains(&at);
    let (Some(used), true) = (&ask.used, ask.settled_at.is_some_and(within)) else { return 0 };
    let (used, granted) = (used.get(limit).copied().unwrap_or(0), ask.tokens.get(limit).copied().unwrap_or(0));
    let more = i128::from(used) - i128::from(granted);
    if more < 0 { 1 } else { more * 1_000 }
}
