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

mod args;
mod audit;
mod bucket;
mod context;
mod entity;
mod error;
mod limit;
mod limits;
#[cfg(feature = "local")]
mod local;
mod namespace;
mod output;
mod prompt;
mod resource;
mod resource_name;
mod root;
mod shell;
mod stack;
mod suggest;
mod system;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use context::Context;
use error::CliError;
use root::Root;

/// The command line's definition, for manuals and completions.
pub fn command() -> clap::Command {
    Root::command()
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let root = Root::parse().check().unwrap_or_else(|error| error.exit());
    let context = Context::new(root.global);
    context.log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return CliError::failed("start", error).report(&context),
    };
    match runtime.block_on(root.command.run(&context)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(&context),
    }
}
