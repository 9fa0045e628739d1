//! Search for binaries.

use std::path::{Path, PathBuf};

use super::{Function, PackageError};
use crate::artifact::Architecture;

/// Finds the binary of `function` for `architecture`.
///
/// `from` is the binary itself, or a folder that is searched; without it the folder of this program is. In a folder the
/// binary is `{name}`, `{name}-{architecture}`, or `{name}/bootstrap` as cargo-lambda leaves it.
///
/// # Errors
/// [`PackageError::Missing`] names all places where it was looked for.
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
    // A bare name says nothing about the machine; what is packed is checked for it anyway.
    looked.push(folder.join(name));
    match looked.iter().find(|path| path.is_file()) {
        Some(found) => Ok(found.clone()),
        None => Err(PackageError::Missing { binary: name, architecture: machine, looked }),
    }
}
