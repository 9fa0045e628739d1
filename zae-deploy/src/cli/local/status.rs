//! `local status` and `local down`.

use std::time::Duration;

use serde::Serialize;

use super::up::running;
use crate::{
    cli::{
        CliError,
        output::{Output, Page, Report, units},
    },
    local::control::{self, Running, Status},
};

/// How long stopping may take.
const TRIES: u32 = 100;
const POLL: Duration = Duration::from_millis(50);

#[derive(Serialize)]
struct State {
    running: bool,
    endpoint: Option<String>,
    #[serde(flatten)]
    status: Option<Status>,
    log: String,
}

impl Report for State {
    fn page(&self, page: &mut Page) {
        let (Some(status), Some(endpoint)) = (&self.status, &self.endpoint) else {
            page.line("Local stack: not running");
            return;
        };
        let since = page.when(&status.started_at);
        let fields = [
            ("Local stack", "running".to_owned()),
            ("Endpoint", endpoint.clone()),
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

pub(super) async fn run(out: &Output) -> Result<(), CliError> {
    let folder = control::folder();
    let found = running(&folder).await?;
    let (endpoint, status) = found.map(|(running, status)| (running.endpoint, status)).unzip();
    let log = control::log_file(&folder).display().to_string();
    out.show(&State { running: status.is_some(), endpoint, status, log })
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

pub(super) async fn down(out: &Output) -> Result<(), CliError> {
    let folder = control::folder();
    let doing = "stop the local stack";
    let Some((stack, status)) = running(&folder).await? else {
        Running::forget(&folder).map_err(|error| CliError::failed(doing, error))?;
        return out.show(&Stopped { stopped: false });
    };
    stack.stop().await.map_err(|error| CliError::failed(doing, error))?;
    for _ in 0..TRIES {
        if stack.status().await.is_none() {
            return out.show(&Stopped { stopped: true });
        }
        tokio::time::sleep(POLL).await;
    }
    Err(CliError::problem(format!("The local stack does not stop: its process is {}", status.pid)))
}
