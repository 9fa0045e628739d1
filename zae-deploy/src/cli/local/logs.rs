//! `local logs`.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    time::Duration,
};

use clap::Args;

use super::{up::running, which::WhichArgs};
use crate::{
    cli::{
        CliError, Context,
        output::{Breaks, harmless, write_all},
    },
    local::control,
};

const POLL: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Follow the log while the stack runs
    #[arg(short, long)]
    follow: bool,
    /// Number of lines to show, counted from the end
    #[arg(long, default_value_t = 100, value_name = "LINES")]
    tail: usize,
    #[command(flatten)]
    which: WhichArgs,
}

impl Logs {
    pub(super) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let found = self.which.find(cx).await?;
        let is_running = found.is_some();
        let folder = match found {
            Some(found) => found.folder,
            // The log of a stopped stack contains the reason.
            None => control::stack_folder(&control::folder(), &cx.stack()?),
        };
        let path = control::log_file(&folder);
        let doing = "read the local stack's log";
        let Ok(text) = fs::read(&path) else {
            return Err(CliError::problem("There is no log of a local stack").next("`zae-deploy local up` starts one"));
        };
        let shown = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = shown.lines().collect();
        let last: String =
            lines[lines.len().saturating_sub(self.tail)..].iter().map(|line| format!("{line}\n")).collect();
        write_all(&harmless(&last, Breaks::Kept))?;
        if !self.follow || !is_running {
            return Ok(());
        }
        let mut file = File::open(&path).map_err(|error| CliError::failed(doing, error))?;
        file.seek(SeekFrom::Start(text.len() as u64)).map_err(|error| CliError::failed(doing, error))?;
        loop {
            let ended = running(&folder).await?.is_none();
            let mut more = Vec::new();
            file.read_to_end(&mut more).map_err(|error| CliError::failed(doing, error))?;
            write_all(&harmless(&String::from_utf8_lossy(&more), Breaks::Kept))?;
            if ended {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
