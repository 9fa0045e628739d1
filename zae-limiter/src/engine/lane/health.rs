//! The health of one bucket as this process sees it: its own circuit breaker, and the pace of its writes.
//!
//! Throttling is a matter of one key, and never an outage of the store. The writes of a throttled bucket back off
//! together, so that all who wait share the next one; each write that goes through makes them a little more frequent.
//!
//! The pace follows the rule that TCP made known: double the interval on each throttled write, add ten writes a second
//! to the rate on each that goes through. In numbers: the first refusal makes the interval 10 ms, half of it more or
//! less at random, so that processes do not return together, and a second one 20 ms. From 10 ms on, writes that go
//! through raise the rate from 100 a second to 110, 120 and so on, and above 250 (an interval below 4 ms) there is no
//! bound any more, nor five seconds after the last refusal. Since all who wait share a write, fewer writes serve as
//! many asks. Whoever cannot wait for the next one is told at once.
//!
//! Processes that share a throttled bucket would each find out for themselves how often they may write, and go on
//! meeting the limit while they do. Where a lane knows its process's part of the bucket's consumption
//! (`writers`), it keeps to that part of 720 writes a second for five seconds after a refusal: of 64 processes that ask
//! alike, each writes every 90 ms. No process has to write less than once a second, and one that has not written for a
//! while may write up to four times at once, so that who asks for less than its part is not slowed down. Refusals of
//! long ago say nothing: after five seconds each process finds out whether the bucket takes more by now.
//!
//! Six throttled writes in a row end the part: then the bucket takes less than was thought, or nothing at all, and the
//! interval doubles up to two seconds. Where a reserve carries the process, its lane keeps to no part: it writes a
//! tenth as often as it consumes, and needs each write the more.
//!
//! The circuit is that of [`breaker`](crate::engine::runtime::breaker), with this bucket's failures alone.

use std::time::Duration;

use tokio::time::Instant;

use super::{Lane, LaneState, lock};
use crate::{
    engine::runtime::breaker::{Circuit, Evidence, Gate},
    error::UnavailableReason,
};

/// Pause after the first write that was throttled.
const FIRST: Duration = Duration::from_millis(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);
/// Below this a pause is none.
const SHORTEST: Duration = Duration::from_millis(4);
/// Writes a second by which each write that goes through raises the rate.
const STEP: f64 = 10.0;
/// Writes a second of all processes together to a bucket that was throttled. DynamoDB takes 1000 for one item, and some
/// are lost to neighbours, or sent by processes that have saved some.
const TOGETHER: f64 = 720.0;
/// The longest time between two writes that a part prescribes.
const SELDOM: Duration = Duration::from_secs(1);
/// Writes at once of a process that has written less often than its part allows.
const BURST: u32 = 4;
/// Throttled writes in a row after which a part says nothing: the bucket takes less than that, or nothing at all.
const IN_A_ROW: u32 = 6;
/// Time for which a throttled write bounds the pace, and processes keep to their parts.
const PACED: Duration = Duration::from_secs(5);

/// The health of one bucket.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failures in a row.
    circuit: Circuit,
    /// Time between writes while they are throttled.
    pace: Pace,
}

impl Health {
    /// Returns why an ask with `deadline` is not even queued; `None` when it is.
    ///
    /// Called under the lane's lock for every ask, so it only compares instants. A closed circuit lets one ask a second
    /// through, which then decides for all.
    pub(super) fn refuses(&mut self, now: Instant, deadline: Instant) -> Option<UnavailableReason> {
        if matches!(self.circuit.gate(now), Gate::Closed(_)) {
            return Some(UnavailableReason::CircuitOpen);
        }
        let next = self.pace.not_before(now)?;
        (deadline <= next).then_some(UnavailableReason::Throttled)
    }

    /// Returns true if its last writes failed.
    pub(super) fn is_failing(&self) -> bool {
        self.circuit.is_failing()
    }

    /// Notes an answer; `part` is this process's of the bucket's consumption, if known.
    pub(super) fn succeeded(&mut self, now: Instant, part: Option<f64>) {
        self.circuit.succeeded();
        self.pace.wrote(now, part);
    }

    /// Notes a write without one.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.circuit.failed(now) {
            self.circuit.open(now);
        }
    }

    /// Notes a throttled write. Returns when the next may be sent; `jitter` (about 1) tells processes apart.
    pub(super) fn throttled(&mut self, now: Instant, jitter: f64, part: Option<f64>) -> Instant {
        self.pace.throttled(now, jitter, part)
    }

    /// Forgets the pace: the load is spread over more items now.
    pub(super) fn relieve(&mut self) {
        self.pace = Pace::default();
    }

    /// Returns the instant before which nothing is written, if that is later than `now`.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        self.pace.not_before(now)
    }
}

