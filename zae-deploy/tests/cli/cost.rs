//! `cost`: the estimate of a month.

use crate::stage::Stage;

#[test]
fn stated_numbers_are_estimated_without_a_stack() {
    let stage = Stage::empty();
    stage.shows("cost-stated", &["cost", "--rate", "200"]);
    stage.shows("cost-fleet", &["cost", "--rate", "2000", "--processes", "250", "--settled", "100"]);
    let json = stage.json(&["cost", "--rate", "2000", "--processes", "10", "--reserve", "all", "--no-aggregator"]);
    // Four fills a second of each of ten processes.
    assert_eq!(json["lines"][0]["per_second"], 80.0, "{json}");
    assert_eq!(json["rate"]["decisions_per_second"], 2000.0);
    let sum: f64 = json["lines"].as_array().unwrap().iter().map(|line| line["dollars"].as_f64().unwrap()).sum();
    assert!((sum - json["dollars"].as_f64().unwrap()).abs() < 1e-9, "{json}");
}

#[test]
fn nonsense_is_refused() {
    let stage = Stage::empty();
    for args in [
        &["cost"][..],
        &["cost", "--rate", "-1"],
        &["cost", "--rate", "nan"],
        &["cost", "--rate", "inf"],
        &["cost", "--rate", "1", "--keys", "0"],
        &["cost", "--rate", "1", "--processes", "0"],
        &["cost", "--rate", "1", "--settled", "101"],
        &["cost", "--rate", "1", "--resource", "gpt-4"],
    ] {
        let ran = stage.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}: {ran:?}");
    }
}
