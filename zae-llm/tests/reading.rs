//! Measures the cost of reading, as a share of the cost of passing a stream on at all. It runs in a program of its own,
//! as other tests beside it would take processor time away from it.

#[path = "../benches/stream/mod.rs"]
mod stream;

use std::time::Instant;

use stream::{BODY, Gateway, Passing, Writes};

/// Unoptimized, our code is slow, and the copying beside it is not.
const LEAST: f64 = if cfg!(debug_assertions) { 0.5 } else { 0.8 };

/// The throughput of a gateway that reads what it passes on, as a share of one that does not. The best of some runs
/// each, as other work on the machine only ever slows them, and of some more where that does not suffice.
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
    // A block is one copy, which says nothing of an unoptimized reader.
    let ways: &[Writes] = if cfg!(debug_assertions) { &[Writes::Events] } else { &[Writes::Events, Writes::Blocks] };
    for writes in ways {
        let ratio = ratio(*writes).await;
        assert!(ratio >= LEAST, "{writes:?}: {ratio:.2}");
    }
}
