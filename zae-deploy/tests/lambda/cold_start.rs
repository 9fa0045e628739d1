//! How long a function takes from its start to its first request for work, and the memory it then has, beside the
//! published package's. Both see the same runtime API in the same run; the package's runtime is the shortest that it
//! could have, without what Lambda's own adds.

use std::{fs, path::Path, time::Instant};

use crate::{
    support::{World, function::Function},
    venv,
};

/// Starts, of which the fastest counts: what else the machine does only ever adds.
const STARTS: usize = 3;

/// The most memory that a process had, in KiB.
fn peak_kib(function: &Function) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", function.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches("kB").trim().parse().unwrap()
}

async fn measure(start: impl AsyncFn() -> Function) -> (f64, u64) {
    let mut fastest = f64::INFINITY;
    let mut peak = 0;
    for _ in 0..STARTS {
        let started = Instant::now();
        let function = start().await;
        function.ready().await;
        fastest = fastest.min(started.elapsed().as_secs_f64() * 1_000.0);
        peak = peak_kib(&function);
        function.kill().await;
    }
    (fastest, peak)
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
    let (ours, our_peak) = measure(async || world.aggregator().await).await;
    let (theirs, their_peak) = measure(async || world.reference(&python).await).await;
    println!("start to first poll: {ours:.1} ms and {our_peak} KiB, reference {theirs:.0} ms and {their_peak} KiB");
    // What is deployed is optimised; a debug build spends most of its start in unoptimised parsing of certificates.
    let times = if cfg!(debug_assertions) { 2.0 } else { 10.0 };
    assert!(theirs >= times * ours, "{ours} ms against {theirs} ms");
    assert!(our_peak < their_peak, "{our_peak} KiB against {their_peak} KiB");
}
