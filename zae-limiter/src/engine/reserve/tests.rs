//! A reserve against a model of its lots: what is granted was debited within the life before, nothing is lost or made,
//! and no more is held than the share.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use tokio::time::Instant;

use crate::{
    Limit, Limits,
    bucket::{
        Amounts,
        incarnation::Incarnation,
        lifetime::Lifetime,
        limit_set::LimitSet,
        owner::Owner,
        refund::{Baseline, PeriodMark, Periods},
    },
    engine::{
        reserve::{
            LaneReserve, ReserveDraw, ReserveReturn, ReturnCause,
            lots::{Expiry, ReserveLot},
        },
        runtime::moment::Moment,
    },
    random::Random,
};

const LIFE: Duration = Duration::from_secs(1);
/// One token less than half a percent, in mt.
const MOST: i64 = 499_000;

fn start() -> Moment {
    Moment { monotonic: Instant::now(), wall: 1_767_225_600_000 }
}

fn limit_set() -> Arc<LimitSet> {
    let limits = Limits::from(Limit::per_minute("rpm", 100_000).unwrap());
    Arc::new(LimitSet::new(limits, Lifetime::AsIs, Owner::default()))
}

/// A reserve with a demand of `per_second` tokens, one by one.
fn busy(limit_set: &Arc<LimitSet>, per_second: i64, now: Moment) -> LaneReserve {
    let mut reserve = LaneReserve::new(Arc::clone(limit_set), LIFE..=LIFE, (now - LIFE * 8).monotonic);
    for _ in 0..per_second * 8 {
        reserve.missed(limit_set, &[1_000]);
    }
    reserve
}

fn lot(tokens: i64, expiry: Expiry) -> ReserveLot {
    ReserveLot {
        tokens: Amounts::from_elem(tokens, 1),
        baseline: Arc::new(Baseline {
            incarnation: None,
            nets: Amounts::from_elem(0, 1),
            at: 0,
            since: 0,
            periods: None,
        }),
        expiry,
    }
}

fn given_up(returned: &ReserveReturn) -> i64 {
    let settled: i64 = returned.settled.iter().map(|part| -part.amount).sum();
    settled + returned.forfeited.iter().map(|(_, amount)| amount).sum::<i64>()
}

fn fill_up(reserve: &mut LaneReserve, tokens: i64, sent: Moment) {
    reserve.fill_up(lot(tokens, Expiry::starting(sent, LIFE)), None, sent.monotonic);
}

fn take(reserve: &mut LaneReserve, limit_set: &Arc<LimitSet>, tokens: i64, now: Moment) -> Option<Expiry> {
    Some(reserve.take(limit_set, &[tokens], ReserveDraw::Target, now)?.0)
}

fn order(reserve: &mut LaneReserve, left: i64, now: Moment) -> i64 {
    reserve.order(&[left], now).map_or(0, |order| order[0])
}

#[test]
fn three_quarters_of_a_lifes_demand_are_held_at_most_the_share_and_half_of_what_is_left() {
    let (limit_set, now) = (limit_set(), start());
    let near = |order: i64, wanted: i64| (order - wanted).abs() <= wanted / 25;
    assert!(near(order(&mut busy(&limit_set, 200, now), 100_000_000, now), 150_000));
    assert_eq!(order(&mut busy(&limit_set, 5_000, now), 100_000_000, now), MOST);
    assert_eq!(order(&mut busy(&limit_set, 200, now), 60_000, now), 30_000, "scarce: half of it");
    assert_eq!(order(&mut busy(&limit_set, 200, now), -5_000, now), 0, "in debt");
    let mut holding = busy(&limit_set, 200, now);
    fill_up(&mut holding, 60_000, now);
    assert!(near(order(&mut holding, 100_000_000, now), 90_000), "what is there is not ordered again");
}

#[test]
fn nothing_is_held_where_asks_are_rare_or_large() {
    let (limit_set, now) = (limit_set(), start());
    assert_eq!(order(&mut busy(&limit_set, 1, now), 100_000_000, now), 0);
    let mut large = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, (now - LIFE * 8).monotonic);
    (0..80).for_each(|_| large.missed(&limit_set, &[200_000]));
    assert_eq!(order(&mut large, 100_000_000, now), 0, "the share serves two of them");
    let small = Limits::from(Limit::per_minute("rpm", 900).unwrap());
    let small = Arc::new(LimitSet::new(small, Lifetime::AsIs, Owner::default()));
    assert_eq!(order(&mut busy(&small, 100, now), 900_000, now), 0, "the share is three tokens");
}

