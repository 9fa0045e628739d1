//! Every credential source, endpoint, region and proxy of the AWS command line: set, empty and wrong.

mod credentials;
mod rows;
mod world;

use std::{process::Command, thread};

use crate::stage::{Ran, run};
use credentials::CREDENTIALS;
use rows::{Calls, ENDPOINTS, PROXIES, REGIONS, Row, SERVICES};
use world::{World, furnish};

/// Terms of the SDK and of Rust that users should not see.
const JARGON: [&str; 10] =
    ["SdkError", "ispatch", "onnector", "rovider", "nhandled", "cargo", "host label", "::", "{", "orchestrat"];

/// Runs a row in an environment of its own; returns the differences from the row.
fn differs(row: &Row) -> Option<String> {
    let world = World::start();
    let home = tempfile::tempdir().unwrap();
    furnish(home.path(), &world.address);
    let port = world.address.rsplit(':').next().unwrap();
    let fill = |text: &str| {
        text.replace("{world}", &world.address)
            .replace("{far}", &format!("0.0.0.0:{port}"))
            .replace("{home}", home.path().to_str().unwrap())
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_zae-deploy"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home.path());
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("COLUMNS", "100");
    command.args(row.args.iter().map(|arg| fill(arg)));
    command.envs(row.set.iter().map(|(name, value)| (name, fill(value))));
    let ran = run(&mut command);
    let calls = world.calls();
    let mut wrong = problems(row, &ran, &fill(row.says));
    let asked = calls.iter().find(|call| call.is_dynamodb || call.line.starts_with("CONNECT"));
    let came = asked.map_or("None".to_owned(), |call| match call.line.as_str() {
        "POST /" => format!("Direct({:?})", call.key),
        line => format!("Proxied({line:?})"),
    });
    let expected = match row.calls {
        Calls::Proxied(line) => format!("Proxied({:?})", fill(line)),
        ref calls => format!("{calls:?}"),
    };
    if came != expected {
        wrong.push(format!("came: {came}, not {expected}; all: {calls:?}"));
    }
    (!wrong.is_empty()).then(|| format!("{:?} {:?}\n  {}\n{}", row.set, row.args, wrong.join("\n  "), ran.stderr))
}

fn problems(row: &Row, ran: &Ran, says: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let first = ran.stderr.lines().next().unwrap_or_default();
    if first != says {
        wrong.push(format!("says: {first}\n   not: {says}"));
    }
    if ran.code != 1 || !ran.stdout.is_empty() {
        wrong.push(format!("ends with {} and {:?}", ran.code, ran.stdout));
    }
    if ran.stderr.contains("panicked") || ran.stderr.contains("secret-of") {
        wrong.push("panics, or tells a secret".to_owned());
    }
    let given = |word: &str| row.set.iter().any(|(name, value)| name.contains(word) || value.contains(word));
    let jargon: Vec<_> = JARGON.iter().filter(|word| first.contains(**word) && !given(word)).collect();
    if !jargon.is_empty() {
        wrong.push(format!("jargon in the first line: {jargon:?}"));
    }
    wrong
}

/// Runs all rows, a few at a time, and fails with all differences.
fn hold(rows: &[Row]) {
    let mut failures = Vec::new();
    for some in rows.chunks(6) {
        thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|row| scope.spawn(|| differs(row))).collect();
            failures.extend(running.into_iter().filter_map(|row| row.join().expect("a row runs")));
        });
    }
    assert!(failures.is_empty(), "{} of {} rows:\n\n{}", failures.len(), rows.len(), failures.join("\n"));
}

#[test]
fn endpoints_set_empty_and_wrong() {
    hold(ENDPOINTS);
}

#[test]
fn regions_set_empty_and_wrong() {
    hold(REGIONS);
}

#[test]
fn proxies_set_empty_and_wrong() {
    hold(PROXIES);
}

#[test]
fn credentials_set_empty_and_wrong() {
    hold(CREDENTIALS);
}

#[test]
fn every_service_is_found_and_fails_in_the_same_words() {
    hold(SERVICES);
}
