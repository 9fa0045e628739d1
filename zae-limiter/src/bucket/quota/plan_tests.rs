//! Quotas against an ideal one: full at each reset, less what is granted since.

use proptest::prelude::*;

use super::stored::{StoredPeriod, Window};
use crate::{
    bucket::{
        Params,
        apply::apply,
        image::Image,
        kind::{AppliedLimit, Enforcement, Kind},
        peaks::Peaks,
        plan::{Goal, balances, plan},
        refund::{Mark, PeriodMark, Settled, book},
        samples::{full, taking},
    },
    model::{
        name::LimitName,
        schedule::{Resets, Zone},
    },
};

/// 2026-03-28T12:00:00Z: Berlin sets its clocks forward in the night, and the month ends soon.
pub(super) const START: i64 = 1_774_699_200_000;
pub(super) const HOUR: i64 = 3_600_000;
const CAPACITY: i64 = 10_000;

fn resets(text: &str) -> Resets {
    Resets::new([text.parse().unwrap()], Zone::new("Europe/Berlin").unwrap()).unwrap()
}

fn quota(resets: &Resets) -> AppliedLimit {
    let kind = Kind::Quota { capacity: CAPACITY, period: 1_000, resets: resets.clone() };
    AppliedLimit { name: LimitName::new("day").unwrap(), kind, enforcement: Enforcement::Hard }
}

fn rate() -> AppliedLimit {
    let kind = Kind::Rate(Params { capacity: 5_000, refill: 1_000, period: HOUR });
    AppliedLimit { name: LimitName::new("rate").unwrap(), kind, enforcement: Enforcement::Hard }
}

/// A full bucket of `limits`, as its creation leaves it.
fn bucket(limits: &[AppliedLimit]) -> Image {
    let first = |limit: &AppliedLimit| limit.kind.next_boundary(START).or(limit.kind.is_session().then_some(0));
    Image {
        last_refill: START,
        shard_count: Some(1),
        valid_until: limits.iter().filter_map(first).min(),
        limits: limits.iter().map(full).collect(),
        ..Image::default()
    }
}

/// Does what is planned from the item as it is.
pub(super) fn write(item: &mut Image, goal: &Goal<'_>) {
    let write = plan(item, goal);
    assert!(apply(item, &write));
}

/// The quota as it should be.
struct Ideal {
    resets: Resets,
    tokens: i64,
    at: i64,
}

impl Ideal {
    fn advance(&mut self, now: i64) {
        if self.resets.last(now).is_some_and(|reset| reset > self.at) {
            self.tokens = CAPACITY;
        }
        self.at = now;
    }
}

proptest! {
    #[test]
    fn what_several_processes_are_granted_is_what_the_ideal_quota_grants(
        schedule in prop::sample::select(vec!["0 0 * * *", "0 */6 * * *", "30 2 * * *", "0 0 31 * *", "0 9 * * 1"]),
        beside in any::<bool>(),
        steps in prop::collection::vec((0..30 * HOUR, 1_i64..CAPACITY + 1, 0_usize..3), 1..60),
    ) {
        let resets = resets(schedule);
        let mut limits = vec![quota(&resets)];
        if beside {
            limits.push(rate());
        }
        let mut item = bucket(&limits);
        let mut images = vec![item.clone(); 3];
        let mut ideal = Ideal { resets: resets.clone(), tokens: CAPACITY, at: START };
        let mut now = START;
        for (pause, take, process) in steps {
            now += pause;
            ideal.advance(now);
            let take: Vec<i64> = if beside { vec![take, 1] } else { vec![take] };
            loop {
                let image = images[process].clone();
                let held = balances(&image, &taking(&limits, &[], now));
                let fits = held.iter().zip(&take).all(|(balance, take)| balance.tokens >= *take);
                if !fits && image == item {
                    prop_assert!(ideal.tokens < take[0] || held[1].tokens < 1, "{} of {}", take[0], ideal.tokens);
                    break;
                }
                let nothing = vec![0; take.len()];
                let write = plan(&image, &taking(&limits, if fits { &take } else { &nothing }, now));
                let was_current = image == item;
                let done = apply(&mut item, &write);
                prop_assert!(done || !was_current, "a plan from the truth goes through");
                images[process] = item.clone();
                if done && fits {
                    ideal.tokens -= take[0];
                    prop_assert!(ideal.tokens >= 0, "{} were granted too much", -ideal.tokens);
                    prop_assert_eq!(item.limits[0].tokens, Some(ideal.tokens));
                    // Python clients make a pass when the next reset has come.
                    prop_assert_eq!(item.valid_until, resets.next(now));
                    break;
                }
            }
        }
    }
}