#[test]
fn tokens_live_longer_where_more_processes_share_a_bucket_and_never_longer_than_allowed() {
    let (limit_set, now) = (limit_set(), start());
    // Two asks a second.
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE * 20, (now - LIFE * 40).monotonic);
    (0..80).for_each(|_| reserve.missed(&limit_set, &[1_000]));
    assert_eq!(order(&mut reserve, 100_000_000, now), 0, "alone it needs none");
    reserve.adapt(1_000.0);
    assert_eq!(reserve.life().as_millis(), 13_333);
    assert!((19_000..=21_000).contains(&order(&mut reserve, 100_000_000, now)), "three quarters of that");
    reserve.adapt(1e9);
    assert_eq!(reserve.life(), LIFE * 20);
    reserve.adapt(3.0);
    assert_eq!(reserve.life(), LIFE * 61 / 4, "one estimate of few is not believed at once");
    (0..60).for_each(|_| reserve.adapt(3.0));
    assert_eq!(reserve.life().as_millis(), LIFE.as_millis());
}

#[test]
fn a_nearly_empty_bucket_is_left_alone_for_a_life_or_so() {
    let (limit_set, now) = (limit_set(), start());
    let mut reserve = busy(&limit_set, 200, now);
    reserve.observe(&[150_000], now, &Random::default());
    let wait = reserve.ration(&limit_set, &[1_000], now).expect("less than a life's demand is left");
    assert!((LIFE / 2..=LIFE * 3 / 2).contains(&wait));
    assert_eq!(reserve.ration(&limit_set, &[MOST + 1], now), None, "no reserve can serve that, so the bucket is asked");
    assert_eq!(reserve.ration(&limit_set, &[1_000], now + wait), None);
    reserve.observe(&[250_000], now, &Random::default());
    assert_eq!(reserve.ration(&limit_set, &[1_000], now), None, "enough again");
    let mut quiet = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, (now - LIFE).monotonic);
    quiet.observe(&[0], now, &Random::default());
    assert_eq!(quiet.ration(&limit_set, &[1_000], now), None, "without a reserve there is no ration");
}

#[test]
fn where_many_share_a_nearly_empty_bucket_each_takes_a_quarter_and_comes_back_after_most_of_a_life() {
    let (limit_set, now) = (limit_set(), start());
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE * 20, (now - LIFE * 40).monotonic);
    (0..80).for_each(|_| reserve.missed(&limit_set, &[1_000]));
    reserve.adapt(1e9);
    assert_eq!(order(&mut reserve, 40_000, now), 10_000);
    let mut now = now;
    for most in [1, 2, 4, 8, 14, 14] {
        reserve.observe(&[30_000], now, &Random::default());
        let wait = reserve.ration(&limit_set, &[1_000], now).expect("too little for four like this one");
        assert!((LIFE * most / 2..=LIFE * most * 3 / 2).contains(&wait), "{wait:?}, not about {most} s");
        now = now + wait;
        (0..2 * wait.as_secs().max(1)).for_each(|_| reserve.missed(&limit_set, &[1_000]));
    }
    (0..4).for_each(|_| reserve.observe(&[90_000_000], now, &Random::default()));
    reserve.observe(&[30_000], now, &Random::default());
    assert!(reserve.ration(&limit_set, &[1_000], now).is_some_and(|wait| wait <= LIFE * 3 / 2), "it had enough since");
}

#[test]
fn what_was_not_used_for_half_a_life_goes_back() {
    let (limit_set, now) = (limit_set(), start());
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, now.monotonic);
    fill_up(&mut reserve, 10_000, now);
    assert!(take(&mut reserve, &limit_set, 3_000, now + LIFE / 4).is_some());
    assert!(reserve.give_up(ReturnCause::Time, now + LIFE / 2).is_none());
    assert_eq!(reserve.due((now + LIFE / 2).monotonic), Some((now + LIFE * 3 / 4).monotonic));
    let returned = reserve.give_up(ReturnCause::Time, now + LIFE * 3 / 4).unwrap();
    assert_eq!((returned.settled[0].amount, returned.forfeited.len()), (-7_000, 0));
    assert_eq!(reserve.due((now + LIFE).monotonic), None);
}

#[test]
fn what_could_not_be_returned_within_its_life_is_forfeited() {
    let (limit_set, now) = (limit_set(), start());
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, now.monotonic);
    fill_up(&mut reserve, 10_000, now);
    // The process was stopped for an hour.
    let returned = reserve.give_up(ReturnCause::Time, now + Duration::from_secs(3_600)).unwrap();
    assert_eq!((returned.settled.len(), returned.forfeited[0].1), (0, 10_000));
}

