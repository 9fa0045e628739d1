//! All commands.

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use super::{
    CliError, Context,
    args::{Global, Target},
    audit, bucket, cost, doctor, entity, explain, limits, namespace, prices, resource, shell, stack, system, top,
    usage,
};

/// Deploys and operates the zae rate limiter: its stack, its limits and its usage
#[derive(Debug, Parser)]
#[command(
    name = "zae-deploy",
    version,
    after_help = AFTER,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub(crate) struct Root {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Environment:
  ZAEL_STACK, ZAEL_NAMESPACE   stack and namespace, unless given as options
  AWS_PROFILE, AWS_REGION, …   as for every AWS tool
  HTTPS_PROXY, NO_PROXY, …     proxies for calls to AWS
  NO_COLOR                     no colour, even on terminals

Exit codes: 0 success · 1 failure, or confirmation declined · 2 invalid command line · 130 interrupted";

/// One variant per command or group of commands, each in a file of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Stack(stack::Command),
    /// Set, show and delete the default limits of a namespace
    System(system::Group),
    /// Set, show and delete default limits of resources
    Resource(resource::Group),
    /// Create, show and limit entities
    Entity(entity::Group),
    /// Plan and apply limits as code
    Limits(limits::Group),
    /// Import, show and set the prices of models
    #[command(subcommand)]
    Prices(prices::Group),
    /// Show bucket balances, and merge sharded buckets
    Bucket(bucket::Group),
    Explain(explain::Explain),
    Doctor(doctor::Doctor),
    Top(top::Top),
    Cost(cost::MonthlyCost),
    /// Show usage
    Usage(usage::Group),
    /// Show the audit trail
    Audit(audit::Group),
    /// Register, list, delete and recover namespaces
    #[command(subcommand)]
    Namespace(namespace::Group),
    /// Run a whole stack on this machine
    #[cfg(feature = "local")]
    #[command(subcommand)]
    Local(super::local::Group),
    /// Print a shell completion script
    Completions(shell::Completions),
    /// Print the manual page, or write the pages of all commands
    Man(shell::Man),
}

impl Root {
    /// Checks combinations of options that clap cannot express.
    pub(crate) fn check(self) -> Result<Self, clap::Error> {
        match (&self.global.output, &self.command) {
            (Target::Format(_), _)
            | (_, Command::Stack(stack::Command::CfnTemplate(_) | stack::Command::LambdaExport(_))) => Ok(self),
            (Target::File(file), _) => {
                let formats = "[possible values: table, json, yaml]";
                let problem = format!("invalid value '{}' for '--output <FORMAT>'\n  {formats}", file.display());
                Err(Self::command().error(ErrorKind::InvalidValue, problem))
            }
        }
    }
}

impl Command {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        match self {
            Self::System(group) => group.run(cx).await,
            Self::Resource(group) => group.run(cx).await,
            Self::Entity(group) => group.run(cx).await,
            Self::Limits(group) => group.run(cx).await,
            Self::Prices(group) => group.run(cx).await,
            Self::Bucket(group) => group.run(cx).await,
            Self::Explain(explain) => explain.run(cx).await,
            Self::Doctor(doctor) => doctor.run(cx).await,
            Self::Top(top) => top.run(cx).await,
            Self::Cost(cost) => cost.run(cx).await,
            Self::Usage(group) => group.run(cx).await,
            Self::Audit(group) => group.run(cx).await,
            Self::Stack(command) => command.run(cx).await,
            Self::Namespace(group) => group.run(cx).await,
            #[cfg(feature = "local")]
            Self::Local(group) => group.run(cx).await,
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
        }
    }
}
