//! Finds, queries and stops a local stack that runs in another process.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use zae_limiter::StackName;

use super::private;

pub(super) const STATUS_PATH: &str = "/_zae/status";
pub(super) const STOP_PATH: &str = "/_zae/stop";
pub(super) const TOKEN_HEADER: &str = "x-zae-token";
/// Bounds the response time of a stack on this machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running stack, as described by its state file.
///
/// See the [module](crate::local) for an example.
#[derive(Clone, Serialize, Deserialize)]
pub struct Running {
    /// The address where it answers, for example `http://localhost:4566`.
    pub endpoint: String,
    /// Its port.
    pub port: u16,
    /// The token that is needed to stop it.
    pub(super) token: String,
}

impl fmt::Debug for Running {
    /// Omits the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The status of a running stack.
///
/// See the [module](crate::local) for an example.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// The stack's name.
    pub stack: String,
    /// Its process.
    pub pid: u32,
    /// The location of its data: a file, or `memory`.
    pub data: String,
    /// The folder of expired audit events.
    pub archive: Option<String>,
    /// Time of its start, `YYYY-MM-DDTHH:MM:SSZ`.
    pub started_at: String,
    /// Records that the aggregator has read.
    pub records: u64,
    /// Number of records that it could not process.
    pub dead_letters: u64,
}

/// Returns the folder of all local stacks' files: `ZAEL_LOCAL_DIR`, otherwise `zae/local` under `XDG_STATE_HOME` or
/// `~/.local/state`.
pub fn folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("ZAEL_LOCAL_DIR").unwrap_or_else(|| {
        let home = || std::env::home_dir().map(|home| home.join(".local").join("state"));
        set("XDG_STATE_HOME").or_else(home).unwrap_or_else(std::env::temp_dir).join("zae").join("local")
    })
}

/// Returns the folder of one stack's files, so that several stacks can run.
pub fn stack_folder(folder: &Path, stack: &StackName) -> PathBuf {
    folder.join(stack.as_str())
}

/// Returns the folders of all local stacks that were ever started, by name.
///
/// # Errors
/// If the folder cannot be read.
pub fn stack_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

/// Returns the log file of the stack's process.
pub fn log_file(folder: &Path) -> PathBuf {
    folder.join("local.log")
}

/// Returns the data file.
pub fn data_file(folder: &Path) -> PathBuf {
    folder.join("data.sqlite")
}

/// Returns the folder of expired audit events.
pub fn archive_folder(folder: &Path) -> PathBuf {
    folder.join("archive")
}

/// Creates the folder with access for the user only.
///
/// # Errors
/// If it cannot be created.
pub fn prepare(folder: &Path) -> io::Result<()> {
    private::folder(folder, &log_file(folder))
}

/// Opens an empty log with access for the user only.
///
/// # Errors
/// If it cannot be written.
pub fn new_log(folder: &Path) -> io::Result<fs::File> {
    prepare(folder)?;
    private::file(&log_file(folder), private::ExistingContent::Discard)
}

fn state_file(folder: &Path) -> PathBuf {
    folder.join("running.json")
}

impl Running {
    /// Returns the stack that was last started from this folder, which may have ended.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn find(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(state_file(folder)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        prepare(folder)?;
        // The token in it permits stopping the stack.
        private::write(&state_file(folder), &serde_json::to_vec(self)?)
    }

    /// Removes the state file.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn forget(folder: &Path) -> io::Result<()> {
        match fs::remove_file(state_file(folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the stack's status; `None` if it does not run.
    pub async fn status(&self) -> Option<Status> {
        let body = self.ask("GET", STATUS_PATH).await.ok()?;
        serde_json::from_str(&body).ok()
    }

    /// Requests the stack to stop, which takes effect soon afterwards.
    ///
    /// # Errors
    /// If it does not answer, or refuses.
    pub async fn stop(&self) -> io::Result<()> {
        self.ask("POST", STOP_PATH).await.map(drop)
    }

    async fn ask(&self, method: &str, path: &str) -> io::Result<String> {
        let Self { port, token, .. } = self;
        let asked = async {
            let mut connection = TcpStream::connect(("127.0.0.1", *port)).await?;
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{TOKEN_HEADER}: {token}\r\ncontent-length: \
                 0\r\nconnection: close\r\n\r\n"
            );
            connection.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            match answer.split_once("\r\n\r\n") {
                Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
                _ => Err(io::Error::other("something else answers there")),
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}
