//! The guide's table of supported providers, generated from the recorded responses.

use std::{collections::BTreeMap, env, fmt::Write, fs, path::PathBuf};

use zae_testkit::recorded::Recorded;

use super::Readable;
use crate::{Reading, Unseen};

const BEGIN: &str = "<!-- made of the recorded responses: UPDATE_SNAPSHOTS=1 cargo test -->\n";
const END: &str = "<!-- end -->\n";

/// Returns the word for the outcome of a response.
fn outcome(reading: &Reading, form: &str) -> Option<String> {
    Some(match reading {
        Reading::Final(_) => "read".to_owned(),
        Reading::SoFar(_) => form.split_once(", ").map_or("read in part", |(_, _)| "billed otherwise").to_owned(),
        Reading::Unseen(_) if form.ends_with("(free)") => "free".to_owned(),
        Reading::Unseen(Unseen::Absent | Unseen::UnknownFormat) => "estimated".to_owned(),
        Reading::Unseen(_) => return None,
    })
}

/// Returns the table, sorted.
fn table() -> String {
    let mut rows: BTreeMap<[String; 2], BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for recorded in Recorded::all() {
        let [provider, endpoint, form] = recorded.from.clone();
        let Some(outcome) = outcome(&recorded.expected(), &form) else { continue };
        let forms = rows.entry([provider, endpoint]).or_default().entry(outcome).or_default();
        let form = form.trim_end_matches(" (free)").trim_end_matches(" error").to_owned();
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    let mut table = "| provider | endpoint | answers |\n|---|---|---|\n".to_owned();
    for ([provider, endpoint], outcomes) in rows {
        let outcomes = outcomes.into_iter().map(|(outcome, forms)| format!("{outcome}: {}", forms.join(", ")));
        let outcomes = outcomes.collect::<Vec<_>>().join("; ");
        writeln!(table, "| {provider} | {endpoint} | {outcomes} |").unwrap();
    }
    table
}

#[test]
fn the_guide_says_what_is_read() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "docs/providers.md"].iter().collect();
    let guide = fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    let table = table();
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(shown, table, "run UPDATE_SNAPSHOTS=1 cargo test --lib -- the_guide_says");
    }
    assert!(table.lines().count() >= 2 + 80, "{}", table.lines().count());
}
