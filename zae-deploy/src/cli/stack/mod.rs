//! Commands about the stack as a whole.

mod compat;
mod delete;
mod deploy;
mod export;
mod lacks;
mod list;
mod options;
mod packages;
mod status;
mod summary;
mod template;
mod upgrade;
mod version;
mod watch;

use clap::Subcommand;
use zae_limiter::aws::Service;

use super::{CliError, Context, error::BoxError};
use crate::stack::{Cloud, StackError};

/// One variant per command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create or update a stack
    Deploy(Box<deploy::Deploy>),
    /// Delete a stack with all its data
    Delete(delete::Delete),
    /// Show the status of a stack
    #[command(after_help = "\
Examples:
  zae-deploy status --name limiter --region us-east-1")]
    Status,
    /// List the stacks of a region
    #[command(after_help = "\
Examples:
  zae-deploy list --region us-east-1")]
    List,
    /// Print the CloudFormation template
    CfnTemplate(template::CfnTemplate),
    /// Pack a Lambda function as a zip file
    LambdaExport(export::LambdaExport),
    /// Compare the versions of this tool and of a stack
    #[command(after_help = "\
Examples:
  zae-deploy version --name limiter")]
    Version,
    /// Upgrade the template and Lambda code of a stack to this tool's version
    #[command(after_help = "\
Examples:
  zae-deploy upgrade --name limiter
  zae-deploy upgrade --name limiter --lambda-only")]
    Upgrade(upgrade::Upgrade),
    /// Check the compatibility of this tool and a stack, by exit code
    #[command(after_help = "\
Examples:
  zae-deploy check --name limiter && echo compatible")]
    Check,
}

impl Command {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        match self {
            Self::Deploy(deploy) => deploy.run(cx).await,
            Self::Delete(delete) => delete.run(cx).await,
            Self::Status => status::run(cx, &cx.output()).await,
            Self::List => list::run(cx, &cx.output()).await,
            Self::CfnTemplate(template) => template.run(cx),
            Self::LambdaExport(export) => export.run(cx),
            Self::Version => version::run(cx, &cx.output()).await,
            Self::Upgrade(upgrade) => upgrade.run(cx).await,
            Self::Check => version::check(cx, &cx.output()).await,
        }
    }
}

/// Connects to the account and region of the command line.
async fn cloud(cx: &Context) -> Result<Cloud, CliError> {
    Cloud::new(cx.sdk_config(Service::CloudFormation).await?).map_err(|error| failed("connect", error))
}

/// Creates the error of a step, worded after "Failed to".
fn failed(action: &str, error: StackError) -> CliError {
    let advice = error.advice();
    let error = match error {
        StackError::Invalid(error) => return error.into(),
        StackError::Connect(error) => return error.into(),
        StackError::Option(error) => return CliError::Invalid(format!("{}", Spelled(&error))),
        other => CliError::failed(action, BoxError::from(other)),
    };
    advice.into_iter().fold(error, CliError::next)
}

/// An option's error, with the option as typed.
struct Spelled<'a>(&'a crate::stack::OptionError);

impl std::fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string();
        let option = self.0.option();
        let rest = text.strip_prefix(option).unwrap_or(&text);
        // Tags are given one at a time.
        let option = if option == "tags" { "tag" } else { option };
        write!(f, "--{}{rest}", option.replace('_', "-"))
    }
}
