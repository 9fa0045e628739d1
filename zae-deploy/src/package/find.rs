//! Searches for binaries.

use std::path::{Path, PathBuf};

use super::{Function, PackageError};
use crate::artifact::Architecture;

/// Finds the binary of `function` for `architecture`.
///
/// `from` is the binary itself, or a folder to search; without it the folder of this program is searched. In a folder
/// the binary is `{name}`, `{name}-{architecture}`, or `{name}/bootstrap` as built by cargo-lambda.
///
/// # Errors
/// [`PackageError::Missing`] lists all paths that were searched.
pub fn find(function: Function, architecture: Architecture, from: Option<&Path>) -> Result<PathBuf, PackageError> {
    let name = function.binary();
    if let Some(file) = from.filter(|path| path.is_file()) {
        return Ok(file.to_owned());
    }
    let own = || std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let folder = from.map(Path::to_owned).or_else(own).unwrap_or_default();
    let machine = architecture.as_str();
    let mut looked = vec![
        folder.join(format!("{name}-{machine}")),
        folder.join(format!("{name}-{machine}")).join("bootstrap"),
        folder.join(machine).join(name),
        folder.join("lambda").join(name).join("bootstrap"),
        folder.join(name).join("bootstrap"),
    ];
    // A bare name does not indicate the machine; the binary is checked before packing anyway.
    looked.push(folder.join(name));
    match looked.iter().find(|path| path.is_file()) {
        Some(found) => Ok(found.clone()),
        None => Err(PackageError::Missing { binary: name, architecture: machine, looked }),
    }
}