#[test]
fn tokens_go_back_within_their_period_alone() {
    let resets = resets("0 0 * * *");
    let limits = [quota(&resets)];
    let mut item = bucket(&limits);
    write(&mut item, &taking(&limits, &[4_000], START));
    let mark = Mark {
        net: 6_000,
        at: START,
        kind: limits[0].kind.clone(),
        since: u64::MAX,
        taken_at: START,
        period: PeriodMark::default(),
    };
    let settled = [Settled { name: limits[0].name.clone(), amount: -4_000, mark: Some(mark) }];
    let reset = resets.next(START).unwrap();
    for (now, by_hand, back) in [(reset - 1, 0, 4_000), (reset, 0, 0), (reset - 1, 1, 0)] {
        let mut seen = item.clone();
        seen.limits[0].quota.as_mut().unwrap().resets_by_hand = by_hand;
        let booked = book(&settled, &seen, &Peaks::default(), 1, now);
        assert_eq!((booked[0].back, booked[0].out, booked[0].consumed), (back, -back, -4_000), "{now}, {by_hand}");
        let write = plan(&seen, &Goal { adjust: &booked, ..taking(&[], &[], now) });
        assert!(apply(&mut seen, &write));
        let left = if now < reset { 6_000 + back } else { CAPACITY };
        assert_eq!((seen.limits[0].tokens, seen.limits[0].consumed), (Some(left), Some(0)));
    }
    let unknown = [Settled { mark: None, ..settled[0].clone() }];
    assert_eq!(book(&unknown, &item, &Peaks::default(), 1, START)[0].out, 0, "nobody knows its period");
}

#[test]
fn what_is_topped_up_is_granted_in_its_period_and_forgotten_with_it() {
    let resets = resets("0 0 * * *");
    let limits = [quota(&resets)];
    let mut item = bucket(&limits);
    item.limits[0].tokens = Some(CAPACITY + 2_000);
    item.limits[0].quota.as_mut().unwrap().topped_up = Some(2_000);
    assert_eq!(balances(&item, &taking(&limits, &[], START))[0].tokens, CAPACITY + 2_000);
    write(&mut item, &taking(&limits, &[CAPACITY + 1_000], START));
    let reset = resets.next(START).unwrap();
    write(&mut item, &taking(&limits, &[1_000], reset));
    let after = &item.limits[0];
    assert_eq!((after.tokens, after.quota.as_ref().unwrap().topped_up), (Some(CAPACITY - 1_000), None));
    assert_eq!(item.valid_until, resets.next(reset));
}

#[test]
fn a_wait_ends_with_the_reset_and_a_bucket_is_kept_until_then() {
    let limits = [quota(&resets("0 0 * * *"))];
    let mut item = bucket(&limits);
    write(&mut item, &taking(&limits, &[CAPACITY], START));
    let now = START + HOUR;
    let balance = &balances(&item, &taking(&limits, &[], now))[0];
    // Midnight in Berlin is at 23:00 UTC.
    assert_eq!((balance.wait_ms(1), balance.wait_ms(0)), (10 * 3_600_000, 0));
    assert_eq!((balance.full_in(0), balance.lowest(Some((now + 11 * HOUR) / 1_000), now) < 0), (10 * HOUR, true));
}

fn session(length: i64) -> AppliedLimit {
    let kind = Kind::Session { capacity: CAPACITY, period: 1_000, length };
    AppliedLimit { name: LimitName::new("chat").unwrap(), kind, enforcement: Enforcement::Hard }
}

/// A session as it should be: it begins with what is taken after the last is over.
struct IdealSession {
    begun: Option<i64>,
    tokens: i64,
    length: i64,
}

impl IdealSession {
    /// Tokens at `now`, and the end of the running window.
    fn at(&self, now: i64) -> (i64, Option<i64>) {
        let end = self.begun.map(|begun| begun + self.length).filter(|end| now < *end);
        (if end.is_some() { self.tokens } else { CAPACITY }, end)
    }

    fn take(&mut self, amount: i64, now: i64) {
        let (tokens, end) = self.at(now);
        if end.is_none() {
            self.begun = Some(now);
        }
        self.tokens = tokens - amount;
    }
}

