//! `limits …`: limits as code.

mod report;
mod runner;

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use zae_limiter::NamespaceName;

use super::{
    CliError, Context,
    args::{ChangeArgs, YesArgs},
    output::write_all,
    prompt::confirm,
};
use crate::{
    manifest::{self, Manifest},
    provisioner::Change,
};

use report::{ApplyReport, DiffReport, PlanReport};
use runner::Runner;

/// Limits as code: one YAML file holds all limits of a namespace.
#[derive(Args, Debug)]
#[command(after_help = "\
Only the capacity of a limit is required; refill_amount is then the same, refill_period 60 seconds:

  namespace: default
  system:
    on_unavailable: block
    limits:
      rpm: { capacity: 1000 }
  resources:
    gpt-4:
      limits:
        tpm: { capacity: 50000, refill_amount: 10000, refill_period: 12 }
  entities:
    user-premium:
      resources:
        gpt-4: { limits: { rpm: { capacity: 1000 } } }

What a file no longer names is removed, once you have said yes or given --yes; what others set is left alone. \
`limits schema` prints the JSON Schema of the
file for editors, which find it through a first line like
  # yaml-language-server: $schema=limits.schema.json

Examples:
  zae-deploy limits plan -n my-app -f limits.yaml
  zae-deploy limits apply -n my-app -f limits.yaml
  zae-deploy limits diff -n my-app -f limits.yaml --detailed-exitcode
  zae-deploy limits apply -n my-app -N tenant-alpha -f alpha-limits.yaml
  zae-deploy limits cfn-template -n my-app -f limits.yaml > limits-stack.yaml")]
pub(crate) struct Group {
    #[command(flatten)]
    with: ChangeArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what applying a file would change
    #[command(after_help = "\
Examples:
  zae-deploy limits plan -n my-app -f limits.yaml --detailed-exitcode")]
    Plan {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        way: WayArgs,
        #[command(flatten)]
        exit: ExitArgs,
    },
    /// Make the namespace's limits what a file says; asks before limits are deleted that it no longer names
    #[command(after_help = "\
Examples:
  zae-deploy limits apply -n my-app -f limits.yaml
  zae-deploy limits apply -n my-app -f limits.yaml --yes")]
    Apply {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        way: WayArgs,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// Show where the stored limits differ from a file
    #[command(after_help = "\
Examples:
  zae-deploy limits diff -n my-app -f limits.yaml --detailed-exitcode")]
    Diff {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        way: WayArgs,
        #[command(flatten)]
        exit: ExitArgs,
    },
    /// Print a CloudFormation template that carries a file's limits
    #[command(after_help = "\
Examples:
  zae-deploy limits cfn-template -n my-app -f limits.yaml > limits-stack.yaml")]
    CfnTemplate {
        #[command(flatten)]
        file: FileArgs,
    },
    /// Print the JSON Schema of the file
    #[command(after_help = "\
Examples:
  zae-deploy limits schema > limits.schema.json")]
    Schema,
}

#[derive(Args, Debug)]
struct FileArgs {
    /// The limits, in YAML or JSON; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

impl FileArgs {
    /// The file as people know it.
    fn shown(&self) -> String {
        if self.file == Path::new("-") { "standard input".to_owned() } else { self.file.display().to_string() }
    }
}

#[derive(Args, Clone, Copy, Debug)]
struct WayArgs {
    /// Read and write the table from here, without the stack's provisioner function
    #[arg(long)]
    direct: bool,
}

#[derive(Args, Clone, Copy, Debug)]
struct ExitArgs {
    /// End with code 2 when there are differences, for scripts
    #[arg(long)]
    detailed_exitcode: bool,
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match &self.command {
            Command::Plan { file, way, exit } => {
                let (manifest, namespace) = self.read(file)?;
                let runner = Runner::new(cx, &namespace, *way).await?;
                let plan = runner.plan(&manifest).await?;
                let report = PlanReport::new(cx.named_stack()?, namespace, plan);
                out.show(&report)?;
                exit.result(report.changes())
            }
            Command::Apply { file, way, yes } => {
                let (manifest, namespace) = self.read(file)?;
                let principal = cx.principal(&self.with.principal).await?;
                let runner = Runner::for_apply(cx, &namespace, *way).await?;
                if !yes.yes {
                    let plan = runner.plan(&manifest).await?;
                    let losses = report::deletions(&plan);
                    if !losses.is_empty() {
                        let count = losses.len();
                        confirm(
                            &format!("Delete the limits of {count} level(s) that {} no longer names?", file.shown()),
                            &losses,
                            *yes,
                        )?;
                    }
                }
                let applied = runner.apply(&manifest, principal).await?;
                let report = ApplyReport::new(cx.named_stack()?, namespace, applied);
                out.show(&report)?;
                report.result()
            }
            Command::Diff { file, way, exit } => {
                let (manifest, namespace) = self.read(file)?;
                let runner = Runner::new(cx, &namespace, *way).await?;
                let report = DiffReport::new(cx.named_stack()?, namespace, runner.plan(&manifest).await?);
                out.show(&report)?;
                exit.result(report.changes())
            }
            Command::CfnTemplate { file } => {
                let (manifest, namespace) = self.read(file)?;
                write_all(&manifest::template(&manifest, &cx.named_stack()?, &namespace))
            }
            Command::Schema => write_all(manifest::SCHEMA),
        }
    }

    /// The file's limits and whose they are: as the command line says, else as the file does.
    fn read(&self, args: &FileArgs) -> Result<(Manifest, NamespaceName), CliError> {
        let shown = args.shown();
        let text = text(&args.file).map_err(|error| CliError::failed(format!("read {shown}"), error))?;
        let mut manifest =
            Manifest::from_yaml(&text).map_err(|error| CliError::Invalid(error.in_file(&shown).to_string()))?;
        let given = self.with.namespace.namespace.as_deref().filter(|name| !name.is_empty());
        let given = given.map(NamespaceName::new).transpose()?;
        if let (Some(given), Some(written)) = (&given, &manifest.namespace)
            && given != written
        {
            tracing::warn!("{shown} is written for namespace '{written}'; --namespace '{given}' goes first");
        }
        let Some(namespace) = given.or_else(|| manifest.namespace.clone()) else {
            let problem = format!("{shown} does not say which namespace its limits are for");
            return Err(CliError::problem(problem)
                .next("add a line like `namespace: default` to it")
                .next("or name it on the command line: --namespace <NAMESPACE>"));
        };
        manifest.namespace = Some(namespace.clone());
        Ok((manifest, namespace))
    }
}

impl ExitArgs {
    fn result(self, changes: &[Change]) -> Result<(), CliError> {
        if self.detailed_exitcode && !changes.is_empty() { Err(CliError::Differences) } else { Ok(()) }
    }
}

fn text(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}
