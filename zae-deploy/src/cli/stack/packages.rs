//! Finds the Lambda packages for commands.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::{
    artifact::{Architecture, Packages},
    cli::CliError,
    package::PackageError,
};

/// Options that name the functions' binaries.
#[derive(Args, Debug)]
#[command(next_help_heading = "Lambda code")]
pub(super) struct Binaries {
    /// Folder with the binaries zae-aggregator and zae-provisioner [default: that of this program]
    #[arg(long, visible_alias = "from", value_name = "DIR", env = "ZAEL_LAMBDA_DIR", hide_env_values = true)]
    lambda_dir: Option<PathBuf>,
    /// Architecture of the binaries [default: whichever exists, arm64 first]
    #[arg(long, value_name = "ARCH")]
    lambda_architecture: Option<Machine>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Machine {
    Arm64,
    #[value(name = "x86_64")]
    X86_64,
}

impl Binaries {
    pub(super) fn folder(&self) -> Option<&Path> {
        self.lambda_dir.as_deref()
    }

    pub(super) fn architecture(&self) -> Option<Architecture> {
        self.lambda_architecture.map(|machine| match machine {
            Machine::Arm64 => Architecture::Arm64,
            Machine::X86_64 => Architecture::X86_64,
        })
    }

    /// Packs both binaries.
    pub(super) fn packages(&self) -> Result<Packages, CliError> {
        Packages::load(self.folder(), self.architecture()).map_err(unusable)
    }
}

/// Creates the error of binaries that cannot be packed.
pub(super) fn unusable(error: PackageError) -> CliError {
    CliError::failed("pack the Lambda functions", error).next(
        "`cargo lambda build --profile dist --arm64 -p zae-deploy --no-default-features --bin zae-aggregator \
         --bin zae-provisioner` builds them for Lambda; give their folder with --lambda-dir",
    )
}