/// The pace of writes: multiplicative decrease, additive increase, and a bucket of tokens for a part.
#[derive(Clone, Debug, Default)]
struct Pace {
    /// Time between two writes; zero for no bound.
    interval: Duration,
    /// The earliest instant of the next write, by the interval.
    next: Option<Instant>,
    /// The same by the part. It lies in the past for as long as the part allows several writes at once.
    due: Option<Instant>,
    /// Until when there is a bound.
    paced_until: Option<Instant>,
    /// Throttled writes since one went through.
    in_a_row: u32,
}

/// Returns the time between the writes of a process that has this part of a bucket's consumption.
fn spacing(part: f64) -> Duration {
    Duration::from_secs_f64((TOGETHER * part).recip().clamp(0.0, SELDOM.as_secs_f64()))
}

impl Pace {
    /// Doubles the interval, up to twice what is known to be right; without a write that goes through, further.
    fn throttled(&mut self, now: Instant, jitter: f64, part: Option<f64>) -> Instant {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let part = part.filter(|_| self.in_a_row <= IN_A_ROW);
        let longest = part.map_or(LONGEST, |part| (spacing(part) * 2).clamp(FIRST, LONGEST));
        self.interval = (self.interval * 2).clamp(FIRST, longest);
        self.paced_until = Some(now + PACED);
        // All that was saved ends: it was too much.
        self.due = self.due.max(Some(now));
        let next = now + self.interval.mul_f64(jitter);
        self.next = Some(next);
        next
    }

    /// Shortens it, and uses up one of the writes that the process's part allows; or lifts the bounds: the bucket was
    /// throttled long ago.
    fn wrote(&mut self, now: Instant, part: Option<f64>) {
        self.in_a_row = 0;
        if self.paced_until.is_none_or(|until| until <= now) {
            *self = Self::default();
            return;
        }
        self.speed_up(now);
        self.due = part.map(spacing).and_then(|spacing| {
            let earliest = now.checked_sub(spacing * (BURST - 1));
            Some(self.due.max(earliest)? + spacing)
        });
    }

    /// Shortens the interval, or lifts the bound.
    fn speed_up(&mut self, now: Instant) {
        if self.interval.is_zero() {
            return;
        }
        let rate = self.interval.as_secs_f64().recip() + STEP;
        self.interval = Duration::from_secs_f64(rate.recip());
        if self.interval < SHORTEST {
            (self.interval, self.next) = (Duration::ZERO, None);
        } else {
            self.next = Some(now + self.interval);
        }
    }

    /// The earliest instant of the next write, if that is ahead.
    fn not_before(&self, now: Instant) -> Option<Instant> {
        let due = self.due.filter(|_| self.paced_until.is_some_and(|until| until > now));
        self.next.max(due).filter(|next| *next > now)
    }
}

impl Lane {
    /// Notes that the store answered a write of this bucket.
    pub(super) fn succeeded(&self) {
        let state = &mut *lock(&self.state);
        let part = self.part_of_writes(state);
        state.health.succeeded(Instant::now(), part);
        self.shared.breaker.succeeded();
    }

    /// Notes that a write of this bucket failed.
    pub(super) fn failed(&self, now: Instant, evidence: Evidence) {
        lock(&self.state).health.failed(now);
        self.shared.breaker.failed(now, self.key.short_hash(), evidence);
    }

    /// Notes that DynamoDB takes no more writes of this bucket for now. Returns when to try again.
    pub(super) fn throttled(&self, now: Instant) -> Instant {
        let jitter = self.shared.random.of(0.5..=1.5);
        let state = &mut *lock(&self.state);
        let part = self.part_of_writes(state);
        state.health.throttled(now, jitter, part)
    }

    /// Returns this process's part of the bucket's writes, where it is known. Who debits ahead writes less often than
    /// it consumes: its part of the consumption says nothing.
    fn part_of_writes(&self, state: &LaneState) -> Option<f64> {
        if self.reserve().is_some_and(|reserve| reserve.is_worthwhile()) {
            return None;
        }
        state.writers.as_ref().and_then(|writers| writers.part())
    }