proptest! {
    #[test]
    fn sessions_begin_with_their_first_use_and_grant_what_the_ideal_one_grants(
        length in 1..6_i64,
        beside in any::<bool>(),
        steps in prop::collection::vec((0..3 * HOUR, 0_i64..CAPACITY + 1, 0_usize..3), 1..60),
    ) {
        let length = length * HOUR / 2;
        let mut limits = vec![session(length)];
        if beside {
            limits.push(rate());
        }
        let mut item = bucket(&limits);
        let mut images = vec![item.clone(); 3];
        let mut ideal = IdealSession { begun: None, tokens: CAPACITY, length };
        let mut now = START;
        for (pause, take, process) in steps {
            now += pause;
            let take: Vec<i64> = if beside { vec![take, 1] } else { vec![take.max(1)] };
            loop {
                let image = images[process].clone();
                let held = balances(&image, &taking(&limits, &[], now));
                let fits = held.iter().zip(&take).all(|(balance, take)| *take == 0 || balance.tokens >= *take);
                let (tokens, end) = ideal.at(now);
                if image == item {
                    prop_assert_eq!((held[0].tokens, held[0].resets_at(now)), (tokens, end));
                }
                if !fits && image == item {
                    prop_assert!(held[0].tokens < take[0] || held[1].tokens < 1);
                    if held[0].tokens < take[0] && take[0] <= CAPACITY {
                        let wait = i64::try_from(held[0].wait_ms(take[0])).unwrap();
                        prop_assert_eq!(Some(now + wait), end, "it waits for the end of the window");
                    }
                    break;
                }
                let nothing = vec![0; take.len()];
                let write = plan(&image, &taking(&limits, if fits { &take } else { &nothing }, now));
                let was_current = image == item;
                let done = apply(&mut item, &write);
                prop_assert!(done || !was_current, "a plan from the truth goes through");
                images[process] = item.clone();
                if done && fits {
                    if take[0] > 0 {
                        ideal.take(take[0], now);
                    }
                    let end = ideal.at(now).1;
                    let begun = item.limits[0].window_start().filter(|_| end.is_some());
                    prop_assert_eq!(begun, end.map(|end| end - length));
                    // Python clients make a pass when the window ends, and at once where none runs.
                    prop_assert_eq!(item.valid_until, Some(end.unwrap_or(0)));
                    break;
                }
            }
        }
    }
}

#[test]
fn a_session_gives_back_in_its_own_window_alone_and_a_refund_begins_none() {
    let length = 2 * HOUR;
    let limits = [session(length)];
    let mut item = bucket(&limits);
    write(&mut item, &taking(&limits, &[4_000], START));
    let mark = Mark {
        net: 6_000,
        at: START,
        kind: limits[0].kind.clone(),
        since: u64::MAX,
        taken_at: START,
        period: PeriodMark { window: Some(START), ..PeriodMark::default() },
    };
    let settled = [Settled { name: limits[0].name.clone(), amount: -4_000, mark: Some(mark) }];
    for (now, back) in [(START + length - 1, 4_000), (START + length, 0)] {
        let mut seen = item.clone();
        let booked = book(&settled, &seen, &Peaks::default(), 1, now);
        assert_eq!((booked[0].back, booked[0].consumed), (back, -4_000));
        let write = plan(&seen, &Goal { adjust: &booked, ..taking(&[], &[], now) });
        assert!(apply(&mut seen, &write));
        assert_eq!((seen.limits[0].tokens, seen.limits[0].consumed), (Some(6_000 + back), Some(0)));
        assert_eq!(seen.limits[0].window_start(), Some(START));
    }
    // A neighbour opened another window since.
    write(&mut item, &taking(&limits, &[1_000], START + length));
    assert_eq!(book(&settled, &item, &Peaks::default(), 1, START + length)[0].back, 0);
}

#[test]
fn a_told_window_is_applied_less_what_was_spent_since() {
    let limits = [session(2 * HOUR)];
    let mut item = bucket(&limits);
    write(&mut item, &taking(&limits, &[4_000], START));
    let told = START + 3 * HOUR;
    let quota = item.limits[0].quota.as_mut().unwrap();
    let window = Window { start: Some(told), applied: Some(START), counter_mark: Some(3_000) };
    quota.period = StoredPeriod::Session { length: 2 * HOUR, window };
    item.valid_until = Some(0);
    write(&mut item, &taking(&limits, &[2_000], told + HOUR));
    // It had spent 1 000 since it was told.
    assert_eq!(item.limits[0].tokens, Some(CAPACITY - 1_000 - 2_000));
    assert_eq!(
        item.limits[0].quota.as_ref().unwrap().window(),
        Window { start: Some(told), applied: Some(told), counter_mark: None }
    );
    assert_eq!(item.valid_until, Some(told + 2 * HOUR));
}
