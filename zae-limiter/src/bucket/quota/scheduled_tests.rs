//! Rates whose parameters change with the time of day, on one item with three processes, against an ideal bucket that
//! is walked through minute by minute.

use proptest::prelude::*;

use super::plan_tests::{HOUR, START, write};
use crate::{
    bucket::{
        Params,
        apply::apply,
        image::{Image, LimitImage},
        kind::{AppliedLimit, Enforcement, Kind},
        plan::{balances, plan},
        samples::{full, taking},
    },
    model::{
        name::LimitName,
        schedule::{Schedule, Zone},
    },
};

const BASE: Params = Params { capacity: 60_000, refill: 60_000, period: 60_000 };

fn limit(schedule: &str, zone: &str) -> AppliedLimit {
    let schedule = Schedule::decode(schedule, Zone::new(zone).unwrap()).unwrap();
    let kind = Kind::Rate(BASE).scheduled(schedule);
    AppliedLimit { name: LimitName::new("rpm").unwrap(), kind, enforcement: Enforcement::Hard }
}

proptest! {
    #[test]
    fn what_several_processes_are_granted_is_what_the_ideal_bucket_grants(
        schedule in prop::sample::select(vec!["1h9-14s500", "1h2c5;h3a1", "1m0-29s250;m45p30", "1w1-5s2000"]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns"]),
        steps in prop::collection::vec((0..3 * HOUR, 1_i64..70, 0_usize..3), 1..60),
    ) {
        let limits = [limit(schedule, zone)];
        let ceiling = limits[0].kind.at(START).ceiling();
        let stored = LimitImage { tokens: Some(ceiling), ..full(&limits[0]) };
        let mut item = Image { last_refill: START, shard_count: Some(1), limits: vec![stored], ..Image::default() };
        item.valid_until = limits[0].kind.next_boundary(START);
        let mut images = vec![item.clone(); 3];
        // In thousandths of a millitoken: every rate here gives whole ones each ms.
        let (mut ideal, mut at, mut now) = (i128::from(ceiling) * 1_000_000, START, START);
        for (pause, take, process) in steps {
            now += pause;
            while at < now {
                let next = ((at.div_euclid(60_000) + 1) * 60_000).min(now);
                let Kind::Rate(params) = limits[0].kind.at(at) else { unreachable!() };
                let gain = i128::from(params.refill) * 1_000_000 * i128::from(next - at);
                let gain = gain / i128::from(params.period);
                let ceiling = i128::from(params.capacity) * 1_000_000;
                ideal = (ideal + gain).min(ceiling);
                at = next;
                ideal = ideal.min(i128::from(limits[0].kind.at(at).ceiling()) * 1_000_000);
            }
            let take = [take * 1_000];
            loop {
                let image = images[process].clone();
                let held = balances(&image, &taking(&limits, &[], now)).remove(0);
                let fits = held.tokens >= take[0];
                if image == item {
                    // A millitoken may be given up at each change of the parameters.
                    let missing = ideal / 1_000_000 - i128::from(held.tokens);
                    prop_assert!((0..=200).contains(&missing), "{} of {ideal}", held.tokens);
                }
                if !fits && image == item {
                    if take[0] <= held.highest() {
                        let wait = i64::try_from(held.wait_ms(take[0])).unwrap();
                        let after = balances(&item, &taking(&limits, &[], now + wait)).remove(0);
                        prop_assert!(wait == 0 || after.tokens >= take[0], "{} after {wait}", after.tokens);
                    }
                    break;
                }
                let write = plan(&image, &taking(&limits, if fits { &take } else { &[0] }, now));
                let was_current = image == item;
                let done = apply(&mut item, &write);
                prop_assert!(done || !was_current, "a plan from the truth goes through");
                images[process] = item.clone();
                if done && fits {
                    ideal -= i128::from(take[0]) * 1_000_000;
                    prop_assert!(ideal >= 0, "granted too much");
                    prop_assert!(item.valid_until.is_none_or(|until| until > now));
                    break;
                }
            }
        }
    }
}

#[test]
fn the_worked_example_of_a_day() {
    let limits = [limit("1h9-16s500", "UTC")];
    // 2026-03-28T08:00:00Z
    let eight = START - 4 * HOUR;
    let mut item = Image { last_refill: eight, shard_count: Some(1), ..Image::default() };
    let nine = eight + HOUR;
    let steps = [
        (eight, 10, 50_000, nine),
        (nine - 1_000, 40, 20_000, nine),
        (nine + 10_000, 1, 25_000, nine + 8 * HOUR),
        (nine + 8 * HOUR - 60_000, 29, 1_000, nine + 8 * HOUR),
        (nine + 8 * HOUR + 30_000, 55, 5_000, nine + 24 * HOUR),
    ];
    for (now, take, left, until) in steps {
        write(&mut item, &taking(&limits, &[take * 1_000], now));
        assert_eq!((item.limits[0].tokens, item.valid_until), (Some(left), Some(until)), "{now}");
    }
}
