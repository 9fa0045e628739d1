//! One meaning per word: no type name is defined twice within a crate, unless the glossary explains it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{is_ours, packages, rooms};

/// Returns the type that a line of source defines.
fn defined(line: &str) -> Option<&str> {
    // Associated types are indented, and are not types of the crate.
    let aliases: &[&str] = if line.starts_with(' ') { &[] } else { &["type "] };
    let mut line = line.trim_start();
    if let Some(after) = line.strip_prefix("pub") {
        line = match after.strip_prefix('(') {
            Some(scope) => scope.split_once(')')?.1.trim_start(),
            None => after.trim_start(),
        };
    }
    let kinds = ["struct ", "enum ", "trait ", "union "];
    let after = kinds.iter().chain(aliases).find_map(|kind| line.strip_prefix(kind))?;
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
    Some(&after[..end])
}

/// Returns the names defined in more than one file of a crate, with the files.
fn repeated(crate_folder: &Path) -> BTreeMap<String, BTreeSet<PathBuf>> {
    let mut files = Vec::new();
    rooms::sources(&crate_folder.join("src"), &mut files);
    let mut places = BTreeMap::<String, BTreeSet<PathBuf>>::new();
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if name == "tests.rs" || name.ends_with("_tests.rs") || file.iter().any(|part| part == "tests") {
            continue;
        }
        let code = rooms::code(&fs::read_to_string(&file).expect("source"));
        for name in code.lines().filter_map(defined) {
            places.entry(name.to_owned()).or_default().insert(file.clone());
        }
    }
    places.retain(|_, files| files.len() > 1);
    places
}

/// Returns the rows of the glossary's second table: names and the crate in which they are repeated.
fn explained(design: &str) -> BTreeSet<(String, String)> {
    let table = design.split("\n### Names that are defined more than once\n").nth(1).expect("its heading");
    let rows = table.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (names, package) = (cells.next().expect("names"), cells.next().expect("a crate").trim_matches('`'));
        names.split(", ").map(|name| (name.trim_matches('`').to_owned(), package.to_owned())).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn no_type_name_is_defined_twice_in_a_crate_unless_the_glossary_says_why() {
    let design = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../DESIGN.md")).expect("DESIGN.md");
    let explained = explained(&design);
    let mut found = BTreeSet::new();
    for package in packages().iter().filter(|package| is_ours(package)) {
        let (name, manifest) = (package["name"].as_str().expect("a name"), package["manifest_path"].as_str());
        for (word, files) in repeated(Path::new(manifest.expect("a path")).parent().expect("a folder")) {
            let row = (word, name.to_owned());
            assert!(explained.contains(&row), "`{}` is defined in {files:?}, and the glossary does not say why", row.0);
            found.insert(row);
        }
    }
    let stale: Vec<_> = explained.difference(&found).collect();
    assert!(stale.is_empty(), "the glossary explains {stale:?}, which have one definition or none");
}

#[test]
fn definitions_are_found_at_every_visibility_and_types_of_traits_are_none() {
    let found =
        ["pub(crate) struct A<'a>(&'a str);", "    enum B {", "pub trait C: Send {", "type D = u8;", "pub enum E {"];
    assert_eq!(found.map(defined), ["A", "B", "C", "D", "E"].map(Some));
    for none in ["    type Output = Self;", "let struct_ = 1;", "impl Trait for Type {", "pub fn enumerate() {}"] {
        assert_eq!(defined(none), None, "{none}");
    }
}
