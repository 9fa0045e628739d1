//! `limits …`: limits as code.

mod export;
mod report;
mod runner;
mod saved;
#[cfg(feature = "local")]
mod simulate;

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

use export::ExportArgs;
use report::{ApplyReport, DiffReport, PlanReport};
use runner::{Outcome, Runner};
use saved::SavedPlan;

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

Limits that the file no longer contains are deleted, after a confirmation or with --yes; limits set by others stay. \
`limits schema` prints the JSON Schema of the
file for editors, which find it through a first line like
  # yaml-language-server: $schema=limits.schema.json

Examples:
  zae-deploy limits plan -n my-app -f limits.yaml
  zae-deploy limits apply -n my-app -f limits.yaml
  zae-deploy limits plan -n my-app -f limits.yaml -o limits.plan
  zae-deploy limits apply -n my-app limits.plan
  zae-deploy limits export -n my-app > limits.yaml
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
    /// Show the changes that applying a file would make
    #[command(after_help = "\
Examples:
  zae-deploy limits plan -n my-app -f limits.yaml --detailed-exitcode
  zae-deploy limits plan -n my-app -f limits.yaml -o limits.plan")]
    Plan {
        #[command(flatten)]
        file: FileArgs,
        /// Save the plan in a file, for `limits apply FILE`
        #[arg(short = 'o', long = "out", value_name = "PLAN")]
        save: Option<PathBuf>,
        #[command(flatten)]
        way: WayArgs,
        #[command(flatten)]
        exit: ExitArgs,
    },
    /// Apply a file of limits to a namespace; confirms before deleting limits that the file no longer contains
    #[command(after_help = "\
Examples:
  zae-deploy limits apply -n my-app -f limits.yaml
  zae-deploy limits apply -n my-app -f limits.yaml --yes
  zae-deploy limits apply -n my-app limits.plan")]
    Apply {
        /// A saved plan; applied without confirmation, but only if the changes are still the same
        #[arg(value_name = "PLAN", conflicts_with = "file")]
        plan: Option<PathBuf>,
        /// The limits, in YAML or JSON; - reads standard input
        #[arg(short, long, value_name = "FILE", required_unless_present = "plan")]
        file: Option<PathBuf>,
        #[command(flatten)]
        way: WayArgs,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// Print the stored limits as a file
    #[command(
        long_about = "\
Print the stored limits as a file for `limits apply -f`: those of the system, of resources and of entities, set by a \
file or by commands.",
        after_help = "\
Examples:
  zae-deploy limits export -n my-app > limits.yaml
  zae-deploy limits export -n my-app -N tenant-alpha > alpha-limits.yaml
  zae-deploy limits export -n my-app --all-namespaces limits/"
    )]
    Export(ExportArgs),
    /// Replay a log of requests against a file: which requests would have been refused, and when
    #[cfg(feature = "local")]
    #[command(
        long_about = "\
Replay a log of requests against a file: which requests would have been refused, and when.

The requests are repeated at the times of the log, with the limiter itself, on a store in memory. Nothing else is read \
or written, and no stack is needed. A log is JSON lines or CSV; costs are tokens per limit, or one request:

  {\"time\": \"2026-01-15T10:00:00Z\", \"entity\": \"user-1\", \"resource\": \"gpt-4\", \"cost\": {\"tpm\": 500}}

  time,entity,parent,resource,rpm,tpm
  2026-01-15T10:00:00Z,user-1,project-1,gpt-4,1,500

A parent is charged as well. A refused request is not repeated, whatever the client did.",
        after_help = "\
Examples:
  zae-deploy limits simulate -f limits.yaml --log requests.jsonl
  zae-deploy limits export -n my-app | sed 's/capacity: 1000/capacity: 500/' \\
    | zae-deploy limits simulate -f - --log requests.csv --output json"
    )]
    Simulate {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        replay: simulate::SimulateArgs,
    },
    /// Show differences between the stored limits and a file
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
    /// Print a CloudFormation template with a file's limits
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
    /// Returns the file's name for display.
    fn shown(&self) -> String {
        if self.file == Path::new("-") { "standard input".to_owned() } else { self.file.display().to_string() }
    }
}

#[derive(Args, Clone, Copy, Debug)]
struct WayArgs {
    /// Read and write the table directly, without the stack's provisioner function
    #[arg(long)]
    direct: bool,
}

