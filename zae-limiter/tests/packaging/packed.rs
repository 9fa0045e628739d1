//! The packages that go to crates.io: each stands alone.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use super::{PUBLISHED, cargo, packages};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Returns the files in a crate's package.
fn packed(name: &str) -> BTreeSet<String> {
    let listed = cargo(&["package", "--list", "--allow-dirty", "--package", name]);
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn every_published_crate_carries_the_licence_texts_and_a_readme() {
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let text = fs::read_to_string(format!("{ROOT}/{file}")).expect(file);
        for name in PUBLISHED {
            let own = fs::read_to_string(format!("{ROOT}/{name}/{file}")).ok();
            assert_eq!(own.as_ref(), Some(&text), "{name}/{file} is not the {file} of the repository");
        }
    }
    for name in PUBLISHED {
        let packed = packed(name);
        for file in ["LICENSE-MIT", "LICENSE-APACHE", "README.md"] {
            assert!(packed.contains(file), "{name} leaves {file} out");
        }
    }
}

/// Returns the files that a source file includes at compile time, relative to its crate's folder; `None` for one
/// outside.
fn read_by(file: &str, text: &str) -> Vec<Option<String>> {
    let folder = Path::new(file).parent().expect("a folder");
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let openings = ["include_str!(\"", "include_bytes!(\"", "#[path = \""];
    code.flat_map(|line| openings.iter().filter_map(|opening| line.split_once(opening)))
        .map(|(_, after)| after.split('"').next().expect("a part"))
        .map(|name| inside(&folder.join(name)))
        .collect()
}

/// Resolves `..` in a path; `None` if it leads outside.
fn inside(path: &Path) -> Option<String> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => plain.pop().then_some(())?,
            part => plain.push(part),
        }
    }
    Some(plain.to_str().expect("UTF-8").to_owned())
}

#[test]
fn a_package_has_every_file_that_it_reads_and_needs_no_unpublished_crate() {
    let mut read = 0;
    for name in PUBLISHED {
        let packed = packed(name);
        for file in packed.iter().filter(|file| file.ends_with(".rs")) {
            let text = fs::read_to_string(format!("{ROOT}/{name}/{file}")).expect(file);
            for found in read_by(file, &text) {
                let found = found.unwrap_or_else(|| panic!("{name}/{file} reads a file of another crate"));
                assert!(packed.contains(&found), "{name}/{file} reads {found}, which its package leaves out");
                read += 1;
            }
            for unpublished in ["zae_testkit", "zae_sim"] {
                assert!(!text.contains(&format!("{unpublished}::")), "{name}/{file} needs {unpublished}");
            }
        }
    }
    assert!(read > 20, "{read} files read");
}

#[test]
fn every_feature_is_told_on_the_page_of_crates_io_and_of_docs_rs() {
    let packages = packages();
    for name in PUBLISHED {
        let package = packages.iter().find(|package| package["name"] == name).expect(name);
        let readme = fs::read_to_string(format!("{ROOT}/{name}/README.md")).expect("a README");
        let docs = fs::read_to_string(format!("{ROOT}/{name}/src/lib.rs")).expect("a library");
        let defaults: Vec<_> = package["features"]["default"].as_array().into_iter().flatten().collect();
        // `sim` is for the simulation in this repository.
        for feature in package["features"].as_object().expect("features").keys() {
            if ["default", "sim"].contains(&feature.as_str()) {
                continue;
            }
            let is_default = defaults.iter().any(|default| *default == feature);
            let row = if is_default { format!("| `{feature}` (default) |") } else { format!("| `{feature}` |") };
            assert!(readme.contains(&row), "{name}/README.md has no row `{row}`");
            let row = format!("//! | `{feature}` | {} |", if is_default { "yes" } else { "no" });
            assert!(docs.contains(&row), "{name}/src/lib.rs has no row `{row}`");
        }
    }
}
