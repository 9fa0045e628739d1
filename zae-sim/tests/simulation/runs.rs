//! Whole runs.

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use zae_sim::{play::play, schedule::Schedule, schedule::generate::generate, trace};

/// Number of schedules in the gate, unless the environment sets another. `scripts/sim-long` runs a million.
const SCHEDULES: u64 = 1_000;

fn schedules() -> u64 {
    std::env::var("ZAE_SIM_SCHEDULES").map_or(SCHEDULES, |text| text.parse().expect("a number of schedules"))
}

#[test]
fn the_same_seed_gives_the_same_history_to_the_byte() {
    for seed in 0..50 {
        let [one, other] = [(); 2].map(|()| trace::text(&play(generate(seed)).unwrap()));
        assert!(one.len() > 1_000, "seed {seed} hardly does anything:\n{one}");
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn no_schedule_shows_a_violation() {
    let (next, violations, schedules) = (AtomicU64::new(0), Mutex::new(Vec::new()), schedules());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            // The first violation suffices to fail.
            if seed >= schedules || !violations.lock().unwrap().is_empty() {
                return;
            }
            let found = play(generate(seed)).unwrap().violations;
            violations.lock().unwrap().extend(found.into_iter().map(|found| (seed, found)));
        }
    };
    thread::scope(|scope| {
        (0..thread::available_parallelism().map_or(1, usize::from)).for_each(|_| drop(scope.spawn(work)));
    });
    let mut violations = violations.into_inner().unwrap();
    violations.sort_unstable();
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
