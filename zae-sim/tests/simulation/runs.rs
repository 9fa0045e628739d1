//! Whole runs.

use std::{fs, path::Path};

use zae_sim::{play::play, schedule::Schedule, schedule::generate::generate, trace};

/// Schedules of the gate: as many as it has time for. `scripts/sim-long` runs a million.
const SCHEDULES: u64 = 1_000;

#[test]
fn the_same_seed_gives_the_same_history_to_the_byte() {
    for seed in 0..50 {
        let [one, other] = [(); 2].map(|()| trace::text(&play(generate(seed)).unwrap()));
        assert!(one.len() > 1_000, "seed {seed} hardly does anything:\n{one}");
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
#[ignore = "refunds of old holds and settlements lost to throttling still show"]
fn no_schedule_shows_a_violation() {
    let violations: Vec<_> = (0..SCHEDULES)
        .flat_map(|seed| play(generate(seed)).unwrap().violations.into_iter().map(move |found| (seed, found)))
        .collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn schedules_that_showed_one_show_none_any_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let schedule: Schedule = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let history = play(schedule).unwrap();
        assert!(history.violations.is_empty(), "{}:\n{}", file.display(), trace::text(&history));
    }
}
