//! `local …`: the whole stack on this machine.

mod environment;
mod logs;
mod status;
mod up;

use clap::{Args, Subcommand};

use super::{CliError, Context, args::OutputArgs};

/// The whole stack on this machine: no Docker, no AWS account.
#[derive(Args, Debug)]
#[command(after_help = "\
A DynamoDB with the stack's table, the aggregator on its change stream, and the limits provisioner, all in one process
that goes on in the background. Any AWS SDK, and every command of this tool, can use its endpoint.

Examples:
  zae-deploy local up
  eval \"$(zae-deploy local env)\"
  zae-deploy system set-defaults -l rpm:100
  zae-deploy local logs --follow
  zae-deploy local down

Environment:
  ZAEL_LOCAL_DIR   the folder of its log, of kept data, and of audit events that expired
                   [default: ~/.local/state/zae/local]")]
pub(crate) struct Group {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start it
    Up(up::Up),
    /// Stop it
    Down,
    /// Show whether it runs
    Status,
    /// Show its log
    Logs(logs::Logs),
    /// Print the settings with which AWS tools use it
    Env(environment::Env),
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output(self.output);
        match self.command {
            Command::Up(up) => up.run(cx, &out).await,
            Command::Down => status::down(&out).await,
            Command::Status => status::run(&out).await,
            Command::Logs(logs) => logs.run().await,
            Command::Env(env) => env.run(cx).await,
        }
    }
}