#[derive(Args, Clone, Copy, Debug)]
struct ExitArgs {
    /// Exit with code 2 if there are differences, for scripts
    #[arg(long)]
    detailed_exitcode: bool,
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match &self.command {
            Command::Plan { file, save, way, exit } => {
                let (manifest, namespace) = self.read(file)?;
                let runner = Runner::new(cx, &namespace, *way).await?;
                let plan = runner.plan(&manifest).await?;
                let stack = cx.named_stack()?;
                if let Some(save) = save {
                    let place = (stack.clone(), namespace.clone(), runner.namespace_id().clone());
                    SavedPlan::new(place, &manifest, plan.clone()).write(save)?;
                }
                let report = PlanReport::new(stack, namespace, plan).saved(save.as_deref());
                out.show(&report)?;
                exit.result(report.changes())
            }
            Command::Apply { plan: Some(plan), way, .. } => self.apply_saved(cx, plan, *way).await,
            Command::Apply { file, way, yes, .. } => {
                let file = FileArgs { file: file.clone().unwrap_or_else(|| PathBuf::from("-")) };
                self.apply(cx, &file, *way, *yes).await
            }
            #[cfg(feature = "local")]
            Command::Simulate { file, replay } => simulate::run(cx, &self.parse(file)?, replay).await,
            Command::Export(args) => export::run(cx, &self.with.namespace, args).await,
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

    async fn apply(&self, cx: &Context, file: &FileArgs, way: WayArgs, yes: YesArgs) -> Result<(), CliError> {
        let (manifest, namespace) = self.read(file)?;
        let principal = cx.principal(&self.with.principal).await?;
        let runner = Runner::for_apply(cx, &namespace, way).await?;
        if !yes.yes {
            let losses = report::deletions(&runner.plan(&manifest).await?);
            if !losses.is_empty() {
                let count = losses.len();
                let shown = file.shown();
                confirm(&format!("Delete the limits of {count} level(s) that {shown} no longer names?"), &losses, yes)?;
            }
        }
        let applied = runner.apply(&manifest, principal).await?;
        let report = ApplyReport::new(cx.named_stack()?, namespace, applied);
        cx.output().show(&report)?;
        report.result()
    }

    /// Applies a plan that was reviewed.
    async fn apply_saved(&self, cx: &Context, file: &Path, way: WayArgs) -> Result<(), CliError> {
        let saved = SavedPlan::read(file)?;
        saved.check_stack(cx)?;
        let manifest = saved.manifest(file)?;
        let principal = cx.principal(&self.with.principal).await?;
        let runner = Runner::new(cx, &saved.namespace, way).await?;
        if *runner.namespace_id() != saved.namespace_id {
            let problem = format!("Namespace '{}' is another one than the plan was made for", saved.namespace);
            return Err(CliError::problem(problem)
                .next("it was deleted and registered again since; make a new plan and review it"));
        }
        match runner.apply_planned(&manifest, &saved.plan, principal).await? {
            Outcome::Moved => Err(saved::moved(cx, file)),
            Outcome::Applied(applied) => {
                let report = ApplyReport::new(saved.stack, saved.namespace, applied);
                cx.output().show(&report)?;
                report.result()
            }
        }
    }

    /// Parses the file's limits, for any namespace.
    fn parse(&self, args: &FileArgs) -> Result<Manifest, CliError> {
        let shown = args.shown();
        let text = text(&args.file).map_err(|error| CliError::failed(format!("read {shown}"), error))?;
        Manifest::from_yaml(&text).map_err(|error| CliError::Invalid(error.in_file(&shown).to_string()))
    }

    /// Reads the file's limits and their namespace: the one on the command line, otherwise the file's.
    fn read(&self, args: &FileArgs) -> Result<(Manifest, NamespaceName), CliError> {
        let shown = args.shown();
        let mut manifest = self.parse(args)?;
        let given = self.with.namespace.namespace.as_deref().filter(|name| !name.is_empty());
        let given = given.map(NamespaceName::new).transpose()?;
        if let (Some(given), Some(written)) = (&given, &manifest.namespace)
            && given != written
        {
            tracing::warn!("{shown} is written for namespace '{written}'; --namespace '{given}' goes first");
        }
        let Some(namespace) = given.or_else(|| manifest.namespace.clone()) else {
            let problem = format!("{shown} does not name the namespace of its limits");
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
