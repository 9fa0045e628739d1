//! `local …`: the whole stack on this machine.

mod environment;
mod logs;
mod status;
mod up;
mod which;

use clap::Subcommand;

use super::{CliError, Context};
use which::WhichArgs;

/// The whole stack on this machine: no Docker, no AWS account.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A DynamoDB with the stack's table, the aggregator on its change stream, and the limits provisioner, all in one process
that runs in the background. Any AWS SDK, and every command of this tool, can use its endpoint.

Examples:
  zae-deploy local up
  eval \"$(zae-deploy local env)\"
  zae-deploy system set-defaults -l rpm:100
  zae-deploy local logs --follow
  zae-deploy local down

Several can run at the same time, each with its own name and port:
  zae-deploy local up --name other --port 0
  eval \"$(zae-deploy local env --name other)\"

Environment:
  ZAEL_LOCAL_DIR   the folder with a folder for each stack: its log, kept data,
                   and audit events that expired
                   [default: ~/.local/state/zae/local]")]
pub(crate) enum Group {
    /// Start a local stack
    #[command(after_help = "\
Examples:
  zae-deploy local up
  zae-deploy local up --keep
  zae-deploy local up --name other --port 0")]
    Up(up::Up),
    /// Stop a local stack
    #[command(after_help = "\
Examples:
  zae-deploy local down
  zae-deploy local down --name other")]
    Down(WhichArgs),
    /// Show the status of local stacks
    #[command(after_help = "\
Examples:
  zae-deploy local status --output json")]
    Status(WhichArgs),
    /// Show the log of a local stack
    #[command(after_help = "\
Examples:
  zae-deploy local logs --follow")]
    Logs(logs::Logs),
    /// Print the environment variables for AWS tools
    #[command(after_help = "\
Examples:
  zae-deploy local env --format direnv > .envrc")]
    Env(environment::Env),
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match self {
            Self::Up(up) => up.run(cx, &out).await,
            Self::Down(which) => status::down(cx, &out, which).await,
            Self::Status(which) => status::run(cx, &out, which).await,
            Self::Logs(logs) => logs.run(cx).await,
            Self::Env(env) => env.run(cx).await,
        }
    }
}
