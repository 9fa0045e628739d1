//! A fleet's calls to a model, kept within its provider's limits, once for each kind of client.
//!
//! `cargo run --bin outgoing` starts a small provider on loopback that serves 4 calls at once and 4 a second, and makes
//! 10 calls to it through each client; `cargo run --bin outgoing -- rig` through that one only. Each file beside this
//! one is one client.

mod call_site;
mod client_async_openai;
mod client_middleware;
mod client_reqwest;
mod client_rig;
mod provider;

use std::{error::Error, future::Future, process::ExitCode, time::Instant};

use provider::Provider;
use zae_reqwest::{
    Limit, Limits, OutgoingLimit, Repository, ResourceName, find,
    llm::{Accounting, Tariff},
};

/// Error of a program's call, whichever client makes it.
type Failure = Box<dyn Error + Send + Sync>;

const CLIENTS: [&str; 5] = ["reqwest", "middleware", "async-openai", "rig", "call-site"];
const MODEL: &str = "small-talk-1";
const CALLS: usize = 10;
const TOKENS: u64 = 100_000;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .init();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !CLIENTS.contains(&name.as_str())) {
        eprintln!("outgoing: there is no client {unknown:?}; there are {}", CLIENTS.join(", "));
        return ExitCode::from(2);
    }
    for client in CLIENTS.into_iter().filter(|client| wanted.is_empty() || wanted.iter().any(|name| name == client)) {
        if let Err(error) = show(client).await {
            eprintln!("outgoing: {client}: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The limit shared by all clients: a request and its tokens, by model, slightly below the provider's limits.
async fn limit() -> Result<OutgoingLimit, Failure> {
    // In production, use `Repository::open("default")`: all processes on one table share the buckets.
    let repository = Repository::embedded().await?;
    let requests = Limit::per_second("rpm", 4)?.with_burst(3)?;
    // Hardly refills, so that the total charge can be read at the end.
    let tokens = Limit::per_day("tpm", 1)?.with_burst(TOKENS)?;
    repository.set_system_defaults(&Limits::new([requests, tokens])?).await?;
    Ok(OutgoingLimit::new(repository)
        .resource(find::json::<ResourceName>("/model"))
        .llm(Accounting::new(Tariff::openai())))
}

async fn show(client: &str) -> Result<(), Failure> {
    let (provider, limit) = (Provider::start().await?, limit().await?);
    let started = Instant::now();
    match client {
        "reqwest" => all(client_reqwest::client(&limit, &provider)).await?,
        "middleware" => all(client_middleware::client(&limit, &provider)).await?,
        "async-openai" => all(client_async_openai::client(&limit, &provider)).await?,
        "rig" => all(client_rig::client(&limit, &provider)?).await?,
        _ => all(call_site::client(&limit, &provider)).await?,
    }
    let took = started.elapsed().as_secs_f64();
    limit.shutdown().await;
    let charged = i64::try_from(TOKENS)? - left(&limit).await?;
    let (served, refused, used) = provider.counts();
    println!("{client}: {served} calls in {took:.1} s, {refused} refused; {used} tokens used, {charged} charged");
    Ok(())
}

/// Makes all calls at once; each waits if necessary.
async fn all<F, W>(ask: F) -> Result<(), Failure>
where
    F: Fn(String) -> W,
    W: Future<Output = Result<String, Failure>> + Send + 'static,
{
    let calls: Vec<_> = (1..=CALLS).map(|number| tokio::spawn(ask(format!("Say {number} words.")))).collect();
    for call in calls {
        let answer = call.await??;
        if answer.is_empty() {
            return Err("an answer without words".into());
        }
    }
    Ok(())
}

async fn left(limit: &OutgoingLimit) -> Result<i64, Failure> {
    let (entity, model) = (zae_reqwest::EntityId::new(zae_reqwest::DEFAULT_ENTITY)?, ResourceName::new(MODEL)?);
    let left = limit.limiter().available(&entity, &model).await?;
    Ok(left.into_iter().find(|(name, _)| name.as_str() == "tpm").map_or(0, |(_, tokens)| tokens))
}
