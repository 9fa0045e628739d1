//! Guarantees of the crates for their dependents: the Rust version, the metadata on crates.io, and the absence of
//! dependencies.

mod dashboards;
mod names;
mod packed;
mod rooms;

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

const PUBLISHED: [&str; 7] =
    ["zae-limiter", "zae-llm", "zae-tower", "zae-axum", "zae-actix", "zae-reqwest", "zae-deploy"];

const TLS: [&str; 6] = ["rustls", "ring", "aws-lc-rs", "native-tls", "openssl", "boring"];

/// Returns the output of cargo. Offline: everything it needs was downloaded to build this test.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn host() -> String {
    let version = Command::new(env!("CARGO")).arg("-vV").output().expect("cargo runs").stdout;
    let version = String::from_utf8(version).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host line").to_owned()
}

fn packages() -> Vec<Value> {
    let text = cargo(&["metadata", "--format-version", "1", "--filter-platform", &host()]);
    let mut metadata: Value = serde_json::from_str(&text).expect("cargo prints JSON");
    // Only the resolved graph of this workspace, not that of other platforms.
    let nodes: Vec<Value> = metadata["resolve"]["nodes"].as_array().expect("nodes").clone();
    let Value::Array(packages) = metadata["packages"].take() else { panic!("no packages") };
    packages.into_iter().filter(|package| nodes.iter().any(|node| node["id"] == package["id"])).collect()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

fn rust_version(package: &Value) -> Option<(u64, u64, u64)> {
    let mut parts = package["rust_version"].as_str()?.split('.').map(|part| part.parse().expect("a number"));
    Some((parts.next()?, parts.next()?, parts.next().unwrap_or(0)))
}

#[test]
fn the_rust_version_is_the_newest_that_a_dependency_needs() {
    let packages = packages();
    let foreign = packages.iter().filter(|package| !is_ours(package));
    let (needed, by) = foreign
        .filter_map(|package| Some((rust_version(package)?, package["name"].to_string())))
        .max()
        .expect("some dependency states its Rust version");
    for package in packages.iter().filter(|package| is_ours(package)) {
        let name = &package["name"];
        assert_eq!(rust_version(package), Some(needed), "{name} must say what {by} needs, in Cargo.toml");
    }
}

#[test]
fn published_crates_have_what_crates_io_shows() {
    let packages = packages();
    for name in PUBLISHED {
        let package = packages.iter().find(|package| package["name"] == name).expect(name);
        for field in ["description", "license", "repository", "readme"] {
            let value = package[field].as_str().unwrap_or_default();
            assert!(!value.is_empty(), "{name} has no {field}");
        }
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{name}");
        let entries = |field: &str| package[field].as_array().map_or(0, Vec::len);
        assert!((1..=5).contains(&entries("keywords")), "{name}: crates.io takes up to five keywords");
        assert!((1..=5).contains(&entries("categories")), "{name}: crates.io takes up to five categories");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let unversioned = dependency["req"] == "*" && dependency["kind"] != "dev";
            assert!(!unversioned, "{name} asks for any version of {}", dependency["name"]);
        }
    }
    let unpublished = packages.iter().filter(|p| is_ours(p) && p["publish"].as_array().is_some_and(Vec::is_empty));
    let published = packages.iter().filter(|package| is_ours(package)).count() - unpublished.count();
    assert_eq!(published, PUBLISHED.len(), "a crate that is neither in PUBLISHED nor `publish = false`");
}

#[test]
fn the_layer_needs_towers_traits_but_not_tower() {
    let packages = packages();
    let layer = packages.iter().find(|package| package["name"] == "zae-tower").expect("zae-tower");
    let dependencies = layer["dependencies"].as_array().expect("dependencies");
    let of = |name: &str| dependencies.iter().filter(|d| d["name"] == name).map(|d| d["kind"].clone()).collect();
    let (tower, service): (Vec<Value>, Vec<Value>) = (of("tower"), of("tower-service"));
    assert!(tower.iter().all(|kind| kind == "dev"), "{tower:?}");
    assert_eq!(service, [Value::Null], "its service traits are a normal dependency");
}

/// Returns the names of the crates linked into `package` with `features`.
fn linked(package: &str, features: &[&str]) -> Vec<String> {
    let mut arguments = vec!["tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"];
    arguments.extend(features);
    let text = cargo(&arguments);
    text.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn without_features_neither_the_embedded_store_nor_tls_comes_along() {
    let heavy = ["dynoxide-rs", "rusqlite", "rustls", "ring", "aws-lc-rs", "native-tls", "openssl", "aws-config"];
    let lean = linked("zae-limiter", &["--no-default-features"]);
    assert!(lean.iter().any(|name| name == "aws-sdk-dynamodb"), "{lean:?}");
    let found: Vec<_> = lean.iter().filter(|name| heavy.contains(&name.as_str())).collect();
    assert!(found.is_empty(), "{found:?}");
    // The same check for the features that add them, so that a misspelt name above would be noticed.
    let full = linked("zae-limiter", &["--no-default-features", "--features", "aws,embedded"]);
    for name in ["dynoxide-rs", "rustls", "ring", "aws-config"] {
        assert!(full.iter().any(|found| found == name), "{name} is not where it is expected");
    }
}

#[test]
fn the_deploy_tool_has_the_clients_of_the_services_it_calls_and_one_tls() {
    let linked = linked("zae-deploy", &[]);
    let clients: BTreeSet<_> = linked.iter().filter_map(|name| name.strip_prefix("aws-sdk-")).collect();
    let called = ["cloudformation", "dynamodb", "lambda", "resourcegroupstagging", "s3", "sqs", "sts"];
    // They provide the credentials of IAM Identity Center and of `aws login`.
    let signed_in_by = ["signin", "sso", "ssooidc"];
    assert_eq!(clients, called.into_iter().chain(signed_in_by).collect());
    let tls: BTreeSet<_> = linked.iter().map(String::as_str).filter(|name| TLS.contains(name)).collect();
    assert_eq!(tls, BTreeSet::from(["ring", "rustls"]));
}

#[test]
fn the_functions_have_no_embedded_store() {
    let store = |features: &[&str]| linked("zae-deploy", features).iter().any(|name| name == "dynoxide-rs");
    assert!(store(&[]));
    assert!(!store(&["--no-default-features"]));
}

/// A layer without limits answers every request with 500, which would be a bad first experience.
#[test]
fn the_first_example_of_a_layer_has_limits() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut found = 0;
    for folder in [".", "zae-tower", "zae-axum", "zae-actix", "zae-reqwest"] {
        let path = format!("{root}/{folder}/README.md");
        let text = std::fs::read_to_string(&path).expect("a README");
        let blocks = text.split("```").skip(1).step_by(2);
        let layers = ["ZaeLimit::new(", "OutgoingLimit::new("];
        let Some(first) = blocks.into_iter().find(|block| layers.iter().any(|layer| block.contains(layer))) else {
            continue;
        };
        found += 1;
        let stores = ["default_limits(", "set_system_defaults(", "set_resource_defaults("];
        assert!(stores.iter().any(|call| first.contains(call)), "{path}: {first}");
    }
    assert!(found >= 4, "examples in {found} READMEs");
}
