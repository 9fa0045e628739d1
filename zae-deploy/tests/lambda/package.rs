//! Packages of the real binaries.

use std::{fs, io::Read, path::Path};

use zae_deploy::{
    artifact::Architecture,
    package::{Function, PackageError, build, find},
};
use zip::ZipArchive;

const BINARY: &str = env!("CARGO_BIN_EXE_zae-aggregator");
#[cfg(target_arch = "aarch64")]
const HERE: Architecture = Architecture::Arm64;
#[cfg(not(target_arch = "aarch64"))]
const HERE: Architecture = Architecture::X86_64;

#[test]
fn the_same_binary_gives_the_same_bytes_or_the_reason_why_it_would_not_start() {
    let binary = fs::read(BINARY).unwrap();
    let package = match build(&binary, HERE) {
        Ok(package) => package,
        // Built here against a newer C library than Lambda's, which is detected before deployment.
        Err(PackageError::Glibc { needed }) => {
            assert!(needed > zae_deploy::package::GLIBC_ON_LAMBDA);
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(package, build(&binary, HERE).unwrap());
    let mut zip = ZipArchive::new(std::io::Cursor::new(package.bytes().to_vec())).unwrap();
    assert_eq!(zip.len(), 2);
    let mut file = zip.by_index(0).unwrap();
    assert_eq!(
        (file.name().unwrap().into_owned(), file.unix_mode().map(|mode| mode & 0o777)),
        ("bootstrap".to_owned(), Some(0o755))
    );
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert!(content == binary, "the content is the binary");
}

#[test]
fn binaries_are_found_where_builds_leave_them() {
    let folder = tempfile::tempdir().unwrap();
    let missing = find(Function::Aggregator, Architecture::Arm64, Some(folder.path())).unwrap_err().to_string();
    assert!(missing.contains("zae-aggregator for arm64") && missing.contains("lambda"), "{missing}");
    let left = folder.path().join("lambda/zae-aggregator/bootstrap");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, "x").unwrap();
    assert_eq!(find(Function::Aggregator, Architecture::Arm64, Some(folder.path())).unwrap(), left);
    let named = find(Function::Provisioner, HERE, Some(Path::new(BINARY))).unwrap();
    assert_eq!(named, Path::new(BINARY));
}

#[test]
fn what_is_no_program_is_not_packed() {
    for (content, problem) in [(b"#!/bin/sh\n".as_slice(), "not an ELF file"), (b"\x7fELF\x01\x01", "64-bit")] {
        let error = build(content, HERE).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
