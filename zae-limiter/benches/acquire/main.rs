//! The cost of acquires, beside its bounds: `cargo bench -p zae-limiter --bench acquire` (`docs/benchmarks.md`).
//!
//! Prints one table, writes it as JSON to `acquire.json` in the target directory, and fails if a bound is missed.
//! Counts are exact and come from driven time; times are ratios of measurements side by side in this run. `-- --smoke`,
//! and `cargo test --benches`, run everything briefly and ignore bounds that depend on the machine. Other arguments
//! select rows by part of their name.

mod bare;
mod counted;
mod grants;
mod http;
mod lane;
mod memory;
mod python;
mod recorder;
mod rss;
mod server;
mod stages;
mod table;

use std::process::ExitCode;

use mimalloc::MiMalloc;
use table::{Row, Table};

/// The allocator that servers with many connections use; its own overhead counts as memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The duration of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    Full,
    /// Enough to check that everything runs.
    Smoke,
}

impl Effort {
    /// Returns `full`, or in a smoke run a number that is just enough to see that it works.
    fn of<T>(self, full: T, smoke: T) -> T {
        match self {
            Self::Full => full,
            Self::Smoke => smoke,
        }
    }
}

/// A part of the table, with the name that selects it.
type Part = (&'static str, fn(Effort) -> Vec<Row>);

const PARTS: [Part; 5] = [
    ("counts", counted::rows),
    ("grants", grants::rows),
    ("lane", lane::rows),
    ("memory", memory::rows),
    ("http", http::rows),
];

fn main() -> ExitCode {
    if server::is_asked_for() {
        server::run();
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // Cargo only passes this to benchmarks that are to be measured.
    let effort = if has("--bench") && !has("--smoke") { Effort::Full } else { Effort::Smoke };
    let chosen: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut table = Table::default();
    for (name, rows) in PARTS {
        if chosen.is_empty() || chosen.iter().any(|part| name.contains(part.as_str())) {
            eprintln!("measuring: {name}");
            table.extend(rows(effort));
        }
    }
    print!("{table}");
    match table.save() {
        Ok(path) => println!("\nwritten to {}", path.display()),
        Err(error) => {
            eprintln!("the table could not be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    if table.misses(effort) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Creates a runtime with a server's number of threads.
fn threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Returns the median.
fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
