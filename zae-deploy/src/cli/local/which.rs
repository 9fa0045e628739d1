//! Selects one of the running local stacks.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::{CliError, Context},
    local::control::{self, Running, Status},
};

/// `--port`, which selects a stack as `--name` does.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct WhichArgs {
    /// The port of the stack, if several run; --name selects it, too
    #[arg(long)]
    port: Option<u16>,
}

/// A running local stack.
#[derive(Debug)]
pub(super) struct RunningStack {
    /// The folder of its files.
    pub(super) folder: PathBuf,
    pub(super) running: Running,
    pub(super) status: Status,
}

impl WhichArgs {
    /// Returns the selected stack; `None` if it does not run.
    ///
    /// # Errors
    /// [`CliError::Problem`] if several run and none is selected.
    pub(super) async fn find(self, cx: &Context) -> Result<Option<RunningStack>, CliError> {
        let mut found = self.all(cx).await?;
        if found.len() > 1 {
            let list: Vec<String> = found.iter().map(|found| format!("\n  - {}", shown(found))).collect();
            return Err(CliError::problem(format!("Several local stacks run:{}", list.concat()))
                .next("select one: --name <STACK> or --port <PORT>"));
        }
        Ok(found.pop())
    }

    /// Returns the selected stacks: all running ones if none is named.
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

/// Formats a stack in a few words.
pub(super) fn shown(found: &RunningStack) -> String {
    format!("{} at {}", found.status.stack, found.running.endpoint)
}

/// Returns all running stacks, by name.
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

/// Creates the error of a command that needs a running stack.
pub(super) fn none(cx: &Context) -> CliError {
    let problem = cx
        .given_stack()
        .map_or_else(|| "No local stack is running".to_owned(), |name| format!("No local stack '{name}' is running"));
    CliError::problem(problem)
        .next(format!("{} starts one", cx.command("local up")))
        .next("`zae-deploy local status` lists the running ones")
}
