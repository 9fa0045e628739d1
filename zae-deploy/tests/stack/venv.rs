//! Python packages in a virtual environment of their own.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

const PACKAGES: [&str; 3] = ["moto[server]==5.2.*", "cfn-lint==1.58.*", "zae-limiter==0.17.0"];
/// Another list of packages needs another environment.
const EDITION: &str = "1";

/// The interpreter that has the packages, or `None` after a notice that says why there is none.
///
/// # Panics
/// Instead of the notice, when `ZAE_REQUIRE_INTEROP` is set (to anything but 0).
pub(crate) fn interpreter() -> Option<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let required = std::env::var("ZAE_REQUIRE_INTEROP").is_ok_and(|value| !value.is_empty() && value != "0");
    let found = FOUND.get_or_init(|| {
        let found = install();
        if let (Err(reason), false) = (&found, required) {
            notice(reason);
        }
        found
    });
    match found {
        Ok(path) => Some(path.clone()),
        Err(reason) if required => panic!("ZAE_REQUIRE_INTEROP is set, but: {reason}"),
        Err(_) => None,
    }
}

/// The test harness swallows what `eprintln!` prints in a test that passes; it does not swallow this.
fn notice(reason: &str) {
    let bar = "!".repeat(100);
    let lines = [
        &bar,
        "!!  STACK TESTS SKIPPED: nothing was tested against moto, cfn-lint and the published Python package.",
        &format!("!!  The reason: {reason}"),
        "!!  Set ZAE_REQUIRE_INTEROP=1 to make this a failure, ZAE_PYTHON to name an interpreter (3.11 or newer).",
        &bar,
    ];
    let _ = writeln!(std::io::stderr().lock(), "\n{}\n", lines.join("\n"));
}

fn install() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("the target directory has no parent")?;
    let home = target.join(format!("stack-venv-{EDITION}"));
    let lock = target.join(format!("stack-venv-{EDITION}.lock"));
    let lock = File::create(&lock).map_err(|e| format!("{lock:?}: {e}"))?;
    // Other test processes wait here until the first has installed everything.
    lock.lock().map_err(|e| format!("the lock of {home:?} cannot be taken: {e}"))?;
    let stamp = home.join("complete");
    let python = home.join("bin/python");
    if stamp.exists() {
        return Ok(python);
    }
    if home.exists() {
        fs::remove_dir_all(&home).map_err(|e| format!("the unfinished {home:?} cannot be removed: {e}"))?;
    }
    let base = std::env::var_os("ZAE_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    run(Command::new(base).args(["-m", "venv"]).arg(&home))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2", "--timeout", "20"];
    run(Command::new(&python).args(pip).args(PACKAGES))?;
    run(Command::new(&python).args(["-c", "import moto.server, zae_limiter"]))?;
    fs::write(&stamp, EDITION).map_err(|e| format!("{stamp:?} cannot be written: {e}"))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?} did not start: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let last: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    Err(format!("{command:?} failed: {}", last.into_iter().rev().collect::<Vec<_>>().join(" / ")))
}
