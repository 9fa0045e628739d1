//! Help, version, completions and manual pages.

use zae_testkit::snapshot::compare;

use crate::stage::{binary, run};

/// Returns every command and group, by the words that call it.
fn all(command: &clap::Command, words: &[String]) -> Vec<Vec<String>> {
    let mut found = vec![words.to_vec()];
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        found.extend(all(sub, &[words, &[sub.get_name().to_owned()]].concat()));
    }
    found
}

#[test]
fn every_command_has_help_with_a_description() {
    for words in all(&zae_deploy::cli::command(), &[]) {
        let ran = run(binary().args(&words).arg("--help"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{words:?}");
        let about = ran.stdout.lines().next().unwrap_or_default();
        assert!(!about.is_empty() && !about.starts_with("Usage"), "{words:?}: {}", ran.stdout);
        assert!(ran.stdout.contains("--name <STACK>"), "{words:?}");
    }
}

#[test]
fn every_argument_is_explained() {
    fn check(command: &clap::Command, words: &str) {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{words}: {}", argument.get_id());
        }
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{words} {}", sub.get_name());
            check(sub, &format!("{words} {}", sub.get_name()));
        }
    }
    check(&zae_deploy::cli::command(), "zae-deploy");
}

/// Returns the lines at the end of a help text that are commands, or their continuation.
fn commands(command: &clap::Command) -> Vec<String> {
    let end = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default();
    end.lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect()
}

/// Returns the definition of the command called by `words`.
fn definition(words: &[String]) -> clap::Command {
    let mut command = zae_deploy::cli::command();
    for word in words {
        command = command.find_subcommand(word).unwrap().clone();
    }
    command
}

#[test]
fn every_command_has_an_example_that_is_a_command_line() {
    for words in all(&zae_deploy::cli::command(), &[]) {
        let command = definition(&words);
        let examples: Vec<String> =
            commands(&command).into_iter().filter(|line| line.trim_start().starts_with("zae-deploy ")).collect();
        assert!(command.has_subcommands() || !examples.is_empty(), "{words:?} has no example");
        for example in examples {
            let line = example.split(['|', '>', '&', ';']).next().unwrap();
            // A quoted text is a single word.
            let parts = line.split(['\'', '"']).enumerate();
            let typed: Vec<String> = parts
                .flat_map(|(index, part)| match index % 2 {
                    0 => part.split_whitespace().map(str::to_owned).collect(),
                    _ => vec![part.to_owned()],
                })
                .collect();
            let parsed = zae_deploy::cli::command().try_get_matches_from(&typed);
            assert!(parsed.is_ok(), "{words:?}: {example}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn commands_to_copy_stay_whole_at_eighty_columns() {
    for words in all(&zae_deploy::cli::command(), &[]) {
        let help = run(binary().args(&words).arg("--help").env("COLUMNS", "80")).stdout;
        for line in commands(&definition(&words)) {
            assert!(help.lines().any(|shown| shown == line), "{words:?}: {line:?} is broken in\n{help}");
        }
    }
}

#[test]
fn the_definition_holds_together() {
    zae_deploy::cli::command().debug_assert();
}

#[test]
fn the_helps_people_meet_first() {
    for (name, args) in [
        ("help-resource.txt", &["resource", "--help"][..]),
        ("help-system-set-defaults.txt", &["system", "set-defaults", "--help"]),
        ("help-audit-list.txt", &["audit", "list", "--help"]),
        ("help-usage-list.txt", &["usage", "list", "--help"]),
    ] {
        compare(name, &run(binary().args(args)).stdout);
    }
}

#[test]
fn the_version_is_the_packages() {
    let ran = run(binary().arg("--version"));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, concat!("zae-deploy ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn without_a_command_the_help_is_shown_as_a_wrong_command_line() {
    let ran = run(&mut binary());
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("Commands:"), "{ran:?}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(binary().args(["completions", shell]));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}");
        assert!(ran.stdout.contains("set-defaults"), "{shell}");
    }
}

#[test]
fn manual_pages_are_printed_and_written() {
    let ran = run(binary().arg("man"));
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains(".TH zae-deploy 1"), "{}", ran.stdout);
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    let ran = run(binary().args(["man", "--dir"]).arg(&pages));
    assert_eq!(ran.code, 0, "{ran:?}");
    for page in ["zae-deploy.1", "zae-deploy-namespace.1", "zae-deploy-entity-set-limits.1"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ran = run(binary().args(["man", "--dir"]).arg(&file));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("Failed to write manual pages to"), "{ran:?}");
}
