//! Options that all or several commands share, each a struct to flatten into a command or group.

use std::{ffi::OsStr, path::PathBuf};

use clap::{
    Arg, Args, Command, ValueEnum,
    builder::{PossibleValue, TypedValueParser},
};

/// The format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// The value of `--output`: a format or, for commands that write a file, the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Format(Format),
    File(PathBuf),
}

/// Parses a [`Target`]. Anything that is not a format is a file name; the commands that write no file reject it later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetParser;

impl TypedValueParser for TargetParser {
    type Value = Target;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Target, clap::Error> {
        // An empty variable counts as unset.
        if value.is_empty() {
            return Ok(Target::Format(Format::default()));
        }
        let format = value.to_str().and_then(|text| Format::from_str(text, false).ok());
        Ok(format.map_or_else(|| Target::File(value.into()), Target::Format))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

/// The options of every command.
///
/// The ids of a command's own arguments must differ from these: otherwise clap would give them the global values.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The stack, which is also the table's name [default: limiter]
    #[arg(
        id = "global_name",
        short = 'n',
        long = "name",
        global = true,
        env = "ZAEL_STACK",
        hide_env_values = true,
        value_name = "STACK"
    )]
    pub(crate) name: Option<String>,
    /// The AWS region [default: as for every AWS tool]
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,
    /// Endpoint to use instead of AWS's own, such as http://localhost:4566
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// Format of the result; for a command that writes a file, also the file's name
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        env = "ZAEL_OUTPUT",
        hide_env = true,
        value_parser = TargetParser
    )]
    pub(crate) output: Target,
    /// When to use colour; auto: on terminals, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    pub(crate) color: ColorChoice,
    /// Print more about what is done (twice: also the AWS SDK's log)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Selects when to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
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
    /// Skip the confirmation
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `--principal`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct PrincipalArgs {
    /// Name recorded in the audit trail [default: the ARN of the AWS credentials]
    #[arg(long, global = true, value_name = "WHO")]
    pub(crate) principal: Option<String>,
}

/// Options shared by commands on a namespace's limits: the namespace and the principal.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    pub(crate) namespace: NamespaceArgs,
    #[command(flatten)]
    pub(crate) principal: PrincipalArgs,
}
