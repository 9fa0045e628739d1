//! `lambda-export`: the package of a function, for those who deploy by other means.

use std::{fs, path::PathBuf};

use clap::{Args, ValueEnum};

use super::packages::{Binaries, unusable};
use crate::{
    artifact::{Architecture, load_one},
    cli::{
        CliError,
        output::{units, write_all},
    },
    package::Function,
};

/// Packs the binary of a Lambda function as a zip file. Works offline.
#[derive(Args, Debug)]
#[command(after_help = "\
Uploading it to a stack that was deployed from `zae-deploy cfn-template`:
  zae-deploy lambda-export --output lambda.zip
  aws lambda update-function-code --function-name limiter-aggregator --zip-file fileb://lambda.zip

The package runs on provided.al2023, and on the Python runtime of the template's placeholders, whose process it replaces. Where
only a binary for arm64 is at hand, add `--architectures arm64` to the second command.")]
pub(crate) struct LambdaExport {
    /// Where to write it
    #[arg(short, long, value_name = "FILE", default_value = "lambda.zip")]
    output: PathBuf,
    /// Which function
    #[arg(long, value_name = "FUNCTION", default_value = "aggregator")]
    function: Which,
    /// Show what the package is, and write nothing
    #[arg(long)]
    info: bool,
    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    binaries: Binaries,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    Aggregator,
    Provisioner,
}

impl LambdaExport {
    pub(super) fn run(self) -> Result<(), CliError> {
        let function = match self.function {
            Which::Aggregator => Function::Aggregator,
            Which::Provisioner => Function::Provisioner,
        };
        let path = self.output.display();
        if !self.info && !self.force && self.output.exists() {
            return Err(CliError::problem(format!("File already exists: {path}")).next("use --force to overwrite it"));
        }
        let (architecture, package) =
            load_one(function, self.binaries.folder(), self.binaries.architecture()).map_err(unusable)?;
        let size = units::bytes(package.bytes().len() as u64);
        if self.info {
            return write_all(&format!(
                "\nLambda Package Information\n{}\n\n\
                 Function:       {}\nPackage size:   {size}\nSHA-256:        {}\n\
                 Architecture:   {}\nRuntime:        provided.al2023 (bootstrap), python3.12 (index.handler)\n\n",
                "=".repeat(26),
                function.binary(),
                package.sha256(),
                architecture.as_str(),
            ));
        }
        let write = || {
            let parent = self.output.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&self.output, package.bytes())
        };
        write().map_err(|error| CliError::failed(format!("export the Lambda package to {path}"), error))?;
        let note = match architecture {
            Architecture::X86_64 => "",
            Architecture::Arm64 => {
                "  It is for arm64: add `--architectures arm64` to `aws lambda update-function-code`\n"
            }
        };
        write_all(&format!("✓ Exported Lambda package to: {path} ({size})\n{note}"))
    }
}
