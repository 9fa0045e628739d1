//! The printed and documented `aws` commands exist, with the options used.

use std::{fs, path::Path};

use super::{
    run::{Ran, clean},
    venv,
};

/// Commands of the AWS CLI itself that call no API.
const CUSTOM: [&str; 3] = ["configure", "sso login", "cloudformation deploy"];

/// Collects the texts of this crate for users: its guide, and the output in its sources.
fn texts(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs" || end == "md") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// Extracts the `aws` commands in a text: service, operation, options.
fn commands(text: &str) -> Vec<Vec<String>> {
    // A line that ends with a backslash continues, in Rust and in a shell.
    let text = text.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in text.lines() {
        for start in line.match_indices("aws ").map(|(at, _)| at) {
            let begins =
                start == 0 || !line[..start].ends_with(|before: char| before.is_alphanumeric() || before == '-');
            let command = line[start..].split(['`', '"', ';']).next().unwrap();
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let is_command = words.first().is_some_and(|service| service.bytes().all(|b| b.is_ascii_lowercase()));
            let is_call = words.get(1).is_some_and(|word| word.contains('-') || *word == "wait");
            if begins && is_command && is_call && !CUSTOM.iter().any(|custom| command[4..].starts_with(custom)) {
                let plain = words[..2].iter().chain(words[2..].iter().filter(|word| word.starts_with("--")));
                let mut plain: Vec<String> = plain.map(|word| (*word).to_owned()).collect();
                if words[1] == "wait" {
                    plain.insert(2, words[2].to_owned());
                }
                found.push(plain);
            }
        }
    }
    found
}

const CHECK: &str = r"
import json, sys, botocore.session
from botocore import xform_name
session = botocore.session.get_session()
for service, operation, *options in json.loads(sys.argv[1]):
    client = session.create_client({'s3api': 's3'}.get(service, service), region_name='us-east-1')
    if operation == 'wait':
        waiter, *options = options
        assert waiter.replace('-', '_') in client.waiter_names, waiter
        config = client.get_waiter(waiter.replace('-', '_')).config
        name = config.operation
    else:
        name = {xform_name(n, '-'): n for n in client.meta.service_model.operation_names}[operation]
    members = client.meta.service_model.operation_model(name).input_shape.members
    known = {'--' + xform_name(member, '-') for member in members}
    known |= {'--no-' + option[2:] for option in known}
    assert set(options) <= known, (service, operation, options)
    print(service, operation)
";

#[tokio::test]
async fn every_aws_command_exists_with_its_options() {
    let Some(python) = venv::interpreter() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "docs"] {
        texts(&root.join(folder), &mut found);
    }
    let mut commands: Vec<Vec<String>> = found.iter().flat_map(|text| commands(text)).collect();
    commands.sort();
    commands.dedup();
    let mut command = tokio::process::Command::new(python);
    clean(&mut command).args(["-c", CHECK, &serde_json::to_string(&commands).unwrap()]);
    let ran = Ran::from_output(command.output().await.unwrap()).ok();
    println!("{}", ran.stdout);
    for expected in ["lambda update-function-configuration", "lambda update-function-code"] {
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
    assert!(ran.stdout.contains("cloudformation continue-update-rollback"), "{}", ran.stdout);
}
