//! `local up`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;
use zae_limiter::name::DEFAULT_STACK;

use super::{environment::variables, which};
use crate::{
    cli::{
        CliError, Context,
        output::{Output, Page, Report},
    },
    local::{
        DEFAULT_PORT, Data, Local, Options,
        control::{self, Running, Status},
    },
};

/// Bounds the start-up time.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// Number of log lines that are shown if it did not start.
const SHOWN: usize = 10;

#[derive(Args, Debug)]
pub(crate) struct Up {
    /// The port, on this machine only; 0 for any free one [default: 4566]
    #[arg(long)]
    port: Option<u16>,
    /// Keep the data in a file until the next start
    #[arg(long)]
    keep: bool,
    /// The folder for expired audit events [default: archive, beside kept data]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    archive: Option<PathBuf>,
    /// Stay in the foreground until Ctrl-C
    #[arg(long)]
    foreground: bool,
}

#[derive(Serialize)]
struct StartedStack {
    endpoint: String,
    already_running: bool,
    ready_after_ms: Option<u64>,
    #[serde(flatten)]
    status: Status,
    #[serde(skip)]
    hint: String,
}

impl Report for StartedStack {
    fn page(&self, page: &mut Page) {
        match self.ready_after_ms {
            None => page.line(format!("Local stack is already running at {}", self.endpoint)),
            Some(ms) => page.done(&format!("Local stack is ready at {} ({ms} ms)", self.endpoint)),
        }
        let (stack, data) = (self.status.stack.clone(), self.status.data.clone());
        page.fields(2, [("Stack", stack), ("Data", data)]);
        page.blank();
        page.line("To configure your shell:");
        self.hint.lines().for_each(|line| page.line(line));
    }
}

impl Up {
    pub(super) async fn run(self, cx: &Context, out: &Output) -> Result<(), CliError> {
        let stack = cx.stack()?;
        let folder = control::stack_folder(&control::folder(), &stack);
        if let Some((running, status)) = running(&folder).await? {
            self.same(cx, &running, &status)?;
            return out.show(&started(running, status, None));
        }
        let port = self.port();
        if let Some(other) = which::running().await?.iter().find(|other| port != 0 && other.running.port == port) {
            let other = which::shown(other);
            return Err(CliError::problem(format!("Port {port} is that of the local stack {other}"))
                .next(format!("`zae-deploy local up --name {stack} --port 0` takes any that is free")));
        }
        if self.foreground { self.foreground(cx, &folder).await } else { self.background(cx, out, &folder).await }
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// Fails unless the running stack is the requested one.
    fn same(&self, cx: &Context, running: &Running, status: &Status) -> Result<(), CliError> {
        let Running { endpoint, port, .. } = running;
        let other = match self.port {
            Some(asked) if asked != 0 && asked != *port => format!("not on port {asked}"),
            _ if self.keep && status.data == "memory" => "and does not keep its data".to_owned(),
            _ => return Ok(()),
        };
        let problem = format!("Local stack '{}' is already running at {endpoint}, {other}", status.stack);
        Err(CliError::problem(problem)
            .next(format!("{} stops it", cx.command("local down")))
            .next("`zae-deploy local up --name <STACK> --port 0` starts another one beside it"))
    }

    async fn foreground(&self, cx: &Context, folder: &Path) -> Result<(), CliError> {
        control::prepare(folder).map_err(|error| CliError::failed("make the local stack's folder", error))?;
        let data = if self.keep { Data::File(control::data_file(folder)) } else { Data::Memory };
        let options = Options::default().port(self.port()).stack(cx.stack()?).data(data);
        let options = options.archive(self.archive(folder)?);
        let mut local =
            Local::start(options).await.map_err(|error| CliError::failed("start the local stack", error))?;
        local.announce(folder).map_err(|error| CliError::failed("write the local stack's file", error))?;
        println!("Local stack is ready at {}", local.endpoint());
        tokio::select! {
            () = local.stopped() => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(|error| CliError::failed("wait for Ctrl-C", error))?;
                local.stop().await;
            }
        }
        Running::forget(folder).map_err(|error| CliError::failed("remove the local stack's file", error))?;
        println!("Local stack stopped");
        Ok(())
    }

    fn archive(&self, folder: &Path) -> Result<PathBuf, CliError> {
        let chosen = self.archive.clone().unwrap_or_else(|| control::archive_folder(folder));
        std::path::absolute(chosen).map_err(|error| CliError::failed("find the archive's folder", error))
    }

    /// Starts this program again in the background.
    async fn background(&self, cx: &Context, out: &Output, folder: &Path) -> Result<(), CliError> {
        let doing = "start the local stack";
        let start = Instant::now();
        let log = control::log_file(folder);
        let open = || -> std::io::Result<(File, File)> {
            let file = control::new_log(folder)?;
            Running::forget(folder)?;
            Ok((file.try_clone()?, file))
        };
        let (stdout, stderr) = open().map_err(|error| CliError::failed(doing, error))?;
        let program = std::env::current_exe().map_err(|error| CliError::failed(doing, error))?;
        let mut command = Command::new(program);
        command
            .args(["local", "up", "--foreground", "--color", "never", "--port", &self.port().to_string()])
            .args(["--name", cx.stack()?.as_str()])
            .args(self.keep.then_some("--keep"))
            .arg("--archive")
            .arg(self.archive(folder)?)
            .env_remove("ZAEL_OUTPUT")
            .env("RUST_LOG", "info,aws_config=warn,aws_smithy_runtime=warn,hyper=warn,dynoxide=error")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        // Protects it from keys typed into this terminal, above all Ctrl-C.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| CliError::failed(doing, error))?;
        while start.elapsed() < PATIENCE {
            if let Some((running, status)) = running(folder).await? {
                let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                return out.show(&started(running, status, Some(ms)));
            }
            if child.try_wait().map_err(|error| CliError::failed(doing, error))?.is_some() {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        Err(CliError::problem(format!("The local stack did not start:\n{end}"))
            .next(format!("its log is {}", log.display())))
    }
}

/// Returns the running stack, if there is one.
pub(super) async fn running(folder: &Path) -> Result<Option<(Running, Status)>, CliError> {
    let found = Running::find(folder).map_err(|error| CliError::failed("read the local stack's file", error))?;
    let Some(running) = found else { return Ok(None) };
    Ok(running.status().await.map(|status| (running, status)))
}

fn started(running: Running, status: Status, ready_after_ms: Option<u64>) -> StartedStack {
    let hint = variables(&running.endpoint, &status.stack);
    let hint: Vec<String> = hint.iter().map(|(name, value)| format!("  export {name}={value}")).collect();
    let named = if status.stack == DEFAULT_STACK { String::new() } else { format!(" --name {}", status.stack) };
    let hint = format!("  eval \"$(zae-deploy local env{named})\"\n\nwhich is\n{}", hint.join("\n"));
    StartedStack { endpoint: running.endpoint, already_running: ready_after_ms.is_none(), ready_after_ms, status, hint }
}
