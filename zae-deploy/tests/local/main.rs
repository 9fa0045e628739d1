//! `zae-deploy local …`: a whole stack on this machine, used as its users do.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use zae_limiter::{Cost, RateLimiter, Repository};
use zae_testkit::{snapshot, venv};

mod archive;
mod cloud;
mod commands;
mod quickstart;
mod refill;
mod strangers;

/// A local stack with a folder of its own, stopped with this value.
struct Stack {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

/// The result of a command.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn command(folder: &std::path::Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zae-deploy"));
    command
        .args(words)
        .env_clear()
        .env("HOME", folder)
        .env("USER", "ada")
        .env("ZAEL_LOCAL_DIR", folder.join("local"))
        .stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Stack {
    fn up(options: &[&str]) -> (Self, Ran) {
        Self::up_in(tempfile::tempdir().unwrap(), options)
    }

    fn up_in(folder: tempfile::TempDir, options: &[&str]) -> (Self, Ran) {
        let up = run(&mut command(folder.path(), &[&["local", "up", "--port", "0"], options].concat()));
        assert_eq!((up.code, up.stderr.as_str()), (0, ""), "{up:?}");
        let env = run(&mut command(folder.path(), &["local", "env", "--format", "direnv"]));
        let variable = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = env.stdout.lines().filter_map(variable).collect();
        (Self { folder, environment }, up)
    }

    /// Runs a command in the environment that `local env` prints.
    fn run(&self, words: &[&str]) -> Ran {
        run(command(self.folder.path(), words).envs(&self.environment))
    }

    /// Runs a command that must succeed.
    fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.stdout
    }

    fn endpoint(&self) -> &str {
        &self.environment["AWS_ENDPOINT_URL"]
    }

    /// An application's own client.
    fn client(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(self.config().build())
    }

    fn config(&self) -> aws_sdk_dynamodb::config::Builder {
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::from_static("us-east-1"))
            .credentials_provider(aws_sdk_dynamodb::config::Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(self.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
    }

    /// A repository as an application opens it, with its own client.
    async fn repository(&self) -> Repository {
        Self::repository_of(self.client()).await
    }

    async fn repository_of(client: aws_sdk_dynamodb::Client) -> Repository {
        Repository::builder().client(client).stack("limiter").config_cache_ttl(Duration::ZERO).build().await.unwrap()
    }

    /// Returns the output of `words` as JSON, once `is_there` accepts it.
    async fn until(&self, words: &[&str], is_there: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let found: Value = serde_json::from_str(&self.ok(&[words, &["--output", "json"]].concat())).unwrap();
            if is_there(&found) {
                return found;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{words:?}: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Creates a limiter that tolerates a busy machine.
fn patient(repository: Repository) -> RateLimiter {
    RateLimiter::builder(repository).deadline(Duration::from_secs(10)).build()
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = command(self.folder.path(), &["local", "down"]).output();
    }
}

const MANIFEST: &str = "\
namespace: default
resources:
  gpt-4:
    limits:
      rpm: { capacity: 5 }
";

/// Tests traffic, usage, limits as code and the audit trail after a single command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn end_to_end() {
    let (stack, up) = Stack::up(&[]);
    let ready = up.stdout.split(['(', ')']).nth(1).and_then(|ms| ms.strip_suffix(" ms")).unwrap().parse::<u64>();
    assert!(ready.unwrap() < 1_000, "{}", up.stdout);

    stack.ok(&["system", "set-defaults", "-l", "rpm:100", "-l", "tpm:10000"]);
    let limiter = patient(stack.repository().await);
    for _ in 0..20 {
        let lease = limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1).and("tpm", 50)).await.unwrap();
        lease.commit().await.unwrap();
    }
    // Usage appears without further action.
    let usage = ["usage", "summary", "-e", "key-1", "--window", "daily"];
    stack
        .until(&usage, |usage| usage["totals"]["rpm"]["total"] == 20 && usage["totals"]["tpm"]["total"] == 1_000)
        .await;
    let plot = stack.ok(&["usage", "list", "-e", "key-1", "-r", "gpt-4", "--window", "hourly", "--plot"]);
    assert!(plot.contains("Usage Plot: gpt-4") && plot.contains("RPM"), "{plot}");