#[test]
fn a_machine_that_stood_still_grants_nothing_that_is_over_and_returns_none_of_it() {
    let (limit_set, now) = (limit_set(), start());
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, now.monotonic);
    fill_up(&mut reserve, 10_000, now);
    let expiry = take(&mut reserve, &limit_set, 1_000, now).unwrap();
    // By the monotonic clock no time has passed.
    let thawed = Moment { wall: now.wall + 600_000, ..now };
    assert!(take(&mut reserve, &limit_set, 1_000, thawed).is_none());
    assert!(!reserve.put_back(&limit_set, lot(1_000, expiry), None, thawed));
    assert_eq!(reserve.pay(&limit_set, &[3_000], None, thawed)[0], 3_000);
    let returned = reserve.give_up(ReturnCause::Time, thawed).unwrap();
    assert_eq!((returned.settled.len(), returned.forfeited[0].1), (0, 9_000));
}

#[test]
fn a_wall_clock_that_was_set_ends_no_lot_later_than_its_life() {
    let (limit_set, now) = (limit_set(), start());
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, now.monotonic);
    fill_up(&mut reserve, 5_000, now);
    let set_back = Moment { monotonic: now.monotonic + LIFE / 8, wall: now.wall - 3_600_000 };
    fill_up(&mut reserve, 5_000, set_back);
    // The clock is right again, and the second lot over by it.
    let right = now + LIFE / 4;
    assert!(take(&mut reserve, &limit_set, 6_000, right).is_none());
    assert!(take(&mut reserve, &limit_set, 5_000, right).is_some());
    assert!(take(&mut reserve, &limit_set, 1_000, now + LIFE).is_none());
}

#[test]
fn tokens_that_come_back_live_no_longer_than_they_would_have() {
    let (limit_set, now) = (limit_set(), start());
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, now.monotonic);
    fill_up(&mut reserve, 10_000, now);
    let expiry = take(&mut reserve, &limit_set, 4_000, now).unwrap();
    fill_up(&mut reserve, 10_000, now + LIFE / 2);
    assert!(!reserve.put_back(&limit_set, lot(4_000, expiry), Some(&"another".into()), now));
    assert!(reserve.put_back(&limit_set, lot(4_000, expiry), None, now + LIFE / 2));
    assert!(!reserve.put_back(&limit_set, lot(4_000, expiry), None, now + LIFE));
    assert!(take(&mut reserve, &limit_set, 11_000, now + LIFE).is_none(), "only the second lot lives");
    assert!(take(&mut reserve, &limit_set, 10_000, now + LIFE).is_some());
}

#[test]
fn an_ask_that_waited_for_the_stock_counts_once() {
    let (limit_set, now) = (limit_set(), start());
    let (mut waited, mut served) = (busy(&limit_set, 100, now), busy(&limit_set, 100, now));
    for reserve in [&mut waited, &mut served] {
        fill_up(reserve, 100_000, now);
    }
    for _ in 0..50 {
        waited.missed(&limit_set, &[1_000]);
        assert!(waited.take(&limit_set, &[1_000], ReserveDraw::Again, now).is_some());
        assert!(take(&mut served, &limit_set, 1_000, now).is_some());
    }
    assert_eq!(order(&mut waited, 100_000_000, now), order(&mut served, 100_000_000, now));
}

#[test]
fn a_bucket_made_anew_is_neither_paid_from_old_lots_nor_mixed_with_them() {
    let (limit_set, now) = (limit_set(), start());
    let another = Incarnation::from("another");
    let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, now.monotonic);
    fill_up(&mut reserve, 10_000, now);
    assert_eq!(reserve.pay(&limit_set, &[3_000], Some(&another), now)[0], 3_000, "left to be booked");
    assert_eq!(reserve.pay(&limit_set, &[3_000], None, now)[0], 0);
    assert_eq!(reserve.pay(&limit_set, &[9_000], None, now)[0], 2_000, "as far as it goes");
    fill_up(&mut reserve, 5_000, now);
    reserve.fill_up(lot(1_000, Expiry::starting(now, LIFE)), Some(&another), now.monotonic);
    assert_eq!(reserve.held(), [1_000]);
    let returned = reserve.give_up(ReturnCause::End, now).unwrap();
    assert_eq!((returned.incarnation, returned.settled[0].amount), (Some(another), -1_000));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask(i64),
    Fetch(i64),
    TidyUp,
    PutBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u64..400).prop_map(Step::Wait),
        6 => (1_i64..60).prop_map(Step::Ask),
        2 => (0_i64..3_000).prop_map(Step::Fetch),
        1 => Just(Step::TidyUp),
        1 => Just(Step::PutBack),
    ];
    prop::collection::vec(step, 1..200)
}