    /// Returns true if the last writes of this bucket failed.
    pub(crate) fn is_failing(&self) -> bool {
        lock(&self.state).health.is_failing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_bucket_is_written_less_often_and_then_more_often_again() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let next = pace.throttled(now, 1.0, None);
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000]);
        let mut writes = 0;
        while let Some(next) = pace.next {
            now = next;
            pace.wrote(now, None);
            writes += 1;
        }
        assert!((20..=26).contains(&writes), "250 a second are reached ten by ten: {writes}");
    }

    /// Returns the number of writes within `time` of a process that writes as often as it may.
    fn writes_within(pace: &mut Pace, now: &mut Instant, time: Duration, part: Option<f64>) -> usize {
        let end = *now + time;
        let mut writes = 0;
        loop {
            let next = pace.not_before(*now).unwrap_or(*now + Duration::from_millis(1));
            if next >= end {
                *now = end;
                return writes;
            }
            *now = next;
            pace.wrote(next, part);
            writes += 1;
        }
    }

    #[test]
    fn a_process_writes_a_throttled_bucket_as_often_as_its_part_allows() {
        const PART: Option<f64> = Some(0.025);
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        pace.wrote(now, PART);
        assert_eq!(pace.not_before(now), None, "nobody has throttled it");
        let pauses: Vec<_> = (0..5).map(|_| (pace.throttled(now, 1.0, PART) - now).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 111], "18 writes a second of 720: at most twice the time between two");
        let mut throttled = pace.clone();
        let pauses: Vec<_> = (0..7).map(|_| (throttled.throttled(now, 1.0, PART) - now).as_millis()).collect();
        assert_eq!(pauses, [111, 222, 444, 888, 1_777, 2_000, 2_000], "and longer where nothing goes through");
        let writes = writes_within(&mut pace, &mut now, PACED, PART);
        assert!((87..=90).contains(&writes), "18 a second: {writes}");
        assert_eq!(writes_within(&mut pace, &mut now, Duration::from_millis(50), PART), 49, "no bound any more");
    }

    #[test]
    fn a_process_that_asks_little_of_a_throttled_bucket_writes_at_once() {
        const PART: Option<f64> = Some(0.0001);
        let (mut pace, throttled) = (Pace::default(), Instant::now());
        pace.throttled(throttled, 1.0, PART);
        pace.wrote(throttled + FIRST, PART);
        assert_eq!(pace.not_before(throttled + FIRST), Some(throttled + SELDOM), "once a second");
        let mut now = throttled + 4 * SELDOM;
        for _ in 0..4 {
            assert_eq!(pace.not_before(now), None, "it has not written for nearly four seconds");
            pace.wrote(now, PART);
            now += FIRST;
        }
        assert_eq!(pace.not_before(now), Some(throttled + PACED));
        assert_eq!(pace.not_before(throttled + PACED), None, "the last refusal is long ago");
    }

    #[test]
    fn a_process_that_did_not_write_for_long_writes_no_more_than_a_few_times_at_once() {
        const PART: Option<f64> = Some(0.025);
        let (mut pace, throttled) = (Pace::default(), Instant::now());
        pace.throttled(throttled, 1.0, PART);
        let later = throttled + PACED / 2;
        pace.interval = Duration::ZERO;
        let writes = (0..100).take_while(|_| {
            let may = pace.not_before(later).is_none();
            pace.wrote(later, PART);
            may
        });
        assert_eq!(writes.count(), 4);
        pace.throttled(later, 1.0, PART);
        let then = later + FIRST;
        pace.wrote(then, PART);
        assert!(pace.not_before(then).is_some(), "a throttled write ends all that was saved");
    }

    #[test]
    fn a_bucket_that_was_throttled_long_ago_is_written_without_a_pause() {
        for part in [None, Some(0.001)] {
            let (mut pace, now) = (Pace::default(), Instant::now());
            for _ in 0..20 {
                pace.throttled(now, 1.0, part);
            }
            pace.wrote(now + PACED / 2, part);
            assert!(pace.not_before(now + PACED / 2).is_some());
            pace.wrote(now + PACED, part);
            assert_eq!((pace.not_before(now + PACED), pace.interval), (None, Duration::ZERO));
        }
    }

    #[test]
    fn an_ask_that_cannot_wait_for_the_next_write_is_told_at_once() {
        let (mut health, now) = (Health::default(), Instant::now());
        let next = health.throttled(now, 1.0, None);
        assert_eq!(health.refuses(now, next), Some(UnavailableReason::Throttled));
        assert_eq!(health.refuses(now, next + FIRST), None);
        assert_eq!(health.refuses(next, next), None);
    }
}
