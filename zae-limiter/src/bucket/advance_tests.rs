//! Relative credits against an ideal bucket: processes whose images are as old as they like, plain and exact writes in
//! between. What goes through must fit the ideal bucket to the millitoken, and loses nothing.

use proptest::{prelude::*, test_runner::TestCaseError};

use crate::bucket::{
    Params,
    advance::{SHARES, advance},
    apply::apply,
    bet::{Wager, bet},
    ideal_tests::Ideal,
    image::{Image, WcuImage},
    kind::AppliedLimit,
    plan::{balances, plan},
    plan_tests::rate,
    refund::Booking,
    samples::{full, taking},
    write::Room,
};

#[derive(Clone, Copy, Debug)]
enum How {
    Exactly,
    Below,
    Relatively,
}

#[derive(Clone, Debug)]
struct Step {
    pause: i64,
    process: usize,
    take: Vec<i64>,
    how: How,
    /// True if the process looks at the bucket first.
    looks: bool,
}

fn limit() -> impl Strategy<Value = Params> {
    let period = prop_oneof![Just(1_000_i64), Just(60_000), 1_i64..100];
    (2_000_i64..200_000, 1_i64..200_000, period).prop_map(|(capacity, refill, period)| Params {
        capacity,
        refill,
        period,
    })
}

fn steps(limits: usize) -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![4 => 0_i64..10, 3 => 0_i64..500, 1 => 0_i64..20_000];
    let take = prop::collection::vec(prop_oneof![1 => Just(0_i64), 9 => 1_i64..3_000], limits);
    let how = prop_oneof![1 => Just(How::Exactly), 1 => Just(How::Below), 4 => Just(How::Relatively)];
    let step = (pause, 0_usize..4, take, how, any::<bool>());
    let step = step.prop_map(|(pause, process, take, how, looks)| Step { pause, process, take, how, looks });
    prop::collection::vec(step, 1..150)
}

fn bucket(params: &[Params]) -> (Vec<AppliedLimit>, Image) {
    let limits: Vec<_> = params.iter().enumerate().map(|(index, params)| rate(&format!("l{index}"), *params)).collect();
    let stored = limits.iter().map(full).collect();
    (limits, Image { shard_count: Some(1), limits: stored, ..Image::default() })
}

