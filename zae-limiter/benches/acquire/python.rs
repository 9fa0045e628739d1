//! The published Python package, measured by `driver.py`.

use std::{path::Path, time::Duration};

use serde_json::Value;

use zae_testkit::child;

/// The result of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Acquires per second.
    pub(crate) rate: f64,
    pub(crate) p99_ms: f64,
}

/// Makes it acquire for `time` with `tasks` concurrent tasks: `mode` is `hot` or `distinct`.
///
/// # Errors
/// The error output of the interpreter.
pub(crate) fn pace(interpreter: &Path, endpoint: &str, mode: &str, tasks: u64, time: Duration) -> Result<Pace, String> {
    let driver = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/acquire/driver.py"));
    let mut command = child::command(interpreter, driver, endpoint);
    let arguments = [mode.to_owned(), tasks.to_string(), time.as_secs_f64().to_string()];
    let output = command.args(arguments).output().map_err(|error| format!("Python does not start: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("Python failed: {}", text.lines().last().unwrap_or("without a word")));
    }
    let seen: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("Python's answer: {error}"))?;
    let number = |value: &Value| value.as_f64().ok_or_else(|| format!("Python answered {seen}"));
    Ok(Pace {
        rate: number(&seen["acquires"])? / number(&seen["seconds"])?,
        p99_ms: number(&seen["latencies_ms"]["p99"])?,
    })
}
