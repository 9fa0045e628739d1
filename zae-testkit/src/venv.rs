//! Python packages in virtual environments of their own, first of all the published one.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{LazyLock, OnceLock},
};

/// The release that the tests are about. Another one needs another look at the differences that `records` lists.
pub const VERSION: &str = "0.17.0";

/// The interpreter that has the published package, as [`Venv::interpreter`] has it.
pub fn interpreter() -> Option<PathBuf> {
    static PACKAGE: LazyLock<Venv> = LazyLock::new(|| {
        let packages = vec![format!("zae-limiter[lambda]=={VERSION}")];
        Venv::new(
            format!("interop-venv-lambda-{VERSION}"),
            packages,
            "zae_limiter",
            "INTEROP TESTS SKIPPED: nothing was tested against the published Python package.",
        )
    });
    PACKAGE.interpreter()
}

/// An environment that is made once and kept in the target directory.
#[derive(Debug)]
pub struct Venv {
    /// The folder's name. Other packages need another one.
    folder: String,
    packages: Vec<String>,
    /// Modules that can be imported when all went well, separated by commas.
    modules: &'static str,
    /// A description of what is not tested without it, for the notice.
    without: &'static str,
    found: OnceLock<Result<PathBuf, String>>,
}

impl Venv {
    pub fn new(folder: String, packages: Vec<String>, modules: &'static str, without: &'static str) -> Self {
        Self { folder, packages, modules, without, found: OnceLock::new() }
    }

    /// The interpreter that has the packages, or `None` after a notice that says why there is none.
    ///
    /// # Panics
    /// Instead of the notice, when `ZAE_REQUIRE_INTEROP` is set (to anything but 0).
    pub fn interpreter(&self) -> Option<PathBuf> {
        let required = std::env::var("ZAE_REQUIRE_INTEROP").is_ok_and(|value| !value.is_empty() && value != "0");
        let found = self.found.get_or_init(|| {
            let found = self.install();
            if let (Err(reason), false) = (&found, required) {
                notice(self.without, reason);
            }
            found
        });
        match found {
            Ok(path) => Some(path.clone()),
            Err(reason) if required => panic!("ZAE_REQUIRE_INTEROP is set, but: {reason}"),
            Err(_) => None,
        }
    }

    fn install(&self) -> Result<PathBuf, String> {
        let program = std::env::current_exe().map_err(|e| format!("this program's path is unknown: {e}"))?;
        // Tests and benchmarks are target/PROFILE/deps/NAME.
        let target = program.ancestors().nth(3).ok_or("this program is not in a target directory")?;
        let home = target.join(&self.folder);
        let lock =
            File::create(target.join(format!("{}.lock", self.folder))).map_err(|e| format!("{target:?}: {e}"))?;
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
        let pip =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2", "--timeout", "20"];
        run(Command::new(&python).args(pip).args(&self.packages))?;
        run(Command::new(&python).args(["-c", &format!("import {}", self.modules)]))?;
        fs::write(&stamp, self.packages.join("\n")).map_err(|e| format!("{stamp:?} cannot be written: {e}"))?;
        Ok(python)
    }
}

/// The test harness swallows what `eprintln!` prints in a test that passes; it does not swallow this.
fn notice(without: &str, reason: &str) {
    let bar = "!".repeat(100);
    let lines = [
        &bar,
        &format!("!!  {without}"),
        &format!("!!  The reason: {reason}"),
        "!!  Set ZAE_REQUIRE_INTEROP=1 to make this a failure, ZAE_PYTHON to name an interpreter (3.11 or newer).",
        &bar,
    ];
    let _ = writeln!(std::io::stderr().lock(), "\n{}\n", lines.join("\n"));
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
