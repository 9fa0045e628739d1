//! `top` on a terminal, and its `--once` output for scripts.

use std::process::{Command, Stdio};

use serde_json::Value;
use zae_limiter::{Cost, RateLimiter};

use crate::stage::{STACK, Stage, binary};

/// Runs a command on a terminal of 60 columns: sends `KEYS` one by one, and prints its output.
const DRIVE: &str = "
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 12, 60, 0, 0))
out = b''
def read_until(text, seconds=20):
    global out
    end = time.time() + seconds
    while text not in out and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                out += os.read(fd, 65536)
            except OSError:
                return
read_until(b'2 limits of 2 buckets')
for key, sign in zip(sys.argv[1], (b'by rate', b'filter: _', b'filter: 2_', b'only *2*', b'Rate per s', b'1049l')):
    os.write(fd, key.encode())
    read_until(sign)
os.write(1, out)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

fn used(stage: &Stage) {
    let repository = stage.repository("default");
    stage.ok(&["system", "set-defaults", "-l", "rpm:100"]);
    stage.runtime.block_on(async {
        let limiter = RateLimiter::new(repository);
        for (entity, tokens) in [("user-1", 10), ("user-2", 90)] {
            let lease = limiter.acquire(entity, "gpt-4", Cost::of("rpm", tokens)).await.unwrap();
            lease.commit().await.unwrap();
        }
        limiter.shutdown().await;
    });
}

#[test]
fn one_look_lists_the_emptiest_first_and_says_what_it_costs() {
    let stage = Stage::deployed();
    used(&stage);
    for args in [&["top", "--once"][..], &["bucket", "list"]] {
        let look: Value = stage.json(args);
        let rows = look["rows"].as_array().unwrap();
        let entities: Vec<&str> = rows.iter().map(|row| row["entity_id"].as_str().unwrap()).collect();
        assert_eq!(entities, ["user-2", "user-1"], "{look}");
        assert_eq!((&look["buckets"], &look["omitted"]), (&2.into(), &0.into()));
        assert!(look["read_units"].as_f64().unwrap() >= 1.0);
    }
    let narrowed = stage.json(&["bucket", "list", "--resource", "gpt-4", "--filter", "user-1", "--limit", "1"]);
    assert_eq!(narrowed["rows"].as_array().map(Vec::len), Some(1));
    assert!(stage.ok(&["bucket", "list", "--sort", "name"]).contains("| user-1 | gpt-4    | rpm   |"));
}

#[test]
fn on_a_terminal_keys_sort_filter_open_and_quit() {
    let stage = Stage::deployed();
    used(&stage);
    let top = binary();
    let mut command = Command::new("python3");
    command.args(["-c", DRIVE, "s/2\r\rq"]).arg(top.get_program());
    command.args(["top", "--name", STACK, "--color", "never", "--interval", "1", "--endpoint-url", &stage.endpoint]);
    command.env_clear().envs(top.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for shown in ["by used", "by rate", "only *2*", "Entity         user-2", "\u{1b}[?1049h", "\u{1b}[?1049l"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("\u{1b}[31m"), "no colour was asked for");
}

#[test]
fn without_a_terminal_only_one_look_is_possible() {
    let stage = Stage::deployed();
    let ran = stage.run(&["top"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--once"), "{}", ran.stderr);
}
