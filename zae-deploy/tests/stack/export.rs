//! Exported files for deployments by other tools.

use std::{fs, process::Command};

use super::run::{self, Ran};

/// Runs `zae-deploy` in `folder`, offline.
fn offline(folder: &std::path::Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zae-deploy"));
    command.args(args).current_dir(folder).env_clear().env("ZAEL_LAMBDA_DIR", run::lambda_dir());
    Ran::from_output(command.output().unwrap())
}

#[test]
fn the_template_is_printed_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let printed = offline(folder.path(), &["cfn-template"]).ok();
    assert_eq!(printed.stdout, zae_deploy::template::TEMPLATE);
    let ran = offline(folder.path(), &["cfn-template", "-o", "stack.yaml"]).ok();
    assert_eq!(ran.stdout, "✓ Template exported to: stack.yaml\n");
    assert_eq!(fs::read_to_string(folder.path().join("stack.yaml")).unwrap(), printed.stdout);
    offline(folder.path(), &["cfn-template", "--output", "no/such/folder"]).failed(1, &["no/such/folder"]);
}

#[test]
fn output_is_the_format_or_the_file_and_stands_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |args: &[&str]| offline(folder.path(), args);
    // A format is never a file.
    assert_eq!(at(&["cfn-template", "--output", "json"]).ok().stdout, zae_deploy::template::TEMPLATE);
    assert!(!folder.path().join("json").exists());
    at(&["cfn-template", "--output", "./json"]).ok();
    assert!(folder.path().join("json").exists());
    let written = at(&["--output", "json", "cfn-template", "--file", "stack.yaml"]).ok();
    assert_eq!(written.json(), serde_json::json!({ "file": "stack.yaml" }));
    // The guide's own commands.
    assert!(at(&["lambda-export", "--output", "lambda.zip"]).ok().stdout.contains("to: lambda.zip ("));
    let exported = at(&["--output", "json", "lambda-export", "--file", "other.zip"]).ok().json();
    assert_eq!((&exported["file"], &exported["runtimes"][0]["handler"]), (&"other.zip".into(), &"bootstrap".into()));
    let info = at(&["lambda-export", "--info", "--output", "json"]).ok().json();
    assert_eq!((&info["file"], &info["sha256"]), (&serde_json::Value::Null, &exported["sha256"]));
    // Elsewhere a file name is an invalid option, and a format may come first.
    at(&["limits", "schema", "--output", "x.json"]).failed(2, &["[possible values: table, json, yaml]"]);
    at(&["--output", "json", "limits", "schema"]).ok();
}

#[test]
fn a_package_is_exported_and_an_existing_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let info = offline(folder.path(), &["lambda-export", "--info"]).ok();
    for line in ["Lambda Package Information", "Architecture:   x86_64", "provided.al2023 (bootstrap), python3.12"] {
        assert!(info.stdout.contains(line), "{}", info.stdout);
    }
    assert!(!folder.path().join("lambda.zip").exists());

    let ran = offline(folder.path(), &["lambda-export"]).ok();
    assert!(ran.stdout.starts_with("✓ Exported Lambda package to: lambda.zip ("), "{}", ran.stdout);
    let exported = fs::read(folder.path().join("lambda.zip")).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&exported)).unwrap();
    let names = [0, 1].map(|index| zip.by_index(index).unwrap().name().unwrap().into_owned());
    assert_eq!((zip.len(), names), (2, ["bootstrap".to_owned(), "index.py".to_owned()]));

    fs::write(folder.path().join("lambda.zip"), "mine").unwrap();
    offline(folder.path(), &["lambda-export", "-o", "lambda.zip"]).failed(1, &["File already exists", "--force"]);
    assert_eq!(fs::read(folder.path().join("lambda.zip")).unwrap(), b"mine");
    offline(folder.path(), &["lambda-export", "-f"]).ok();
    assert_eq!(fs::read(folder.path().join("lambda.zip")).unwrap(), exported);

    let ran = offline(folder.path(), &["lambda-export", "--function", "provisioner", "-o", "out/p.zip"]).ok();
    assert!(ran.stdout.contains("out/p.zip"), "{}", ran.stdout);
    assert_ne!(fs::read(folder.path().join("out/p.zip")).unwrap(), exported);
}

#[test]
fn binaries_that_lambda_cannot_start_are_refused_with_the_command_that_builds_others() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap().to_owned();
    let build = "cargo lambda build --profile dist --arm64";
    offline(folder.path(), &["lambda-export", "--from", &empty]).failed(1, &["zae-aggregator", build]);
    let other = ["lambda-export", "--lambda-architecture", "arm64"];
    offline(folder.path(), &other).failed(1, &["the binary is for x86_64, the package is to be for arm64", build]);
    let deploy = ["deploy", "--name", "prod", "--lambda-dir", &empty, "--endpoint-url", "http://127.0.0.1:1"];
    offline(folder.path(), &deploy).failed(1, &["zae-aggregator", build, "--no-code"]);
}

#[test]
fn profiles_build_for_lambda_let_panics_be_answered_and_pack_quickly() {
    let manifest = include_str!("../../../Cargo.toml");
    let profile = |name: &str| {
        let (_, after) = manifest.split_once(&format!("[profile.{name}]\n")).unwrap();
        after.lines().take_while(|line| line.contains('=')).collect::<Vec<_>>()
    };
    assert_eq!(profile("release"), ["panic = \"unwind\""]);
    // Crates that pack the functions, which takes minutes without optimisation.
    for package in ["miniz_oxide", "flate2", "zip", "simd-adler32"] {
        assert_eq!(profile(&format!("dev.package.{package}")), ["opt-level = 3"], "{package}");
    }
    let dist = profile("dist");
    assert!(dist.contains(&"inherits = \"release\""), "{dist:?}");
    assert!(!dist.iter().any(|line| line.starts_with("panic")), "{dist:?}");
}
