//! Fleets on one bucket, in driven time, on a store that takes 1,000 write units a second for one item.
//! `scripts/fleet` has larger ones.

use zae_sim::fleet::{Figures, Fleet};

fn run(processes: usize, rate: u64, overload: f64, seconds: u64) -> (Figures, f64) {
    figures(Fleet { processes, rate, reserve: false, seconds, overload: Some(overload), seed: 0 })
}

fn figures(fleet: Fleet) -> (Figures, f64) {
    let figures = fleet.run().unwrap();
    // Figures are of the second half.
    let writes = figures.writes_per_second * fleet.seconds as f64 / 2.0 / figures.granted as f64;
    (figures, writes)
}

#[test]
fn many_who_ask_seldom_for_half_of_a_limit_take_little_more_than_a_write_each() {
    let (figures, writes) = run(120, 500, 0.5, 8);
    assert_eq!((figures.failed, figures.refused), (0, 0), "{figures:?}");
    assert!(writes <= 1.15, "{writes} writes per acquire: {figures:?}");
    assert!(figures.p99_round_trips <= 3.0, "{figures:?}");
}

#[test]
fn a_fleet_that_uses_nearly_all_of_its_limit_is_granted_nearly_all_it_asks_for() {
    let (figures, writes) = run(60, 300, 0.95, 8);
    assert_eq!((figures.failed, figures.refused), (0, 0), "{figures:?}");
    assert!(writes <= 1.4, "{writes} writes per acquire: {figures:?}");
}

#[test]
fn a_fleet_that_asks_for_twice_its_limit_is_granted_all_of_it() {
    let (figures, _) = run(40, 160, 2.0, 12);
    assert_eq!(figures.failed, 0, "{figures:?}");
    let granted = figures.granted as f64 / (80.0 * 6.0);
    // Those who asked before the end are answered up to a deadline after it.
    assert!((0.98..=1.05).contains(&granted), "{granted} of what is permitted: {figures:?}");
}

#[test]
fn a_fleet_that_asks_for_more_writes_than_an_item_takes_splits_its_bucket_and_fails_nobody() {
    let (figures, _) = run(80, 1_200, 0.5, 10);
    assert_eq!((figures.failed, figures.refused), (0, 0), "{figures:?}");
    assert!(figures.items >= 2 && figures.p99_round_trips <= 6.0, "{figures:?}");
    assert!(figures.throttled_per_second <= 0.05 * figures.writes_per_second, "{figures:?}");
}

#[test]
fn reserves_of_many_processes_take_few_writes_of_a_bucket_that_has_enough() {
    let fleet = Fleet { processes: 120, rate: 1_000, reserve: true, seconds: 10, overload: None, seed: 0 };
    let (figures, _) = self::figures(fleet);
    assert_eq!((figures.failed, figures.refused), (0, 0), "{figures:?}");
    assert!(figures.writes_per_second <= 250.0, "{figures:?}");
    assert!(figures.lost_per_second <= 0.25 * figures.writes_per_second, "{figures:?}");
}

#[test]
fn reserves_of_many_processes_share_out_a_bucket_that_has_too_little_in_few_writes() {
    let fleet = Fleet { processes: 120, rate: 1_600, reserve: true, seconds: 12, overload: Some(2.0), seed: 0 };
    let (figures, _) = self::figures(fleet);
    assert_eq!((figures.failed, figures.throttled_per_second), (0, 0.0), "{figures:?}");
    let granted = figures.granted as f64 / (800.0 * 6.0);
    // Some is fetched before the half and granted after it.
    assert!((0.98..=1.03).contains(&granted), "{granted} of what is permitted: {figures:?}");
    assert!(figures.writes_per_second <= 0.17 * 1_600.0, "{figures:?}");
    assert!(figures.lost_per_second <= 0.35 * figures.writes_per_second, "{figures:?}");
}
