//! A rate-limited server: 5 requests per minute and client.
//!
//! By default it keeps its buckets in this process. `ZAEL_STACK=<stack>` uses that stack's table in AWS, or at
//! `AWS_ENDPOINT_URL`. `ZAE_LISTEN` sets the address (default `127.0.0.1:3000`).

use std::{env, error::Error, net::SocketAddr, process::ExitCode};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, signal};
use zae_axum::{Limit, Limits, RateLimited, Repository, ResourceName, ZaeLimit, resource};

const RESOURCE: &str = "quickstart";
const REQUESTS_PER_MINUTE: u64 = 5;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let repository = open().await?;
    let limits = limits(&repository).await?;

    let limit = ZaeLimit::new(repository).resource(resource::fixed(ResourceName::new(RESOURCE)?));
    let app = Router::new().route("/", get(hello)).layer(limit.clone());

    let address = env::var("ZAE_LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}/. Each client has:");
    for limit in &limits {
        println!("  {}: {} per {} s", limit.name(), limit.capacity(), limit.fill_time().as_secs());
    }
    println!("Try:");
    println!();
    println!("  curl -i http://{address}/");
    println!("  for i in 1 2 3 4 5 6; do curl -s -o /dev/null -w '%{{http_code}}\\n' http://{address}/; done");
    println!();
    println!("Ctrl-C stops it.");

    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop_signal()).await?;
    // Writes pending consumption to the table.
    limit.shutdown().await;
    println!("All settled.");
    Ok(())
}

async fn open() -> Result<Repository, Box<dyn Error>> {
    if env::var_os("ZAEL_STACK").is_some() {
        let repository = Repository::builder().build().await?;
        println!("Using stack {}, namespace {}.", repository.stack(), repository.namespace_name());
        return Ok(repository);
    }
    println!("Using an embedded store in memory; set ZAEL_STACK to use a stack in AWS.");
    Ok(Repository::embedded().await?)
}

/// Returns the limits of this server's resource: the stored ones, or its own if there are none.
async fn limits(repository: &Repository) -> Result<Limits, Box<dyn Error>> {
    let resource = ResourceName::new(RESOURCE)?;
    if let Some(limits) = repository.resource_defaults(&resource).await? {
        return Ok(limits);
    }
    let limits = Limit::per_minute("rpm", REQUESTS_PER_MINUTE)?.into();
    repository.set_resource_defaults(&resource, &limits).await?;
    Ok(limits)
}

async fn hello(limited: RateLimited) -> String {
    let left = limited.remaining("rpm").unwrap_or(0);
    let requests = if left == 1 { "request" } else { "requests" };
    format!("Hello! {left} {requests} left for now.\n")
}

async fn stop_signal() {
    let interrupt = async {
        // Without a signal handler there is nothing to wait for; the process then ends abruptly.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
