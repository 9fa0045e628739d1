//! The Python package as a child process that answers JSON lines.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex, OnceCell},
};

use zae_testkit::{child, store::endpoint::Endpoint};

/// Longer than anything a healthy child is asked to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A `driver.py`, which is started with the first call and ends with this value.
#[derive(Debug)]
pub(crate) struct Python {
    interpreter: PathBuf,
    endpoint: Endpoint,
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
    pub(crate) fn new(interpreter: PathBuf, endpoint: Endpoint) -> Self {
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
        let driver = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/driver.py"));
        let mut child = Command::from(child::command(&self.interpreter, driver, &self.endpoint.url))
            .envs(self.endpoint.environment())
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
