//! A limited server whose counters Prometheus reads at `/metrics`; `docs/dashboards/grafana.json` is a board for them.
//!
//! `ZAE_LISTEN` chooses the address (default `127.0.0.1:3000`).
//!
//! ```text
//! cargo run --bin metrics
//! curl http://127.0.0.1:3000/
//! curl http://127.0.0.1:3000/metrics
//! ```

use std::{env, error::Error, net::SocketAddr, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use zae_axum::{Limit, Repository, ZaeLimit};

use axum::{Router, routing::get};

/// Interval between clean-ups of the recorder, which merge histogram values so that they do not pile up between two
/// scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Bounds of the histograms in seconds, from a write's best to a lane's worst.
const SECONDS: [f64; 9] = [0.001, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// Bounds of the histograms that count round trips and acquires.
const COUNTS: [f64; 8] = [1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1_000.0];

/// Installs a recorder with buckets, which Prometheus can aggregate over processes; it cannot aggregate summaries.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("zae_round_trips".to_owned()), &COUNTS)?
        .set_buckets_for_metric(Matcher::Full("zae_batch_size".to_owned()), &COUNTS)?
        .install_recorder()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    // Before the limiter, which describes its metrics to the installed recorder.
    let metrics = recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });

    let repository = Repository::embedded().await?;
    let limit = ZaeLimit::new(repository).default_limits(Limit::per_minute("rpm", 60)?);
    let app = Router::new()
        .route("/", get(|| async { "Hello!\n" }).layer(limit.clone()))
        .route("/metrics", get(move || async move { metrics.render() }));

    let address = env::var("ZAE_LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("Listening on http://{}/, metrics at /metrics. Ctrl-C stops it.", listener.local_addr()?);
    let stop = async {
        // Without a signal handler, the server keeps running.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).with_graceful_shutdown(stop).await?;
    // Writes pending consumption to the table.
    limit.shutdown().await;
    Ok(())
}
