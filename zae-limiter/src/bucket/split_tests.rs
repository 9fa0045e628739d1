//! Splits against an ideal bucket: processes with images as old as they like take from any shard, and split the bucket
//! by such images, while neighbours write. All shards together never hold more than the ideal bucket does.

use proptest::{prelude::*, test_runner::TestCaseError};

use crate::bucket::{
    Params,
    apply::apply,
    ideal_tests::Ideal,
    image::{Balance, Image},
    incarnation::Incarnation,
    kind::AppliedLimit,
    plan::{Goal, balances, plan},
    plan_tests::rate,
    refund::Booking,
    samples::{full, taking},
    split::{Credit, Half, Unsplit, split},
    stamp::TimedStamp,
};

#[derive(Clone, Debug)]
enum Act {
    Take { shard: usize, take: Vec<i64>, adjust: Option<(usize, i64)> },
    Split(Credit),
}

#[derive(Clone, Debug)]
struct Step {
    pause: i64,
    process: usize,
    act: Act,
}

fn limit() -> impl Strategy<Value = Params> {
    (200_000_i64..1_000_000, 70_000_i64..1_000_000, prop_oneof![1_i64..100, 1_000_i64..100_000])
        .prop_map(|(capacity, refill, period)| Params { capacity, refill, period })
}

fn steps(limits: usize) -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![4 => 0_i64..5, 3 => 0_i64..500, 1 => 0_i64..100_000];
    let amount = prop_oneof![1 => Just(0_i64), 3 => 1_i64..1_000, 2 => 1_i64..300_000];
    let adjust = prop::option::weighted(0.2, (0..limits, -900_i64..900));
    let take = (0_usize..32, prop::collection::vec(amount, limits), adjust);
    let take = take.prop_map(|(shard, take, adjust)| Act::Take { shard, take, adjust });
    let splits = prop_oneof![Just(Credit::Now), Just(Credit::Later)].prop_map(Act::Split);
    let act = prop_oneof![6 => take, 1 => splits];
    let step = (pause, 0_usize..3, act).prop_map(|(pause, process, act)| Step { pause, process, act });
    prop::collection::vec(step, 1..100)
}

fn bucket(params: &[Params]) -> (Vec<AppliedLimit>, Image) {
    let limits: Vec<_> = params.iter().enumerate().map(|(index, params)| rate(&format!("l{index}"), *params)).collect();
    let stored = limits.iter().map(full).collect();
    (limits, Image { shard_count: Some(1), limits: stored, ..Image::default() })
}

/// The balance of one limit on one item, accrual included.
fn held(item: &Image, at: usize, now: i64) -> i64 {
    let whole = item.limits[at].kind().unwrap();
    Balance::at(item, Some(&item.limits[at]), &whole, item.shards(), now).tokens
}

/// Carries out all writes of a split, or none; the new items.
fn transact(items: &[Image], halves: &[Half]) -> Option<Vec<Image>> {
    let mut after = items.to_vec();
    let fits = halves.len() == items.len() && after.iter_mut().zip(halves).all(|(item, half)| apply(item, &half.write));
    after.extend(halves.iter().map(|half| half.twin.clone()));
    fits.then_some(after)
}

/// Checks what a split has made of `before`: never more than there was, and hardly less where it was credited.
fn check(
    before: &[Image],
    after: &[Image],
    limits: &[AppliedLimit],
    credit: Credit,
    now: i64,
) -> Result<(), TestCaseError> {
    for (at, limit) in limits.iter().enumerate() {
        for (shard, was) in before.iter().enumerate() {
            let parts = [&after[shard], &after[shard + before.len()]];
            let lost = held(was, at, now) - parts.iter().map(|part| held(part, at, now)).sum::<i64>();
            let given_up = match credit {
                Credit::Now => 2,
                Credit::Later => limit.kind.share(was.shards()).gained(was.last_refill, now) + 2,
            };
            prop_assert!((0..=given_up).contains(&lost), "{lost} lost of {was:?}: {parts:?}");
        }
    }
    Ok(())
}

