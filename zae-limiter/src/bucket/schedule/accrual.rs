//! The gain of a limit while its parameters change, and the wait of a request: [`Course`].
//!
//! Time splits into phases. In each of them a limit gains by the parameters of that phase, and its balance never
//! exceeds that phase's capacity: a falling capacity cuts it, a rising one grants nothing at once.
//!
//! In numbers: 100 tokens a minute, halved from 9:00 to 17:00. A bucket that holds 20 at 8:59:30 gains 50 until 9:00
//! and would hold 70; it is cut to the 50 that its capacity then is. At 9:00:30 it still holds 50. At 17:00 nothing is
//! added, and from then on it gains 100 a minute up to 100.
//!
//! # A balance after a long time
//!
//! Walking through all phases of ten idle years would take thousands of steps. But the balance at the end never falls
//! if the one at the beginning is raised, and two walks that both meet the ceiling at some instant agree from there on.
//! So the walk begins a month ago with the least that the bucket can have had then (nothing, or its debt). If that walk
//! meets the ceiling, every other one does too, and its end is the answer; else a year is tried, and then all of it.
//!
//! # Waits
//!
//! A request waits through as many phases as it takes, up to a thousand; each adds what it gains. A reset ends every
//! wait, because it fills the limit. After a thousand phases the answer is that of the parameters without a schedule:
//! too far ahead to be worth more.

use crate::{
    bucket::{
        Accrual, Params, clamp,
        schedule::{MINUTE, phase::Phase},
    },
    model::schedule::{Resets, Schedule},
};

/// Windows of time, in ms, from which a balance is computed before all of a long time is walked through: once it meets
/// the ceiling, what was before makes no difference.
const WINDOWS: [i64; 2] = [31 * 1_440 * MINUTE, 366 * 1_440 * MINUTE];

/// The most phases that a wait looks ahead. Beyond them the limit is taken to gain as it does without a schedule.
const AHEAD: usize = 1_000;

/// A limit's parameters over time, as one shard of a bucket has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    /// The parameters outside of the schedule's entries, undivided.
    pub(crate) base: Params,
    /// The parameters at certain times.
    pub(crate) schedule: Option<&'a Schedule>,
    /// The instants at which it is restored.
    pub(crate) resets: Option<&'a Resets>,
    /// The number of shards.
    pub(crate) shards: u32,
}

/// The balance that a walk through time arrived at.
struct Walked {
    /// The balance, in mt.
    tokens: i64,
    /// True if it met the ceiling, so that it does not depend on where the walk began.
    met_ceiling: bool,
}

impl Course<'_> {
    /// The phase at an instant; without a schedule, one that never ends.
    fn phase(&self, now: i64) -> Phase {
        self.schedule.map_or(Phase { entry: None, from: i64::MIN, until: i64::MAX }, |schedule| schedule.phase(now))
    }

    /// The parameters of a phase, undivided.
    fn whole(&self, phase: &Phase) -> Params {
        self.schedule.map_or(self.base, |schedule| schedule.params(self.base, phase))
    }

    /// The shard's parameters at `now` (epoch ms).
    pub(crate) fn at(&self, now: i64) -> Params {
        self.whole(&self.phase(now)).share(self.shards)
    }

    /// The balance at `now` of a shard that held `tokens` mt at `refilled` (both in epoch ms). Each phase's gain is
    /// rounded down to whole mt.
    pub(crate) fn balance(&self, tokens: i64, refilled: i64, now: i64) -> i64 {
        if now <= refilled {
            return tokens.min(self.at(now).capacity);
        }
        for window in WINDOWS {
            let from = now.saturating_sub(window);
            if refilled < from {
                // At most what it held: it may have been cut since, but not below nothing.
                let walked = self.walk(tokens.min(0), from, now);
                if walked.met_ceiling {
                    return walked.tokens;
                }
            }
        }
        self.walk(tokens, refilled, now).tokens
    }

    /// Goes from phase to phase from a balance at `from` to `now`.
    fn walk(&self, tokens: i64, from: i64, now: i64) -> Walked {
        let mut walked = Walked { tokens, met_ceiling: false };
        let mut at = from;
        loop {
            let phase = self.phase(at);
            let share = self.whole(&phase).share(self.shards);
            walked.tokens = walked.tokens.min(share.capacity);
            if at >= now {
                return walked;
            }
            let until = phase.until.min(now);
            let gained = Accrual::between(share, at, until, 0).whole;
            let after = walked.tokens.saturating_add(gained);
            walked.met_ceiling |= after >= share.capacity;
            walked.tokens = after.min(share.capacity);
            at = until;
        }
    }

    /// Ms from `now` (epoch ms) until `deficit` mt more are there, rounded up; `None` where that is never. A reset ends
    /// every wait.
    pub(crate) fn wait(&self, deficit: i64, now: i64) -> Option<i64> {
        self.wait_within(deficit, now, AHEAD)
    }

    /// Ms from `now` (epoch ms) until a shard that holds `tokens` mt holds `amount`, rounded up; `None` where that is
    /// never. Unlike [`wait`](Course::wait), it knows that phases of a small capacity cut what was gained.
    pub(crate) fn wait_for(&self, tokens: i64, amount: i64, now: i64) -> Option<i64> {
        let (mut tokens, mut at) = (tokens, now);
        for _ in 0..AHEAD {
            let phase = self.phase(at);
            let share = self.whole(&phase).share(self.shards);
            tokens = tokens.min(share.capacity);
            if amount <= share.capacity {
                let needed = i64::try_from(share.wait_ms(amount.saturating_sub(tokens))).unwrap_or(i64::MAX);
                // Gains at the very end count only if the next phase holds so much.
                if tokens >= amount || (share.refill > 0 && needed < phase.until.saturating_sub(at)) {
                    let needed = if tokens >= amount { 0 } else { needed };
                    return Some(at.saturating_add(needed).saturating_sub(now));
                }
            }
            if phase.until == i64::MAX {
                return None;
            }
            let gained = Accrual::between(share, at, phase.until, 0).whole;
            tokens = tokens.saturating_add(gained).min(share.capacity);
            at = phase.until;
        }
        None
    }

    /// The wait, looking ahead at most so many phases.
    fn wait_within(&self, deficit: i64, now: i64, ahead: usize) -> Option<i64> {
        if deficit <= 0 {
            return Some(0);
        }
        let reset = self.resets.and_then(|resets| resets.next(now)).unwrap_or(i64::MAX);
        let (mut missing, mut at) = (deficit, now);
        for _ in 0..ahead {
            let phase = self.phase(at);
            let until = phase.until.min(reset);
            let share = self.whole(&phase).share(self.shards);
            if share.refill > 0 {
                let needed = i64::try_from(share.wait_ms(missing)).unwrap_or(i64::MAX);
                if needed <= until.saturating_sub(at) {
                    return Some(at.saturating_add(needed).saturating_sub(now));
                }
                missing = missing.saturating_sub(Accrual::between(share, at, until, 0).whole);
            }
            at = until;
            if at == reset {
                break;
            }
        }
        if reset < i64::MAX {
            return Some(reset.saturating_sub(now));
        }
        let share = self.base.share(self.shards);
        (share.refill > 0 && at < i64::MAX).then(|| clamp(i128::try_from(share.wait_ms(deficit)).unwrap_or(i128::MAX)))
    }
}