    // Applied limits apply to the next request.
    let file = stack.folder.path().join("limits.yaml");
    std::fs::write(&file, MANIFEST).unwrap();
    let file = file.to_str().unwrap();
    assert!(stack.ok(&["limits", "apply", "-f", file]).contains("Applied: 1 created"));
    let refused = limiter.acquire("key-2", "gpt-4", Cost::of("rpm", 6)).await.unwrap_err();
    assert!(matches!(refused, zae_limiter::AcquireError::NeverFits(_)), "{refused}");
    assert!(limiter.acquire("key-2", "gpt-4", Cost::of("rpm", 5)).await.is_ok());

    // A manual change is found, with its author.
    stack.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:7", "--principal", "mallory@example.com"]);
    let diff = stack.run(&["limits", "diff", "-f", file, "--detailed-exitcode"]);
    assert_eq!(diff.code, 2);
    assert!(diff.stdout.contains("~ rpm.capacity: 7 stored, 5 in the file"), "{}", diff.stdout);
    let audit = stack.ok(&["audit", "list", "-e", "$RESOURCE:gpt-4", "--output", "json"]);
    assert!(audit.contains("mallory@example.com") && audit.contains("user/ada"), "{audit}");
    limiter.shutdown().await;

    let status: Value = serde_json::from_str(&stack.ok(&["local", "status", "--output", "json"])).unwrap();
    assert_eq!((&status["running"], &status["dead_letters"]), (&true.into(), &0.into()));
    let log = stack.ok(&["local", "logs"]);
    assert!(log.contains("batch aggregated"), "{log}");
}