fn run(params: &[Params], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (limits, item) = bucket(params);
    let mut items = vec![item];
    let mut views = vec![items.clone(); 3];
    let mut ideals: Vec<Ideal> = params.iter().map(|p| Ideal::full(*p)).collect();
    let mut now = 0;
    for Step { pause, process, act } in steps {
        now += pause;
        ideals.iter_mut().for_each(|ideal| ideal.advance(now));
        let view = &mut views[process];
        match act {
            Act::Split(credit) => {
                let planned = split(view, &[], credit, now, || Incarnation::from("new"));
                *view = items.clone();
                let Ok(halves) = planned else { continue };
                let Some(after) = transact(&items, &halves) else { continue };
                check(&items, &after, &limits, credit, now)?;
                items = after;
            }
            Act::Take { shard, take, adjust } => {
                let booked: Vec<_> =
                    adjust.iter().map(|(at, delta)| Booking::from((limits[*at].name.clone(), *delta))).collect();
                let shard = shard % view.len();
                for _ in 0..2 {
                    let seen = &view[shard];
                    let goal = Goal { adjust: &booked, shards: seen.shards(), ..taking(&limits, &take, now) };
                    let enough = balances(seen, &goal).iter().zip(&take).all(|(l, t)| *t == 0 || l.tokens >= *t);
                    let write = plan(seen, &goal);
                    if !enough {
                        break;
                    }
                    if !apply(&mut items[shard], &write) {
                        view.clone_from(&items);
                        continue;
                    }
                    view[shard] = items[shard].clone();
                    if let Some((at, delta)) = adjust {
                        ideals[at].take(delta);
                    }
                    for (at, amount) in take.iter().enumerate() {
                        prop_assert!(*amount == 0 || ideals[at].fits(*amount), "{amount} of limit {at} at {now}");
                        ideals[at].take(*amount);
                    }
                    break;
                }
            }
        }
        for (at, ideal) in ideals.iter().enumerate() {
            let sum: i64 = items.iter().map(|item| held(item, at, now)).sum();
            prop_assert!(i128::from(sum) <= ideal.whole(), "limit {at} at {now}: {sum} of {}", ideal.whole());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn shards_together_never_hold_more_than_an_ideal_bucket_whoever_splits_it_by_whatever_image(
        (params, steps) in prop::collection::vec(limit(), 1..4)
            .prop_flat_map(|p| { let n = p.len(); (Just(p), steps(n)) })
    ) {
        run(&params, steps)?;
    }
}

/// 100 tokens, of which one comes in every 10 ms.
const HUNDRED: Params = Params { capacity: 100_000, refill: 100_000, period: 1_000 };

fn holding(tokens: i64) -> Image {
    let mut image = bucket(&[HUNDRED]).1;
    image.limits[0].tokens = Some(tokens);
    image
}

fn halves(image: &Image, credit: Credit) -> Result<Vec<Half>, Unsplit> {
    split(std::slice::from_ref(image), &[], credit, 100, || Incarnation::from("new"))
}

#[test]
fn half_of_what_there_is_moves_and_the_rest_stays_though_a_neighbour_has_taken_some() {
    for credit in [Credit::Now, Credit::Later] {
        let split = halves(&holding(60_000), credit).unwrap();
        let mut items = vec![holding(50_000)];
        items = transact(&items, &split).unwrap();
        let sum: i64 = items.iter().map(|item| held(item, 0, 100)).sum();
        let gained = 10_000;
        assert!((50_000..=50_000 + gained).contains(&sum), "{credit:?}: {sum}");
        assert_eq!(items.iter().map(Image::shards).collect::<Vec<_>>(), [2, 2]);
        let late = transact(&items[..1], &split);
        assert!(late.is_none(), "{credit:?}: it was split already");
    }
}

#[test]
fn a_refill_in_between_stops_a_split_that_credits_and_not_one_that_leaves_it_for_later() {
    for (credit, goes_through) in [(Credit::Now, false), (Credit::Later, true)] {
        let split = halves(&holding(60_000), credit).unwrap();
        let mut refilled = holding(55_000);
        refilled.last_refill = 95;
        assert_eq!(transact(&[refilled.clone()], &split).is_some(), goes_through, "{credit:?}");
        refilled.last_refill = 100 + 21;
        assert!(transact(&[refilled], &split).is_none(), "{credit:?}: its twin would gain that time again");
    }
}

#[test]
fn what_cannot_be_halved_exactly_is_not_split() {
    let refusal = |change: fn(&mut Image)| {
        let mut image = holding(60_000);
        change(&mut image);
        halves(&image, Credit::Now).err()
    };
    assert_eq!(refusal(|_| {}), None);
    assert_eq!(refusal(|image| image.disabled = true), Some(Unsplit::NotHalvable));
    assert_eq!(refusal(|image| image.scheduled = true), Some(Unsplit::NotHalvable));
    assert_eq!(refusal(|image| image.bypass = Some(TimedStamp::Until(1))), Some(Unsplit::NotHalvable));
    assert_eq!(refusal(|image| image.limits[0].soft = Some(TimedStamp::Until(1))), Some(Unsplit::NotHalvable));
    assert_eq!(refusal(|image| image.limits[0].params.refill = Some(0)), Some(Unsplit::NotHalvable));
    assert_eq!(refusal(|image| image.limits[0].tokens = Some(10_000)), Some(Unsplit::Drained));
    assert_eq!(refusal(|image| image.limits[0].params.capacity = Some(7_000)), Some(Unsplit::TooSmall));
    assert_eq!(refusal(|image| image.shard_count = Some(2)), Some(Unsplit::Uneven), "the other shard is missing");
    let asked = [(holding(0).limits[0].name.clone(), 13_000)];
    let large = split(&[holding(60_000)], &asked, Credit::Now, 100, || Incarnation::from("new"));
    assert_eq!(large.err(), Some(Unsplit::TooSmall), "half of it would serve few of those who ask");
    let many: Vec<_> = (0..32).map(|_| Image { shard_count: Some(32), ..holding(1_000) }).collect();
    let more = split(&many, &[], Credit::Now, 100, || Incarnation::from("new"));
    assert_eq!(more.err(), Some(Unsplit::Enough));
}
