//! The cost of a request through layer and axum: `cargo bench -p zae-axum --bench request`.
//!
//! The routers of [`routers`] take turns in one process, so other load affects all of them alike; the medians of their
//! turns are compared. Fails if the layer costs more than twice as much as `tower_governor` when both report the
//! remaining tokens in every response. Without the `--bench` that cargo passes, everything runs once and nothing is
//! judged.

mod routers;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use axum::Router;

/// Requests in a turn, one after the other.
const TURN: u32 = 100;
/// Maximum cost of a grant from a reserve, as a multiple of `tower_governor` with headers.
const ALLOWED: f64 = 2.0;

/// One of the compared routers.
struct Case {
    name: &'static str,
    app: Router,
    /// Time per request, in each turn.
    turns: Vec<Duration>,
}

impl Case {
    fn new(name: &'static str, app: Router) -> Self {
        Self { name, app, turns: Vec::new() }
    }

    async fn turn(&mut self) {
        let requests: Vec<_> = (0..TURN).map(|_| (self.app.clone(), routers::request())).collect();
        let start = Instant::now();
        for (app, request) in requests {
            routers::ask(app, request).await;
        }
        self.turns.push(start.elapsed() / TURN);
    }

    /// The median of the turns, in µs.
    fn median(&mut self) -> f64 {
        self.turns.sort();
        self.turns[self.turns.len() / 2].as_secs_f64() * 1e6
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let measured = std::env::args().any(|argument| argument == "--bench");
    let (one_write, strict) = routers::limited().await;
    let (from_stock, reserving) = routers::reserving().await;
    let mut cases = [
        Case::new("no layer", routers::plain()),
        Case::new("tower_governor", routers::governed()),
        Case::new("tower_governor, with its headers", routers::governed_telling()),
        Case::new("zae, grant from a reserve", from_stock),
        Case::new("zae, one write to the embedded store", one_write),
    ];
    let rounds = if measured { 2_000 } else { 2 };
    for round in 0..rounds + rounds / 10 {
        for case in &mut cases {
            case.turn().await;
        }
        if round < rounds / 10 {
            // The first turns warm up.
            cases.iter_mut().for_each(|case| case.turns.clear());
        }
    }
    strict.shutdown().await;
    reserving.shutdown().await;
    let medians = cases.each_mut().map(Case::median);
    let [none, governor, telling, reserve, _] = medians;
    println!("{:<36} | µs per request | µs of the layer | beside tower_governor", "router");
    for (case, median) in cases.iter().zip(medians) {
        let (own, beside) = (median - none, (median - none) / (governor - none));
        println!("{:<36} | {median:>14.2} | {own:>15.2} | {beside:>20.2}×", case.name);
    }
    let ratio = (reserve - none) / (telling - none);
    println!(
        "\na grant from a reserve costs {ratio:.2} times what tower_governor with headers does; allowed: {ALLOWED}"
    );
    if measured && ratio > ALLOWED { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
