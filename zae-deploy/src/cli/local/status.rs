//! `local status` and `local down`.

use std::time::Duration;

use serde::Serialize;

use super::which::{RunningStack, WhichArgs};
use crate::{
    cli::{
        CliError, Context,
        output::{Output, Page, Report, units},
    },
    local::control::{self, Status},
};

/// Bounds the number of attempts to stop.
const TRIES: u32 = 100;
const POLL: Duration = Duration::from_millis(50);

#[derive(Serialize)]
struct LocalState {
    running: bool,
    /// The running stack; if several run, they are in `stacks` only.
    #[serde(flatten)]
    one: Option<One>,
    /// The log file of a stack that does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    stacks: Vec<One>,
}

#[derive(Clone, Serialize)]
struct One {
    endpoint: String,
    #[serde(flatten)]
    status: Status,
    log: String,
}

impl From<RunningStack> for One {
    fn from(found: RunningStack) -> Self {
        let log = control::log_file(&found.folder).display().to_string();
        Self { endpoint: found.running.endpoint, status: found.status, log }
    }
}

impl One {
    fn write(&self, page: &mut Page) {
        let status = &self.status;
        let since = page.when(&status.started_at);
        let fields = [
            ("Local stack", "running".to_owned()),
            ("Endpoint", self.endpoint.clone()),
            ("Stack", status.stack.clone()),
            ("Data", status.data.clone()),
            ("Archive", status.archive.clone().unwrap_or_else(|| "none".to_owned())),
            ("Process", status.pid.to_string()),
            ("Started", since),
            ("Stream", format!("{} record(s) read", units::count(status.records))),
            ("Put aside", format!("{} record(s)", units::count(status.dead_letters))),
            ("Log", self.log.clone()),
        ];
        page.fields(0, fields);
    }
}

impl Report for LocalState {
    fn page(&self, page: &mut Page) {
        if self.stacks.is_empty() {
            page.line("Local stack: not running");
        }
        for (index, stack) in self.stacks.iter().enumerate() {
            if index > 0 {
                page.blank();
            }
            stack.write(page);
        }
    }
}

pub(super) async fn run(cx: &Context, out: &Output, which: WhichArgs) -> Result<(), CliError> {
    let stacks: Vec<One> = which.all(cx).await?.into_iter().map(One::from).collect();
    let one = if let [one] = stacks.as_slice() { Some(one.clone()) } else { None };
    let folder = control::stack_folder(&control::folder(), &cx.stack()?);
    let log = stacks.is_empty().then(|| control::log_file(&folder).display().to_string());
    out.show(&LocalState { running: !stacks.is_empty(), one, log, stacks })
}

#[derive(Serialize)]
struct Stopped {
    stopped: bool,
}

impl Report for Stopped {
    fn page(&self, page: &mut Page) {
        page.line(if self.stopped { "Local stack stopped." } else { "Local stack is not running." });
    }
}

pub(super) async fn down(cx: &Context, out: &Output, which: WhichArgs) -> Result<(), CliError> {
    let doing = "stop the local stack";
    let Some(RunningStack { running, status, .. }) = which.find(cx).await? else {
        return out.show(&Stopped { stopped: false });
    };
    running.stop().await.map_err(|error| CliError::failed(doing, error))?;
    for _ in 0..TRIES {
        if running.status().await.is_none() {
            return out.show(&Stopped { stopped: true });
        }
        tokio::time::sleep(POLL).await;
    }
    Err(CliError::problem(format!("The local stack does not stop: its process is {}", status.pid)))
}
