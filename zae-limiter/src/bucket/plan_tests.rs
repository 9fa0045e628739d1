//! Plans by example: what one write does to a bucket, and what another process sees of it.

use crate::{
    bucket::{
        Params,
        apply::apply,
        image::{Image, LimitImage},
        kind::{AppliedLimit, Enforcement},
        plan::{Goal, balances, plan},
        samples::{full, taking},
        write::Room,
    },
    model::name::LimitName,
};

/// A limit of that rate.
pub(super) fn rate(name: &str, params: Params) -> AppliedLimit {
    AppliedLimit { name: LimitName::new(name).unwrap(), kind: params.into(), enforcement: Enforcement::Hard }
}

fn one_limit(capacity: i64, refill: i64, period: i64) -> (Vec<AppliedLimit>, Image) {
    let limit = rate("rpm", Params { capacity, refill, period });
    let stored = full(&limit);
    (vec![limit], Image { shard_count: Some(1), limits: vec![stored], ..Image::default() })
}

#[test]
fn a_changed_limit_is_brought_in_line_in_the_same_write() {
    let (mut limits, mut item) = one_limit(100_000, 100_000, 60_000);
    limits[0].kind = Params { capacity: 40_000, refill: 100_000, period: 60_000 }.into();
    let goal = taking(&limits, &[1_000], 5);
    let write = plan(&item, &goal);
    assert!(apply(&mut item, &write));
    assert_eq!(item.limits[0].tokens, Some(39_000));
    assert_eq!(item.limits[0].params.capacity, Some(40_000));
}

#[test]
fn a_new_limit_starts_full_beside_the_others() {
    let (mut limits, mut item) = one_limit(10_000, 10_000, 60_000);
    limits.push(rate("tpm", Params { capacity: 5_000, refill: 5_000, period: 60_000 }));
    let take = [1_000, 2_000];
    let goal = taking(&limits, &take, 5);
    let write = plan(&item, &goal);
    assert!(apply(&mut item, &write));
    assert_eq!(item.limit("tpm").unwrap().tokens, Some(3_000));
    assert!(!apply(&mut item, &write), "seeding twice would mint tokens");
}

#[test]
fn a_refund_stops_at_the_ceiling_and_at_another_creation() {
    let (limits, mut item) = one_limit(10_000, 1, 60_000);
    let adjust = [(limits[0].name.clone(), -3_000).into()];
    let goal = Goal { adjust: &adjust, ..taking(&limits, &[], 0) };
    let write = plan(&item, &goal);
    let mut recreated = Image { incarnation: Some("b".into()), ..item.clone() };
    assert!(!apply(&mut recreated, &write));
    assert!(apply(&mut item, &write));
    assert_eq!(item.limits[0].tokens, Some(10_000));
}

#[test]
fn a_fraction_that_was_lost_within_the_ms_of_a_refill_is_not_credited_from_an_older_image() {
    // 5/3 mt per ms, seen by one process at 9 and 2/3 of 10.
    let (limits, mut item) = one_limit(10, 5, 3);
    (item.limits[0].tokens, item.limits[0].fraction, item.last_refill) = (Some(9), 2, 1);
    let older = item.clone();
    let goal = |take, adjust, now| Goal { adjust, ..taking(&limits, take, now) };
    // A refund fills it in the same ms, and somebody takes one again: 9, and nothing over.
    let refund = [(limits[0].name.clone(), -1).into()];
    let write = plan(&item, &goal(&[], &refund, 1));
    assert!(apply(&mut item, &write));
    let write = plan(&item, &goal(&[1], &[], 1));
    assert!(apply(&mut item, &write));
    assert_eq!((item.limits[0].tokens, item.limits[0].fraction, item.last_refill), (Some(9), 0, 1));
    // The older image is right about the balance and the refill, and wrong about the fraction.
    let mut changed = older.clone();
    changed.limits[0].params.capacity = Some(30);
    item.limits[0].params.capacity = Some(30);
    let wider = [rate("rpm", Params { capacity: 30, refill: 5, period: 3 })];
    let goal = taking(&wider, &[10], 2);
    assert!(!apply(&mut item, &plan(&changed, &goal)));
    let write = plan(&item, &goal);
    assert!(apply(&mut item, &write));
    assert_eq!((item.limits[0].tokens, item.limits[0].fraction), (Some(0), 2));
}

