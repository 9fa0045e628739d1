//! The published package in a virtual environment of its own.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The release that the tests are about. Another one needs another look at the differences that `records` lists.
pub(crate) const VERSION: &str = "0.17.0";

/// The interpreter that has the package, or `None` after a notice that says why there is none.
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
        "!!  INTEROP TESTS SKIPPED: nothing was tested against the published Python package.",
        &format!("!!  The reason: {reason}"),
        "!!  Set ZAE_REQUIRE_INTEROP=1 to make this a failure, ZAE_PYTHON to name an interpreter (3.11 or newer).",
        &bar,
    ];
    let _ = writeln!(std::io::stderr().lock(), "\n{}\n", lines.join("\n"));
}

fn install() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("the target directory has no parent")?;
    let home = target.join(format!("interop-venv-lambda-{VERSION}"));
    let lock = File::create(target.join(format!("interop-venv-lambda-{VERSION}.lock")))
        .map_err(|e| format!("{target:?}: {e}"))?;
    // Other test processes wait here until the first has installed everything.
    lock.lock().map_err(|e| format!("the lock of {home:?} cannot be taken: {e}"))?;
    let stamp = home.join("complete");
    let python = if cfg!(windows) { home.join("Scripts/python.exe") } else { home.join("bin/python") };
    if stamp.exists() && is_new_enough(&python) {
        return Ok(python);
    }
    if home.exists() {
        fs::remove_dir_all(&home).map_err(|e| format!("the unfinished {home:?} cannot be removed: {e}"))?;
    }
    let base = base_interpreter()?;
    run(Command::new(base).args(["-m", "venv"]).arg(&home))?;
    let package = format!("zae-limiter[lambda]=={VERSION}");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2", "--timeout", "20"];
    run(Command::new(&python).args(pip).arg(package))?;
    run(Command::new(&python).args(["-c", "import zae_limiter"]))?;
    fs::write(&stamp, VERSION).map_err(|e| format!("{stamp:?} cannot be written: {e}"))?;
    Ok(python)
}

fn base_interpreter() -> Result<PathBuf, String> {
    let named = std::env::var_os("ZAE_PYTHON").map(PathBuf::from);
    let usual = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"].map(PathBuf::from);
    let mut candidates = named.into_iter().chain(usual);
    candidates.find(|candidate| is_new_enough(candidate)).ok_or_else(|| "there is no Python 3.11 or newer".to_owned())
}

fn is_new_enough(python: &Path) -> bool {
    let check = "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)";
    let status = Command::new(python).args(["-c", check]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
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
