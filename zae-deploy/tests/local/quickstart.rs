//! The quickstart's server on a local stack, inspected and changed by the command line.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Stack;

/// The server, stopped with this value.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts it, if the workspace's programs were built.
    fn start(stack: &Stack) -> Option<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_zae-deploy")).with_file_name("quickstart");
        if !program.exists() {
            eprintln!("SKIPPED: {} is not there; `cargo test --workspace` builds it", program.display());
            return None;
        }
        let mut command = Command::new(program);
        command.env_clear().envs(&stack.environment).env("ZAE_LISTEN", "127.0.0.1:0").stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some(rest) = line.strip_prefix("Listening on http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        // A process that prints into an unread pipe blocks.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, address })
    }

    /// Returns the status, and the headers in lower case.
    fn get(&self) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase())
    }

    /// Repeats the request until the headers contain `text`. A refusal is repeated from memory for a second.
    fn until(&self, text: &str) {
        let started = Instant::now();
        loop {
            let (_, headers) = self.get();
            if headers.contains(text) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(5), "{headers}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const MANIFEST: &str = "\
namespace: default
entities:
  ip:127.0.0.1:
    resources:
      quickstart:
        limits:
          rpm: { capacity: 50 }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_traffic_is_seen_and_its_limits_are_changed() {
    let (stack, _) = Stack::up(&[]);
    let Some(server) = Server::start(&stack) else { return };
    let statuses: Vec<u16> = (0..6).map(|_| server.get().0).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);

    let usage = ["usage", "summary", "-e", "ip:127.0.0.1", "-r", "quickstart"];
    stack.until(&usage, |usage| usage["totals"]["rpm"]["total"] == 5).await;
    let plot = stack.ok(&["usage", "list", "-e", "ip:127.0.0.1", "-r", "quickstart", "--plot"]);
    assert!(plot.contains("Usage Plot: quickstart") && plot.contains("RPM"), "{plot}");

    // Requests have the new limit, although the server caches the configuration for a minute.
    let file = stack.folder.path().join("limits.yaml");
    std::fs::write(&file, MANIFEST).unwrap();
    let file = file.to_str().unwrap();
    stack.ok(&["limits", "apply", "-f", file]);
    server.until("\"rpm\";q=50;w=60");

    let by_hand = ["entity", "set-limits", "ip:127.0.0.1", "-r", "quickstart", "-l", "rpm:7"];
    stack.ok(&[&by_hand[..], &["--principal", "mallory@example.com"]].concat());
    let diff = stack.run(&["limits", "diff", "-f", file, "--detailed-exitcode"]);
    assert_eq!(diff.code, 2, "{diff:?}");
    assert!(diff.stdout.contains("~ rpm.capacity: 7 stored, 50 in the file"), "{}", diff.stdout);
    server.until("\"rpm\";q=7;w=60");
    let audit = stack.ok(&["audit", "list", "-e", "ip:127.0.0.1", "--output", "json"]);
    assert!(audit.contains("mallory@example.com") && audit.contains("user/ada"), "{audit}");
}
