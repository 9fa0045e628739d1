//! Chooses one of the local stacks that run.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::{CliError, Context},
    local::control::{self, Running, Status},
};

/// `--port`, which names a stack as `--name` does.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct WhichArgs {
    /// The port of the stack that is meant, where several run; --name says it, too
    #[arg(long)]
    port: Option<u16>,
}

/// A local stack that runs.
#[derive(Debug)]
pub(super) struct RunningStack {
    /// The folder of its files.
    pub(super) folder: PathBuf,
    pub(super) running: Running,
    pub(super) status: Status,
}

impl WhichArgs {
    /// The one that is meant; `None` when it does not run.
    ///
    /// # Errors
    /// [`CliError::Problem`] when several run and none of them is named.
    pub(super) async fn find(self, cx: &Context) -> Result<Option<RunningStack>, CliError> {
        let mut found = self.all(cx).await?;
        if found.len() > 1 {
            let list: Vec<String> = found.iter().map(|found| format!("\n  - {}", shown(found))).collect();
            return Err(CliError::problem(format!("Several local stacks run:{}", list.concat()))
                .next("say which one: --name <STACK>, or --port <PORT>"));
        }
        Ok(found.pop())
    }

    /// Those that are meant: all that run, where none is named.
    pub(super) async fn all(self, cx: &Context) -> Result<Vec<RunningStack>, CliError> {
        let named = cx.given_stack();
        let mut all = running().await?;
        all.retain(|found| match (self.port, named) {
            (Some(port), _) => found.running.port == port,
            (None, Some(name)) => found.status.stack == name,
            (None, None) => true,
        });
        Ok(all)
    }
}

/// A stack in a few words.
pub(super) fn shown(found: &RunningStack) -> String {
    format!("{} at {}", found.status.stack, found.running.endpoint)
}

/// All that run, by name.
pub(super) async fn running() -> Result<Vec<RunningStack>, CliError> {
    let failed = |error| CliError::failed("look for local stacks", error);
    let mut found = Vec::new();
    for folder in control::stack_folders(&control::folder()).map_err(failed)? {
        let Some(running) = Running::find(&folder).map_err(failed)? else { continue };
        if let Some(status) = running.status().await {
            found.push(RunningStack { folder, running, status });
        }
    }
    Ok(found)
}

/// The error for a command that needs a running stack when none runs.
pub(super) fn none(cx: &Context) -> CliError {
    let problem = cx
        .given_stack()
        .map_or_else(|| "No local stack is running".to_owned(), |name| format!("No local stack '{name}' is running"));
    CliError::problem(problem)
        .next(format!("{} starts one", cx.command("local up")))
        .next("`zae-deploy local status` shows those that run")
}
