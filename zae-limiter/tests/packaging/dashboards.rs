//! The Grafana board shows all metrics that the crates emit, and no others.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{is_ours, packages, rooms};

/// The beginning of metrics by OpenTelemetry's conventions, with underscores as Prometheus has them.
const GEN_AI: &str = "gen_ai_client_";

/// Returns the names of our metrics in a text, without the suffixes that Prometheus adds to histograms.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("zae_") || word.starts_with(GEN_AI));
    ours.map(|word| ["_bucket", "_sum", "_count"].iter().fold(word, |word, end| word.trim_end_matches(end)).to_owned())
        .collect()
}

/// Returns the metrics in string literals of the sources.
fn emitted() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for package in packages().iter().filter(|package| is_ours(package)) {
        let mut files = Vec::new();
        let folder = std::path::Path::new(package["manifest_path"].as_str().expect("a path")).with_file_name("src");
        rooms::sources(&folder, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("source");
            let literals = text.split('"').skip(1).step_by(2).filter(|literal| !literal.contains(char::is_whitespace));
            let literals = literals.map(|literal| match literal.starts_with("gen_ai.") {
                true => literal.replace('.', "_"),
                false => literal.to_owned(),
            });
            names.extend(literals.flat_map(|literal| metrics(&literal)).filter(|name| {
                let kinds = ["_total", "_seconds", "zae_round_trips", "zae_batch_size"];
                name.starts_with(GEN_AI) || kinds.iter().any(|kind| name.ends_with(kind))
            }));
        }
    }
    names
}

#[test]
fn the_grafana_board_shows_every_metric_and_no_other() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/dashboards/grafana.json");
    let Ok(board) = fs::read_to_string(path) else { return }; // not in the package
    let board: Value = serde_json::from_str(&board).expect("JSON");
    let queries = board["panels"].as_array().expect("panels").iter().flat_map(|panel| panel["targets"].as_array());
    let shown: BTreeSet<String> =
        queries.flatten().flat_map(|target| metrics(target["expr"].as_str().expect("a query"))).collect();
    let emitted = emitted();
    assert!(emitted.len() > 20, "{emitted:?}");
    assert_eq!(shown, emitted);
}