/// Compares the output with snapshots, except for parts that differ between runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_shows() {
    let (stack, up) = Stack::up(&[]);
    let compare = |name: &str, text: &str| {
        let text = text.replace(stack.endpoint(), "http://localhost:PORT");
        let text = text.replace(&*stack.folder.path().to_string_lossy(), "/home/ada");
        let text = snapshot::without(&text, &["Process:", "\"pid\":", "http://localhost:PORT (", "ready_after_ms\":"]);
        snapshot::compare(name, &snapshot::normal(&text, &BTreeSet::new()));
    };
    compare("local-up.txt", &up.stdout);
    compare("local-env.txt", &stack.ok(&["local", "env"]));
    for (name, command) in [("local-up-again", "up"), ("local-status", "status"), ("local-down", "down")] {
        compare(&format!("{name}.txt"), &stack.ok(&["local", command]));
        if command == "down" {
            let up = run(&mut self::command(stack.folder.path(), &["local", "up", "--port", "0"]));
            assert_eq!(up.code, 0, "{up:?}");
        }
        compare(&format!("{name}.json"), &stack.ok(&["local", command, "--output", "json"]));
    }
    for (name, command) in [("local-status-none", "status"), ("local-down-none", "down")] {
        compare(&format!("{name}.txt"), &stack.ok(&["local", command]));
        compare(&format!("{name}.json"), &stack.ok(&["local", command, "--output", "json"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_started_once_and_stopped_once() {
    let (stack, _) = Stack::up(&["--name", "my-stack"]);
    assert_eq!(stack.environment["ZAEL_STACK"], "my-stack");
    assert!(stack.ok(&["local", "up"]).starts_with("Local stack is already running at"));
    assert!(stack.ok(&["local", "status"]).starts_with("Local stack: running\n"));
    assert!(stack.ok(&["local", "env"]).contains("export AWS_ACCESS_KEY_ID=test\n"));
    assert!(stack.ok(&["local", "env", "-f", "PowerShell"]).contains("$env:AWS_DEFAULT_REGION = \"us-east-1\"\n"));
    assert_eq!(stack.ok(&["local", "down"]), "Local stack stopped.\n");
    assert_eq!(stack.ok(&["local", "down"]), "Local stack is not running.\n");
    assert_eq!(stack.ok(&["local", "status"]), "Local stack: not running\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_run_beside_each_other_and_are_told_apart() {
    let (stack, _) = Stack::up(&[]);
    let at = |words: &[&str]| run(&mut command(stack.folder.path(), &[&["local"][..], words].concat()));
    let port = stack.endpoint().rsplit_once(':').unwrap().1.to_owned();

    // A port that is taken is reported.
    let taken = at(&["up", "--name", "other", "--port", &port]);
    assert_eq!(taken.code, 1, "{taken:?}");
    assert!(taken.stderr.contains(&format!("Port {port} is that of the local stack limiter at")), "{taken:?}");
    let elsewhere = at(&["up", "--port", "5621"]);
    assert_eq!(elsewhere.code, 1, "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("already running at") && elsewhere.stderr.contains("not on port 5621"));

    let other = at(&["up", "--name", "other", "--port", "0"]);
    assert!(other.stdout.contains("eval \"$(zae-deploy local env --name other)\""), "{other:?}");
    let ambiguous = at(&["env"]);
    assert_eq!((ambiguous.code, ambiguous.stdout.as_str()), (1, ""), "{ambiguous:?}");
    assert!(ambiguous.stderr.contains("\n  - limiter at ") && ambiguous.stderr.contains("\n  - other at "));
    assert!(at(&["env", "--name", "other"]).stdout.contains("export ZAEL_STACK=other\n"));
    assert!(at(&["env", "--port", &port]).stdout.contains("export ZAEL_STACK=limiter\n"));
    let status: Value = serde_json::from_str(&at(&["status", "--output", "json"]).stdout).unwrap();
    let names: Vec<&str> =
        status["stacks"].as_array().unwrap().iter().map(|it| it["stack"].as_str().unwrap()).collect();
    assert_eq!(names, ["limiter", "other"]);

    assert_eq!(at(&["down", "--name", "other"]).stdout, "Local stack stopped.\n");
    assert!(at(&["env"]).stdout.contains("export ZAEL_STACK=limiter\n"), "one that runs needs no name");
    at(&["down"]);
    // Empty settings would break every later command.
    for words in [&["env"][..], &["env", "--port", "4566"]] {
        let none = at(words);
        assert_eq!((none.code, none.stdout.as_str()), (1, ""), "{none:?}");
        assert!(none.stderr.contains("No local stack is running") && none.stderr.contains("local up"), "{none:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_is_kept_on_request() {
    let (stack, _) = Stack::up(&["--keep"]);
    stack.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:7"]);
    stack.ok(&["local", "down"]);
    let folder = std::mem::replace(&mut { stack }.folder, tempfile::tempdir().unwrap());
    let (stack, up) = Stack::up_in(folder, &["--keep"]);
    assert!(up.stdout.contains("data.sqlite"), "{}", up.stdout);
    assert!(stack.ok(&["resource", "get-defaults", "gpt-4"]).contains("rpm: 7/min"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_an_error_that_says_so() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let up = run(&mut command(folder.path(), &["local", "up", "--port", &port]));
    assert_eq!(up.code, 1);
    assert!(up.stderr.contains(&format!("port {port} cannot be used")), "{}", up.stderr);
}

/// Uses the published Python package on the same endpoint: it acquires, and its consumption is aggregated, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_package_can_use_it() {
    let python = tokio::task::spawn_blocking(venv::interpreter).await;
    let python = python.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let Some(python) = python else { return };
    let (stack, _) = Stack::up(&[]);
    stack.ok(&["system", "set-defaults", "-l", "rpm:100"]);
    let program = "\
import asyncio
from zae_limiter import RateLimiter, Repository
async def main():
    repository = await Repository.open(stack='limiter', endpoint_url='ENDPOINT')
    limiter = RateLimiter(repository=repository)
    for _ in range(3):
        async with limiter.acquire(entity_id='key-py', resource='gpt-4', consume={'rpm': 1}):
            pass
    await repository.close()
asyncio.run(main())
";
    let mut command = Command::new(python);
    command.args(["-W", "ignore", "-c", &program.replace("ENDPOINT", stack.endpoint())]).envs(&stack.environment);
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("NO_PROXY", "localhost,127.0.0.1");
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    stack.until(&["usage", "summary", "-e", "key-py"], |usage| usage["totals"]["rpm"]["total"] == 3).await;
}
