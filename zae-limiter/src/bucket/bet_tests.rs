//! Bets against an ideal bucket: processes whose images are as old as they like, ages taken at random, refunds and
//! exact writes in between. What goes through must fit the ideal bucket to the millitoken, and gives up no more than
//! the room that is left for neighbours.

use proptest::{prelude::*, test_runner::TestCaseError};

use crate::bucket::{
    Params,
    apply::apply,
    bet::{Wager, bet},
    ideal_tests::Ideal,
    image::{Image, LimitImage},
    kind::{AppliedLimit, Enforcement},
    lifetime::Lifetime,
    plan::{Goal, balances, plan},
    plan_tests::rate,
    refund::Booking,
    watch::Watch,
    write::Room,
};

#[derive(Clone, Debug)]
enum Writes {
    Exactly,
    Bet(Wager, Vec<i64>),
}

#[derive(Clone, Debug)]
struct Step {
    pause: i64,
    process: usize,
    take: Vec<i64>,
    adjust: Option<(usize, i64)>,
    writes: Writes,
}

fn limit() -> impl Strategy<Value = Params> {
    (1_000_i64..1_000_000, 1_i64..1_000_000, prop_oneof![1_i64..100, 1_000_i64..100_000])
        .prop_map(|(capacity, refill, period)| Params { capacity, refill, period })
}

fn steps(limits: usize) -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![4 => 0_i64..5, 3 => 0_i64..500, 1 => 0_i64..100_000];
    let take = prop::collection::vec(prop_oneof![2 => Just(0_i64), 3 => 1_i64..1_000], limits);
    let adjust = prop::option::weighted(0.2, (0..limits, -900_i64..900));
    let ages = prop::collection::vec(prop_oneof![3 => 0_i64..20, 1 => 0_i64..1_000, 1 => 0_i64..200_000], 1..6);
    let bets = (prop_oneof![Just(Wager::Below), Just(Wager::Full)], ages).prop_map(|(on, ages)| Writes::Bet(on, ages));
    let writes = prop_oneof![1 => Just(Writes::Exactly), 4 => bets];
    let step = (pause, 0_usize..4, take, adjust, writes).prop_map(|(pause, process, take, adjust, writes)| Step {
        pause,
        process,
        take,
        adjust,
        writes,
    });
    prop::collection::vec(step, 1..120)
}

fn bucket(params: &[Params]) -> (Vec<AppliedLimit>, Image) {
    let limits: Vec<_> = params.iter().enumerate().map(|(index, params)| rate(&format!("l{index}"), *params)).collect();
    let stored = limits.iter().zip(params).map(|(limit, params)| LimitImage {
        name: limit.name.clone(),
        tokens: Some(params.capacity),
        params: (*params).into(),
        fraction: 0,
        refunded: None,
        soft: None,
        consumed: Some(0),
        quota: None,
        schedule: None,
    });
    let image = Image { shard_count: Some(1), limits: stored.collect(), ..Image::default() };
    (limits, image)
}

