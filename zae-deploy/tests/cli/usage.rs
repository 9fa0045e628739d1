//! `usage list` and `usage summary`.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::stage::{Item, Stage};

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Creates a snapshot as the aggregator writes it.
fn snapshot(ns: &str, entity: &str, resource: &str, window: &str, start: &str, counters: &[(&str, i64)]) -> Item {
    let mut item = Item::from([
        ("PK".to_owned(), s(format!("{ns}/ENTITY#{entity}"))),
        ("SK".to_owned(), s(format!("#USAGE#{resource}#{start}"))),
        ("entity_id".to_owned(), s(entity)),
        ("resource".to_owned(), s(resource)),
        ("window".to_owned(), s(window)),
        ("window_start".to_owned(), s(start)),
        ("total_events".to_owned(), n(3)),
        ("GSI2PK".to_owned(), s(format!("{ns}/RESOURCE#{resource}"))),
        ("GSI2SK".to_owned(), s(format!("USAGE#{start}#{entity}"))),
        ("GSI4PK".to_owned(), s(ns)),
        ("GSI4SK".to_owned(), s(format!("{ns}/ENTITY#{entity}"))),
    ]);
    item.extend(counters.iter().map(|(name, tokens)| ((*name).to_owned(), n(*tokens))));
    item
}

fn with_usage() -> Stage {
    let stage = Stage::deployed();
    let ns = stage.repository("default").namespace_id().to_string();
    for hour in 0..24 {
        let start = format!("2026-01-15T{hour:02}:00:00Z");
        // There is no usage at five.
        if hour != 5 {
            let counters = [("rpm", hour * 10), ("tpm", hour * hour * 1_000)];
            stage.put(snapshot(&ns, "user-1", "gpt-4", "hourly", &start, &counters));
        }
        if hour > 20 {
            stage.put(snapshot(&ns, "user-2", "gpt-4", "hourly", &start, &[("rpm", 1)]));
        }
    }
    stage.put(snapshot(&ns, "user-1", "claude", "hourly", "2026-01-15T10:00:00Z", &[("rpm", 7)]));
    stage.put(snapshot(&ns, "user-1", "gpt-4", "daily", "2026-01-14T00:00:00Z", &[("rpm", 2_760), ("tpm", 4_324_000)]));
    stage
}

#[test]
fn snapshots_are_listed_by_entity_resource_window_and_time() {
    let stage = with_usage();
    let of = ["usage", "list", "--entity-id", "user-1", "--resource", "gpt-4"];
    let from = ["--start", "2026-01-15T20:00:00Z"];
    stage.shows("usage-list", &[&of[..], &from].concat());
    stage.shows("usage-list-daily", &[&of[..], &["--window", "daily"]].concat());
    stage.shows("usage-list-resource", &["usage", "list", "-r", "gpt-4", "--start", "2026-01-15T22:00:00Z"]);
    stage.shows("usage-list-none", &["usage", "list", "-e", "nobody"]);
    let day = |start: &str, end: &str| {
        let page = stage.json(&[&of[..], &["--start", start, "--end", end, "-w", "hourly"]].concat());
        page["snapshots"].as_array().unwrap().len()
    };
    assert_eq!(day("2026-01-15", "2026-01-15"), 23, "a day is meant to its end");
    assert_eq!(day("2026-01-15T03:00:00Z", "2026-01-15T04:30:00Z"), 2);
    assert_eq!(day("2026-01-14", "2026-01-14"), 0);
    assert_eq!(day("1h", "0h"), 0, "long ago");
}

#[test]
fn pages_follow_each_other() {
    let stage = with_usage();
    let of = ["usage", "list", "-e", "user-1", "-r", "gpt-4", "-w", "hourly", "--limit", "10"];
    let mut starts = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let next: Vec<&str> = cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]).collect();
        let page = stage.json(&[&of[..], &next].concat());
        let snapshots = page["snapshots"].as_array().unwrap();
        starts.extend(snapshots.iter().map(|snapshot| snapshot["window_start"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(starts.len(), 23);
    assert!(starts.is_sorted_by(|a, b| a > b), "{starts:?}");
    assert!(stage.ok(&of).contains("More snapshots exist. Use --cursor "));
}

#[test]
fn usage_is_added_up() {
    let stage = with_usage();
    stage.shows("usage-summary", &["usage", "summary", "-e", "user-1", "-r", "gpt-4"]);
    stage.shows("usage-summary-daily", &["usage", "summary", "-r", "gpt-4", "--window", "daily"]);
    stage.shows("usage-summary-none", &["usage", "summary", "-e", "nobody"]);
}

#[test]
fn usage_is_drawn() {
    let stage = with_usage();
    let of = ["usage", "list", "-e", "user-1", "--plot"];
    stage.snapshot("usage-plot.txt", &stage.ok(&of));
    stage.snapshot("usage-plot-resource.txt", &stage.ok(&["usage", "list", "-r", "gpt-4", "--plot", "-w", "hourly"]));
    assert_eq!(stage.ok(&["usage", "list", "-e", "nobody", "--plot"]), "No usage snapshots found\n");
    assert_eq!(stage.json(&of), stage.json(&of[..4]), "a program gets the numbers");
}

#[test]
fn a_month_is_estimated_from_what_was_counted() {
    let stage = with_usage();
    let estimate = stage.json(&["cost", "--resource", "gpt-4", "--start", "2026-01-15T22:00:00Z"]);
    // Two hours of one user, and of the other: three changes each.
    assert_eq!(estimate["rate"]["source"], "counted", "{estimate}");
    assert_eq!(estimate["rate"]["events"], 12, "{estimate}");
    assert_eq!(estimate["per_million_decisions"], serde_json::Value::Null, "{estimate}");
    stage.fails("cost-without-usage", &["cost", "--entity-id", "nobody", "--start", "2026-01-15"], 1);
}
