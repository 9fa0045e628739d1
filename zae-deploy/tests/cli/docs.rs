//! Checks the statements of `docs/cli.md` about commands, and of `tests/deployment-guide.md` about tests.

use std::{fs, path::Path};

fn read(path: &str) -> String {
    fs::read_to_string(root().join("zae-deploy").join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_command_is_in_the_documentation() {
    let docs = read("docs/cli.md");
    let table: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let named = |group: &str, command: &str| {
        let words = [format!("{group} {command}"), command.to_owned()];
        table.iter().any(|row| {
            quoted(row).any(|quote| quote == words[0]) || {
                row.starts_with(&format!("| `{group} ")) && quoted(row).any(|quote| quote == words[1])
            }
        })
    };
    for command in zae_deploy::cli::command().get_subcommands() {
        let name = command.get_name();
        if command.has_subcommands() {
            for sub in command.get_subcommands() {
                assert!(named(name, sub.get_name()), "{name} {}", sub.get_name());
            }
        } else {
            assert!(table.iter().any(|row| quoted(row).any(|quote| quote == name)), "{name}");
        }
    }
}

#[test]
fn the_tests_that_prove_the_checklist_exist() {
    let docs = read("tests/deployment-guide.md");
    let (_, checklist) = docs.split_once("| # | the guide says | proof |").unwrap();
    let rows: Vec<&str> = checklist.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 70);
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells[0], (index + 1).to_string(), "{row}");
        let proof = cells.last().unwrap();
        let proofs: Vec<&str> = quoted(proof).filter(|quote| quote.contains(".rs")).collect();
        assert!(!proof.is_empty(), "{row}");
        for named in proofs {
            let (file, test) = named.split_once("::").map_or((named, None), |(file, test)| (file, Some(test)));
            let path =
                if file.starts_with("zae-") { root().join(file) } else { root().join("zae-deploy/tests").join(file) };
            let code = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{row}: {}: {error}", path.display()));
            if let Some(test) = test {
                assert!(code.contains(&format!("fn {test}(")), "{row}: no test {test} in {file}");
            }
        }
    }
}