#[test]
fn a_plain_write_stands_beside_a_neighbours_plain_write() {
    let (limits, mut item) = one_limit(100_000, 1_000, 60_000);
    item.limits[0].tokens = Some(50_000);
    let goal = taking(&limits, &[1_000], 10);
    let write = plan(&item, &goal);
    assert!(apply(&mut item, &write) && apply(&mut item, &write), "plain writes carry no lock");
    assert_eq!(item.limits[0].tokens, Some(48_000));
}

#[test]
fn an_expired_validity_stamp_is_worked_off_once() {
    let (limits, mut item) = one_limit(100_000, 1_000, 60_000);
    item.limits[0].tokens = Some(50_000);
    item.valid_until = Some(0);
    let goal = taking(&limits, &[1_000], 10);
    let write = plan(&item, &goal);
    assert!(apply(&mut item, &write));
    assert_eq!((item.valid_until, item.last_refill), (None, 10));
}

#[test]
fn time_spent_full_is_never_credited() {
    // Idle for a minute at full, then a burst: exactly the capacity, not nearly twice.
    let (limits, mut item) = one_limit(100_000, 100_000, 60_000);
    let mut granted = 0;
    for millisecond in 0..50 {
        let now = 60_000 + millisecond;
        for _ in 0..10 {
            let goal = taking(&limits, &[1_000], now);
            let enough = balances(&item, &goal)[0].tokens >= 1_000;
            let write = plan(&item, &goal);
            granted += u32::from(enough && apply(&mut item, &write));
        }
    }
    assert_eq!(granted, 100);
}

#[test]
fn room_is_what_a_limit_gains_in_a_quarter_of_a_second_unless_somebody_needs_it() {
    // 100 tokens a minute, in mt: 416 in 250 ms.
    let (limits, item) = one_limit(100_000, 100_000, 60_000);
    let left = |take: i64, now| {
        let take = [take];
        let goal = taking(&limits, &take, now);
        let mut item = item.clone();
        let write = plan(&item, &goal).leaving_room(Room::ForAsks);
        assert!(apply(&mut item, &write));
        item.limits[0].tokens.unwrap()
    };
    assert_eq!(left(1_000, 60_000), 100_000 - 416 - 1_000);
    // A hundred tokens a second: a quarter of it comes in, and a twentieth is left for those who take many at once.
    let fast = rate("rps", Params { capacity: 100_000, refill: 100_000, period: 1_000 });
    assert_eq!([Room::ForAsks, Room::ForLots].map(|room| room.of(&fast.kind)), [1_000, 5_000]);
    assert_eq!(left(99_900, 60_000), 0, "who is served is served in full");
    // A full limit that is not asked for stays full.
    let (mut both, mut pair) = (limits.clone(), item.clone());
    both.push(AppliedLimit { name: LimitName::new("tpm").unwrap(), ..limits[0].clone() });
    pair.limits.push(LimitImage { name: both[1].name.clone(), ..item.limits[0].clone() });
    let goal = taking(&both, &[1_000, 0], 60_000);
    let write = plan(&pair, &goal).leaving_room(Room::ForAsks);
    assert!(apply(&mut pair, &write));
    assert_eq!(pair.limits[1].tokens, Some(100_000));
    // Below the ceiling nothing is given up.
    let (_, mut lower) = one_limit(100_000, 100_000, 60_000);
    lower.limits[0].tokens = Some(500);
    let goal = taking(&limits, &[1_000], 1_000);
    assert_eq!(plan(&lower, &goal).leaving_room(Room::ForAsks), plan(&lower, &goal));
}

#[test]
fn beside_room_neighbours_write_plainly_and_a_limit_between_loses_nothing() {
    let (mut limits, mut item) = one_limit(100_000, 100_000, 60_000);
    let tpm = Params { capacity: 50_000, refill: 50_000, period: 60_000 };
    limits.push(rate("tpm", tpm));
    let stored =
        LimitImage { name: limits[1].name.clone(), tokens: Some(20_000), params: tpm.into(), ..item.limits[0].clone() };
    item.limits.push(stored);
    let goal = |now| taking(&limits, &[100, 100], now);
    let write = plan(&item, &goal(6_000)).leaving_room(Room::ForAsks);
    assert!(apply(&mut item, &write));
    assert_eq!(item.limits[1].tokens, Some(20_000 + 5_000 - 100));
    let write = plan(&item, &goal(6_249));
    assert!(apply(&mut item, &write) && apply(&mut item, &write), "side by side");
    assert_eq!(plan(&item, &goal(6_800)).expect_refill, Some(6_000), "until it is full again");
}
