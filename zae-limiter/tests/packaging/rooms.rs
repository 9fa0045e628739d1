//! The rooms of this crate, and the imports permitted between them.
//!
//! A room may import those on lower floors. `DESIGN.md` describes the rooms.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rooms and their floors, from the ground up. Rooms of one floor do not import each other, except on the ground floor:
/// errors name values, and values fail with errors.
const FLOORS: &[(&str, u8)] = &[
    ("error", 0),
    ("model", 0),
    ("clock", 0),
    ("random", 0),
    ("recent", 0),
    ("lazy", 0),
    ("aws", 1),
    ("bucket", 1),
    ("wire", 2),
    ("store", 3),
    ("embedded", 4),
    ("repository", 5),
    ("stream", 5),
    ("engine", 6),
    ("limiter", 7),
    ("sim", 8),
];

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// Returns the code of a file, without comments and its own tests.
pub(crate) fn code(text: &str) -> String {
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().expect("a part");
    product.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Returns the rooms with which `crate::…` paths in `code` begin, including those of groups.
fn imported(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => rooms.extend(members(group)),
            None => rooms.extend(first_name(after)),
        }
    }
    rooms
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Returns the first names of the members of a use group, up to its closing brace.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut begins, mut names) = (0_u32, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && (c.is_alphabetic() || c == '_') => {
                names.extend(first_name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn rooms_import_lower_floors_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 50, "{} files", files.len());
    let mut upwards = Vec::new();
    for file in files {
        let path = file.strip_prefix(&source).expect("a file below src").to_string_lossy().replace('\\', "/");
        let room = path.split('/').next().expect("a name").trim_end_matches(".rs").to_owned();
        let is_test = path.ends_with("tests.rs") || path.ends_with("vectors.rs");
        if is_test || room == "lib" || room == "guide" {
            continue;
        }
        let Some(own) = floor(&room) else { panic!("{path} is in no room that FLOORS names") };
        for other in imported(&code(&fs::read_to_string(&file).expect("text"))) {
            let may = floor(&other).is_some_and(|floor| floor < own || own == 0 && floor == 0);
            if other != room && !may {
                upwards.push(format!("{path} imports {other}"));
            }
        }
    }
    assert!(upwards.is_empty(), "imports that go up a floor:\n{}", upwards.join("\n"));
}

#[test]
fn imports_are_found_in_groups_and_paths() {
    let code = "use crate::{\n    bucket::{Params, image::Image},\n    wire,\n};\nfn f() { crate::store::g() }";
    let rooms: Vec<String> = imported(code).into_iter().collect();
    assert_eq!(rooms, ["bucket", "store", "wire"]);
}
