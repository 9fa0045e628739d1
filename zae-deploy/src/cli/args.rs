//! Options that several commands share, each a struct to flatten into the group's or the command's own.

use clap::{Args, ValueEnum};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// `--output`.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct OutputArgs {
    /// How to write the result
    #[arg(
        long = "output",
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        env = "ZAEL_OUTPUT",
        hide_env = true
    )]
    pub(crate) format: Format,
}

/// `--namespace`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct NamespaceArgs {
    /// The namespace [default: default]
    #[arg(short = 'N', long, global = true, env = "ZAEL_NAMESPACE", hide_env_values = true)]
    pub(crate) namespace: Option<String>,
}

/// `--yes`.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct YesArgs {
    /// Do it without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `--principal`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct PrincipalArgs {
    /// Who the audit trail says did it [default: the ARN of the AWS credentials]
    #[arg(long, global = true, value_name = "WHO")]
    pub(crate) principal: Option<String>,
}

/// What commands on the limits of a namespace share: where they work, how they answer, and who they are.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    pub(crate) namespace: NamespaceArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) principal: PrincipalArgs,
}
