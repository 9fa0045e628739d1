//! Measures the time from a function's start to its first poll, and its memory, beside the published package's. Both
//! use the same runtime API in the same run; the package's runtime is the shortest possible, without the overhead of
//! Lambda's own.

use std::{fs, path::Path, time::Instant};

use zae_testkit::venv;

use crate::support::{World, function::Function};

/// Number of starts, of which the fastest counts, because other load only adds time.
const STARTS: usize = 5;
/// Factor by which a function must be ready sooner. The unoptimised build must meet it, too.
const TIMES_FASTER: f64 = 10.0;

/// The measurements of a start.
struct Start {
    ms: f64,
    peak_kib: u64,
}

impl Start {
    const NONE: Self = Self { ms: f64::INFINITY, peak_kib: 0 };

    /// Measures one more start.
    async fn measure(&mut self, start: impl Future<Output = Function>) {
        let started = Instant::now();
        let function = start.await;
        function.ready().await;
        self.ms = self.ms.min(started.elapsed().as_secs_f64() * 1_000.0);
        self.peak_kib = self.peak_kib.max(peak_kib(&function));
        function.kill().await;
    }
}

/// Returns the peak memory of a process, in KiB.
fn peak_kib(function: &Function) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", function.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test]
async fn sooner_ready_and_smaller_than_the_reference() {
    if !Path::new("/proc/self/status").exists() {
        return;
    }
    let python = tokio::task::spawn_blocking(venv::interpreter).await;
    let python = python.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let Some(python) = python else { return };
    let world = World::new().await;
    let (mut aggregator, mut provisioner, mut reference) = (Start::NONE, Start::NONE, Start::NONE);
    // Alternating, so that other load affects all of them alike.
    for _ in 0..STARTS {
        aggregator.measure(world.aggregator()).await;
        provisioner.measure(world.provisioner()).await;
        reference.measure(world.reference(&python)).await;
    }
    for (name, start) in [("aggregator", &aggregator), ("provisioner", &provisioner), ("reference", &reference)] {
        println!("{name}: first poll after {:.1} ms, {} KiB at most", start.ms, start.peak_kib);
    }
    for ours in [aggregator, provisioner] {
        assert!(reference.ms >= TIMES_FASTER * ours.ms, "{} ms against {} ms", ours.ms, reference.ms);
        assert!(ours.peak_kib < reference.peak_kib, "{} KiB against {} KiB", ours.peak_kib, reference.peak_kib);
    }
}