fn run(params: &[Params], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (limits, mut item) = bucket(params);
    let mut images = vec![item.clone(); 4];
    let mut ideals: Vec<Ideal> = params.iter().map(|p| Ideal::full(*p)).collect();
    let mut now = 0;
    for Step { pause, process, take, adjust, writes } in steps {
        now += pause;
        ideals.iter_mut().for_each(|ideal| ideal.advance(now));
        let booked: Vec<_> =
            adjust.iter().map(|(at, delta)| Booking::from((limits[*at].name.clone(), *delta))).collect();
        let goal = Goal {
            limits: &limits,
            take: &take,
            adjust: &booked,
            shards: 1,
            ttl: Lifetime::AsIs,
            owner: None,
            soft_until: None,
            now,
        };
        let image = &images[process];
        let write = match &writes {
            Writes::Exactly => {
                images[process] = item.clone();
                let enough = balances(&item, &goal).iter().zip(&take).all(|(l, t)| *t == 0 || l.tokens >= *t);
                enough.then(|| plan(&item, &goal).leaving_room(Room::ForAsks))
            }
            // An image that is out of date in everything but the limits' parameters.
            Writes::Bet(wager, ages) => bet(image, &goal, *wager, ages, Room::ForAsks),
        };
        let Some(write) = write.filter(|write| apply(&mut item, write)) else { continue };
        if let Some((at, delta)) = adjust {
            ideals[at].take(delta);
        }
        for (at, amount) in take.iter().enumerate() {
            prop_assert!(*amount == 0 || ideals[at].fits(*amount), "{amount} of limit {at} at {now} by {write:?}");
            ideals[at].take(*amount);
        }
        let goal = Goal { take: &[], adjust: &[], ..goal };
        for (at, level) in balances(&item, &goal).iter().enumerate() {
            let given_up = ideals[at].whole() - i128::from(level.tokens);
            let most = i128::from(params[at].capacity / 100) + 1;
            prop_assert!((0..=most).contains(&given_up), "limit {at} at {now}: {given_up} given up by {write:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn a_bet_that_goes_through_takes_what_an_ideal_bucket_has_whatever_the_image(
        (params, steps) in prop::collection::vec(limit(), 1..4)
            .prop_flat_map(|p| { let n = p.len(); (Just(p), steps(n)) })
    ) {
        run(&params, steps)?;
    }
}

/// 1,000 tokens a second: a millitoken a microsecond.
const SECOND: Params = Params { capacity: 1_000_000, refill: 1_000_000, period: 1_000 };

/// Makes either bet at `now` on a bucket that holds `tokens` and was refilled at `refill`: which go through.
fn go_through(tokens: i64, refill: i64, now: i64) -> [bool; 2] {
    let (limits, seen) = bucket(&[SECOND]);
    let goal = Goal {
        limits: &limits,
        take: &[1_000],
        adjust: &[],
        shards: 1,
        ttl: Lifetime::AsIs,
        owner: None,
        soft_until: None,
        now,
    };
    [Wager::Below, Wager::Full].map(|wager| {
        let mut item = Image { last_refill: refill, ..seen.clone() };
        item.limits[0].tokens = Some(tokens);
        let ages: Vec<i64> = (0..=20).collect();
        apply(&mut item, &bet(&seen, &goal, wager, &ages, Room::ForAsks).unwrap())
    })
}

#[test]
fn within_the_room_left_for_neighbours_either_bet_goes_through() {
    // Ten tokens of room: what comes in within ten ms.
    assert_eq!(go_through(985_000, 9_990, 10_000), [true, true], "995 of 1,000");
    assert_eq!(go_through(970_000, 9_990, 10_000), [true, false], "980");
    assert_eq!(go_through(995_000, 9_990, 10_000), [false, true], "full");
    assert_eq!(go_through(500, 9_990, 10_000), [false, false], "less than is asked for");
    assert_eq!(go_through(985_000, 10_500, 10_000), [true, false], "refilled by a clock ahead");
}

#[test]
fn nothing_is_bet_on_a_bucket_of_which_more_has_to_be_known() {
    let (limits, image) = bucket(&[SECOND]);
    let goal = Goal {
        limits: &limits,
        take: &[1_000],
        adjust: &[],
        shards: 1,
        ttl: Lifetime::AsIs,
        owner: None,
        soft_until: None,
        now: 9,
    };
    let bets = |image: &Image, goal: &Goal<'_>| {
        [Wager::Below, Wager::Full].map(|on| bet(image, goal, on, &[5], Room::ForAsks).is_some())
    };
    assert_eq!(bets(&image, &goal), [true, true]);
    let watched = Image { watch: Some(Watch { refill: 99, since: 0 }), ..image.clone() };
    let expired = Image { valid_until: Some(5), ..image.clone() };
    let disabled = Image { disabled: true, ..image.clone() };
    for odd in [watched, expired, disabled, Image { scheduled: true, ..image.clone() }] {
        assert_eq!(bets(&odd, &goal), [false, false], "{odd:?}");
    }
    let refund = [Booking::from((limits[0].name.clone(), -5))];
    assert_eq!(bets(&image, &Goal { adjust: &refund, ..goal.clone() }), [true, false]);
    let changed = [rate("l0", Params { capacity: 5_000, ..SECOND })];
    assert_eq!(bets(&image, &Goal { limits: &changed, ..goal.clone() }), [false, false]);
    let soft = [AppliedLimit { enforcement: Enforcement::Soft, ..limits[0].clone() }];
    assert_eq!(bets(&image, &Goal { limits: &soft, ..goal.clone() }), [false, false]);
    assert_eq!(bets(&image, &Goal { shards: 2, ..goal }), [false, false], "a shard that has not heard of the others");
}

#[test]
fn an_instant_that_is_known_to_lie_too_far_ahead_wins_no_bet() {
    // Not believed since long ago: the bucket has filled, though its refill instant says that nothing has come in.
    let (limits, seen) = bucket(&[SECOND]);
    let goal = Goal {
        limits: &limits,
        take: &[1_000],
        adjust: &[],
        shards: 1,
        ttl: Lifetime::AsIs,
        owner: None,
        soft_until: None,
        now: 90_000,
    };
    let write = bet(&seen, &goal, Wager::Below, &[0], Room::ForAsks).unwrap();
    let mut item = Image { last_refill: 95_000, watch: Some(Watch { refill: 95_000, since: 0 }), ..seen };
    item.limits[0].tokens = Some(5_000);
    assert!(!apply(&mut item, &write));
}
