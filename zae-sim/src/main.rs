//! `zae-sim`: runs schedules, traces one, and minimises one.

use std::{
    fs,
    io::{IsTerminal, Write, stderr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use zae_sim::{fleet::Fleet, minimise::minimise, play::play, schedule::Schedule, schedule::generate::generate, trace};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A deterministic simulation of the limiter.
#[derive(Parser)]
#[command(name = "zae-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run schedules and check each; exits with 1 if one shows a violation.
    Run {
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// The number of schedules.
        #[arg(long, default_value_t = 1_000)]
        schedules: u64,
        /// The number of threads; all cores by default.
        #[arg(long)]
        jobs: Option<usize>,
        /// Maximum number of violations to print.
        #[arg(long, default_value_t = 20)]
        show: u64,
        /// Stop at the first violation.
        #[arg(long)]
        first: bool,
    },
    /// Print the whole history of one schedule.
    Trace {
        #[command(flatten)]
        which: Which,
        /// Write the schedule to this file.
        #[arg(long)]
        save: Option<PathBuf>,
    },
    /// Minimise a schedule that shows a violation, and print the result.
    Minimise {
        #[command(flatten)]
        which: Which,
        /// Write the schedule to this file.
        #[arg(long)]
        save: Option<PathBuf>,
    },
    /// Run a whole fleet on one hot bucket, and print its figures.
    Fleet {
        /// The number of processes.
        #[arg(long, default_value_t = 250)]
        processes: usize,
        /// Total acquires per second.
        #[arg(long, default_value_t = 2_000)]
        rate: u64,
        /// Strict, or with tokens debited ahead.
        #[arg(long, value_enum, default_value = "strict")]
        mode: Mode,
        /// Duration in seconds.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Demand as a multiple of the limit; 0.5 by default.
        #[arg(long)]
        overload: Option<f64>,
        /// The seed.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Print the figures as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Every acquire is decided by the table.
    Strict,
    /// Tokens are debited ahead.
    Reserve,
}

#[derive(Args)]
struct Which {
    /// The seed of the schedule.
    #[arg(long, required_unless_present = "schedule")]
    seed: Option<u64>,
    /// A schedule file, instead of a seed.
    #[arg(long, conflicts_with = "seed")]
    schedule: Option<PathBuf>,
}

impl Which {
    fn read(&self) -> Result<Schedule, String> {
        match (&self.schedule, self.seed) {
            (Some(path), _) => {
                let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
            }
            (None, seed) => Ok(generate(seed.unwrap_or(0))),
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

impl Command {
    fn run(self) -> Result<ExitCode, String> {
        match self {
            Self::Run { seed, schedules, jobs, show, first } => {
                let until = if first { 1 } else { u64::MAX };
                Ok(run(seed, schedules, jobs, show, until))
            }
            Self::Trace { which, save } => {
                let schedule = which.read()?;
                if let Some(path) = save {
                    write(&path, &schedule)?;
                }
                let history = play(schedule)?;
                print!("{}", trace::text(&history));
                Ok(if history.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Self::Minimise { which, save } => {
                let Some(smaller) = minimise(&which.read()?) else {
                    println!("no violation");
                    return Ok(ExitCode::SUCCESS);
                };
                if let Some(path) = save {
                    write(&path, &smaller)?;
                }
                print!("{}\n{}", trace::steps(&smaller), trace::text(&play(smaller)?));
                Ok(ExitCode::FAILURE)
            }
            Self::Fleet { processes, rate, mode, seconds, overload, seed, json } => {
                let reserve = matches!(mode, Mode::Reserve);
                let figures = Fleet { processes, rate, reserve, seconds, overload, seed }.run()?;
                let text = if json { serde_json::to_string(&figures) } else { serde_json::to_string_pretty(&figures) };
                println!("{}", text.map_err(|error| error.to_string())?);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn write(path: &Path, schedule: &Schedule) -> Result<(), String> {
    let text = serde_json::to_string_pretty(schedule).map_err(|error| error.to_string())?;
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs `schedules` from `first` on, on all cores, until there are `most` violations.
fn run(first: u64, schedules: u64, jobs: Option<usize>, show: u64, most: u64) -> ExitCode {
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let (next, done, violations, over) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let shown = Mutex::new(0_u64);
    let began = Instant::now();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= schedules || violations.load(Ordering::Relaxed) >= most {
                return;
            }
            let seed = first + index;
            let found = match play(generate(seed)) {
                Ok(history) => history.violations,
                Err(error) => vec![error],
            };
            done.fetch_add(1, Ordering::Relaxed);
            for violation in found {
                violations.fetch_add(1, Ordering::Relaxed);
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                *shown += 1;
                if *shown <= show {
                    println!("seed {seed}: {violation}");
                }
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        if stderr().is_terminal() {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(200));
                    let done = done.load(Ordering::Relaxed);
                    let rate = done as f64 / began.elapsed().as_secs_f64();
                    eprint!("\r{done} of {schedules} schedules, {rate:.0} a second ");
                    let _ = stderr().flush();
                }
                eprintln!();
            });
        }
        for worker in workers {
            if worker.join().is_err() {
                violations.fetch_add(1, Ordering::Relaxed);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let (done, violations) = (done.load(Ordering::Relaxed), violations.load(Ordering::Relaxed));
    println!("{done} schedules, {violations} violations");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
