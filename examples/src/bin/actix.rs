//! The quickstart on actix-web: a rate-limited server, 5 requests per minute and client, without an AWS account.
//!
//! `ZAE_LISTEN` chooses the address (default `127.0.0.1:3000`).

use std::{env, error::Error};

use actix_web::{App, HttpServer, web};
use zae_actix::{Limit, RateLimited, Repository, ZaeLimit};

const REQUESTS_PER_MINUTE: u64 = 5;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    // A store in this process; `Repository::open("default")` opens a stack in AWS.
    let repository = Repository::embedded().await?;
    let limit = ZaeLimit::new(repository).default_limits(Limit::per_minute("rpm", REQUESTS_PER_MINUTE)?);

    // Created once, and cloned into every worker.
    let shared = limit.clone();
    let server = HttpServer::new(move || App::new().wrap(shared.clone()).route("/", web::get().to(hello)));
    let address = env::var("ZAE_LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let server = server.bind(&address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    for address in server.addrs() {
        println!("Listening on http://{address}/ with {REQUESTS_PER_MINUTE} requests per minute and client.");
    }
    println!("Ctrl-C stops it.");

    server.run().await?;
    // Writes pending consumption to the table.
    limit.shutdown().await;
    println!("All settled.");
    Ok(())
}

async fn hello(limited: RateLimited) -> String {
    let left = limited.remaining("rpm").unwrap_or(0);
    let requests = if left == 1 { "request" } else { "requests" };
    format!("Hello! {left} {requests} left for now.\n")
}
