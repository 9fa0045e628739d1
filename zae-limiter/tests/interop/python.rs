//! The Python package as a child process that answers JSON lines.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex, OnceCell},
};

/// Longer than anything a healthy child is asked to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A `driver.py`, which is started with the first call and ends with this value.
#[derive(Debug)]
pub(crate) struct Python {
    interpreter: PathBuf,
    endpoint: String,
    running: OnceCell<Mutex<Running>>,
}

#[derive(Debug)]
struct Running {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Python {
    /// The driver against the DynamoDB at `endpoint`.
    pub(crate) fn new(interpreter: PathBuf, endpoint: String) -> Self {
        Self { interpreter, endpoint, running: OnceCell::new() }
    }

    /// Sends one request and waits for its answer.
    pub(crate) async fn ask(&self, request: &Value) -> Value {
        let mut running = self.running.get_or_init(async || Mutex::new(self.start())).await.lock().await;
        running.input.write_all(format!("{request}\n").as_bytes()).await.expect("the driver reads");
        let line = tokio::time::timeout(PATIENCE, running.output.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("no answer in {PATIENCE:?} to {request}"));
        let line = line.expect("the driver writes UTF-8").unwrap_or_else(|| panic!("the driver ended at {request}"));
        serde_json::from_str(&line).expect("the driver writes JSON")
    }

    fn start(&self) -> Running {
        let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/driver.py");
        let mut child = Command::new(&self.interpreter)
            .args(["-W", "ignore", driver])
            // Nothing of the machine's own AWS set-up may be used, least of all its credentials.
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_ENDPOINT_URL")
            .env("AWS_CONFIG_FILE", "/nonexistent")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .env("AWS_ACCESS_KEY_ID", "embedded")
            .env("AWS_SECRET_ACCESS_KEY", "embedded")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // A call without a principal asks STS who it is; that must not leave this machine.
            .env("AWS_ENDPOINT_URL_STS", &self.endpoint)
            .env("NO_PROXY", "127.0.0.1")
            .env("ZAE_DRIVER_ENDPOINT", &self.endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the interpreter starts");
        let input = child.stdin.take().expect("stdin is piped");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Running { input, output, _child: child }
    }
}
