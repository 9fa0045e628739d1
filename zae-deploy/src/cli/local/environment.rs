//! `local env`.

use clap::{Args, ValueEnum};

use super::which::{self, WhichArgs};
use crate::cli::{CliError, Context, output::write_all};

#[derive(Args, Debug)]
pub(crate) struct Env {
    /// The syntax of the output
    #[arg(short = 'f', long = "format", value_name = "LANGUAGE", default_value = "eval", ignore_case = true)]
    language: Language,
    #[command(flatten)]
    which: WhichArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    /// For a POSIX shell: eval "$(zae-deploy local env)"
    Eval,
    /// For an .envrc or .env file
    Direnv,
    /// For PowerShell
    Powershell,
}

/// Returns the variables that point AWS tools to `endpoint`, and this tool to `stack`.
pub(super) fn variables(endpoint: &str, stack: &str) -> [(&'static str, String); 6] {
    [
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("ZAEL_STACK", stack.to_owned()),
    ]
}

impl Env {
    pub(super) async fn run(self, cx: &Context) -> Result<(), CliError> {
        // Settings of a stack that does not run would break every later command.
        let found = self.which.find(cx).await?.ok_or_else(|| which::none(cx))?;
        let line = |(name, value): (&str, String)| match self.language {
            Language::Eval => format!("export {name}={value}\n"),
            Language::Direnv => format!("{name}={value}\n"),
            Language::Powershell => format!("$env:{name} = \"{value}\"\n"),
        };
        let variables = variables(&found.running.endpoint, &found.status.stack);
        write_all(&variables.into_iter().map(line).collect::<String>())
    }
}
