//! Compares the output of `zae-deploy` with its snapshots.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

/// Replaces values that differ between runs by fixed ones of the same length: recent times, the ids of events and
/// namespaces.
pub fn normal(text: &str, namespace_ids: &BTreeSet<String>) -> String {
    let mut text = text.to_owned();
    for id in namespace_ids.iter().filter(|id| id.len() == 11) {
        text = text.replace(id, "NAMESPACEID");
    }
    let mut normal = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(next) = rest.chars().next() {
        let replaced = [(20, timestamp as fn(&str) -> Option<&'static str>), (26, event_id)].into_iter().find_map(
            |(length, as_known)| {
                let whole = rest.get(..length)?;
                as_known(whole).map(|known| (length, known))
            },
        );
        let (length, known) = replaced.unwrap_or((next.len_utf8(), &rest[..next.len_utf8()]));
        normal.push_str(known);
        rest = &rest[length..];
    }
    normal
}

fn timestamp(text: &str) -> Option<&'static str> {
    let age = Timestamp::now().as_second() - text.parse::<Timestamp>().ok()?.as_second();
    (age.abs() < 3_600).then_some("YYYY-MM-DDTHH:MM:SSZ")
}

fn event_id(text: &str) -> Option<&'static str> {
    let ulid = text.starts_with("01") && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    ulid.then_some("01ARZ3NDEKTSV4RRFFQ69G5FAV")
}

pub fn compare(name: &str, text: &str) {
    let path = snapshot_path(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        expected == text,
        "{} differs (UPDATE_SNAPSHOTS=1 accepts it)\n--- expected\n{expected}\n--- is\n{text}",
        path.display()
    );
}

fn snapshot_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../zae-deploy/tests/cli/snapshots").join(name)
}

/// Replaces the text after each of `labels` on its line by `…`.
pub fn without(text: &str, labels: &[&str]) -> String {
    let lines = text.lines().map(|line| {
        let found = labels.iter().find_map(|label| Some(line.find(label)? + label.len()));
        let comma = if line.ends_with(',') { "," } else { "" };
        found.map_or_else(|| line.to_owned(), |end| format!("{} …{comma}", &line[..end]))
    });
    lines.map(|line| line + "\n").collect()
}
