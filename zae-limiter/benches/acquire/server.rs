//! The store in a process of its own: this program, started again.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, Stdio},
};

use tokio::net::TcpListener;
use zae_limiter::{EmbeddedStore, StackName};

const ASKED: &str = "ZAE_BENCH_SERVER";

/// A store in memory served over loopback HTTP. It ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) endpoint: String,
    process: Child,
    /// Keeps the server alive while it is open.
    _life: ChildStdin,
}

impl Server {
    pub(crate) fn start() -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        let mut process =
            command.env(ASKED, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
        let life = process.stdin.take().expect("stdin is piped");
        let mut endpoint = String::new();
        BufReader::new(process.stdout.take().expect("stdout is piped")).read_line(&mut endpoint).expect("its address");
        Self { endpoint: endpoint.trim().to_owned(), process, _life: life }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns true if this process should be the server.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(ASKED).is_some()
}

/// Serves until the parent process closes its end.
pub(crate) fn run() {
    // One worker: a remote store would not compete with its clients for cores.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let store = EmbeddedStore::memory().expect("a store in memory");
        // Without a stream, which has no reader and which the store would scan at every write.
        let stack = StackName::new("limiter").expect("a valid name");
        store.create_table(&stack).await.expect("a table");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        println!("http://{}", listener.local_addr().expect("its address"));
        let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        store.serve(listener, async move { drop(closed.await) }).await.expect("a server");
    });
}