/// The last grant: its amount, its expiry, and the part that each lot gave.
type Last = Option<(i64, Expiry, Vec<(usize, i64)>)>;

proptest! {
    #[test]
    fn every_grant_was_debited_within_the_life_before_and_nothing_is_lost_or_made(steps in steps()) {
        let (limit_set, mut now) = (limit_set(), start());
        let mut reserve = LaneReserve::new(Arc::clone(&limit_set), LIFE..=LIFE, now.monotonic);
        // When sent, and what nobody was granted yet.
        let mut lots: Vec<(Moment, i64)> = Vec::new();
        let mut last: Last = None;
        let (mut debited, mut granted, mut returned) = (0, 0, 0);
        for step in steps {
            match step {
                Step::Wait(ms) => now = now + Duration::from_millis(ms),
                Step::Ask(tokens) => {
                    let Some(expiry) = take(&mut reserve, &limit_set, tokens * 1_000, now) else {
                        reserve.missed(&limit_set, &[tokens * 1_000]);
                        continue;
                    };
                    granted += tokens * 1_000;
                    let (mut missing, mut parts) = (tokens * 1_000, Vec::new());
                    for (index, (sent, left)) in lots.iter_mut().enumerate() {
                        if (*sent + LIFE).wall > now.wall {
                            let part = missing.min(*left);
                            (missing, *left) = (missing - part, *left - part);
                            parts.push((index, part));
                        }
                    }
                    prop_assert_eq!(missing, 0, "granted what was not debited within the life");
                    last = Some((tokens * 1_000, expiry, parts));
                }
                Step::Fetch(left) => {
                    let ordered = order(&mut reserve, left * 1_000, now);
                    prop_assert!(ordered <= left * 500, "more than half of what is left");
                    if ordered > 0 {
                        fill_up(&mut reserve, ordered, now);
                        lots.push((now, ordered));
                        debited += ordered;
                        last = None;
                    }
                }
                Step::TidyUp => {
                    let Some(gone) = reserve.give_up(ReturnCause::Time, now) else { continue };
                    returned += given_up(&gone);
                    lots.retain(|(sent, _)| (*sent + LIFE).wall > now.wall);
                    if reserve.due(now.monotonic).is_none() {
                        lots.clear();
                    }
                    last = None;
                }
                Step::PutBack => {
                    let Some((tokens, expiry, parts)) = last.take() else { continue };
                    if reserve.put_back(&limit_set, lot(tokens, expiry), None, now) {
                        granted -= tokens;
                        parts.into_iter().for_each(|(index, part)| lots[index].1 += part);
                    }
                }
            }
            prop_assert!(reserve.held()[0] <= MOST);
        }
        let rest = reserve.give_up(ReturnCause::End, now);
        returned += rest.iter().map(given_up).sum::<i64>();
        prop_assert_eq!(debited, granted + returned);
    }
}

/// An operator has begun the period of a quota again.
#[test]
fn what_was_debited_before_a_reset_by_hand_is_not_granted_after_it() {
    let (limit_set, now) = (limit_set(), start());
    let of = |resets_by_hand| -> Periods {
        let mark = PeriodMark { resets_by_hand, ..PeriodMark::default() };
        Some(Arc::from([mark]))
    };
    let mut reserve = busy(&limit_set, 100, now);
    let mut before = lot(10_000, Expiry::starting(now, LIFE));
    Arc::make_mut(&mut before.baseline).periods = of(0);
    reserve.keep_period(&of(0));
    reserve.fill_up(before, None, now.monotonic);
    let (expiry, baseline, _) = reserve.take(&limit_set, &[1_000], ReserveDraw::Target, now).unwrap();
    reserve.keep_period(&of(0));
    assert_eq!(reserve.held(), [9_000]);
    reserve.keep_period(&of(1));
    assert_eq!(reserve.held(), [0]);
    let back = ReserveLot { tokens: Amounts::from_elem(1_000, 1), baseline, expiry };
    assert!(!reserve.put_back(&limit_set, back, None, now), "a lease from before the reset");
    let returned = reserve.give_up(ReturnCause::Time, now).unwrap();
    assert_eq!(given_up(&returned), 9_000);
}
