//! Tests for data that must survive when an item goes or a clock is wrong: an item that may be removed is full, and a
//! refill instant far ahead neither stops a bucket nor makes tokens.

use proptest::{prelude::*, test_runner::TestCaseError};

use crate::bucket::{
    Params,
    apply::apply,
    image::{Balance, Image},
    kind::AppliedLimit,
    lifetime::{Lifetime, full_in},
    plan::{Goal, balances, plan},
    plan_tests::rate,
    refund::Booking,
    samples::{full, taking},
    watch::MAX_SKEW_MS,
};

fn bucket(params: &[Params], now: i64) -> (Vec<AppliedLimit>, Image) {
    let limits: Vec<_> = params.iter().enumerate().map(|(i, p)| rate(&format!("l{i}"), *p)).collect();
    let stored = limits.iter().map(full).collect();
    let item = Image { last_refill: now, shard_count: Some(1), limits: stored, ..Image::default() };
    (limits, item)
}

/// Ms until `item` is full.
fn until_full(item: &Image, limits: &[AppliedLimit], now: i64) -> i64 {
    let balances: Vec<Balance> =
        limits.iter().map(|limit| Balance::at(item, item.limit(limit.name.as_str()), &limit.kind, 1, now)).collect();
    full_in(balances.iter().map(|balance| (balance, 0)))
}

#[derive(Clone, Debug)]
struct Step {
    pause: i64,
    process: usize,
    take: i64,
    /// Of the first limit: positive for debts.
    adjust: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![2 => 0_i64..5, 2 => 0_i64..5_000, 1 => 0_i64..1_000_000];
    let take = prop_oneof![1 => Just(0_i64), 2 => 1_i64..50_000];
    let adjust = prop_oneof![2 => Just(0_i64), 2 => -40_000_i64..40_000, 1 => 0_i64..20_000_000];
    let step = (pause, 0_usize..3, take, adjust);
    let step = step.prop_map(|(pause, process, take, adjust)| Step { pause, process, take, adjust });
    prop::collection::vec(step, 1..60)
}

fn keep(params: &[Params], lifetime: Lifetime, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut now = 1_000_000_i64;
    let (limits, mut item) = bucket(params, now);
    item.ttl = lifetime.end(0, now).or(Some(now / 1_000 + 1));
    let mut images = vec![item.clone(); 3];
    for step in steps {
        now += step.pause;
        let adjust: Vec<_> =
            (step.adjust != 0).then(|| Booking::from((limits[0].name.clone(), step.adjust))).into_iter().collect();
        let take: Vec<i64> = params.iter().map(|p| step.take % (p.capacity + 1)).collect();
        loop {
            let image = images[step.process].clone();
            let goal = |take| Goal { adjust: &adjust, ttl: lifetime, ..taking(&limits, take, now) };
            let enough = balances(&image, &goal(&[])).iter().zip(&take).all(|(l, t)| *t == 0 || l.tokens >= *t);
            let done = apply(&mut item, &plan(&image, &goal(if enough { &take } else { &[] })));
            prop_assert!(done || image != item, "a fresh image lost its own condition");
            images[step.process] = item.clone();
            if done && (enough || image.limits == item.limits || !adjust.is_empty()) {
                break;
            }
            if image == item {
                break;
            }
        }
        if let Some(ttl) = item.ttl {
            let full = until_full(&item, &limits, now);
            // A gain of less than a millitoken is not counted, however long it takes.
            let rounded = params.iter().map(|p| p.period / p.refill + 1).max().unwrap();
            prop_assert!(full == 0 || ttl * 1_000 + rounded >= now + full, "{ttl} s, full in {full} ms at {now}");
        }
    }
    Ok(())
}

fn params() -> impl Strategy<Value = Params> {
    (1_000_i64..1_000_000, 1_i64..100_000, prop_oneof![Just(1_000_i64), Just(60_000), 1_i64..100_000])
        .prop_map(|(capacity, refill, period)| Params { capacity, refill, period })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_debt_ends_with_its_item(
        params in prop::collection::vec(params(), 1..3),
        multiplier in 1_u32..8,
        keeps in prop::bool::ANY,
        steps in steps(),
    ) {
        let fill = params.iter().map(|p| p.wait_ms(p.capacity)).max().unwrap();
        let seconds = i64::try_from(fill).unwrap() * i64::from(multiplier) / 1_000;
        let lifetime = if keeps { Lifetime::Idle { seconds, multiplier } } else { Lifetime::AsIs };
        keep(&params, lifetime, steps)?;
    }

    #[test]
    fn one_clock_that_is_wrong_costs_one_capacity_and_stops_nobody(
        (capacity, refill, period) in (1_000_i64..100_000, 1_000_i64..100_000, 1_000_i64..60_000),
        offset in prop_oneof![Just(-100_000_000_000_i64), Just(7_200_000), Just(100_000_000_000)],
        turns in prop::collection::vec(
            (prop_oneof![3 => 0_i64..10_000, 1 => 0_i64..10_000_000], prop::bool::weighted(0.7), 1_i64..100_000),
            1..150,
        ),
    ) {
        let params = Params { capacity, refill, period };
        let start = 1_767_225_600_000_i64;
        let (limits, mut item) = bucket(&[params], start);
        let (mut elapsed, mut granted) = (0_i64, 0_i128);
        for (pause, right, amount) in turns {
            elapsed += pause;
            let now = start + elapsed + if right { 0 } else { offset };
            let take = [amount % (capacity + 1)];
            let ttl = Lifetime::AsIs;
            let goal = |take| Goal { ttl, ..taking(&limits, take, now) };
            let balance = &balances(&item, &goal(&[]))[0];
            if balance.tokens >= take[0] {
                let write = plan(&item, &goal(&take));
                prop_assert!(apply(&mut item, &write));
                granted += i128::from(take[0]);
            } else {
                let wait = i64::try_from(balance.wait_ms(take[0])).unwrap();
                let most = i64::try_from(params.wait_ms(capacity)).unwrap() * 2 + MAX_SKEW_MS + 1;
                prop_assert!(wait <= most, "{wait} ms of at most {most}");
                if item.to_watch(now).is_some() {
                    let write = plan(&item, &goal(&[]));
                    prop_assert!(apply(&mut item, &write));
                }
            }
            let gained = i128::from(refill) * i128::from(elapsed) / i128::from(period);
            let most = 2 * i128::from(capacity) + gained;
            prop_assert!(granted <= most, "{granted} of {most} after {elapsed} ms");
        }
    }
}