fn run(params: &[Params], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (limits, mut item) = bucket(params);
    let mut images = vec![item.clone(); 4];
    let mut ideals: Vec<Ideal> = params.iter().map(|p| Ideal::full(*p)).collect();
    let mut now = 0;
    for Step { pause, process, take, how, looks } in steps {
        now += pause;
        ideals.iter_mut().for_each(|ideal| ideal.advance(now));
        let goal = taking(&limits, &take, now);
        if looks {
            images[process] = item.clone();
        }
        let image = &images[process];
        let write = match how {
            How::Exactly => {
                let enough = balances(&item, &goal).iter().zip(&take).all(|(l, t)| *t == 0 || l.tokens >= *t);
                enough.then(|| plan(&item, &goal))
            }
            How::Below => bet(image, &goal, Wager::Below, &[1, 10, 100, 1_000], Room::ForAsks),
            How::Relatively => advance(image, &goal),
        };
        let Some(write) = write.filter(|write| apply(&mut item, write)) else { continue };
        for (at, amount) in take.iter().enumerate() {
            prop_assert!(*amount == 0 || ideals[at].fits(*amount), "{amount} of limit {at} at {now} by {write:?}");
            ideals[at].take(*amount);
        }
        for (at, level) in balances(&item, &taking(&limits, &[], now)).iter().enumerate() {
            prop_assert_eq!(i128::from(level.tokens), ideals[at].whole(), "limit {} at {} by {:?}", at, now, write);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn a_relative_credit_that_goes_through_is_what_came_in_whatever_the_image(
        (params, steps) in prop::collection::vec(limit(), 1..4)
            .prop_flat_map(|p| { let n = p.len(); (Just(p), steps(n)) })
    ) {
        run(&params, steps)?;
    }
}

/// 1,000 tokens a second: a millitoken a microsecond.
const SECOND: Params = Params { capacity: 1_000_000, refill: 1_000_000, period: 1_000 };
const NOW: i64 = 10_000;

/// A bucket that holds `tokens`, and what has come in since `lag` ms ago.
fn scarce(tokens: i64, lag: i64) -> (Vec<AppliedLimit>, Image) {
    let (limits, mut item) = bucket(&[SECOND]);
    item.limits[0].tokens = Some(tokens);
    item.last_refill = NOW - lag;
    (limits, item)
}

#[test]
fn as_many_go_through_from_one_image_as_there_are_shares() {
    for (tokens, lag) in [(0, 40), (10_000, 40), (3_000, 4), (0, 4)] {
        let (limits, mut item) = scarce(tokens, lag);
        let seen = item.clone();
        let part = [(tokens + lag * 1_000) / SHARES];
        let write = advance(&seen, &taking(&limits, &part, NOW)).expect("less than half full");
        let done = (0..10).filter(|_| apply(&mut item, &write)).count();
        assert_eq!(done, SHARES as usize, "{tokens} mt and {lag} ms");
        assert_eq!(balances(&item, &taking(&limits, &[], NOW))[0].tokens, 0);
        let exact = plan(&seen, &taking(&limits, &part, NOW));
        let mut item = seen.clone();
        let done = (0..10).filter(|_| apply(&mut item, &exact)).count();
        assert!(tokens >= part[0] || done == 1, "one that credits everything excludes the others");
    }
}

#[test]
fn more_is_credited_where_a_share_does_not_cover_the_cost() {
    let (limits, mut item) = scarce(0, 40);
    let write = advance(&item, &taking(&limits, &[30_000], NOW)).unwrap();
    assert_eq!(write.advance.map(|advance| advance.by), Some(30));
    assert!(apply(&mut item, &write));
    assert_eq!((item.limits[0].tokens, item.last_refill), (Some(0), NOW - 10));
    assert!(!apply(&mut item, &write), "ten milliseconds' worth is left");
}

#[test]
fn only_whole_millitokens_are_credited() {
    // Seven tokens a minute: seven millitokens in 60 ms.
    let (limits, mut item) = bucket(&[Params { capacity: 7_000, refill: 7_000, period: 60_000 }]);
    (item.limits[0].tokens, item.last_refill) = (Some(0), NOW - 1_000);
    let write = advance(&item, &taking(&limits, &[20], NOW)).unwrap();
    assert_eq!(write.advance.map(|advance| advance.by), Some(300), "a quarter of a second, rounded up");
    item.last_refill = NOW - 59;
    assert!(advance(&item, &taking(&limits, &[1], NOW)).is_none());
}

#[test]
fn nothing_is_credited_so_where_another_write_serves_better_or_more_has_to_be_known() {
    let (limits, item) = scarce(0, 40);
    let goal = taking(&limits, &[1_000], NOW);
    assert!(advance(&item, &goal).is_some());
    let refund = [Booking::from((limits[0].name.clone(), -5))];
    assert!(advance(&item, &crate::bucket::plan::Goal { adjust: &refund, ..goal.clone() }).is_none());
    for (tokens, lag, why) in [(0, 0, "nothing came in"), (480_000, 40, "half full"), (4_000, 40, "a plain write does")]
    {
        assert!(advance(&scarce(tokens, lag).1, &goal).is_none(), "{why}");
    }
    let charged = WcuImage { tokens: 0, ..WcuImage::full() };
    assert!(advance(&Image { wcu: Some(charged), ..item.clone() }, &goal).is_none(), "the reserved limit is refilled");
    let (two, mut both) = bucket(&[SECOND, SECOND]);
    both.last_refill = NOW - 40;
    both.limits.iter_mut().for_each(|limit| limit.tokens = Some(0));
    assert!(advance(&both, &taking(&two, &[1_000, 1_000], NOW)).is_some());
    assert!(advance(&both, &taking(&two, &[1_000, 0], NOW)).is_none(), "the other one would have to be credited");
}
