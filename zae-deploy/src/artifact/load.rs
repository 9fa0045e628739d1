//! Builds packages from the binaries of the functions.

use std::path::Path;

use super::{Architecture, Package, Packages};
use crate::package::{Binary, Function, PackageError};

/// The order of preference if both exist: a deployment takes the cheaper one and passes its architecture to the stack.
const CHEAPER_FIRST: [Architecture; 2] = [Architecture::Arm64, Architecture::X86_64];
/// A single package is for a function with the template's default.
const DEFAULT_FIRST: [Architecture; 2] = [Architecture::X86_64, Architecture::Arm64];

impl Packages {
    /// Takes the binaries `zae-aggregator` and `zae-provisioner` from `folder`, by default that of this program;
    /// without an architecture, one for which both exist. They are checked here, and packed on demand.
    ///
    /// # Errors
    /// [`PackageError`] if one of them is missing, or would not start on Lambda.
    pub fn load(folder: Option<&Path>, architecture: Option<Architecture>) -> Result<Self, PackageError> {
        let load = |architecture| {
            let binary = |function| Binary::load(function, architecture, folder);
            Ok(Self::of(architecture, binary(Function::Aggregator)?, binary(Function::Provisioner)?))
        };
        match architecture {
            Some(architecture) => load(architecture),
            None => either(CHEAPER_FIRST, load),
        }
    }
}

/// Packs the binary of one function; without an architecture, for the template's default, or the one for which it
/// exists.
///
/// # Errors
/// [`PackageError`] if it is missing, or would not start on Lambda.
pub fn load_one(
    function: Function,
    folder: Option<&Path>,
    architecture: Option<Architecture>,
) -> Result<(Architecture, Package), PackageError> {
    let binary = find_one(function, folder, architecture)?;
    Ok((binary.architecture(), binary.pack()?))
}

/// Finds and checks the binary of one function; without an architecture, the one for which it exists.
///
/// # Errors
/// [`PackageError`] if it is missing, or would not start on Lambda.
pub fn find_one(
    function: Function,
    folder: Option<&Path>,
    architecture: Option<Architecture>,
) -> Result<Binary, PackageError> {
    let load = |architecture| Binary::load(function, architecture, folder);
    match architecture {
        Some(architecture) => load(architecture),
        None => either(DEFAULT_FIRST, load),
    }
}

/// Returns the first architecture with a binary. The error of an existing binary is more informative than that of a
/// missing one.
fn either<T>(
    [first, second]: [Architecture; 2],
    load: impl Fn(Architecture) -> Result<T, PackageError>,
) -> Result<T, PackageError> {
    match load(first) {
        Err(PackageError::Missing { .. } | PackageError::OtherMachine { .. }) => load(second),
        result => result,
    }
}
