//! Measures the cost of reading, as a share of the cost of forwarding a stream at all. It is a program of its own,
//! because concurrent tests would take processor time from it.

#[path = "../benches/stream/mod.rs"]
mod stream;

use std::time::Instant;

use stream::{BODY, Gateway, Passing, Writes};

/// Our code is slow without optimisation, unlike the copying it is compared with.
const LEAST: f64 = if cfg!(debug_assertions) { 0.5 } else { 0.8 };

/// Returns the throughput of a gateway that reads usage, as a share of one that does not. The best of several runs
/// each, because other work on the machine only slows them, and of more if that does not suffice.
async fn ratio(writes: Writes) -> f64 {
    let gateway = Gateway::start(writes).await;
    let mut best = [f64::INFINITY; 2];
    for run in 1..=40 {
        for (passing, best) in [Passing::Plain, Passing::Read].into_iter().zip(&mut best) {
            let started = Instant::now();
            assert_eq!(gateway.receive(passing).await, BODY.len());
            *best = started.elapsed().as_secs_f64().min(*best);
        }
        if run >= 10 && best[0] / best[1] >= LEAST {
            break;
        }
    }
    let [plain, read] = best;
    println!(
        "{writes:?}: {:.2} ms plain, {:.2} ms read, {:.2} of the throughput",
        plain * 1e3,
        read * 1e3,
        plain / read
    );
    plain / read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_read_is_passed_on_nearly_as_fast() {
    // A block is a single copy, which is not comparable with an unoptimised reader.
    let ways: &[Writes] = if cfg!(debug_assertions) { &[Writes::Events] } else { &[Writes::Events, Writes::Blocks] };
    for writes in ways {
        let ratio = ratio(*writes).await;
        assert!(ratio >= LEAST, "{writes:?}: {ratio:.2}");
    }
}
