//! What a request costs on its way through layer, axum and store: `cargo bench -p zae-axum --bench request`.
//!
//! The three routers of [`routers`] are asked one request after the other in one process. Read the medians of one run
//! against each other; differences between runs are the machine's.

mod routers;

use axum::Router;
use divan::{Bencher, black_box};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn measure(bencher: Bencher<'_, '_>, runtime: &Runtime, app: &Router) {
    bencher
        .with_inputs(|| (app.clone(), routers::request()))
        .bench_local_values(|(app, request)| black_box(runtime.block_on(routers::ask(app, request))));
}

#[divan::bench(sample_count = 1000)]
fn no_layer(bencher: Bencher<'_, '_>) {
    measure(bencher, &runtime(), &routers::plain());
}

#[divan::bench(sample_count = 1000)]
fn tower_governor(bencher: Bencher<'_, '_>) {
    measure(bencher, &runtime(), &routers::governed());
}

#[divan::bench(sample_count = 1000)]
fn zae_embedded(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let (app, layer) = runtime.block_on(routers::limited());
    measure(bencher, &runtime, &app);
    runtime.block_on(layer.shutdown());
}
