//! `lambda-export`: writes the package of a function, for deployments by other tools.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::packages::{Binaries, unusable};
use crate::{
    artifact::{Architecture, Package, find_one},
    cli::{
        CliError, Context,
        output::{Meter, Page, Report, units},
    },
    package::{Binary, Function, PackageError},
};

/// Packs the binary of a Lambda function as a zip file. Works offline.
#[derive(Args, Debug)]
#[command(after_help = "\
Uploading it to a stack that was deployed from `zae-deploy cfn-template`:
  zae-deploy lambda-export --output lambda.zip
  aws lambda update-function-code \\
      --function-name limiter-aggregator --zip-file fileb://lambda.zip

The package runs on provided.al2023, and on the Python runtime of the template's placeholders, whose process it \
replaces. Where
only a binary for arm64 is at hand, add `--architectures arm64` to the second command.")]
pub(crate) struct LambdaExport {
    /// File to write, as with `--output FILE`; use ./json for a file named like a format [default: lambda.zip]
    #[arg(short = 'o', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Function to export
    #[arg(long, value_name = "FUNCTION", default_value = "aggregator")]
    function: Which,
    /// Show the package's properties, and write nothing
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

/// The package that was written.
#[derive(Serialize)]
struct ExportedPackage {
    function: &'static str,
    /// The file; `None` if nothing was written.
    file: Option<String>,
    size_bytes: usize,
    sha256: String,
    architecture: &'static str,
    /// The runtimes that it runs on, each with its handler.
    runtimes: [Runtime; 2],
}

#[derive(Clone, Copy, Serialize)]
struct Runtime {
    runtime: &'static str,
    handler: &'static str,
}

const RUNTIMES: [Runtime; 2] = [
    Runtime { runtime: "provided.al2023", handler: "bootstrap" },
    // For the template's placeholder, which the package replaces.
    Runtime { runtime: "python3.12", handler: "index.handler" },
];

impl Report for ExportedPackage {
    fn page(&self, page: &mut Page) {
        let size = units::bytes(self.size_bytes as u64);
        if let Some(file) = &self.file {
            page.line(format!("✓ Exported Lambda package to: {file} ({size})"));
            if self.architecture == Architecture::Arm64.as_str() {
                page.line("  It is for arm64: add `--architectures arm64` to `aws lambda update-function-code`");
            }
            return;
        }
        page.blank();
        page.line("Lambda Package Information");
        page.rule('=', 26);
        page.blank();
        let runtimes = self.runtimes.map(|it| format!("{} ({})", it.runtime, it.handler)).join(", ");
        for (label, value) in [
            ("Function:", self.function),
            ("Package size:", &size),
            ("SHA-256:", &self.sha256),
            ("Architecture:", self.architecture),
            ("Runtime:", &runtimes),
        ] {
            page.line(format!("{label:<15} {value}"));
        }
        page.blank();
    }
}

impl LambdaExport {
    pub(super) fn run(self, cx: &Context) -> Result<(), CliError> {
        let function = match self.function {
            Which::Aggregator => Function::Aggregator,
            Which::Provisioner => Function::Provisioner,
        };
        let path = self.file.as_deref().or(cx.output_file()).unwrap_or(Path::new("lambda.zip"));
        let shown = path.display();
        if !self.info && !self.force && path.exists() {
            return Err(CliError::problem(format!("File already exists: {shown}")).next("use --force to overwrite it"));
        }
        let binary = find_one(function, self.binaries.folder(), self.binaries.architecture()).map_err(unusable)?;
        let package = pack(function, &binary).map_err(unusable)?;
        let write = || {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, package.bytes())
        };
        if !self.info {
            write().map_err(|error| CliError::failed(format!("export the Lambda package to {shown}"), error))?;
        }
        cx.output().show(&ExportedPackage {
            function: function.binary(),
            file: (!self.info).then(|| shown.to_string()),
            size_bytes: package.bytes().len(),
            sha256: package.sha256().to_owned(),
            architecture: binary.architecture().as_str(),
            runtimes: RUNTIMES,
        })
    }
}

fn pack(function: Function, binary: &Binary) -> Result<Package, PackageError> {
    let label = format!("Packing {}", function.binary());
    let meter = Meter::new();
    let mut packing = binary.packing()?;
    while packing.step()? {
        meter.tell(&label, packing.percent());
    }
    meter.tell(&label, packing.percent());
    packing.finish()
}
