//! Lambda packages from binaries: [`Binary`], or [`build`] for all in one.
//!
//! The same binary results in the same bytes, whenever and wherever it is packed: `bootstrap`, with a fixed date and
//! permissions, and an `index.py` that starts it if a function was created with inline Python code. The binary is
//! checked first: it must be for the right machine, and need a C library no newer than that of Lambda's
//! `provided.al2023`.
//!
//! ```no_run
//! use zae_deploy::{artifact::Architecture, package::{Binary, Function, PackageError}};
//!
//! fn pack() -> Result<(), PackageError> {
//!     let binary = Binary::load(Function::Aggregator, Architecture::Arm64, None)?;
//!     let mut packing = binary.packing()?;
//!     while packing.step()? {
//!         println!("{} %", packing.percent());
//!     }
//!     println!("{}", packing.finish()?.sha256());
//!     Ok(())
//! }
//! ```

mod binary;
mod elf;
mod find;

use std::path::PathBuf;

use zae_limiter::StackName;
use zip::result::ZipError;

pub use binary::{Binary, Packing};
pub use elf::{GLIBC_ON_LAMBDA, GlibcVersion};
pub use find::find;

use crate::artifact::{Architecture, Package};

/// The file that `provided.al2023` starts.
const BOOTSTRAP: &str = "bootstrap";
/// The module of a function's placeholder, which the package replaces.
const INDEX: (&str, &str) = ("index.py", include_str!("index.py"));
/// Readable and executable for everybody after unpacking.
const MODE: u32 = 0o755;

/// One of the stack's functions.
///
/// See the [module](crate::package) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// Reads the change stream.
    Aggregator,
    /// Applies limits as code.
    Provisioner,
}

impl Function {
    /// Returns the binary's name.
    pub fn binary(self) -> &'static str {
        match self {
            Self::Aggregator => "zae-aggregator",
            Self::Provisioner => "zae-provisioner",
        }
    }

    /// Returns the function's name in the stack `stack`.
    pub fn name_in(self, stack: &StackName) -> String {
        match self {
            Self::Aggregator => format!("{stack}-aggregator"),
            Self::Provisioner => format!("{stack}-limits-provisioner"),
        }
    }
}

/// The reason why a package could not be built.
///
/// See the [module](crate::package) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The binary is missing.
    #[error(
        "there is no {binary} for {architecture} in {}: build it as the documentation says, or name its place",
        paths(.looked)
    )]
    Missing {
        /// The binary.
        binary: &'static str,
        /// The requested architecture.
        architecture: &'static str,
        /// The paths that were searched.
        looked: Vec<PathBuf>,
    },
    /// The binary cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a program for Linux.
    #[error("this is no program for 64-bit Linux: {0}; build one for Linux, as the documentation says")]
    NoProgram(&'static str),
    /// The binary is for another machine.
    #[error(
        "the binary is for {found}, the package is to be for {wanted}: build it for that, or choose the \
         other architecture"
    )]
    OtherMachine {
        /// The architecture of the binary.
        found: String,
        /// The requested architecture.
        wanted: &'static str,
    },
    /// The binary needs a newer C library than Lambda has.
    #[error(
        "the binary needs glibc {needed}, Lambda's provided.al2023 has {GLIBC_ON_LAMBDA}: build it with \
         cargo-lambda, or on an older system"
    )]
    Glibc {
        /// The newest version that it requires.
        needed: GlibcVersion,
    },
    /// Packing failed.
    #[error("the binary cannot be packed")]
    Zip(#[from] ZipError),
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Checks the program `binary` and packs it for `architecture`.
///
/// # Errors
/// [`PackageError`] if it would not start on Lambda.
pub fn build(binary: &[u8], architecture: Architecture) -> Result<Package, PackageError> {
    Binary::new(binary, architecture)?.pack()
}
