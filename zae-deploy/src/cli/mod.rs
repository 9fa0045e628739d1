//! The `zae-deploy` command line.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | it failed, a name or value breaks a rule, or a question was answered with no |
//! | 2 | the command line itself is wrong: unknown command or option, a missing one, a value outside its choices or range; or there are differences and `--detailed-exitcode` asked |
//! | 130 | interrupted |
//!
//! Results go to stdout; errors, questions and warnings to stderr. With `--output json` or `yaml`, stdout holds one
//! document and nothing else.

mod access;
mod args;
mod audit;
mod bucket;
mod context;
mod cost;
mod doctor;
mod entity;
mod error;
mod explain;
mod limit;
mod limits;
#[cfg(feature = "local")]
mod local;
mod namespace;
mod output;
mod prices;
mod prompt;
mod resource;
mod resource_name;
mod root;
mod shell;
mod stack;
mod suggest;
mod system;
mod top;
mod usage;

use std::{fmt::Write as _, process::ExitCode};

use clap::{CommandFactory, Parser};

use context::Context;
use error::{Causes, CliError};
use output::{Breaks, Stream, Tone, harmless};
use root::Root;

/// Returns the definition of the command line, for manuals and completions.
pub fn command() -> clap::Command {
    Root::command()
}

/// Runs the command in this process's arguments.
pub fn main() -> ExitCode {
    let root = Root::parse().check().unwrap_or_else(|error| error.exit());
    let context = Context::new(root.global);
    context.log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&CliError::failed("start", error), &context),
    };
    match runtime.block_on(root.command.run(&context)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, &context),
    }
}

/// Writes an error to stderr and returns the exit code.
fn report(error: &CliError, cx: &Context) -> ExitCode {
    let paint = |tone, text: &str| cx.paint(Stream::Stderr, tone, text);
    match error {
        CliError::Shown | CliError::Differences => {}
        CliError::OutputClosed => return ExitCode::SUCCESS,
        CliError::Declined => eprintln!("{error}"),
        CliError::Interrupted(_) => eprintln!("\n{}", harmless(&error.to_string(), Breaks::Kept)),
        _ => {
            let mut text = format!("{} {error}", paint(Tone::Bad, "Error:"));
            let causes = Causes::of(error);
            for cause in causes.told {
                let _ = write!(text, ": {cause}");
            }
            if let Some(below) = causes.below {
                let _ = write!(text, "\n  {}", paint(Tone::Dim, &format!("cause: {below}")));
            }
            for advice in error.advice() {
                let _ = write!(text, "\n  {} {advice}", paint(Tone::Dim, "→"));
            }
            eprintln!("{}", harmless(&text, Breaks::Kept));
        }
    }
    ExitCode::from(match error {
        CliError::Usage(_) | CliError::Differences => 2,
        CliError::Interrupted(_) => 130,
        _ => 1,
    })
}
