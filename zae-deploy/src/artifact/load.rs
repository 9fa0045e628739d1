//! Packages from the binaries of the functions.

use std::{fs, path::Path};

use super::{Architecture, Package, Packages};
use crate::package::{Function, PackageError, build, find};

/// What is taken where both are there: the cheaper one by a deployment, which tells the stack.
const CHEAPER_FIRST: [Architecture; 2] = [Architecture::Arm64, Architecture::X86_64];
/// A package by itself goes to a function that has the template's default.
const DEFAULT_FIRST: [Architecture; 2] = [Architecture::X86_64, Architecture::Arm64];

impl Packages {
    /// Packs the binaries `zae-aggregator` and `zae-provisioner` in `folder`, by default that of this program; without an
    /// architecture, the one that both are there for.
    ///
    /// # Errors
    /// [`PackageError`] when one of them is missing, or would not start on Lambda.
    pub fn load(folder: Option<&Path>, architecture: Option<Architecture>) -> Result<Self, PackageError> {
        let load = |architecture| {
            let package = |function| package(function, folder, architecture);
            Ok(Self::new(architecture, package(Function::Aggregator)?, package(Function::Provisioner)?))
        };
        match architecture {
            Some(architecture) => load(architecture),
            None => either(CHEAPER_FIRST, load),
        }
    }
}

/// Packs the binary of one function; without an architecture, the template's default, or the one that it is there for.
///
/// # Errors
/// [`PackageError`] when it is missing, or would not start on Lambda.
pub fn load_one(
    function: Function,
    folder: Option<&Path>,
    architecture: Option<Architecture>,
) -> Result<(Architecture, Package), PackageError> {
    let load = |architecture| Ok((architecture, package(function, folder, architecture)?));
    match architecture {
        Some(architecture) => load(architecture),
        None => either(DEFAULT_FIRST, load),
    }
}

/// The first architecture that there is a binary for. What is wrong with a binary that is there says more than that the
/// other is missing.
fn either<T>(
    [first, second]: [Architecture; 2],
    load: impl Fn(Architecture) -> Result<T, PackageError>,
) -> Result<T, PackageError> {
    match load(first) {
        Err(PackageError::Missing { .. } | PackageError::OtherMachine { .. }) => load(second),
        result => result,
    }
}

fn package(function: Function, folder: Option<&Path>, architecture: Architecture) -> Result<Package, PackageError> {
    let path = find(function, architecture, folder)?;
    let binary = fs::read(&path).map_err(|source| PackageError::Unreadable { path, source })?;
    build(&binary, architecture)
}
