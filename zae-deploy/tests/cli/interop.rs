//! The published Python package's command line and ours on one table: each reads what the other writes.
//!
//! Skipped with a notice if the package is not available; `ZAE_REQUIRE_INTEROP=1` makes that a failure.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use zae_testkit::venv;

use crate::stage::{STACK, Stage, run};

struct Both {
    stage: Stage,
    python: PathBuf,
}

/// The tool that runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

impl Both {
    fn open() -> Option<Self> {
        let python = venv::interpreter()?;
        let stage = Stage::deployed();
        Some(Self { stage, python })
    }

    /// Returns the output of a command as the set of its lines, because the package orders limits differently.
    fn ask(&self, side: Side, args: &[&str]) -> BTreeSet<String> {
        let mut command = match side {
            Side::Ours => self.stage.command(args),
            Side::Theirs => {
                let mut command = Command::new(&self.python);
                command
                    .args(["-W", "ignore", "-m", "zae_limiter.cli"])
                    .args(args)
                    .args(["--name", STACK, "--region", "us-east-1", "--endpoint-url", &self.stage.endpoint])
                    .env_remove("AWS_PROFILE")
                    .env_remove("AWS_SESSION_TOKEN")
                    .envs([("AWS_ACCESS_KEY_ID", "embedded"), ("AWS_SECRET_ACCESS_KEY", "embedded")])
                    .envs([("AWS_CONFIG_FILE", "/nonexistent"), ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")])
                    .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("NO_PROXY", "127.0.0.1")])
                    // A change asks STS for the caller's identity, which must not leave this machine.
                    .env("AWS_ENDPOINT_URL_STS", &self.stage.endpoint);
                command
            }
        };
        let ran = run(&mut command);
        assert_eq!(ran.code, 0, "{side:?} {args:?}: {ran:?}");
        ran.stdout.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    /// Checks that both print the same for a reading command.
    fn agree(&self, args: &[&str]) -> BTreeSet<String> {
        let ours = self.ask(Side::Ours, args);
        assert_eq!(ours, self.ask(Side::Theirs, args), "{args:?}");
        ours
    }
}

fn configuration_is_read_alike(writer: Side) {
    let Some(both) = Both::open() else { return };
    both.ask(
        writer,
        &["system", "set-defaults", "-l", "rpm:100", "-l", "tpm:10000:15000", "--on-unavailable", "block"],
    );
    both.ask(writer, &["resource", "set-defaults", "gpt-3.5-turbo", "-l", "rpm:50/sec", "-l", "tpm:100000/5min"]);
    both.ask(writer, &["entity", "set-limits", "user-1", "--resource", "gpt-4", "-l", "rpd:1000000/day"]);
    both.ask(writer, &["entity", "set-limits", "user-1", "-l", "rpm:7"]);
    both.ask(writer, &["entity", "create", "key-1", "--parent", "proj-1", "--cascade", "--display-name", "Key"]);
    let system = both.agree(&["system", "get-defaults"]);
    assert!(system.contains("    tpm: 10,000/min (burst: 15,000)"), "{system:?}");
    both.agree(&["resource", "get-defaults", "gpt-3.5-turbo"]);
    both.agree(&["resource", "list"]);
    both.agree(&["entity", "get-limits", "user-1", "--resource", "gpt-4"]);
    both.agree(&["entity", "get-limits", "user-1"]);
    both.agree(&["entity", "list", "--with-custom-limits", "gpt-4"]);
    both.agree(&["entity", "list-resources"]);
    for side in [Side::Ours, Side::Theirs] {
        let entity = both.ask(side, &["entity", "show", "key-1"]);
        assert!(entity.iter().any(|line| line.ends_with("proj-1")), "{side:?}: {entity:?}");
        let audit = both.ask(side, &["audit", "list", "--entity-id", "user-1"]);
        assert!(audit.contains("Total: 2 events"), "{side:?}: {audit:?}");
    }
    both.ask(writer, &["resource", "delete-defaults", "gpt-3.5-turbo", "--yes"]);
    both.ask(writer, &["entity", "delete-limits", "user-1", "--resource", "gpt-4", "--yes"]);
    both.ask(writer, &["system", "delete-defaults", "--yes"]);
    assert!(both.agree(&["resource", "list"]).contains("No resources with configured defaults"));
    assert!(both.agree(&["system", "get-defaults"]).contains("No system defaults configured"));
    both.agree(&["entity", "get-limits", "user-1", "--resource", "gpt-4"]);
}

#[test]
fn configuration_that_we_write_is_read_alike() {
    configuration_is_read_alike(Side::Ours);
}

#[test]
fn configuration_that_they_write_is_read_alike() {
    configuration_is_read_alike(Side::Theirs);
}

fn namespaces_are_seen_alike(writer: Side) {
    let Some(both) = Both::open() else { return };
    both.ask(writer, &["namespace", "register", "tenant-alpha", "tenant-beta"]);
    both.ask(writer, &["resource", "set-defaults", "gpt-4", "-l", "rpm:5", "-N", "tenant-alpha"]);
    both.agree(&["resource", "get-defaults", "gpt-4", "--namespace", "tenant-alpha"]);
    both.ask(writer, &["namespace", "delete", "tenant-beta", "--yes"]);
    for side in [Side::Ours, Side::Theirs] {
        let names = both.ask(side, &["namespace", "list"]);
        assert!(names.contains("Total: 2 namespace(s)"), "{side:?}: {names:?}");
        let orphans = both.ask(side, &["namespace", "orphans"]);
        assert!(orphans.contains("Total: 1 orphaned namespace(s)"), "{side:?}: {orphans:?}");
    }
    let id = both.stage.json(&["namespace", "orphans"])["orphans"][0]["id"].as_str().unwrap().to_owned();
    // One side deletes, the other recovers and purges.
    let other = if writer == Side::Ours { Side::Theirs } else { Side::Ours };
    both.ask(other, &["namespace", "recover", &id]);
    let names = both.ask(writer, &["namespace", "list"]);
    assert!(names.contains("Total: 3 namespace(s)"), "{names:?}");
    both.ask(writer, &["namespace", "delete", "tenant-beta", "--yes"]);
    both.ask(other, &["namespace", "purge", &id, "--yes"]);
    assert!(both.agree(&["namespace", "orphans"]).contains("No orphaned namespaces."));
}

#[test]
fn namespaces_that_we_manage_are_seen_alike() {
    namespaces_are_seen_alike(Side::Ours);
}

#[test]
fn namespaces_that_they_manage_are_seen_alike() {
    namespaces_are_seen_alike(Side::Theirs);
}
