//! The write rules against an ideal token bucket: several limits on one item, several processes with stale images,
//! refunds and debts, driven time. What is granted must fit the ideal bucket to the millitoken, and what is refused on
//! a fresh image must not fit it.

use proptest::{prelude::*, test_runner::TestCaseError};

use crate::bucket::{
    Params,
    apply::apply,
    image::Image,
    plan::{Goal, balances, plan},
    plan_tests::rate,
    refund::Booking,
    samples::{full, taking},
    write::Room,
};

/// An ideal bucket: its balance in 1/period mt, so that nothing is ever rounded.
#[derive(Clone, Copy)]
pub(crate) struct Ideal {
    params: Params,
    balance: i128,
    at: i64,
}

impl Ideal {
    pub(crate) fn full(params: Params) -> Self {
        Self { params, balance: i128::from(params.capacity) * i128::from(params.period), at: 0 }
    }

    fn cap(&self) -> i128 {
        i128::from(self.params.capacity) * i128::from(self.params.period)
    }

    pub(crate) fn advance(&mut self, now: i64) {
        self.balance = (self.balance + i128::from(self.params.refill) * i128::from(now - self.at)).min(self.cap());
        self.at = now;
    }

    pub(crate) fn fits(&self, amount: i64) -> bool {
        self.balance >= i128::from(amount) * i128::from(self.params.period)
    }

    pub(crate) fn take(&mut self, amount: i64) {
        self.balance = (self.balance - i128::from(amount) * i128::from(self.params.period)).min(self.cap());
    }

    /// The balance in whole mt, rounded down.
    pub(crate) fn whole(&self) -> i128 {
        self.balance.div_euclid(i128::from(self.params.period))
    }
}

#[derive(Clone, Debug)]
struct Step {
    pause: i64,
    process: usize,
    take: Vec<i64>,
    adjust: Option<(usize, i64)>,
    /// True if its writes leave room for neighbours.
    crowded: bool,
    /// True if the adjustment goes into the write that takes.
    together: bool,
}

fn params() -> impl Strategy<Value = Params> {
    (1_i64..1_000_000, 1_i64..1_000_000, prop_oneof![1_i64..100, 1_000_i64..100_000, 80_000_000_i64..90_000_000])
        .prop_map(|(capacity, refill, period)| Params { capacity, refill, period })
}

fn steps(limits: usize, crowded: f64) -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![3 => 0_i64..5, 2 => 0_i64..500, 1 => 0_i64..100_000, 1 => 0_i64..50_000_000];
    let amounts =
        prop::collection::vec(prop_oneof![1 => Just(0_i64), 3 => 1_i64..1_000, 1 => 1_i64..1_000_000], limits);
    let adjust = prop::option::weighted(0.2, (0..limits, -2_000_i64..2_000));
    prop::collection::vec(
        (pause, 0_usize..4, amounts, adjust, prop::bool::weighted(crowded), prop::bool::ANY).prop_map(
            |(pause, process, take, adjust, crowded, together)| Step {
                pause,
                process,
                take,
                adjust,
                crowded,
                together,
            },
        ),
        1..120,
    )
}

fn run(params: &[Params], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let limits: Vec<_> = params.iter().enumerate().map(|(i, p)| rate(&format!("l{i}"), *p)).collect();
    let mut item = Image { shard_count: Some(1), limits: limits.iter().map(full).collect(), ..Image::default() };
    let mut images = vec![item.clone(); 4];
    let mut ideals: Vec<Ideal> = params.iter().map(|p| Ideal::full(*p)).collect();
    let mut booked = vec![0_i64; params.len()];
    let (mut now, mut room) = (0, false);
    for step in steps {
        now += step.pause;
        room |= step.crowded;
        let plan = |image: &Image, goal: &Goal<'_>| {
            let write = plan(image, goal);
            if step.crowded { write.leaving_room(Room::ForAsks) } else { write }
        };
        ideals.iter_mut().for_each(|ideal| ideal.advance(now));
        let take: Vec<i64> = step.take.iter().zip(params).map(|(t, p)| *t % (p.capacity + 1)).collect();
        let adjust: Vec<_> =
            step.adjust.iter().map(|(index, delta)| Booking::from((limits[*index].name.clone(), *delta))).collect();
        let goal = |take, adjust| Goal { adjust, ..taking(&limits, take, now) };
        // The adjustment first, as a write of its own (it succeeds once the image is fresh) or in one with what is
        // taken.
        let together = step.together && !adjust.is_empty();
        if let Some((index, delta)) = step.adjust.filter(|_| !together) {
            while !apply(&mut item, &plan(&images[step.process], &goal(&[], &adjust))) {
                prop_assert_ne!(&images[step.process], &item, "a fresh image lost its own condition");
                images[step.process] = item.clone();
            }
            images[step.process] = item.clone();
            ideals[index].take(delta);
            booked[index] += delta;
        }
        if let Some((index, delta)) = step.adjust.filter(|_| together) {
            ideals[index].take(delta);
            booked[index] += delta;
        }
        let granted = loop {
            let image = &images[step.process];
            let goal = goal(&take, if together { &adjust } else { &[] });
            let enough = balances(image, &goal).iter().zip(&take).all(|(l, t)| *t == 0 || l.tokens >= *t);
            if enough && apply(&mut item, &plan(image, &goal)) {
                break true;
            }
            if *image == item {
                prop_assert!(!enough, "a fresh image lost its own condition");
                break false;
            }
            images[step.process] = item.clone();
        };
        if together && !granted {
            // Nobody is served, but what was booked is.
            let write = plan(&item, &goal(&[], &adjust));
            prop_assert!(apply(&mut item, &write), "a fresh image lost its own condition");
            images[step.process] = item.clone();
        }
        let ideal_grants = ideals.iter().zip(&take).all(|(ideal, t)| *t == 0 || ideal.fits(*t));
        prop_assert!(granted == ideal_grants || (room && !granted), "{}: at {} for {:?}", granted, now, take);
        if granted {
            images[step.process] = item.clone();
            for (index, amount) in take.iter().enumerate() {
                ideals[index].take(*amount);
                booked[index] += amount;
            }
        }
        let goal = taking(&limits, &[], now);
        for (index, balance) in balances(&item, &goal).iter().enumerate() {
            let given_up = ideals[index].whole() - i128::from(balance.tokens);
            let most = if room { i128::from(params[index].capacity / 100) + 1 } else { 0 };
            prop_assert!((0..=most).contains(&given_up), "limit {} at {}: {} given up", index, now, given_up);
            prop_assert_eq!(item.limits[index].consumed, Some(i128::from(booked[index])));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn writes_equal_an_ideal_bucket_to_the_millitoken(
        (params, steps) in prop::collection::vec(params(), 1..4)
            .prop_flat_map(|p| { let n = p.len(); (Just(p), steps(n, 0.0)) })
    ) {
        run(&params, steps)?;
    }

    #[test]
    fn room_for_neighbours_costs_a_hundredth_of_the_capacity_and_grants_nothing(
        (params, steps) in prop::collection::vec(params(), 1..4)
            .prop_flat_map(|p| { let n = p.len(); (Just(p), steps(n, 0.5)) })
    ) {
        run(&params, steps)?;
    }
}
