//! What reading costs, as a share of what it costs to pass a stream on at all.

use std::time::Instant;

use crate::stream::{BODY, Gateway, Passing, Writes};

const LEAST: f64 = 0.8;

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
    let ratio = ratio(Writes::Events).await;
    assert!(ratio >= LEAST, "{ratio:.2}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "says nothing of an unoptimized build; run it with --release")]
async fn so_is_one_that_comes_in_blocks() {
    let ratio = ratio(Writes::Blocks).await;
    assert!(ratio >= LEAST, "{ratio:.2}");
}
